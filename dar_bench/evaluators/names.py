"""Evaluators by name: those of the core, and those of plugins. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from dar_bench.errors import unknown_name
from dar_bench.evaluators.base import Evaluator
from dar_bench.features.cards import INCEPTION
from dar_bench.plugins import load_object, registry
from dar_bench.weights import status

CORE = {
    "native": "dar_bench.evaluators.native:NativeEvaluator",
    "native:precise": "dar_bench.evaluators.native:precise",
    "adm": "dar_bench.evaluators.adm:AdmEvaluator",
    "embedded": "dar_bench.evaluators.embedded:EmbeddedEvaluator",
    "torch-fidelity": "dar_bench.evaluators.torch_fidelity:TorchFidelityEvaluator",
    "clean-fid": "dar_bench.evaluators.clean_fid:CleanFidEvaluator",
    "clean-fid:legacy_tensorflow": "dar_bench.evaluators.clean_fid:legacy_tensorflow",
    "clean-fid:legacy_pytorch": "dar_bench.evaluators.clean_fid:legacy_pytorch",
    "fd-dinov2": "dar_bench.evaluators.vit:FdDinov2",
    "fd-infinity": "dar_bench.evaluators.infinity:FdInfinity",
    "fd-clip": "dar_bench.evaluators.vit:FdClip",
    "cmmd": "dar_bench.evaluators.vit:Cmmd",
}
"""Evaluators of the core: name to ``"module:attribute"``, called as ``attribute(device)``."""

FAST = {
    "native:tf32": "dar_bench.evaluators.native:tf32",
    "native:bfloat16": "dar_bench.evaluators.native:bfloat16",
}
"""Evaluators in a precision that trades digits for speed; ``all`` does not stand for them."""

BY_EXTRACTOR = ("embedded", "fd-infinity")
"""Evaluators that take any extractor: ``embedded:NAME``; called as ``attribute(device, extractor)``."""

ALL = "all"
"""Stands for every evaluator that there is."""


def known_evaluators() -> dict[str, str]:
    """Return name to ``"module:attribute"`` of every evaluator; the core's names win."""
    return {**registry().components("evaluators"), **CORE}


def named_evaluators(names: Sequence[str]) -> tuple[str, ...]:
    """Return the evaluators that a user named, or the default: ADM's protocol where its network is on this machine.

    Without the Inception weights nothing can be called FID: then the embedded evaluator measures, under names of its
    own; ``how_to_get_fid`` says what would change that.
    """
    return tuple(names) or (("native",) if status(INCEPTION) == "present" else ("embedded",))


def how_to_get_fid(used: Sequence[str]) -> str:
    """Return a hint where only the embedded evaluator measured for want of the Inception weights, else ``""``."""
    if set(used) != {"embedded"} or status(INCEPTION) == "present":
        return ""
    return (
        f"FID by ADM's protocol ('native') needs the weights of {INCEPTION.name}: "
        f"dar-bench weights fetch {INCEPTION.name}"
    )


def check_evaluator(name: str) -> None:
    """Refuse a name that no evaluator has, without loading one.

    Raises:
        UserError: with the nearest name.
    """
    base, separator, _ = name.partition(":")
    if name != ALL and not (separator and base in BY_EXTRACTOR):
        known = {**known_evaluators(), **FAST}
        if name not in known:
            raise unknown_name("evaluator", name, known)


def load_evaluator(name: str, device: str = "cpu") -> Evaluator:
    """Return the evaluator of this name on a device.

    Args:
        name: one of ``known_evaluators``, or ``embedded:EXTRACTOR`` and the like (``BY_EXTRACTOR``).
        device: torch device string.

    Raises:
        UserError: no evaluator has that name, or its package or weights are missing.
    """
    known = {**known_evaluators(), **FAST}
    base, separator, extractor = name.partition(":")
    if separator and base in BY_EXTRACTOR:
        evaluator = load_object(CORE[base])(device, extractor)
    elif name in known:
        evaluator = load_object(known[name])(device)
    else:
        raise unknown_name("evaluator", name, known)
    if not isinstance(evaluator, Evaluator):
        raise TypeError(
            f"'{known.get(name, name)}' made a {type(evaluator).__name__}, which is not an Evaluator"
        )
    return evaluator
