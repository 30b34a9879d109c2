"""A small continuous autoencoder as a plugin, for the rules of autoencoders. Nothing here imports a framework."""

from dar_bench.api import AutoencoderCard, Plugin, WeightsFile

AUTOENCODER = AutoencoderCard(
    name="my-model",
    family="tokenizer",
    summary="Untrained: one convolution over patches of 4 px, and back",
    parameters=651,
    image_size=16,
    latent_channels=6,
    factor=4,
    load="my_model.load:load_autoencoder",
    count_parameters="my_model.load:count_parameters",
    layout="my_model.load:layout",
    weights=WeightsFile(filename="my-model.safetensors", note="Random ones are made for the checks."),
)

plugin = Plugin(name="my-model", summary="A small autoencoder", cards=(AUTOENCODER,))
