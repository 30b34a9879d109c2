"""Rules that the packages keep among each other, read off their source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "dar_bench"
PLUGIN_PACKAGES = sorted(path.parent for path in ROOT.glob("plugins/*/dar_bench_*/__init__.py"))
HEAVY = {"torch", "tensorflow", "numpy", "pandas", "scipy", "timm", "pyarrow", "PIL", "pydantic"}
MAX_LINES = 400


def imports(file: Path) -> Iterator[str]:
    """Yield the full name of every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def top_level(folder: Path) -> dict[str, set[str]]:
    return {
        str(file.relative_to(ROOT)): {name.split(".")[0] for name in imports(file)}
        for file in sorted(folder.rglob("*.py"))
    }


def offenders(folder: Path, forbidden: set[str]) -> dict[str, set[str]]:
    return {file: names & forbidden for file, names in top_level(folder).items() if names & forbidden}


def test_there_is_something_to_check() -> None:
    assert "dar_bench_dar" in [path.name for path in PLUGIN_PACKAGES]
    assert "click" in top_level(CORE)["dar_bench/cli/main.py"]


def test_the_core_imports_no_plugin() -> None:
    packages = {path.name for path in PLUGIN_PACKAGES}
    assert offenders(CORE, packages) == {}
    named = [
        file for file in sorted(CORE.rglob("*.py")) for name in packages if f'"{name}' in file.read_text()
    ]
    assert named == [], "the core names a plugin in a string"


@pytest.mark.parametrize("package", PLUGIN_PACKAGES, ids=lambda path: path.name)
def test_no_plugin_imports_another(package: Path) -> None:
    others = {path.name for path in PLUGIN_PACKAGES if path != package}
    assert offenders(package, others) == {}


def test_files_have_one_subject_and_a_size_to_match() -> None:
    folders = (CORE, ROOT / "plugins", ROOT / "tests", ROOT / "benchmarks")
    long = {
        str(file.relative_to(ROOT)): lines
        for folder in folders
        for file in folder.rglob("*.py")
        if (lines := len(file.read_text().splitlines())) > MAX_LINES
    }
    assert long == {}


@pytest.mark.parametrize(
    "program",
    [
        "import dar_bench, dar_bench.api, dar_bench.errors",
        "from dar_bench.cli.main import run; run(['--help'])",
        "from dar_bench.cli.main import run; run(['--version'])",
        "from dar_bench.cli.main import run; run(['train', '--help'])",
        "from dar_bench.cli.main import run; run(['models'])",
        "from dar_bench.cli.main import run; run(['plugins', 'list'])",
    ],
)
def test_light_things_import_nothing_heavy(program: str) -> None:
    report = f"\nimport sys; print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", program + report], capture_output=True, text=True, timeout=60)
    assert ran.stderr.splitlines()[-1] == "[]"
    assert ran.returncode == 0


def test_the_help_page_asks_no_plugin_and_imports_no_command() -> None:
    program = (
        "import sys; from dar_bench.cli.main import run; run(['--help']); "
        "print(sorted(name for name in sys.modules if name.startswith('dar_bench')), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stderr.splitlines()[-1] == str(
        [
            "dar_bench",
            "dar_bench.cli",
            "dar_bench.cli.groups",
            "dar_bench.cli.help",
            "dar_bench.cli.main",
            "dar_bench.errors",
            "dar_bench.process_group",
        ]
    )
