"""The tokenizer's training objective (paper, equations 2 to 5 and 7).

Shape legend: B batch, N tokens, C width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dar_bench.data.pixel_range import from_uint8
from dar_bench.training.codebook import distinct, uniformity
from dar_bench.training.distributed import global_mean
from dar_bench.training.perceptual import PerceptualDistance
from dar_bench_dar.model.timing import group_starts, training_time, window
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer
from dar_bench_dar.train.losses import AlignmentTarget
from dar_bench_dar.train.recipes import TokenizerLosses


@dataclass
class FrozenNetworks:
    """The networks that the loss looks through: held, but neither trained, stored nor copied with the model."""

    perceptual: PerceptualDistance | None = None
    alignment: AlignmentTarget | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> FrozenNetworks:
        return self


class TokenizerObjective(nn.Module):
    """One training forward: image, time and noise in, loss and its terms out."""

    steps_done: Tensor

    def __init__(self, tokenizer: SequentialDiffusionTokenizer, losses: TokenizerLosses):
        super().__init__()
        self.tokenizer = tokenizer
        self.losses = losses
        self.frozen = FrozenNetworks()
        # A buffer, so that a resumed run knows how far it was.
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its terms, 0-d each.

        Args:
            batch: ``image`` uint8 (B, 3, H, W), ``time`` float32 (B,) uniform in [0, 1], ``noise`` float32 of the
                images' shape.
        """
        image = from_uint8(batch["image"])
        terms, _ = self.terms(image, batch["time"], batch["noise"])
        used = terms.pop("codes_used")
        loss = torch.stack(list(terms.values())).sum()
        return loss, {**{name: term.detach() for name, term in terms.items()}, "codes_used": used}

    def terms(self, image: Tensor, uniform: Tensor, noise: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the weighted terms of the loss (and the share of codes in use), and the predicted images.

        Args:
            image: float32 (B, 3, H, W) in [-1, 1].
            uniform: time before the shift, (B,) in [0, 1].
            noise: standard normal, (B, 3, H, W).
        """
        config, losses, frozen = self.tokenizer.config, self.losses, self.frozen
        latents = self.tokenizer.encoder(image).float()
        quantized = self.tokenizer.quantize(latents)
        conditions = self.tokenizer.token_decoder(quantized.vectors)
        if losses.ungrouped_steps and int(self.steps_done) < losses.ungrouped_steps:
            group, ends = conditions, torch.full_like(uniform, config.tokens, dtype=torch.int64)
        else:
            starts = group_starts(uniform, config.tokens, config.groups)
            group, ends = window(conditions, starts, config.group_size), starts + config.group_size

        clean = config.data_scale * image
        time = training_time(uniform, config.beta)
        t = time[:, None, None, None]
        noisy = t * clean + (1 - t) * noise  # equation 3
        grid = frozen.alignment.grid if frozen.alignment else 0
        velocity, aligned = self.tokenizer.pixel_decoder.velocity(noisy, time, group, aligned_grid=grid)
        velocity = velocity.float()
        predicted = (noisy + (1 - t) * velocity) / config.data_scale

        # Later tokens got no gradient from the decoder: their codes are not pulled anywhere either.
        used = torch.arange(config.tokens, device=image.device) < ends[:, None]
        count = used.sum()
        terms = {
            "flow": (velocity - (clean - noise)).square().mean() / config.data_scale**2,  # equation 2
            "codebook": losses.codebook * global_mean((quantized.codebook_loss * used).sum(), count),
            "commitment": losses.commitment * global_mean((quantized.commitment_loss * used).sum(), count),
            "codes_used": distinct(quantized.codes, config.codebook_size),
        }
        if losses.uniformity:
            terms["uniformity"] = losses.uniformity * uniformity(latents)
        if frozen.perceptual:
            terms["perceptual"] = losses.perceptual_weight * frozen.perceptual(predicted, image)
        if frozen.alignment and aligned is not None:
            similarity = F.cosine_similarity(aligned.float(), frozen.alignment(image), dim=-1)
            terms["alignment"] = losses.alignment_weight * (1 - similarity).mean()
        return terms, predicted
