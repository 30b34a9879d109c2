"""The public interface as text, and its snapshot.

To accept a change: write a line about it into CHANGELOG.md, then run

    python tests/api/describe_interface.py "that line, or a part of it that no earlier change used"
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).with_name("interface.txt")
HISTORY = Path(__file__).with_name("history.txt")
MODULES = ("dar_bench/api.py", "dar_bench/sampling/token_network.py", "dar_bench/conformance/pytest.py")


def interface() -> str:
    """Return every public name with its signature, type and default, in the order of the source."""
    lines: list[str] = []
    for module in MODULES:
        lines += [f"module {module.removesuffix('.py').replace('/', '.')}", ""]
        lines += [line for node in ast.parse((ROOT / module).read_text()).body for line in _lines(node)]
    return "\n".join(lines).rstrip() + "\n"


def _lines(node: ast.stmt, indent: str = "") -> Iterator[str]:
    """Yield the lines of one statement; docstrings, private names and bodies are no part of the interface."""
    if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
        bases = ", ".join(ast.unparse(base) for base in (*node.bases,))
        for decorator in node.decorator_list:
            yield f"{indent}@{ast.unparse(decorator)}"
        yield f"{indent}class {node.name}({bases})"
        for inner in node.body:
            yield from _lines(inner, indent + "    ")
        yield ""
    elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
        for decorator in node.decorator_list:
            yield f"{indent}@{ast.unparse(decorator)}"
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        yield f"{indent}def {node.name}({ast.unparse(node.args)}){returns}"
        if not indent:
            yield ""
    elif isinstance(node, ast.AnnAssign | ast.Assign):
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        if not ast.unparse(target).startswith("_"):
            yield f"{indent}{ast.unparse(node)}"


def digest() -> str:
    """Return a short hash of the interface."""
    return hashlib.sha256(interface().encode()).hexdigest()[:12]


def history() -> list[tuple[str, str]]:
    """Return digest and words of the changelog of every accepted interface, newest last."""
    pairs = (line.partition(" ") for line in HISTORY.read_text().splitlines() if line)
    return [(digest, words) for digest, _, words in pairs]


def changelog() -> str:
    """Return the changelog with single spaces, so that words are found across line ends."""
    return " ".join((ROOT / "CHANGELOG.md").read_text().split())


def accept(words: str) -> None:
    """Store the interface as it is, under words of the changelog."""
    words = " ".join(words.split())
    earlier = history() if HISTORY.exists() else []
    if len(words.split()) < 4:
        sys.exit(f"'{words}' is too short to tell one line of the changelog from another.")
    if words not in changelog():
        sys.exit(f"CHANGELOG.md does not say '{words}'.")
    if words in [other for _, other in earlier]:
        sys.exit(f"An earlier change of the interface is recorded under '{words}' already.")
    SNAPSHOT.write_text(interface())
    HISTORY.write_text("".join(f"{one} {text}\n" for one, text in [*earlier, (digest(), words)]))


if __name__ == "__main__":
    accept(" ".join(sys.argv[1:]))
