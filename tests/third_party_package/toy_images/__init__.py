"""A plugin with one generator, whose weights are one colour per class."""

from dar_bench.api import CommandSpec, GeneratorCard, Option, Plugin, WeightsFile

CARD = GeneratorCard(
    name="toy-colours",
    aliases=("colours",),
    family="diffusion",
    summary="One plain colour per class, with a little noise.",
    parameters=12,
    image_size=8,
    num_classes=4,
    load="toy_images.model:load",
    count_parameters="toy_images.model:count_parameters",
    layout="toy_images.model:layout",
    options=(
        Option(name="noise", type="int", default=3, help="largest change of a pixel", minimum=0, maximum=20),
    ),
    weights=WeightsFile(
        filename="colours.safetensors", bundled="toy_images:colours.safetensors", license="CC0-1.0"
    ),
)

plugin = Plugin(
    name="toy-images",
    cards=(CARD,),
    commands=(
        CommandSpec(
            group="train",
            name="colours",
            target="toy_images.model:train",
            help="Average a class.",
            smoke=("--data", "{images}", "--out", "{out}"),
        ),
    ),
)
