"""What a plugin implements, and what the core promises to call.

A plugin is one light object behind one entry point. Importing it must load no framework: everything
heavy is named by a ``"module:attribute"`` string and loaded on use.

    [project.entry-points."dar_bench.plugins"]
    my-model = "my_package:plugin"

Shapes in this file: B images or samples in a batch, N tokens per image, H x W pixels, V codebook entries.
Images are ``uint8`` NCHW tensors with values 0 to 255 wherever they cross this interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from dar_bench.sampling.token_network import TokenNetwork as TokenNetwork

if TYPE_CHECKING:
    import torch

    from dar_bench.features.base import Extractor as Extractor

Family = Literal["tokenizer", "diffusion", "mask-based", "tailored AR", "vanilla AR", "extractor"]
OptionType = Literal["int", "float", "bool", "str", "schedule"]

ENTRY_POINT_GROUP = "dar_bench.plugins"


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of a model, as the zoo shows it and the command line checks it.

    Attributes:
        name: as written by the user, with dashes (``top-k``).
        type: how the text is parsed; ``schedule`` is a guidance schedule such as ``linear:1.1-8.0``.
        default: the value used when the user gives none.
        help: one line for help pages.
        minimum, maximum: inclusive bounds for numbers.
        choices: the allowed strings, empty for any; registered: the kind of component whose names are allowed.
    """

    name: str
    type: OptionType
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    registered: Literal["", "solvers"] = ""


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """Where a model's weights come from.

    Attributes:
        filename: the published file's name (``D-AR-L-360K.pt``), or the bundled file's.
        url: the download address; empty where weights are only bundled or were never published.
        sha256: the published hash; ``None`` where none is published (trust on first use, then recorded).
        size: bytes, where known.
        license: SPDX name or a short phrase, shown before a download.
        bundled: path inside the plugin's package (``"my_package:weights/tiny.safetensors"``).
        local: path of a file on this machine, for models opened from a training run's folder.
        convert: ``"module:function"`` that turns the published state dict into ours,
            ``(checkpoint) -> dict[str, Tensor]`` with the object as it was loaded; it accounts for every key
            or raises ``UserError``. A file that already has our layout is not converted.
        note: what a user should know (for instance that no checkpoint was published).
        keeper: module with ``fetch``, ``import_file`` and ``verify`` of its own, called like those of
            ``dar_bench.weights``, for weights that are published in more than one form.
    """

    filename: str
    url: str = ""
    sha256: str | None = None
    size: int | None = None
    license: str = ""
    bundled: str = ""
    local: str = ""
    convert: str = ""
    note: str = ""
    keeper: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportedScore:
    """Numbers that a paper reports for this model, with the options they were made with."""

    source: str
    row: str
    scores: Mapping[str, float]
    options: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What the zoo shows of a model without loading anything.

    Attributes:
        name: unique across all plugins; lower case with dashes.
        family: the group of the paper's Table 3, or ``tokenizer``; ``extractor`` for networks that measure.
        summary: one line.
        parameters: exact number of parameters used at inference.
        image_size: side of the square images, in pixels.
        load: ``"module:function"``, called as ``load(card, weights, LoadOptions)`` with ``weights`` the path of a
            safetensors file in our own layout; returns a ``Tokenizer``, ``Generator`` or ``Autoencoder``.
        count_parameters: ``"module:function"`` that returns the number of parameters of the card's model,
            counted without allocating weights; used by the conformance checks.
        layout: ``"module:function"``, called as ``layout(card) -> Mapping[str, tuple[int, ...]]``: name and
            shape of every tensor in the model's safetensors file, told without allocating weights. Imported
            and fetched files are checked against it, key by key.
        options: what sampling or decoding accepts.
        config: the sizes the plugin's own code builds the model from.
        check_options: option texts of a quick run (``{"steps": "4"}``), for the conformance checks that run the
            model; options that are not named keep their defaults.
    """

    name: str
    family: Family
    summary: str
    parameters: int
    image_size: int
    load: str
    weights: WeightsFile
    count_parameters: str = ""
    layout: str = ""
    aliases: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    reported: tuple[ReportedScore, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    check_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TokenizerCard(Card):
    """A tokenizer: images to ``tokens`` codes out of ``codebook_size``, and back.

    Attributes:
        groups: of tokens in decoding order, with a preview after each; 1 where all are decoded at once.
    """

    tokens: int
    codebook_size: int
    groups: int = 1


@dataclass(frozen=True, kw_only=True)
class AutoencoderCard(Card):
    """A continuous autoencoder: images to latents of ``latent_channels`` maps, ``factor`` times smaller, and back."""

    latent_channels: int
    factor: int


@dataclass(frozen=True, kw_only=True)
class GeneratorCard(Card):
    """A class-conditional generator.

    Attributes:
        tokenizer: name of the tokenizer card it needs, or ``""``.
        autoencoder: name of the autoencoder card whose latents it makes, or ``""``.
        num_classes: labels run from 0 to ``num_classes - 1``.
        class_names: names by label, where they are short enough to carry; else empty.
        reference: data set whose statistics its samples are compared with by default.
    """

    num_classes: int
    tokenizer: str = ""
    autoencoder: str = ""
    class_names: tuple[str, ...] = ()
    reference: str = ""


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """A command that the plugin mounts, for instance ``dar-bench train tokenizer``.

    Attributes:
        group: the group it joins (``train``).
        name: the command's name inside the group.
        target: ``"module:attribute"`` of a ``click.Command``.
        help: one line, shown without importing ``target``.
        smoke: for training commands, the arguments of a run of one step that takes seconds on a CPU, as the
            conformance checks give it. ``{images}`` stands for a folder of small labelled images and ``{out}``
            for the folder to write to: ``("--recipe", "my-tiny", "--data", "{images}", "--out", "{out}",
            "--set", "train.steps=1")``.
    """

    group: str
    name: str
    target: str
    help: str
    smoke: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set that ships with a plugin, addressed as ``name:split`` wherever data is asked for.

    Attributes:
        splits: split name to a path inside the plugin's package (``"my_package:data/train.parquet"``).
        class_names: names by label.
        license: what must be kept with copies.
        role: split name to what it is for (``{"train": "generation", "val": "reconstruction"}``).
    """

    name: str
    splits: Mapping[str, str]
    summary: str
    class_names: tuple[str, ...] = ()
    license: str = ""
    role: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """The object behind a ``dar_bench.plugins`` entry point.

    Attributes:
        open_folder: ``"module:function"`` from the path of a folder that this plugin's training wrote (its
            ``model.json`` names the plugin) to the card of the model in it.
        extractors, solvers, schedules, evaluators: name to ``"module:attribute"``.
    """

    name: str
    summary: str = ""
    cards: tuple[Card, ...] = ()
    commands: tuple[CommandSpec, ...] = ()
    datasets: tuple[DatasetSpec, ...] = ()
    open_folder: str = ""
    extractors: Mapping[str, str] = field(default_factory=dict)
    solvers: Mapping[str, str] = field(default_factory=dict)
    schedules: Mapping[str, str] = field(default_factory=dict)
    evaluators: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a model is put on a device.

    Attributes:
        device: a torch device string (``cpu``, ``cuda:0``).
        dtype: ``float32`` or ``bfloat16``; what the network computes in.
        compile: use ``torch.compile`` for the network's step.
    """

    device: str = "cpu"
    dtype: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False


@dataclass(frozen=True, kw_only=True)
class SampleKeys:
    """Which samples of a run a batch holds: all randomness of sample i comes from (run seed, i) alone.

    Attributes:
        seed: the run's seed.
        indices: index of every sample of the batch in its run.
    """

    seed: int
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)


Options = Mapping[str, Any]
"""Option name (with dashes) to its parsed value, completed with defaults by ``dar_bench.options``."""


@runtime_checkable
class Tokenizer(Protocol):
    """Images to codes and back."""

    card: TokenizerCard

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Return codes, int64 (B, N), of uint8 images (B, 3, H, W)."""
        ...

    def decode(self, codes: torch.Tensor, keys: SampleKeys, options: Options) -> torch.Tensor:
        """Return uint8 images (B, 3, H, W) of int64 codes (B, N).

        ``codes`` may be shorter than N where the tokenizer's groups allow a decoding from partial tokens.
        """
        ...

    def start(self, keys: SampleKeys, options: Options) -> DecodeStream:
        """Begin a streamed decoding that is fed groups of codes as they come into being."""
        ...


@runtime_checkable
class Autoencoder(Protocol):
    """Images, uint8 (B, 3, H, W), to latents, float32 (B, C, h, w) of about unit variance, and back."""

    card: AutoencoderCard

    def moments(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of the images' latents."""
        ...

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the latents' images."""
        ...


class DecodeStream(Protocol):
    """A decoding in progress: push code groups, read previews."""

    def push(self, codes: torch.Tensor) -> None:
        """Take the next codes, int64 (B, n), and run every decoding step they make possible."""
        ...

    def preview(self) -> torch.Tensor:
        """Return the estimate of the final images so far, uint8 (B, 3, H, W); at most one network call."""
        ...

    def images(self) -> torch.Tensor:
        """Return the final images, uint8 (B, 3, H, W), once all codes were pushed."""
        ...


@dataclass(frozen=True, kw_only=True)
class GeneratedBatch:
    """One batch of a generation run.

    Attributes:
        indices: indices of the samples in the run.
        labels: class of each, int64 (B,).
        images: uint8 (B, 3, H, W); for a preview, the estimate so far.
        codes: int64 (B, N) where the model has codes.
        groups_done, groups: position in the stream; ``groups_done == groups`` marks the final images.
        unit: what is counted: a ``group`` of tokens, a ``step`` of diffusion.
    """

    indices: tuple[int, ...]
    labels: torch.Tensor
    images: torch.Tensor
    codes: torch.Tensor | None = None
    groups_done: int = 1
    groups: int = 1
    unit: str = "group"

    @property
    def final(self) -> bool:
        """Whether these are the finished images, not a preview."""
        return self.groups_done == self.groups


@runtime_checkable
class Generator(Protocol):
    """A class-conditional generator: labels and keys in, images out."""

    card: GeneratorCard

    def generate(
        self,
        labels: torch.Tensor,
        keys: SampleKeys,
        options: Options,
        *,
        previews: bool = False,
        prefix: torch.Tensor | None = None,
    ) -> Iterator[GeneratedBatch]:
        """Yield the batch's images; with ``previews``, estimates on the way first (codes: after every group).

        Args:
            labels: int64 (B,).
            keys: which samples these are; nothing else may feed their randomness.
            options: complete and validated against the card.
            prefix: int64 (B, n) codes that are given and fixed (layout control), for models with codes.
        """
        ...


@runtime_checkable
class CodeGenerator(Generator, Protocol):
    """A generator in two halves that can run apart: codes first, images of them later, as often as wanted.

    The options of its tokenizer's card belong to the second half alone, ``tokens`` apart, which is also how many
    codes are made. Codes are prefix-stable: fewer of them are the first of more.
    """

    tokenizer: Tokenizer

    def codes(
        self, labels: torch.Tensor, keys: SampleKeys, options: Options, *, prefix: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return codes, int64 (B, n), those that ``generate`` would decode; arguments as there."""
        ...


LoadFunction = Callable[[Card, Path, LoadOptions], "Tokenizer | Generator | Autoencoder"]
Seeds = Sequence[int]
