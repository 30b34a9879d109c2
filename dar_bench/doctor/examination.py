"""All checks in order, and what the user requires of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dar_bench.doctor.evaluators import examine_evaluators
from dar_bench.doctor.findings import Check
from dar_bench.doctor.machine import examine_machine
from dar_bench.doctor.packages import examine_packages
from dar_bench.doctor.stores import examine_data, examine_plugins, examine_weights
from dar_bench.errors import unknown_name
from dar_bench.evaluators.names import known_evaluators

_REQUIRABLE = ("evaluators", "packages", "weights", "plugins", "data", "references", "machine")


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What works.

    Attributes:
        checks: everything that was looked at.
        unmet: of what was required, the checks that do not work.
    """

    checks: list[Check]
    unmet: list[Check]


def examine(
    required: Sequence[str] = (),
    *,
    quick: bool = False,
    device: str = "cpu",
    on_area: Callable[[str], Any] = lambda area: None,
) -> Examination:
    """Look at everything.

    Args:
        required: names of evaluators, packages, weights, plugins, data or ``gpu`` that must work.
        quick: import no optional package and load no evaluator, but for those that are required.
        device: torch device string that evaluators are loaded on.
        on_area: told what is looked at next.

    Raises:
        UserError: something required is unknown.
    """
    on_area("machine")
    checks = examine_machine()
    on_area("plugins, weights and data")
    checks += examine_plugins() + examine_weights() + examine_data()
    on_area("packages")
    checks += examine_packages(imports=not quick)
    on_area("evaluators")
    evaluators = list(known_evaluators())
    tried = [name for name in evaluators if name in required] if quick else evaluators
    checks += examine_evaluators(device, tried)
    return Examination(
        checks=checks, unmet=[one for one in map(_finder(checks, evaluators), required) if not one.works]
    )


def _finder(checks: Sequence[Check], evaluators: Sequence[str]) -> Callable[[str], Check]:
    by_name: dict[str, Check] = {}
    # Of equal names (the package clean-fid and the evaluator clean-fid) the evaluator is meant.
    for area in reversed(_REQUIRABLE):
        by_name |= {one.name: one for one in checks if one.area == area}

    def find(name: str) -> Check:
        if name not in by_name:
            raise unknown_name(
                "requirement",
                name,
                {*by_name, *evaluators},
                hint="Names are those that 'dar-bench doctor' shows.",
            )
        return by_name[name]

    return find
