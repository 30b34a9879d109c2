"""The order of the pages. A page that is not named here comes last in its part, so that none is ever left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PARTS = {
    "Start": ("index.md", "quickstart.md"),
    "Measure": ("evaluation.md", "metrics.md", "lint.md", "sweeps.md", "check.md", "results.md", "report.md"),
    "Train": ("training.md",),
    "Write a plugin": ("tutorial.md", "plugins.md", "api.md"),
    "The zoo": ("zoo.md",),
}
REST = {"zoo/": "The zoo", "reference/": "Python"}
OTHERS = "More"


def on_config(config: Any) -> Any:
    """Build the navigation from the pages that exist."""
    folder = Path(config["docs_dir"])
    config["nav"] = navigation([path.relative_to(folder).as_posix() for path in folder.rglob("*.md")])
    return config


def navigation(pages: list[str]) -> list[dict[str, list[str]]]:
    """Return the parts with their pages; every page is in one of them."""
    place = {page: part for part, named in PARTS.items() for page in named}
    parts: dict[str, list[str]] = {
        part: [page for page in named if page in pages] for part, named in PARTS.items()
    }
    for page in sorted(set(pages) - set(place)):
        part = next((part for start, part in REST.items() if page.startswith(start)), OTHERS)
        parts.setdefault(part, []).append(page)
    return [{part: named} for part, named in parts.items() if named]
