"""The record of one measurement: scores, and all that explains them.

A record is a JSON document. It holds nothing about the machine's owner: no host name, no user name, no path
outside the project. ``SCHEMA_VERSION`` rises when a field changes its meaning or a new one cannot be left
out; a record of a newer schema is refused with a message that says so.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from dar_bench.hashing import sha256_json
from dar_bench.results.portable import portable_text

SCHEMA_VERSION = 2

Kind = Literal["reconstruction", "generation", "training", "images"]
Origin = Literal["measured", "reported"]

Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PortableText = Annotated[str, AfterValidator(portable_text)]


def _portable_json(value: Any, where: str = "options") -> Any:
    """Return a JSON value with its texts made portable; refuse what JSON cannot hold exactly."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"{where} has a key that is not a text: {key!r}")
        return {key: _portable_json(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_portable_json(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, str):
        return portable_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} is {value}")
    if value is not None and not isinstance(value, bool | int | float):
        raise ValueError(f"{where} is of type {type(value).__name__}, which JSON has not")
    return value


class _Part(BaseModel):
    """A part of a record: fixed once made, and without fields that the schema does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    added: ClassVar[frozenset[str]] = frozenset()
    """Fields that version 1 did not have."""

    @model_serializer(mode="wrap")
    def _leave_out_empty_additions(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        return {
            key: value
            for key, value in data.items()
            if key not in self.added or value not in (None, "", [], {})
        }


class Score(_Part):
    """One named number. Scores of different protocols are not comparable."""

    name: str = Field(min_length=1)
    """What it is, with its extractor: ``FID``, ``FD[efficientnet-lite0]``, ``PSNR``."""

    value: Finite
    """The number, in the unit its name implies (dB for PSNR)."""

    stderr: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Standard error of ``value``; what it covers is said in ``protocol``."""

    interval: tuple[Finite, Finite] | None = None
    """Bounds at 95 %, where they are not just ``value`` plus and minus 1.96 ``stderr``."""

    n: Count
    """Number of independent items (images, pairs) that the score and its error are about."""

    protocol: str = ""
    """How it was computed: every choice that changes the number. Equal protocols may be compared."""

    note: PortableText = ""
    """What a reader must know of this value."""

    @model_validator(mode="after")
    def _check_interval(self) -> Score:
        if self.interval is not None and not self.interval[0] <= self.interval[1]:
            raise ValueError(f"the interval of {self.name} is upside down: {self.interval}")
        return self

    def bounds(self) -> tuple[float, float] | None:
        """Return the 95 % interval, from ``stderr`` where none is stored; ``None`` without either."""
        if self.interval is not None:
            return self.interval
        if self.stderr is None:
            return None
        return self.value - 1.96 * self.stderr, self.value + 1.96 * self.stderr


class Model(_Part):
    """The model that was measured."""

    name: str = Field(min_length=1)
    """Name of its card."""

    weights_sha256: Sha256 | None = None
    """Hash of the weights file that was loaded; ``None`` only in reported records and those of images."""

    parameters: Count | None = None
    """Parameters used at inference."""

    tokenizer: str = ""
    """Name of the card of the tokenizer or autoencoder, for generators that need one."""

    tokenizer_sha256: Sha256 | None = None
    """Hash of its weights."""

    family: str = ""
    """Group of the paper's Table 3, for reported models that no installed card places."""

    added = frozenset({"family"})


class Evaluator(_Part):
    """Who scored, and against what."""

    name: str
    """The protocol family: ``embedded``, ``native``, ``adm``, ..."""

    extractor: str = ""
    """Name of the feature extractor, where there is one."""

    extractor_fingerprint: PortableText = ""
    """Its weights' hash and preprocessing."""

    reference: PortableText = ""
    """Name of the reference set (``emoji64:train``)."""

    reference_fingerprint: PortableText = ""
    """Content hash of the reference set."""

    reference_count: Count | None = None
    """Images in the reference set."""


class Environment(_Part):
    """What the measurement ran on, without anything that names the machine."""

    device: str = ""
    """``cpu``, or the accelerator's product name."""

    precision: str = ""
    """What the model computed in: ``float32``, ``bfloat16``."""

    threads: Count | None = None
    """CPU threads that torch used."""

    python: str = ""
    """Version of the interpreter."""

    platform: str = ""
    """Operating system and processor type (``Linux-x86_64``)."""

    packages: dict[str, str] = Field(default_factory=dict)
    """Versions of the packages that can change a number."""


class Cost(_Part):
    """What the measurement took. Absent fields were not measured."""

    seconds: Finite | None = None
    """Wall-clock time of the whole measurement; of a sweep's row, of its images and features as if made alone."""

    model_seconds: Finite | None = None
    """Of that, time in the model: sampling and decoding, or encoding and decoding."""

    images_per_second: Finite | None = None
    """Images made per second of ``model_seconds``."""

    tokens_per_second: Finite | None = None
    """Codes made per second of ``model_seconds``, over all samples of a batch."""

    batch_size: Count | None = None
    """Images made at a time."""

    flops_per_image: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Floating-point operations for one image as they were executed, guidance included; a multiplication with its
    addition counts two. Matrix products, convolutions and attention only, as is the custom."""

    network_evaluations: dict[str, Count] = Field(default_factory=dict)
    """How often each network runs for one image, one after the other: ``generator``, ``tokenizer``."""

    first_preview_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Time from the request for one image to its first preview; for models without previews, to the image."""

    peak_memory_bytes: Count | None = None
    """Most memory held while images were made: on a GPU what was allocated there, weights included; on a CPU what
    the process held above the state with the model loaded."""

    attribution: str = ""
    """How time was attributed that was measured for more than this record, in a sweep; empty where none was."""

    added = frozenset(
        {
            "flops_per_image",
            "network_evaluations",
            "first_preview_seconds",
            "peak_memory_bytes",
            "attribution",
        }
    )


class Curve(_Part):
    """A quantity over training, thinned to what a plot needs."""

    name: str
    """What it is (``loss/total``)."""

    steps: list[int]
    """Optimizer steps, rising."""

    values: list[Finite]
    """One value for each step."""

    @model_validator(mode="after")
    def _check_lengths(self) -> Curve:
        if len(self.steps) != len(self.values):
            raise ValueError(f"curve {self.name} has {len(self.steps)} steps and {len(self.values)} values")
        if any(later <= earlier for earlier, later in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError(f"the steps of curve {self.name} do not rise")
        return self


class Reading(_Part):
    """What one source says of how a reported number was made, where the sources disagree."""

    by: str = Field(min_length=1)
    """The source: ``paper``, ``published script``."""

    options: Annotated[dict[str, Any], AfterValidator(_portable_json)] = Field(default_factory=dict)
    """The options that it states differently from the record's own."""

    scores: dict[str, Finite] = Field(default_factory=dict)
    """The scores that it states differently."""

    note: PortableText = ""
    """What it says, in words."""


class Record(_Part):
    """One measurement, or one row of a paper's table."""

    schema_version: Literal[1, 2] = 2
    """Version of this schema that the record was written in."""

    kind: Kind
    """What was measured."""

    origin: Origin = "measured"
    """``measured`` by this tool, or ``reported`` by a publication."""

    source: PortableText = ""
    """For reported records: publication and table (``D-AR Table 3``)."""

    row: PortableText = ""
    """For reported records: the table's row or column, as printed."""

    model: Model
    """What made the images; of the kind ``images``, where nobody knows it, the sample set's name alone."""

    options: Annotated[dict[str, Any], AfterValidator(_portable_json)] = Field(default_factory=dict)
    """The model's options, complete with defaults, and for training the recipe; JSON values only."""

    seeds: dict[str, int] = Field(default_factory=dict)
    """Every seed by its use (``run``, ``evaluation``)."""

    samples: Count
    """Images generated, reconstructed or (training) seen."""

    evaluator: Evaluator | None = None
    """Who scored, and against what; ``None`` where nothing was scored against a reference."""

    scores: list[Score] = Field(default_factory=list)
    """The scores, names unique."""

    unavailable: dict[str, PortableText] = Field(default_factory=dict)
    """Scores that could not be measured, each with the reason."""

    environment: Environment = Field(default_factory=Environment)
    """What it ran on."""

    cost: Cost = Field(default_factory=Cost)
    """What it took."""

    curves: list[Curve] = Field(default_factory=list)
    """Training curves, for training records."""

    readings: list[Reading] = Field(default_factory=list)
    """For reported records whose sources disagree: what each says. ``options`` is our own reading."""

    sketch: Sha256 | None = None
    """Hash of the file beside the record that lets a part of the samples be checked (``results verify``)."""

    added = frozenset({"row", "readings", "sketch"})

    command: list[PortableText] = Field(default_factory=list)
    """The command line, paths outside the project shortened to their last component."""

    note: PortableText = ""
    """Free text: what a reader must know."""

    created: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    """When it was made, in UTC. Not part of the content hash."""

    @model_validator(mode="before")
    @classmethod
    def _check_version(cls, data: Any) -> Any:
        version = data.get("schema_version", SCHEMA_VERSION) if isinstance(data, dict) else SCHEMA_VERSION
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise ValueError(
                f"it has schema version {version}, this dar-bench reads up to {SCHEMA_VERSION}: "
                "update dar-bench"
            )
        return data

    @model_validator(mode="after")
    def _check_consistency(self) -> Record:
        names = [score.name for score in self.scores]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the score {twice[0]} occurs twice")
        if self.created.utcoffset() is None:
            raise ValueError("'created' has no time zone")
        if self.origin == "measured":
            bare = [score.name for score in self.scores if score.stderr is None and score.interval is None]
            if bare:
                raise ValueError(f"the measured score {bare[0]} has neither a standard error nor an interval")
            if self.kind == "images":
                if not self.options.get("samples_fingerprint"):
                    raise ValueError("a record of images needs the fingerprint of the samples")
            elif self.model.weights_sha256 is None:
                raise ValueError("a measured record needs the hash of the model's weights")
        elif not self.source:
            raise ValueError("a reported record needs its source")
        return self

    def score(self, name: str) -> Score | None:
        """Return the score of that name, or ``None``."""
        return next((score for score in self.scores if score.name == name), None)

    def content_hash(self) -> str:
        """Return the SHA-256 of everything but ``created``: equal measurements have equal hashes."""
        return sha256_json(self.model_dump(mode="json", exclude={"created"}))

    def measurement_hash(self) -> str:
        """Return the SHA-256 of what was measured and what came out, whoever asked for it and whatever it cost.

        Two commands that share kept work (two sweeps with one row in common) give records of equal hashes. Another
        environment is another measurement: that the numbers did not move there is worth a record of its own.
        """
        return sha256_json(self.model_dump(mode="json", exclude={"created", "command", "cost"}))
