"""``dar-bench cache``: what earlier work left on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dar_bench.cli.help import examples

if TYPE_CHECKING:
    from dar_bench.runs.cache import CacheEntry

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(epilog=examples("dar-bench cache show", "dar-bench cache clear --limit 20GB"))
def cache() -> None:
    """Show or clear what is kept of earlier work: codes, features, hashes.

    All of it can be made again; weights and references are not among it. Commands that fill the cache keep it within
    20 GB, or what the environment variable DAR_BENCH_CACHE_LIMIT says, the least recently used going first.
    """


@cache.command(epilog=examples("dar-bench cache show"))
@_json
def show(as_json: bool) -> None:
    """List what is kept, the least recently used first."""
    from dar_bench.console import console, print_json, print_table
    from dar_bench.runs.cache import cache_entries, size_text

    entries = cache_entries()
    if as_json:
        print_json([_values(entry) for entry in entries])
        return
    rows = [
        [entry.kind, entry.title, size_text(entry.size), _when(entry.last_used), entry.key[:12]]
        for entry in entries
    ]
    if rows:
        print_table(("kind", "what", "size", "last used", "key"), rows, right=("size",))
    console.print(f"{len(entries)} entries, {size_text(sum(entry.size for entry in entries))}.")


@cache.command(epilog=examples("dar-bench cache clear", "dar-bench cache clear --limit 20GB"))
@click.option("--limit", default="0", show_default=True, help="Leave so much (20GB, 500MB), the newest.")
@_json
def clear(limit: str, as_json: bool) -> None:
    """Delete what is kept, the least recently used first."""
    from dar_bench.console import console, print_json
    from dar_bench.runs.cache import cache_entries, parse_size, size_text
    from dar_bench.runs.cache import clear as clear_cache

    deleted = clear_cache(parse_size(limit))
    left = cache_entries()
    if as_json:
        print_json({"deleted": [_values(entry) for entry in deleted], "left": len(left)})
        return
    freed = size_text(sum(entry.size for entry in deleted))
    kept = size_text(sum(entry.size for entry in left))
    console.print(f"Deleted {len(deleted)} entries, {freed}; {len(left)} are left, {kept}.")


def _values(entry: CacheEntry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "title": entry.title,
        "key": entry.key,
        "size": entry.size,
        "last_used": entry.last_used,
    }


def _when(seconds: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
