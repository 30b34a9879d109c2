"""Sampling of diffusion transformers: DDPM over a respaced process with learned variances, or DDIM; guided.

Shape legend: B samples, C channels, S side of what the network makes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dar_bench.api import Autoencoder, GeneratedBatch, GeneratorCard, Options, SampleKeys
from dar_bench.data.pixel_range import to_uint8
from dar_bench.errors import UserError
from dar_bench.labels import check_labels
from dar_bench.nn.diffusion_transformer import DiffusionTransformer
from dar_bench.sampling.diffusion import ReverseStep, ddim_step, ddpm_step, linear_process, reverse_step
from dar_bench.sampling.randomness import normals

FIRST_CHANNELS = 3
"""Channels that the published script guides, of four: an accident kept because the published scores rest on it."""

PREVIEWS = 8
"""Most images that a run with previews yields, evenly spread over its steps, the last one included."""


class DitGenerator:
    """Implements ``dar_bench.api.Generator``.

    Args:
        card: its card.
        network: on its device and in evaluation mode.
        autoencoder: decodes the latents; ``None`` where the network makes pixels.
    """

    def __init__(
        self, card: GeneratorCard, network: DiffusionTransformer, autoencoder: Autoencoder | None = None
    ):
        self.card = card
        self.network = network
        self.autoencoder = autoencoder
        self.pixel_scale = float(card.config.get("pixel_scale", 1.0))
        # Estimates of pixels are kept in the pixels' range, as in DDPM; latents have none.
        self.limit = None if card.autoencoder else self.pixel_scale
        self.process = linear_process()

    def generate(
        self,
        labels: Tensor,
        keys: SampleKeys,
        options: Options,
        *,
        previews: bool = False,
        prefix: Tensor | None = None,
    ) -> Iterator[GeneratedBatch]:
        """Yield the batch's images; with ``previews``, estimates of them at some of the steps first.

        See ``dar_bench.api.Generator``; the options are those of ``dar_bench_dit.cards.sampling_options``.

        Raises:
            UserError: a label out of range, more steps than the training had, or a prefix: there are no codes.
        """
        check_labels(self.card, labels)
        if prefix is not None:
            raise UserError(
                f"'{self.card.name}' has no codes, so nothing can be its prefix.",
                hint="Leave the prefix away, or choose a model with a tokenizer.",
            )
        steps = int(options["steps"])
        shown = preview_steps(steps) if previews else {steps}
        for done, x in enumerate(self.denoise(labels, keys, options), start=1):
            if done in shown:
                yield GeneratedBatch(
                    indices=keys.indices,
                    labels=labels,
                    images=self._images(x),
                    groups_done=done,
                    groups=steps,
                    unit="step",
                )

    def denoise(self, labels: Tensor, keys: SampleKeys, options: Options) -> Iterator[Tensor]:
        """Yield after every step the estimate of the noiseless result, float32 (B, C, S, S); the last one is it."""
        config, parameter = self.network.config, next(self.network.parameters())
        shape = (config.channels, config.input_size, config.input_size)
        steps, deterministic = int(options["steps"]), options["solver"] == "ddim"
        guided = FIRST_CHANNELS if options.get("guided-channels") == "first-three" else config.channels
        process, scales = self.process.respaced(steps), options["cfg"].scales(steps)
        labels = labels.to(parameter.device)
        x = normals(keys, "noise", shape).to(parameter.device)
        for done in range(1, steps + 1):
            t = torch.full_like(labels, steps - done)
            last = done == steps
            noise = None if last or deterministic else normals(keys, f"noise-{done}", shape).to(x.device)
            # Grad mode is thread-wide state: it must not be switched while the caller holds the generator.
            with torch.inference_mode():
                time = torch.full_like(labels, int(process.timesteps[steps - done]))
                output = guided_output(self.network, x, time, labels, float(scales[done - 1]), guided)
                step: ReverseStep = reverse_step(process, x, t, output, limit=self.limit)
                x = ddim_step(process, step, x, t) if deterministic else ddpm_step(step, noise)
            self._check_finite(x, done)
            yield x if last else step.x0

    def _images(self, x: Tensor) -> Tensor:
        return to_uint8(x / self.pixel_scale) if self.autoencoder is None else self.autoencoder.decode(x)

    def _check_finite(self, x: Tensor, done: int) -> None:
        if not bool(torch.isfinite(x).all()):
            raise UserError(
                f"The network returned NaN or infinite values at step {done}.",
                hint="Check the weights with 'dar-bench weights verify', or sample in float32.",
            )


def guided_output(
    network: DiffusionTransformer, x: Tensor, time: Tensor, labels: Tensor, scale: float, guided: int
) -> Tensor:
    """Return noise and variance, float32 (B, 2 C, S, S), with classifier-free guidance on the first channels.

    The noise in channels 0 to ``guided - 1`` is u + s (c - u); all else, the variance too, is the conditional
    network's. With the scale 1 the unconditional network is not read.

    Args:
        x: float32 (B, C, S, S).
        time: (B,) steps of the training's process.
        labels: int64 (B,).
        scale: s.
        guided: number of noise channels that guidance acts on.
    """
    wanted = x.to(next(network.parameters()).dtype)
    if scale == 1.0:
        return network(wanted, time, labels).float()
    null = torch.full_like(labels, network.config.num_classes)
    both = network(wanted.repeat(2, 1, 1, 1), time.repeat(2), torch.cat([labels, null])).float()
    conditional, unconditional = both.chunk(2)
    with_class, without = conditional[:, :guided], unconditional[:, :guided]
    return torch.cat([without + scale * (with_class - without), conditional[:, guided:]], dim=1)


def preview_steps(steps: int) -> set[int]:
    """Return after which steps, counted from 1, a run with previews yields an image; the last one is among them."""
    count = min(PREVIEWS, steps)
    return {round(steps * number / count) for number in range(1, count + 1)}
