"""What the quickstart will do: chosen before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dar_bench.api import Card, DatasetSpec, GeneratorCard, TokenizerCard
from dar_bench.errors import UserError
from dar_bench.loading import generator_card, tokenizer_card
from dar_bench.plugins import registry

SCHEDULES = ("none", "2.0", "linear:1.0-4.0")
"""Guidance schedules that are compared."""

SHOWN_SCHEDULE = "2.0"
"""The one that the sheets are made with."""

SHEET_IMAGES = 32
SHEET_CLASSES = 16
SAMPLES_PER_CLASS = 8


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to walk through.

    Attributes:
        out: folder for everything.
        generator: the model that generates; tokenizer: the one it decodes with.
        held_out: data to reconstruct (``name:split``); reference: data to compare generated images with.
        images: held-out images that are scored; ``None`` for all.
        samples: generated images of every schedule that are scored.
        seed: of everything.
        device: torch device string, or ``auto``.
        schedules: guidance schedules to compare.
    """

    out: Path
    generator: GeneratorCard
    tokenizer: TokenizerCard
    held_out: str
    reference: str
    images: int | None
    samples: int
    seed: int
    device: str = "auto"
    schedules: tuple[str, ...] = SCHEDULES


def make_plan(
    out: Path, *, model: str | None, images: int | None, samples: int, seed: int, device: str
) -> Plan:
    """Choose models and data among what the installed plugins ship.

    Args:
        model: a generator's name; ``None`` takes the first that ships with its plugin, weights included.

    Raises:
        UserError: nothing fitting is installed.
    """
    generator = generator_card(model) if model else _shipped_generator()
    if not generator.tokenizer or not _takes_guidance(generator):
        raise UserError(
            f"'{generator.name}' cannot walk the quickstart.",
            why="The walk reconstructs images with a generator's tokenizer and compares guidance schedules.",
            hint=f"These can: {', '.join(card.name for card in _shipped_generators()) or 'none installed'}. "
            f"Measure it with: dar-bench eval gfid --model {generator.name}",
        )
    dataset = _dataset_of(generator)
    held_out = next((split for split, role in dataset.role.items() if role == "reconstruction"), None)
    if held_out is None:
        raise UserError(f"The data set '{dataset.name}' has no held-out split to reconstruct.")
    return Plan(
        out=out,
        generator=generator,
        tokenizer=tokenizer_card(generator.tokenizer),
        held_out=f"{dataset.name}:{held_out}",
        reference=generator.reference,
        images=images,
        samples=samples,
        seed=seed,
        device=device,
    )


def _shipped_generator() -> GeneratorCard:
    for card in _shipped_generators():
        return card
    raise UserError(
        "No installed plugin ships a model to start with.",
        why=f"Installed plugins: {', '.join(status.name for status in registry().plugins) or 'none'}.",
        hint="Run 'make setup', or see 'dar-bench plugins list'.",
    )


def _shipped_generators() -> list[GeneratorCard]:
    """Return the generators that ship with a tokenizer and can walk."""
    cards = registry().cards()
    bundled = {card.name for card in cards if card.weights.bundled}
    return [
        card
        for card in cards
        if isinstance(card, GeneratorCard)
        and {card.name, card.tokenizer} <= bundled
        and _takes_guidance(card)
    ]


def _takes_guidance(card: Card) -> bool:
    return any(option.name == "cfg" for option in card.options)


def _dataset_of(card: GeneratorCard) -> DatasetSpec:
    name = card.reference.partition(":")[0]
    found = next((dataset for dataset in registry().datasets() if dataset.name == name), None)
    if found is None:
        raise UserError(
            f"The data that '{card.name}' is compared with are not shipped: '{card.reference}'.",
            hint="Leave --model away, or measure it with 'dar-bench eval gfid'.",
        )
    return found
