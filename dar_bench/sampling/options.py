"""Options of the autoregressive engine, as cards declare them; loads no framework."""

from __future__ import annotations

from dar_bench.api import Option


def autoregressive_options(cfg: str = "none") -> tuple[Option, ...]:
    """Return the options of every generator that the core's engine samples from.

    Args:
        cfg: the guidance schedule where the user names none.
    """
    return (
        Option(
            name="cfg",
            type="schedule",
            default=cfg,
            help="guidance: none, 1.5, linear:1.1-8.0, cosine:.., power:.., interval:..",
        ),
        Option(
            name="temperature",
            type="float",
            default=1.0,
            minimum=0.0,
            help="0 takes the most probable token",
        ),
        Option(
            name="top-k",
            type="int",
            default=0,
            minimum=0,
            help="keep the k most probable codes; 0 keeps all",
        ),
        Option(
            name="top-p",
            type="float",
            default=1.0,
            minimum=1e-6,  # bounds are inclusive, and of no mass at all nothing would be left
            maximum=1.0,
            help="keep codes up to this mass",
        ),
    )
