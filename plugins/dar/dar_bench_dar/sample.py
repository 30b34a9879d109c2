"""The D-AR tokenizer behind the core's interface."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from dar_bench.api import Options, SampleKeys, TokenizerCard
from dar_bench.data.pixel_range import check_images, from_uint8
from dar_bench.devices import exact_convolutions
from dar_bench.errors import UserError
from dar_bench.sampling.randomness import normals
from dar_bench_dar.decode import PixelStream
from dar_bench_dar.model.tokenizer import SequentialDiffusionTokenizer


class DarTokenizer:
    """Implements ``dar_bench.api.Tokenizer``.

    Args:
        card: its card.
        model: the network, on its device and in evaluation mode.
    """

    def __init__(self, card: TokenizerCard, model: SequentialDiffusionTokenizer):
        self.card = card
        self.model = model

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def encode(self, images: Tensor) -> Tensor:
        """Return codes, int64 (B, N), of uint8 images (B, 3, H, W) of the model's size.

        Raises:
            UserError: another size, channel count or type.
        """
        check_images(self.card, images)
        with exact_convolutions():  # codes are discrete: a rounded patch may fall to another one
            return self.model.encode(from_uint8(images.to(self.device)))

    def start(self, keys: SampleKeys, options: Options) -> PixelStream:
        """Begin a streamed decoding; the noise of sample i comes from (seed, i) alone.

        Args:
            keys: the samples.
            options: ``solver``, ``steps``, ``jump`` of ``decode_options``, and where the card has them ``groups``
                and ``beta``; absent ones take their defaults.
        """
        size, own = self.card.image_size, self.model.config
        groups, beta = int(options.get("groups", own.groups)), float(options.get("beta", own.beta))
        return PixelStream(
            self.model,
            normals(keys, "noise", (3, size, size)).to(self.device),
            solver=options.get("solver", "adams2"),
            steps=options.get("steps", 0),
            plain_jump=options.get("jump", "solver") == "velocity",
            config=dataclasses.replace(own, groups=groups, beta=beta),
        )

    def decode(self, codes: Tensor, keys: SampleKeys, options: Options) -> Tensor:
        """Return uint8 images (B, 3, H, W) of codes (B, n), decoded from the option ``tokens``' first ones.

        Group by group, as a streamed decoding would, so that both give the same images to the bit.

        Raises:
            UserError: no codes, more than an image has, or codes outside the codebook.
        """
        if not 1 <= codes.shape[1] <= self.card.tokens:
            raise UserError(
                f"'{self.card.name}' cannot decode {codes.shape[1]} codes per image.",
                why=f"Its images have {self.card.tokens}.",
                hint=f"Give 1 to {self.card.tokens} codes, the first ones first.",
            )
        stream = self.start(keys, options)
        for group in codes[:, : options.get("tokens", self.card.tokens)].split(
            self.model.config.group_size, dim=1
        ):
            stream.push(group.to(self.device))
        return stream.images()
