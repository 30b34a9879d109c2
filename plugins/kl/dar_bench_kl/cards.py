"""The autoencoders, as data: loads no framework."""

from __future__ import annotations

from dar_bench.api import AutoencoderCard, WeightsFile

FILENAME = "diffusion_pytorch_model.safetensors"

SD_SIZES = {
    "width": 128,
    "multipliers": (1, 2, 4, 4),
    "encoder_blocks": 2,
    "decoder_blocks": 3,
    "latent_channels": 4,
    "encoder_attention": False,
    "scale": 0.18215,
}
"""The autoencoder of Stable Diffusion 1 and 2; ``scale`` brings its latents to about unit variance."""


def _stable_diffusion(name: str, summary: str) -> AutoencoderCard:
    return AutoencoderCard(
        name=name,
        family="tokenizer",
        summary=summary,
        parameters=83_653_863,
        image_size=256,
        latent_channels=4,
        factor=8,
        load="dar_bench_kl.load:load_autoencoder",
        count_parameters="dar_bench_kl.load:count_card",
        layout="dar_bench_kl.load:layout",
        weights=WeightsFile(
            filename=FILENAME,
            url=f"https://huggingface.co/stabilityai/{name}/resolve/main/{FILENAME}",
            license="MIT",
            convert="dar_bench_kl.weights:convert",
        ),
        config=SD_SIZES,
    )


CARDS = (
    _stable_diffusion(
        "sd-vae-ft-ema",
        "Stable Diffusion's KL autoencoder, fine-tuned, averaged weights; DiT's and SiT's scores",
    ),
    _stable_diffusion(
        "sd-vae-ft-mse",
        "Stable Diffusion's KL autoencoder, fine-tuned further on squared error; smoother images",
    ),
)
