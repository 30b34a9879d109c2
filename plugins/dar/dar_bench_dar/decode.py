"""From codes to pixels, one diffusion step per group of tokens, as the groups arrive (paper, section 3.3).

Shape legend: B batch, N tokens, n tokens of one push, C width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dar_bench.data.pixel_range import to_uint8
from dar_bench.errors import UserError
from dar_bench.sampling.ode import make_solver
from dar_bench_dar.model.config import TokenizerConfig
from dar_bench_dar.model.timing import sampling_schedule
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer


class PixelStream:
    """One decoding in progress: ``push`` runs every diffusion step whose tokens are there.

    Args:
        model: the tokenizer.
        noise: standard normal start, float32 (B, 3, H, W).
        solver: a name known to ``dar_bench.sampling.ode.make_solver``.
        steps: diffusion steps of a full decoding; 0 takes one per group, as published.
        plain_jump: previews follow the velocity alone (the paper's formula) instead of the solver's slope.
        config: the model's, with other groups or another beta than its own; ``None`` takes its own.
    """

    def __init__(
        self,
        model: SequentialDiffusionTokenizer,
        noise: Tensor,
        *,
        solver: str = "adams2",
        steps: int = 0,
        plain_jump: bool = False,
        config: TokenizerConfig | None = None,
    ):
        self.model = model
        self.config = config or model.config
        self.schedule = sampling_schedule(self.config, steps or self.config.groups)
        self.solver = make_solver(solver)
        self.plain_jump = plain_jump
        self.x = noise.float()
        self.steps_done = 0
        self.tokens_done = 0
        self._cache = model.token_decoder.new_cache()
        self._conditions: Tensor | None = None  # (B, tokens_done, C)

    @torch.no_grad()
    def push(self, codes: Tensor) -> None:
        """Take the next codes, int64 (B, n), and run the steps that they complete.

        Raises:
            UserError: more codes than the model's tokens, or a code outside the codebook.
        """
        self._check(codes)
        vectors = self.model.quantize.lookup(codes)
        new = self.model.token_decoder.extend(vectors, self._cache)
        self._conditions = new if self._conditions is None else torch.cat([self._conditions, new], dim=1)
        self.tokens_done += codes.shape[1]
        while self.steps_done < len(self.schedule) and self._ready():
            self._advance(self._conditions)

    def _ready(self) -> bool:
        return self.schedule[self.steps_done].last_token <= self.tokens_done

    def _advance(self, conditions: Tensor) -> None:
        step = self.schedule[self.steps_done]
        group = conditions[:, step.first_token : step.last_token]

        def velocity(x: Tensor, t: float) -> Tensor:
            # All evaluations inside a step see the step's own group, so that it never waits for later tokens.
            time = torch.full((len(x),), t, device=x.device)
            return self.model.pixel_decoder(x, time, group).float()

        self.x = self.solver.advance(velocity, self.x, step.time, step.next_time)
        self.steps_done += 1

    def _check(self, codes: Tensor) -> None:
        if self.tokens_done + codes.shape[1] > self.config.tokens:
            raise UserError(
                f"{self.tokens_done + codes.shape[1]} tokens were given to a tokenizer of {self.config.tokens}.",
                hint="Decode at most the tokenizer's own number of tokens.",
            )
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.config.codebook_size:
            raise UserError(
                f"Codes run from {int(codes.min())} to {int(codes.max())}, "
                f"the codebook has {self.config.codebook_size} entries.",
                hint="These codes were made with another tokenizer.",
            )

    def estimate(self) -> Tensor:
        """Return the float images so far, (B, 3, H, W) around [-1, 1]: final, or the jump from the last step.

        Raises:
            UserError: not one step was possible yet.
        """
        if self.steps_done == len(self.schedule):
            return self.x / self.config.data_scale
        if self.steps_done == 0:
            need = self.schedule[0].last_token
            raise UserError(
                f"{self.tokens_done} tokens complete no diffusion step.",
                why=f"The first step needs {need} tokens.",
                hint=f"Ask for at least {need} tokens.",
            )
        return self.solver.jump(plain=self.plain_jump) / self.config.data_scale

    def preview(self) -> Tensor:
        """Return the estimate as uint8 (B, 3, H, W)."""
        return to_uint8(self.estimate())

    def images(self) -> Tensor:
        """Return the images, uint8 (B, 3, H, W); with partial tokens, the estimate they allow."""
        return to_uint8(self.estimate())
