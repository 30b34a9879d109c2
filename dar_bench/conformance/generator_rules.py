"""Rules of a running generator: shapes, labels, determinism, batches, seeds, previews, prefixes."""

from __future__ import annotations

from dar_bench.api import Generator, TokenizerCard
from dar_bench.conformance.bench import decoder_of
from dar_bench.conformance.comparing import check_codes, check_images, refuses, same_images
from dar_bench.conformance.rules import Broken, DoesNotApply, demand, rule
from dar_bench.conformance.subjects import BATCH, GeneratorSubject, global_seed
from dar_bench.conformance.tokenizer_rules import ORDER


@rule("generator-interface", "generator")
def generator_interface(subject: GeneratorSubject) -> str:
    """Loading gives an object with generate and the card itself."""
    model = subject.generator
    demand(isinstance(model, Generator), f"load returns a {type(model).__name__} without generate")
    demand(model.card.name == subject.card.name, f"its card is {model.card.name}")
    return type(model).__name__


@rule("generate", "generator")
def generate(subject: GeneratorSubject) -> str:
    """Generating yields one final batch of uint8 images with the labels and indices that were asked for."""
    batches = subject.stream(range(BATCH))
    demand(len(batches) == 1, f"{len(batches)} batches come without previews, not one")
    batch = batches[0]
    demand(batch.final, f"the batch is a preview: {batch.groups_done} of {batch.groups} groups")
    check_images(batch.images, BATCH, subject.card.image_size, "images")
    demand(batch.indices == tuple(range(BATCH)), f"indices are {batch.indices}")
    labels = [subject.label(row) for row in range(BATCH)]
    demand(batch.labels.tolist() == labels, f"labels are {batch.labels.tolist()}, not {labels}")
    if batch.codes is None:
        return f"{BATCH} images, no codes"
    needed = decoder_of(subject.card)
    if not isinstance(needed, TokenizerCard):
        raise Broken("there are codes, but the card names no tokenizer")
    check_codes(batch.codes, BATCH, batch.codes.shape[1], needed.codebook_size, "codes")
    demand(
        batch.codes.shape[1] <= needed.tokens, f"{batch.codes.shape[1]} codes; an image has {needed.tokens}"
    )
    return f"{BATCH} images of {batch.codes.shape[1]} codes each"


@rule("generate-repeat", "generator")
def generate_repeat(subject: GeneratorSubject) -> str:
    """Generating the same samples twice gives the same images, whatever the global random state is."""
    with global_seed(1):
        first = subject.stream(range(BATCH))[-1].images
    with global_seed(2):
        second = subject.stream(range(BATCH))[-1].images
    changed = int((first != second).sum())
    demand(changed == 0, f"{changed} values differ between two runs: use dar_bench.sampling.randomness")
    return "to the bit, under two global seeds"


@rule("generate-batch", "generator")
def generate_batch(subject: GeneratorSubject) -> str:
    """A sample does not depend on the batch that it is generated in."""
    import torch

    together = subject.final().images
    alone = torch.cat([subject.final([row]).images for row in range(BATCH)])
    found = same_images(together, alone, "between one batch and single samples")
    other = subject.final(ORDER).images
    same_images(together[list(ORDER)], other, "between two orders of the batch")
    return f"batches of 1 and {BATCH} agree {found}"


@rule("seeds", "generator")
def seeds(subject: GeneratorSubject) -> str:
    """The seed and the sample's index both change the image."""
    label = [0] * BATCH
    first = subject.final(labels=label).images
    other = subject.final(labels=label, seed=1).images
    demand(bool((first != other).any()), "another seed gives the same images")
    distinct = len({image.numpy().tobytes() for image in first.cpu()})
    demand(distinct == BATCH, f"{BATCH} samples of one class and seed are {distinct} different images")
    return f"two seeds differ, {BATCH} indices differ"


@rule("labels", "generator")
def labels(subject: GeneratorSubject) -> str:
    """The label changes the image, and a label that does not exist is refused."""
    classes = subject.card.num_classes
    refuses(lambda: subject.stream([0], labels=[classes]), f"label {classes} of {classes} classes")
    refuses(lambda: subject.stream([0], labels=[-1]), "label -1")
    if classes == 1:
        return "one class; labels out of range are refused"
    rows = list(range(BATCH))
    asked = [subject.final(rows, labels=[label] * BATCH).images for label in (0, classes - 1)]
    demand(bool((asked[0] != asked[1]).any()), f"classes 0 and {classes - 1} give the same images")
    mixed = subject.final(rows, labels=[0, classes - 1, 0, classes - 1]).images
    expected = [asked[row % 2][row] for row in rows]
    for row in rows:
        same_images(
            mixed[row], expected[row], f"of sample {row} between a mixed batch and one of its class alone"
        )
    return f"classes 0 and {classes - 1} differ, labels out of range are refused"


@rule("previews", "generator")
def previews(subject: GeneratorSubject) -> str:
    """Previews come after every group or at some diffusion steps, and end in the images that come without previews."""
    batches = subject.stream(range(BATCH), previews=True)
    groups = batches[-1].groups
    done = [batch.groups_done for batch in batches]
    if batches[-1].unit == "group":
        demand(done == list(range(1, groups + 1)), f"groups_done runs {done}, not 1 to {groups}")
    else:  # a diffusion model may show some of its many steps
        rising = done == sorted(set(done)) and done[-1] == groups
        demand(rising, f"groups_done runs {done}, not upwards to {groups}")
    for batch in batches:
        check_images(batch.images, BATCH, subject.card.image_size, "previews")
    found = same_images(subject.final().images, batches[-1].images, "with and without previews")
    return f"{groups - 1} previews; the final images agree {found}"


@rule("prefix", "generator")
def prefix(subject: GeneratorSubject) -> str:
    """Given first codes are kept, and codes that do not exist are refused."""
    final = subject.final()
    if final.codes is None:
        raise DoesNotApply("the model has no codes")
    count = max(1, final.codes.shape[1] // 2)
    given = final.codes[list(ORDER), :count]
    made = subject.stream(range(BATCH), prefix=given)[-1].codes
    demand(made is not None and bool((made[:, :count] == given).all()), "the given codes are not kept")
    refuses(lambda: subject.stream(range(BATCH), prefix=given + 10**6), "a prefix of codes out of range")
    return f"{count} given codes are kept, codes out of range are refused"
