"""Evaluators: whether each can be loaded here, tried in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dar_bench.doctor.findings import Check
from dar_bench.doctor.processes import attempt_all
from dar_bench.evaluators.names import known_evaluators

_AREA = "evaluators"

# Prints one JSON line: what the evaluator measures with, or why it cannot.
_PROGRAM = """
import json, sys
from dar_bench.errors import UserError
from dar_bench.evaluators.names import load_evaluator
try:
    found = load_evaluator(sys.argv[1], sys.argv[2]).fingerprint()
except UserError as error:
    print(json.dumps({"what": error.what, "why": error.why, "hint": error.hint}))
else:
    print(json.dumps({"extractor": found.extractor, "trusted": found.trusted}))
"""


def examine_evaluators(device: str = "cpu", names: Sequence[str] | None = None) -> list[Check]:
    """Load every evaluator, or those named.

    Args:
        device: torch device string.
        names: which; all that there are without.
    """
    asked = list(known_evaluators() if names is None else names)
    trials = attempt_all([(_PROGRAM, name, device) for name in asked])
    checks = []
    for name, trial in zip(asked, trials, strict=True):
        if not trial.ok:
            checks.append(Check(area=_AREA, name=name, state="broken", detail=trial.problem))
            continue
        told = json.loads(trial.said)
        if "what" in told:
            detail = f"{told['what']} {told['why']}".strip()
            checks.append(
                Check(area=_AREA, name=name, state="absent", detail=detail, remedy=told["hint"].strip())
            )
        elif told["trusted"]:
            checks.append(
                Check(area=_AREA, name=name, state="ok", detail=f"measures with {told['extractor']}")
            )
        else:
            checks.append(
                Check(
                    area=_AREA,
                    name=name,
                    state="warning",
                    detail=f"measures with {told['extractor']}, whose weights are not known to be the "
                    "published ones",
                )
            )
    return checks
