"""Texts that may leave the machine: no folders of its owner, no host name, no password in an address."""

from __future__ import annotations

import platform
import re
import socket
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import urlsplit, urlunsplit

# An absolute path, or one from a home folder, after something that can come before a path in a sentence.
_PATH = re.compile(
    r"(?P<before>^|[=:\s'\"(])(?P<path>~[^/\s='\"]*/[^\s='\")]*|/[^\s='\")]+|[A-Za-z]:\\[^\s='\"]+)"
)
# A text that is one path as a whole, which may then hold spaces.
_WHOLE_PATH = re.compile(r"~[^/\s]*/|/|[A-Za-z]:\\|\\\\")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s,'\"]+")


def portable_command(arguments: Sequence[str], project: Path | None = None) -> list[str]:
    """Return a command line that says what was run and nothing about whose machine it was.

    The program's name loses its folder. Paths inside the project become relative to it; all others keep their
    last component only.

    Args:
        arguments: ``sys.argv``.
        project: folder of the project; the working folder by default.
    """
    root = str((project or Path.cwd()).resolve())
    host = socket.gethostname()
    shortened = [Path(arguments[0]).name] if arguments else []
    for argument in arguments[1:]:
        inside = argument.replace(root + "/", "") if root != "/" else argument
        text = portable_text(inside)
        # A host called "a" would eat every letter a.
        shortened.append(text.replace(host, "<host>") if len(host) > 3 else text)
    return shortened


def portable_text(text: str) -> str:
    """Return ``text`` with absolute paths cut to their last component and addresses without user or query.

    Applying it twice changes nothing more, so that records read on another machine stay as they are.
    """
    pieces: list[str] = []
    position = 0
    for match in _ADDRESS.finditer(text):
        pieces += [_shorten_paths(text[position : match.start()]), _shorten_address(match.group())]
        position = match.end()
    return "".join([*pieces, _shorten_paths(text[position:])])


def platform_name() -> str:
    """Return operating system and processor type (``Linux-x86_64``), without release or host."""
    return f"{platform.system()}-{platform.machine()}"


def _shorten_paths(text: str) -> str:
    return ",".join(_shorten_value(piece) for piece in text.split(","))


def _shorten_value(text: str) -> str:
    option, equals, value = text.partition("=")
    if not equals:
        option, value = "", text
    # Also a relative path that leaves the project.
    if _WHOLE_PATH.match(value) or ".." in PurePosixPath(value).parts:
        return option + equals + _last_component(value)
    return _PATH.sub(lambda match: match["before"] + _last_component(match["path"]), text)


def _last_component(path: str) -> str:
    name = (PureWindowsPath(path) if "\\" in path else PurePosixPath(path)).name
    return name if name not in ("", "..") else "<folder>"


def _shorten_address(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme == "file":
        return _last_component(parts.path)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", ""))
