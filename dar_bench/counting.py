"""What one image costs: operations and network evaluations, counted, and the time to the first preview, measured.

One sample is made apart from the measurement, on the same model with the same options, while a counter listens to
what PyTorch executes. So it works for the model of any plugin, and what is counted is what runs: guidance, attention
over the whole static cache, and all.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dar_bench.api import AutoencoderCard, SampleKeys
from dar_bench.generation import GenerationRun, generate
from dar_bench.reconstruction import round_trip

if TYPE_CHECKING:
    import torch
    from torch import nn

    from dar_bench.api import Options
    from dar_bench.loading import LoadedCodec, LoadedGenerator

_DEPTH = 3


@dataclass(frozen=True, kw_only=True)
class ImageCost:
    """The cost of one image.

    Attributes:
        flops: operations as they were executed, two for a multiplication with its addition; matrix products,
            convolutions and attention only, as is the custom. ``None`` where nothing of that ran in PyTorch.
        evaluations: role (``generator``, ``tokenizer``, ``autoencoder``) to how often its network ran. Where parts
            of a network run at different rates it is the rate of most of its parameters.
        first_preview_seconds: from the request to the first preview, or to the image where there are none;
            ``None`` where it was not measured.
    """

    flops: float | None
    evaluations: Mapping[str, int] = field(default_factory=dict)
    first_preview_seconds: float | None = None


def generation_cost(generator: LoadedGenerator, run: GenerationRun) -> ImageCost:
    """Return the cost of the first sample of a run, made alone and then forgotten."""
    one = replace(run, labels=run.labels[:1], batch_size=1, previews=False)
    parts: dict[str, Any] = {"generator": generator.model}
    if generator.tokenizer is not None:
        parts["tokenizer"] = generator.tokenizer.model
    if generator.autoencoder is not None:
        parts["autoencoder"] = generator.autoencoder.model
    with _counting(parts) as count:
        for _ in generate(generator.model, one):
            pass
    # The model is warm now: the time is that of a request to a running model.
    started = time.perf_counter()
    next(iter(generate(generator.model, replace(one, previews=True))))
    seconds = time.perf_counter() - started
    return ImageCost(
        flops=count.flops(), evaluations=count.evaluations(), first_preview_seconds=round(seconds, 4)
    )


def reconstruction_cost(
    tokenizer: LoadedCodec, image: torch.Tensor, *, seed: int, options: Options
) -> ImageCost:
    """Return the cost of encoding and decoding one image, uint8 (1, 3, H, W)."""
    role = "autoencoder" if isinstance(tokenizer.card, AutoencoderCard) else "tokenizer"
    with _counting({role: tokenizer.model}) as count:
        round_trip(tokenizer.model, image, SampleKeys(seed=seed, indices=(0,)), options)
    return ImageCost(flops=count.flops(), evaluations=count.evaluations())


class _Count:
    """What ran: total operations, and the calls of every module that has parameters of its own."""

    def __init__(self, roles: Mapping[str, list[nn.Module]]):
        self.calls: Counter[nn.Module] = Counter()
        self.total = 0
        self._roles = roles

    def flops(self) -> float | None:
        return float(self.total) or None

    def evaluations(self) -> dict[str, int]:
        found = {}
        for role, modules in self._roles.items():
            rates: Counter[int] = Counter()
            for module in modules:
                if self.calls[module]:
                    rates[self.calls[module]] += sum(p.numel() for p in module.parameters(recurse=False))
            if rates:
                found[role] = max(rates, key=lambda rate: rates[rate])
        return found


@contextlib.contextmanager
def _counting(parts: Mapping[str, Any]) -> Iterator[_Count]:
    import torch
    from torch.nn.modules.module import register_module_forward_pre_hook
    from torch.utils.flop_counter import FlopCounterMode

    roles = {
        role: _modules(part, besides=[other for other in parts.values() if other is not part])
        for role, part in parts.items()
    }
    count = _Count(roles)
    hook = register_module_forward_pre_hook(lambda module, inputs: count.calls.update([module]))
    # Compiled code shows neither modules nor operations: this one sample runs as it was written.
    eager = torch.compiler.set_stance("force_eager")
    try:
        with eager, FlopCounterMode(display=False, custom_mapping=_cpu_attention()) as counter:
            yield count
        count.total = counter.get_total_flops()
    finally:
        hook.remove()


def _cpu_attention() -> dict[Any, Any]:
    """Return the rule for PyTorch's fused attention on CPUs, which its counter lacks: two matrix products."""
    import torch
    from torch.utils.flop_counter import sdpa_flop_count

    def flops(query: Any, key: Any, value: Any, *rest: Any, out_shape: Any = None, **named: Any) -> int:
        return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]

    return {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: flops}


def _modules(part: object, *, besides: list[object]) -> list[nn.Module]:
    """Return the modules with parameters below an object, whatever attributes hold them."""
    from torch import nn

    found: dict[int, nn.Module] = {}
    pending: list[tuple[object, int]] = [(part, 0)]
    seen = {id(other) for other in besides}
    while pending:
        current, depth = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, nn.Module):
            for module in current.modules():
                if any(True for _ in module.parameters(recurse=False)):
                    found[id(module)] = module
        elif depth < _DEPTH and hasattr(current, "__dict__"):
            pending += [(value, depth + 1) for value in vars(current).values()]
    return list(found.values())
