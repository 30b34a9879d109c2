"""What an examination reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "absent", "warning", "broken"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        area: what kind of thing (``machine``, ``packages``, ``evaluators``, ...).
        name: which one.
        state: ``ok``; ``absent`` where it is not there and nothing is wrong with that; ``warning`` where it
            works with a reservation; ``broken`` where it is there and does not work.
        detail: what was found, one line.
        remedy: what to do, where there is something.
    """

    area: str
    name: str
    state: State
    detail: str
    remedy: str = ""

    @property
    def works(self) -> bool:
        """Whether it can be used."""
        return self.state in ("ok", "warning")

    def as_json(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        return asdict(self)
