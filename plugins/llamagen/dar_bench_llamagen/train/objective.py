"""The tokenizer's training objective (arXiv 2406.06525, section 2.1; weights as in the published script)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.data.pixel_range import from_uint8
from dar_bench.nn.quantizer import Quantized
from dar_bench.training.adversarial import DiscriminatorObjective, adaptive_weight
from dar_bench.training.codebook import assignment_entropy, distinct, uniformity
from dar_bench.training.perceptual import PerceptualDistance
from dar_bench_llamagen.model.tokenizer import VQTokenizer
from dar_bench_llamagen.train.recipes import TokenizerLosses


@dataclass
class Critics:
    """The networks that the loss looks through: held, but neither trained, stored nor copied with the model."""

    perceptual: PerceptualDistance | None = None
    discriminator: DiscriminatorObjective | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> Critics:
        return self


class VQObjective(nn.Module):
    """One training forward: images in; loss, its terms and the reconstructions out."""

    steps_done: Tensor

    def __init__(self, tokenizer: VQTokenizer, losses: TokenizerLosses):
        super().__init__()
        self.tokenizer = tokenizer
        self.losses = losses
        self.critics = Critics()
        # A buffer, so that a resumed run knows how far it was.
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Return the loss, its weighted terms (0-d each), and what the discriminator learns from.

        Args:
            batch: ``image`` uint8 (B, 3, H, W).
        """
        image = from_uint8(batch["image"])
        reconstructed, quantized, latents = self._through(image)
        losses, critics = self.losses, self.critics
        terms = {"reconstruction": losses.reconstruction * F.mse_loss(reconstructed, image)}
        if critics.perceptual:
            terms["perceptual"] = losses.perceptual_weight * critics.perceptual(reconstructed, image)
        scalars: dict[str, Tensor] = {}
        if critics.discriminator and int(self.steps_done) >= losses.adversarial_start:
            fooled = critics.discriminator.fooled(reconstructed)
            weight = torch.full((), losses.adversarial, device=image.device)
            if losses.adaptive:
                last = self.tokenizer.decoder.conv_out.weight
                weight = weight * adaptive_weight(torch.stack(list(terms.values())).sum(), fooled, last)
                scalars["adversarial_weight"] = weight
            terms["adversarial"] = weight * fooled
        terms["codebook"] = losses.codebook * quantized.codebook_loss.mean()
        terms["commitment"] = losses.commitment * quantized.commitment_loss.mean()
        if losses.entropy:
            unit = F.normalize(latents, dim=-1)
            terms["entropy"] = losses.entropy * assignment_entropy(unit, self.tokenizer.quantize.codebook())
        if losses.uniformity:
            terms["uniformity"] = losses.uniformity * uniformity(latents)
        loss = torch.stack(list(terms.values())).sum()
        scalars |= {name: term.detach() for name, term in terms.items()}
        scalars["codes_used"] = distinct(quantized.codes, self.tokenizer.config.codebook_size)
        return loss, scalars, {"real": image, "reconstructed": reconstructed}

    def _through(self, image: Tensor) -> tuple[Tensor, Quantized, Tensor]:
        latents = self.tokenizer.latents(image).float()
        quantized = self.tokenizer.quantize(latents)
        return self.tokenizer.paint(quantized.vectors).float(), quantized, latents
