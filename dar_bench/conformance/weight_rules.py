"""Rules of weights: counted without allocating them, and every tensor of a file accounted for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dar_bench.conformance.bench import at_hand
from dar_bench.conformance.comparing import refuses
from dar_bench.conformance.rules import Broken, DoesNotApply, demand, rule
from dar_bench.conformance.subjects import CardSubject
from dar_bench.plugins import load_object
from dar_bench.weights import convert_state, weights_path

if TYPE_CHECKING:
    from torch import Tensor

EXTRA = "no_such_module.no_such_tensor"
ALLOWED_BYTES = 1 << 20
"""What counting may allocate: tables of positions and the like."""


@rule("parameters", "card")
def parameters(subject: CardSubject) -> str:
    """The promised number of parameters is what the model's own code counts, without allocating them."""
    card = subject.card
    _need(card.count_parameters, "count_parameters")
    with _allocations() as allocated:
        counted = load_object(card.count_parameters)(card)
    demand(counted == card.parameters, f"the card promises {card.parameters:,}, its code counts {counted:,}")
    _check_allocated(allocated, card.parameters, "count_parameters")
    return f"{counted:,}, counted without allocating them"


@rule("layout", "card")
def layout(subject: CardSubject) -> str:
    """The layout names every tensor of the file with its shape, without allocating weights."""
    card = subject.card
    _need(card.layout, "layout")
    with _allocations() as allocated:
        tensors = load_object(card.layout)(card)
    _check_allocated(allocated, card.parameters, "layout")
    demand(
        isinstance(tensors, Mapping) and bool(tensors), f"layout returns {type(tensors).__name__}, or nothing"
    )
    for name, shape in tensors.items():
        positive = isinstance(shape, tuple) and all(isinstance(size, int) and size > 0 for size in shape)
        demand(isinstance(name, str) and positive, f"layout of {name!r} is {shape!r}, not a tuple of sizes")
    held = sum(math.prod(shape) for shape in tensors.values())
    demand(
        held >= card.parameters,
        f"the file's layout holds {held:,} values, fewer than the {card.parameters:,} parameters promised",
    )
    return f"{len(tensors)} tensors, {held:,} values"


@rule("weights-file", "card")
def weights_file(subject: CardSubject) -> str:
    """The weights that are here have exactly the layout's names and shapes."""
    card = subject.card
    _need(card.layout, "layout")
    if not at_hand(card):
        raise DoesNotApply("its weights are not on this machine")
    from safetensors import safe_open

    with safe_open(weights_path(card), framework="pt") as file:
        names = file.keys()
        stored = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    expected = dict(load_object(card.layout)(card))
    wrong = sorted(name for name in {*stored, *expected} if stored.get(name) != expected.get(name))
    demand(not wrong, f"{len(wrong)} tensors differ between file and layout, such as {', '.join(wrong[:3])}")
    return f"{len(stored)} tensors as the layout says"


@rule("keys-accounted", "card")
def keys_accounted(subject: CardSubject) -> str:
    """Import takes a complete state, and refuses one with a missing, an extra or a misshapen tensor."""
    card = subject.card
    _need(card.layout, "layout")
    complete = _empty_state(load_object(card.layout)(card))
    try:
        convert_state(card, complete)
    except Exception as error:
        raise Broken(f"a state with exactly the layout's tensors is refused: {error}") from error
    return _refused(complete, lambda state: convert_state(card, state), "the import")


@rule("foreign-refused", "card")
def foreign_refused(subject: CardSubject) -> str:
    """Conversion refuses a checkpoint of another model, and what is no checkpoint."""
    import torch

    card = subject.card
    if not card.weights.convert:
        raise DoesNotApply("the card has no conversion")
    _need(card.layout, "layout")
    foreign = {EXTRA: torch.zeros(2, 3), "another.weight": torch.zeros(4)}
    refuses(lambda: convert_state(card, foreign), "a checkpoint of another model")
    refuses(
        lambda: convert_state(card, {"model": foreign}), "another model's checkpoint under the key 'model'"
    )
    refuses(lambda: convert_state(card, {}), "an empty checkpoint")
    return "three foreign checkpoints are refused"


@rule("load-strict", "card")
def load_strict(subject: CardSubject) -> str:
    """Loading refuses a file with a missing, an extra or a misshapen tensor."""
    from safetensors.torch import load_file, save_file

    card, bench = subject.card, subject.bench
    why = bench.why_not_run(card)
    if why:
        raise DoesNotApply(why)
    path = bench.folder / "damaged.safetensors"

    def load(state: Mapping[str, Tensor]) -> None:
        save_file(dict(state), path)
        with bench.store(card):
            bench.load(card, path)

    return _refused(load_file(bench.weights(card)), load, "loading")


def _refused(complete: Mapping[str, Tensor], act: Callable[[Mapping[str, Tensor]], object], who: str) -> str:
    """Demand that three damaged versions of a complete state are refused."""
    import torch

    first = next(iter(complete))
    without = {name: tensor for name, tensor in complete.items() if name != first}
    extra = {**complete, EXTRA: torch.zeros(3)}
    flat = complete[first].flatten()
    misshapen = {**complete, first: torch.cat((flat, flat[:1]))}
    refuses(lambda: act(without), f"{who} without the tensor {first}")
    refuses(lambda: act(extra), f"{who} with an extra tensor")
    refuses(lambda: act(misshapen), f"{who} with a longer tensor {first}")
    return "missing, extra and misshapen tensors are refused"


def _empty_state(layout: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return tensors of a layout without memory."""
    import torch

    return {name: torch.empty(shape, device="meta") for name, shape in layout.items()}


def _need(target: str, field: str) -> None:
    if not target:
        raise DoesNotApply(f"the card has no {field}, see card-complete")


@contextmanager
def _allocations() -> Iterator[list[int]]:
    """Collect the bytes of every tensor that is made off the meta device in the block."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    sizes: list[int] = []

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and result.device.type != "meta":
                sizes.append(result.untyped_storage().nbytes())
            return result

    with Watch():  # type: ignore[no-untyped-call]
        yield sizes


def _check_allocated(sizes: list[int], parameters: int, who: str) -> None:
    largest = max(sizes, default=0)
    allowed = max(ALLOWED_BYTES, parameters // 10)
    demand(
        largest <= allowed and sum(sizes) <= 16 * allowed,
        f"{who} allocates {sum(sizes) / 1e6:.1f} MB; build the model under torch.device('meta')",
    )
