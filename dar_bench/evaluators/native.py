"""The evaluator ``native``: the ADM protocol in torch, without TensorFlow.

native          as the original computes it, to its digits
native:precise  float64 statistics and float32 distances
native:tf32     as ``native``, with features in TF32 on a GPU; the scores' notes tell what that changed
native:bfloat16 the same in bfloat16
"""

from __future__ import annotations

from dar_bench.errors import UserError
from dar_bench.evaluators.adm_protocol import AdmProtocol, Mode
from dar_bench.features.inception import Inception2015, Precision


class NativeEvaluator(AdmProtocol):
    """The ADM protocol on the features of the torch network.

    Args:
        device: torch device string.
        mode: ``adm`` agrees with the original, float16 distances included; ``precise`` computes exactly.
        precision: of the network.

    Raises:
        UserError: the network's weights are not on this machine.
    """

    def __init__(self, device: str = "cpu", mode: Mode = "adm", precision: Precision = "float32"):
        name = "native" if mode == "adm" else f"native:{mode}"
        if precision != "float32":
            name = f"native:{precision}"
        super().__init__(name, Inception2015(device, precision), mode)


def precise(device: str = "cpu") -> NativeEvaluator:
    """Return the evaluator ``native:precise``."""
    return NativeEvaluator(device, "precise")


def tf32(device: str = "cpu") -> NativeEvaluator:
    """Return the evaluator ``native:tf32``.

    Raises:
        UserError: not on a GPU, which alone has that precision.
    """
    if device == "cpu":
        raise UserError(
            "TF32 is a precision of GPUs.", hint="Use --evaluator native, or --device cuda with native:tf32."
        )
    return NativeEvaluator(device, precision="tf32")


def bfloat16(device: str = "cpu") -> NativeEvaluator:
    """Return the evaluator ``native:bfloat16``."""
    return NativeEvaluator(device, precision="bfloat16")
