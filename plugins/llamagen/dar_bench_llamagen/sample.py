"""The LlamaGen tokenizer behind the core's interface."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dar_bench.api import Options, SampleKeys, TokenizerCard
from dar_bench.data.pixel_range import check_images, from_uint8, to_uint8
from dar_bench.devices import exact_convolutions
from dar_bench.errors import UserError
from dar_bench_llamagen.model.tokenizer import VQTokenizer


class LlamaGenTokenizer:
    """Implements ``dar_bench.api.Tokenizer``; nothing in it is random.

    Args:
        card: its card.
        model: the network, on its device and in evaluation mode.
        size: side in pixels of decoded images; 0 takes the card's.
    """

    def __init__(self, card: TokenizerCard, model: VQTokenizer, size: int = 0):
        self.card = card
        self.model = model
        self.size = size or card.image_size

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def encode(self, images: Tensor) -> Tensor:
        """Return codes, int64 (B, N), of uint8 images (B, 3, H, W) of the card's size.

        Raises:
            UserError: another size, channel count or type.
        """
        check_images(self.card, images)
        with exact_convolutions():  # codes are discrete: a rounded latent may fall to another one
            return self.model.encode(from_uint8(images.to(self.device)))

    def start(self, keys: SampleKeys, options: Options) -> WholeImageStream:
        """Begin a decoding that waits for all codes."""
        return WholeImageStream(self, keys, options)

    def decode(self, codes: Tensor, keys: SampleKeys, options: Options) -> Tensor:
        """Return uint8 images (B, 3, size, size) of codes (B, N).

        Raises:
            UserError: not N codes, or codes outside the codebook.
        """
        if codes.shape[1:] != (self.card.tokens,):
            raise UserError(
                f"'{self.card.name}' decodes {self.card.tokens} codes at once, not {codes.shape[1]}.",
                hint="Give whole images; only tokenizers with groups decode part of the codes.",
            )
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.card.codebook_size:
            raise UserError(
                f"Codes run from {int(codes.min())} to {int(codes.max())}, "
                f"the codebook has {self.card.codebook_size} entries.",
                hint="These codes were made with another tokenizer.",
            )
        images = self.model.decode(codes.to(self.device)).float()
        return to_uint8(resized(images, self.size))


def resized(images: Tensor, size: int) -> Tensor:
    """Return float images (B, 3, size, size) as the published evaluation resizes them, before rounding to pixels.

    Bicubic, corners not aligned, without antialiasing.
    """
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bicubic", align_corners=False)


class WholeImageStream:
    """Implements ``dar_bench.api.DecodeStream`` for a decoder that needs all codes of an image at once."""

    def __init__(self, tokenizer: LlamaGenTokenizer, keys: SampleKeys, options: Options):
        self._tokenizer = tokenizer
        self._keys = keys
        self._options = options
        self._codes: list[Tensor] = []

    def push(self, codes: Tensor) -> None:
        """Take the next codes, int64 (B, n)."""
        self._codes.append(codes)

    def preview(self) -> Tensor:
        """Return the images, once all codes were pushed; see ``images``."""
        return self.images()

    def images(self) -> Tensor:
        """Return the images, uint8 (B, 3, H, W), once all codes were pushed.

        Raises:
            UserError: codes are missing.
        """
        if not self._codes:
            raise UserError("No codes were given.", hint="Push the codes of the images first.")
        return self._tokenizer.decode(torch.cat(self._codes, dim=1), self._keys, self._options)
