"""What image files tell before they become arrays: their format, mode and size."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dar_bench.lint.findings import Finding, finding

_LOSSY = ("JPEG", "MPO")
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """One image file.

    Attributes:
        key: its name.
        width, height: in pixels, before any crop.
        format: as Pillow names it (``PNG``, ``JPEG``); empty where the image was an array.
        mode: Pillow's mode before conversion (``RGB``, ``L``, ``RGBA``); empty where unknown.
    """

    key: str
    width: int
    height: int
    format: str = ""
    mode: str = ""


class FileTally:
    """Counts formats, modes and sizes."""

    def __init__(self) -> None:
        self.sizes: Counter[tuple[int, int]] = Counter()
        self._lossy: Counter[str] = Counter()
        self._modes: Counter[str] = Counter()
        self._converted: list[str] = []
        self._count = 0

    def add(self, facts: FileFacts) -> None:
        """Take one file."""
        self._count += 1
        self.sizes[(facts.height, facts.width)] += 1
        if facts.format in _LOSSY:
            self._lossy[facts.format] += 1
        if facts.mode not in ("", "RGB"):
            self._modes[facts.mode] += 1
            if len(self._converted) < _NAMED:
                self._converted.append(facts.key)

    def findings(self) -> list[Finding]:
        """Return what was found."""
        found = []
        lossy = sum(self._lossy.values())
        if lossy:
            seen = f"{lossy:,} of {self._count:,} files are JPEG."
            found.append(finding("jpeg-origin", seen, files=lossy))
        converted = sum(self._modes.values())
        if converted:
            modes = ", ".join(f"{mode} ({number:,})" for mode, number in self._modes.most_common())
            seen = (
                f"{converted:,} of {self._count:,} files are not RGB but {modes}, for instance "
                f"{', '.join(self._converted)}."
            )
            found.append(finding("converted-images", seen, files=converted))
        return found
