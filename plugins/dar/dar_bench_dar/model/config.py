"""Sizes of the sequential diffusion tokenizer."""

from __future__ import annotations

from dataclasses import dataclass

from dar_bench.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Everything that fixes the tokenizer's shape; the defaults are the published model's.

    Attributes:
        image_size: side of the square image in pixels; a multiple of both patch sizes.
        tokens: N, codes per image (paper section 4: 256).
        groups: K, condition groups and default number of diffusion steps (8).
        codebook_size, code_dim: entries and width of the codebook (16384, 8).
        width: d of the encoder and the token decoder (768).
        encoder_depth, token_decoder_depth: their blocks (8 each).
        patch_size: p of the encoder (16).
        query_rows, query_rank: the query table; its first ``tokens`` rows are used.
        decoder_width, decoder_depth, decoder_patch_size: the pixel decoder (768, 12, 8).
        data_scale: the network works on images in [-1, 1] times this (0.6).
        beta: time shift; larger values place more steps and tokens near noise (2; equations 5 and 8).
        repa_block: the representation-alignment head reads the pixel decoder after this many blocks.
        repa_dim, repa_hidden: width of the aligned features and of the head; 0 builds no head.
        gate_init: start value of the encoder's and token decoder's residual gates (0 as published).
        init_std: deviation of the linear weights at the start (0.02 as published, which suits width 768; a narrow
            model loses the signal in it: about 1 / sqrt(width) keeps it).
        place_init: deviation, at the start, of the encoder's key biases and of the query biases of the pixel decoder's
            cross-attention (0 as published). A rotated bias tells a patch's place apart from its content, so that
            queries look at different places from the first step.
        place_sharpness: scale, at the start, of the encoder's normalised queries (1 as published).
    """

    image_size: int = 256
    tokens: int = 256
    groups: int = 8
    codebook_size: int = 16384
    code_dim: int = 8
    width: int = 768
    encoder_depth: int = 8
    token_decoder_depth: int = 8
    patch_size: int = 16
    query_rows: int = 1024
    query_rank: int = 8
    decoder_width: int = 768
    decoder_depth: int = 12
    decoder_patch_size: int = 8
    data_scale: float = 0.6
    beta: float = 2.0
    repa_block: int = 8
    repa_dim: int = 0
    repa_hidden: int = 2048
    gate_init: float = 0.0
    init_std: float = 0.02
    place_init: float = 0.0
    place_sharpness: float = 1.0

    def __post_init__(self) -> None:
        def refuse(what: str, hint: str) -> None:
            raise UserError(f"Impossible tokenizer sizes: {what}.", hint=hint)

        if self.tokens % self.groups:
            refuse(
                f"{self.tokens} tokens do not form {self.groups} equal groups",
                "Choose groups that divide tokens.",
            )
        for patch in (self.patch_size, self.decoder_patch_size):
            if self.image_size % patch:
                refuse(
                    f"{self.image_size} px do not divide into patches of {patch} px",
                    "Choose another patch size.",
                )
        for width in (self.width, self.decoder_width):
            if width % 64:
                refuse(f"width {width} is not a multiple of the head width 64", "Choose a multiple of 64.")
        if self.tokens > self.query_rows:
            refuse(f"{self.tokens} tokens but only {self.query_rows} query rows", "Raise query_rows.")
        if self.beta <= 0:
            refuse(f"beta {self.beta} is not positive", "The paper uses 1, 2 and 4.")

    @property
    def group_size(self) -> int:
        """Tokens in one condition group, N / K."""
        return self.tokens // self.groups

    @property
    def encoder_grid(self) -> int:
        """Patches on one side of the encoder's grid."""
        return self.image_size // self.patch_size

    @property
    def decoder_grid(self) -> int:
        """Patches on one side of the pixel decoder's grid."""
        return self.image_size // self.decoder_patch_size
