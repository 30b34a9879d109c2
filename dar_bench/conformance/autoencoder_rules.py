"""Rules of a running autoencoder: shapes, ranges, determinism, batches."""

from __future__ import annotations

from dar_bench.api import Autoencoder
from dar_bench.conformance.comparing import check_images, same_images
from dar_bench.conformance.rules import demand, rule
from dar_bench.conformance.subjects import BATCH, AutoencoderSubject, global_seed
from dar_bench.conformance.tokenizer_rules import ORDER

LATENT_ROUNDING = 1e-4
"""By how much equal images' latents may differ, in parts of the largest one: float32, and deep networks."""


@rule("autoencoder-interface", "autoencoder")
def autoencoder_interface(subject: AutoencoderSubject) -> str:
    """Loading gives an object with moments, decode and the card itself."""
    model = subject.autoencoder
    demand(isinstance(model, Autoencoder), f"load returns a {type(model).__name__} without moments or decode")
    demand(model.card.name == subject.card.name, f"its card is {model.card.name}")
    return type(model).__name__


@rule("latents", "autoencoder")
def latents(subject: AutoencoderSubject) -> str:
    """Moments are finite float32 (B, C, h, w), deviations are not negative, and latents depend on the image."""
    import torch

    card = subject.card
    side = card.image_size // card.factor
    wanted = (BATCH, card.latent_channels, side, side)
    mean, deviation = subject.autoencoder.moments(subject.images())
    for what, values in (("means", mean), ("deviations", deviation)):
        demand(values.dtype == torch.float32, f"{what} are {values.dtype}, not torch.float32")
        demand(tuple(values.shape) == wanted, f"{what} have shape {tuple(values.shape)}, not {wanted}")
        demand(bool(torch.isfinite(values).all()), f"{what} are not all finite")
    demand(float(deviation.min()) >= 0, f"a deviation is {float(deviation.min()):g}, below 0")
    demand(bool((mean != mean[:1]).any()), f"{BATCH} different images get the same latents")
    return f"{wanted} means and deviations"


@rule("latents-batch", "autoencoder")
def latents_batch(subject: AutoencoderSubject) -> str:
    """An image's latents do not depend on the batch that it is encoded in."""
    import torch

    images, together = subject.images(), subject.latents()
    alone = torch.cat([subject.latents([row]) for row in range(BATCH)])
    scale = float(together.abs().max()) or 1.0
    for other, expected, between in (
        (alone, together, "between one batch and single images"),
        (subject.latents(ORDER), together[list(ORDER)], "between two orders of the batch"),
    ):
        away = float((other - expected).abs().max()) / scale
        demand(away <= LATENT_ROUNDING, f"latents differ {between}, by {away:.2g} of the largest")
    return f"batches of 1 and {len(images)}, and another order, give the same latents"


@rule("reconstruct", "autoencoder")
def reconstruct(subject: AutoencoderSubject) -> str:
    """Decoding gives uint8 images (B, 3, S, S) that depend on the latents."""
    size = subject.card.image_size
    images = subject.decode()
    check_images(images, BATCH, size, "images")
    demand(len({row.numpy().tobytes() for row in images}) > 1, "different latents give the same image")
    return f"({BATCH}, 3, {size}, {size}) uint8"


@rule("reconstruct-repeat", "autoencoder")
def reconstruct_repeat(subject: AutoencoderSubject) -> str:
    """Two passes of the same images give the same images, whatever the global random state is."""
    with global_seed(1):
        first = subject.decode()
    with global_seed(2):
        second = subject.decode()
    changed = int((first != second).sum())
    demand(changed == 0, f"{changed} values differ between two passes: moments must not draw latents")
    return "to the bit, under two global seeds"


@rule("reconstruct-batch", "autoencoder")
def reconstruct_batch(subject: AutoencoderSubject) -> str:
    """An image's reconstruction does not depend on the batch that it is decoded in."""
    import torch

    images = subject.decode()
    alone = torch.cat([subject.decode([row]) for row in range(BATCH)])
    found = same_images(images, alone, "between one batch and single images")
    same_images(images[list(ORDER)], subject.decode(ORDER), "between two orders of the batch")
    return f"batches of 1 and {BATCH} agree {found}"
