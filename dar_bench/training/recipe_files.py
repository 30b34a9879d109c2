"""Recipes by name: the files that ship with a plugin, or the user's own."""

from __future__ import annotations

from pathlib import Path

from dar_bench.errors import UserError, unknown_name


def recipe_path(name: str, shipped: Path) -> Path:
    """Return the file of a recipe given by its shipped name or as a path that ends in ``.toml``.

    Args:
        shipped: the plugin's folder of recipes.

    Raises:
        UserError: no such recipe.
    """
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise UserError(
                f"There is no recipe file '{name}'.", hint="Give a .toml file or a shipped recipe's name."
            )
        return path
    files = {file.stem: file for file in sorted(shipped.glob("*.toml"))}
    if name not in files:
        raise unknown_name("recipe", name, files, hint="Or give the path of a .toml file.")
    return files[name]
