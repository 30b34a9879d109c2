"""Rules of a running tokenizer: shapes, ranges, determinism, batches, seeds, streams."""

from __future__ import annotations

from dar_bench.api import Tokenizer
from dar_bench.conformance.comparing import check_codes, check_images, refuses, same_codes, same_images
from dar_bench.conformance.rules import DoesNotApply, demand, rule
from dar_bench.conformance.subjects import BATCH, TokenizerSubject, global_seed, keys
from dar_bench.errors import UserError

ORDER = (2, 0, 3, 1)
"""The batch's samples in another order."""


@rule("tokenizer-interface", "tokenizer")
def tokenizer_interface(subject: TokenizerSubject) -> str:
    """Loading gives an object with encode, decode, start and the card itself."""
    model = subject.tokenizer
    demand(
        isinstance(model, Tokenizer), f"load returns a {type(model).__name__} without encode, decode or start"
    )
    demand(model.card.name == subject.card.name, f"its card is {model.card.name}")
    return type(model).__name__


@rule("encode", "tokenizer")
def encode(subject: TokenizerSubject) -> str:
    """Encoding gives int64 codes (B, N) of the codebook."""
    card = subject.card
    codes = subject.tokenizer.encode(subject.images())
    check_codes(codes, BATCH, card.tokens, card.codebook_size, "codes")
    distinct = len({tuple(row) for row in codes.tolist()})
    demand(distinct > 1, f"{BATCH} different images get the same codes")
    return f"({BATCH}, {card.tokens}) codes below {card.codebook_size}"


@rule("encode-refuses", "tokenizer")
def encode_refuses(subject: TokenizerSubject) -> str:
    """Encoding refuses images of another size or type."""
    model, images = subject.tokenizer, subject.images(2)
    refuses(lambda: model.encode(images.float()), "encoding float images")
    size = subject.card.image_size
    refuses(lambda: model.encode(images[:, :, : size // 2]), "encoding images of half the height")
    return "float images and another size are refused"


@rule("encode-batch", "tokenizer")
def encode_batch(subject: TokenizerSubject) -> str:
    """An image's codes do not depend on the batch that it is encoded in."""
    import torch

    images, codes = subject.images(), subject.codes()
    alone = torch.cat([subject.tokenizer.encode(images[i : i + 1]).cpu() for i in range(BATCH)])
    same_codes(codes, alone, "between one batch and single images")
    shuffled = subject.tokenizer.encode(images[list(ORDER)]).cpu()
    same_codes(codes[list(ORDER)], shuffled, "between two orders of the batch")
    return f"batches of 1 and {BATCH}, and another order, give the same codes"


@rule("decode", "tokenizer")
def decode(subject: TokenizerSubject) -> str:
    """Decoding gives uint8 images (B, 3, S, S) that depend on the codes."""
    images = subject.decode(range(BATCH))
    size = subject.card.image_size
    check_images(images, BATCH, size, "images")
    demand(len({row.numpy().tobytes() for row in images}) > 1, "different codes give the same image")
    return f"({BATCH}, 3, {size}, {size}) uint8"


@rule("decode-refuses", "tokenizer")
def decode_refuses(subject: TokenizerSubject) -> str:
    """Decoding refuses codes outside the codebook and more codes than an image has."""
    import torch

    model, codes, options = subject.tokenizer, subject.codes(), subject.options()
    high = codes.clone()
    high[0, 0] = subject.card.codebook_size
    refuses(lambda: model.decode(high, keys(range(BATCH)), options), "decoding a code beyond the codebook")
    long = torch.cat((codes, codes[:, :1]), dim=1)
    refuses(lambda: model.decode(long, keys(range(BATCH)), options), "decoding one code too many")
    return "codes out of range and too many codes are refused"


@rule("decode-repeat", "tokenizer")
def decode_repeat(subject: TokenizerSubject) -> str:
    """Decoding the same codes twice gives the same images, whatever the global random state is."""
    with global_seed(1):
        first = subject.decode(range(BATCH))
    with global_seed(2):
        second = subject.decode(range(BATCH))
    changed = int((first != second).sum())
    demand(changed == 0, f"{changed} values differ between two decodings: use dar_bench.sampling.randomness")
    return "to the bit, under two global seeds"


@rule("decode-batch", "tokenizer")
def decode_batch(subject: TokenizerSubject) -> str:
    """A sample's image does not depend on the batch that it is decoded in."""
    import torch

    images = subject.decode(range(BATCH))
    alone = torch.cat([subject.decode([row]) for row in range(BATCH)])
    found = same_images(images, alone, "between one batch and single samples")
    same_images(images[list(ORDER)], subject.decode(ORDER), "between two orders of the batch")
    return f"batches of 1 and {BATCH} agree {found}"


@rule("decode-stream", "tokenizer")
def decode_stream(subject: TokenizerSubject) -> str:
    """A stream fed group by group previews after every group and ends in the images of decode."""
    import torch

    size, card = subject.card.image_size, subject.card
    stream = subject.tokenizer.start(keys(range(BATCH)), subject.options())
    preview = None
    for group in torch.split(subject.codes(), subject.group_size(), dim=1):
        stream.push(group)
        if card.groups > 1:
            preview = stream.preview()
            check_images(preview, BATCH, size, "previews")
    images = stream.images()
    found = same_images(subject.decode(range(BATCH)), images, "between decode and a stream")
    if preview is None:
        return f"one group, final images agree {found}"
    same_images(preview, images, "between the last preview and the final images")
    return f"{card.groups} previews, final images agree {found}"


@rule("decode-partial", "tokenizer")
def decode_partial(subject: TokenizerSubject) -> str:
    """The first groups of codes decode to an image; what cannot be decoded is refused clearly."""
    if subject.card.groups == 1:
        raise DoesNotApply("all codes form one group")
    codes = subject.codes()[:, : subject.group_size()]
    images = subject.tokenizer.decode(codes, keys(range(BATCH)), subject.options())
    check_images(images, BATCH, subject.card.image_size, "images of the first group")
    try:
        subject.tokenizer.decode(codes[:, :0], keys(range(BATCH)), subject.options())
    except UserError:
        return f"{subject.group_size()} codes decode, none are refused"
    demand(False, "decoding no codes at all is accepted; it must raise dar_bench.errors.UserError")
    return ""
