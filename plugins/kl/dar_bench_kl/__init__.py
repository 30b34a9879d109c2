"""KL-regularised autoencoders (Rombach et al., 2022) as a dar-bench plugin: the latents that others generate."""

from __future__ import annotations

from dar_bench.api import Plugin
from dar_bench_kl.cards import CARDS

plugin = Plugin(
    name="kl",
    summary="KL autoencoders of latent diffusion: Stable Diffusion's, as DiT and others use them",
    cards=CARDS,
)
