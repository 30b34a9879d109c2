"""From a specification to the graph of work that it shares.

For a generator with codes:   codes --> images (all token counts of equal other options in one pass) --> rows
For one without:              images --> rows
For a tokenizer:              codes of the data, once --> images --> rows
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dar_bench.api import CodeGenerator, GeneratorCard, TokenizerCard
from dar_bench.errors import UserError
from dar_bench.evaluation.extraction import cropped, distinct_extractors
from dar_bench.evaluation.scoring import Panel, load_panel
from dar_bench.evaluators.names import check_evaluator
from dar_bench.plugins import registry
from dar_bench.references.opening import open_given
from dar_bench.roles import choose_labels, held_out_data, reference_name
from dar_bench.runs.folder import RunKey, RunStore
from dar_bench.sweeps import keys
from dar_bench.sweeps.jobs import Data
from dar_bench.sweeps.made import View
from dar_bench.sweeps.nodes import CodesNode, ImagesNode, Node, Samples, ViewPlace, view_place
from dar_bench.sweeps.passes import Parts, decoded_rows, divide, words
from dar_bench.sweeps.plan import Plan, PlannedRow
from dar_bench.sweeps.specification import SweepSpec, Texts, unique_rows
from dar_bench.sweeps.worker import ModelSpec, Worker
from dar_bench.wording import counted

if TYPE_CHECKING:
    from dar_bench.data import ImageSource

SAMPLES = 1000
"""Images that are generated unless the user says otherwise."""


class _Here:
    """Looks for what is on this machine; what is not becomes an error, or a sentence where only a plan is wanted."""

    def __init__(self, *, look_only: bool):
        self.missing: list[str] = []
        self._look_only = look_only

    def excuse(self, error: UserError) -> None:
        if not self._look_only:
            raise error
        self.missing.append(str(error))


def make_plan(spec: SweepSpec, worker: Worker, *, look_only: bool = False) -> Plan:
    """Plan a sweep.

    Args:
        spec: what is asked for.
        worker: loads the model, for the hashes of its weights.
        look_only: plan also without weights, reference or evaluators, and say what is missing.

    Raises:
        UserError: an unknown model or option, a value out of range, no rows or equal ones, or something that is
            not on this machine.
    """
    card = registry().card(spec.model)
    here = _Here(look_only=look_only)
    if isinstance(card, GeneratorCard):
        return _Generation(spec, card, worker, here).plan()
    if isinstance(card, TokenizerCard):
        return _Reconstruction(spec, card, worker, here).plan()
    raise UserError(f"'{spec.model}' is neither a generator nor a tokenizer.")


class _Planner:
    """What planning has in common; ``samples``, ``model`` and ``decoder_key`` are set before nodes are made."""

    samples: Samples
    model: ModelSpec
    decoder_key: dict[str, Any]

    def __init__(self, spec: SweepSpec, card: GeneratorCard | TokenizerCard, worker: Worker, here: _Here):
        self.spec = spec
        self.card = card
        self.worker = worker
        self.here = here
        self.completes = unique_rows(card, spec.rows)
        for name in spec.evaluators:
            check_evaluator(
                name
            )  # a wrong name is a mistake everywhere, and not something that is missing here
        self.panel = self._panel()
        self.extractors = {
            extractor.fingerprint(): extractor.name
            for extractor in distinct_extractors(self.panel.evaluators)
        }

    def _panel(self) -> Panel:
        try:
            return load_panel(self.spec.evaluators, self.spec.loading.device)
        except UserError as error:
            self.here.excuse(error)
            return Panel(evaluators=())

    def divided(self, tokenizer: TokenizerCard) -> list[Parts]:
        return [
            divide(texts, options, tokenizer)
            for texts, options in zip(self.spec.rows, self.completes, strict=True)
        ]

    def view_key(self, codes: RunKey, part: Parts) -> RunKey:
        return keys.view_key(codes, self.decoder_key, part.decoding, self.spec.seed, part.tokens)

    def view_title(self, part: Parts) -> str:
        return f"{self.card.name}, {words(part.texts)}"

    def pass_node(
        self,
        title: str,
        source: CodesNode,
        part: Parts,
        views: Mapping[View, ViewPlace],
        *,
        originals: Data | None = None,
    ) -> ImagesNode:
        options = part.complete_decoding_texts()
        return self.images_node(title, options, views, source=source, originals=originals)

    def images_node(
        self,
        title: str,
        options: Texts,
        views: Mapping[View, ViewPlace],
        *,
        source: CodesNode | None = None,
        originals: Data | None = None,
    ) -> ImagesNode:
        return ImagesNode(
            title=title,
            samples=self.samples,
            model=self.model,
            options=options,
            views=views,
            evaluators=[evaluator.name for evaluator in self.panel.evaluators],
            device=self.spec.loading.device,
            source=source,
            originals=originals,
        )


class _Generation(_Planner):
    card: GeneratorCard

    def __init__(self, spec: SweepSpec, card: GeneratorCard, worker: Worker, here: _Here):
        super().__init__(spec, card, worker, here)
        self.count = spec.samples or SAMPLES
        self.data = Data(name=reference_name(card, spec.reference), limit=spec.reference_limit)

    def plan(self) -> Plan:
        reference = self._reference()
        if reference is None and self.here.missing:
            policy, labels, classes = (
                "balanced",
                [row % self.card.num_classes for row in range(self.count)],
                b"",
            )
        else:
            policy, labels = choose_labels(self.spec.labels, reference, self.card, self.count, self.spec.seed)
            classes = reference.labels().tobytes() if reference is not None else b""
        self.labels = keys.labels_key(policy, classes)
        self.samples = Samples(
            count=self.count,
            seed=self.spec.seed,
            batch_size=self.spec.batch_size,
            labels=tuple(labels),
            shard=self.spec.shard,
        )
        with_codes = self._load()
        nodes: list[Node] = []
        rows = self._rows_with_codes(nodes) if with_codes else self._rows_without_codes(nodes)
        return Plan(
            spec=self.spec,
            card=self.card,
            model=self.model,
            nodes=nodes,
            rows=rows,
            panel=self.panel,
            data=self.data,
            policy=policy,
            missing=self.here.missing,
        )

    def _reference(self) -> ImageSource | None:
        """Return the reference's images, where it has some."""
        try:
            return open_given(self.data.name).source
        except UserError as error:
            self.here.excuse(error)
            return None

    def _load(self) -> bool:
        """Learn the hashes, and whether the generator works in two halves."""
        spec = self.spec
        self.model = ModelSpec(name=spec.model, weights=spec.weights, loading=spec.loading)
        self.tokenizer_card: TokenizerCard | None = None
        if self.card.tokenizer:
            found = registry().card(self.card.tokenizer)
            self.tokenizer_card = found if isinstance(found, TokenizerCard) else None
        try:
            loaded = self.worker.generator(self.model)
        except UserError as error:
            self.here.excuse(error)
            self.key = self.decoder_key = keys.model_key(self.card, "", self.model)
            return self.tokenizer_card is not None
        decoder = loaded.decoder
        hashes = loaded.weights_sha256, decoder.weights_sha256 if decoder is not None else ""
        self.model = ModelSpec(name=spec.model, weights=spec.weights, loading=spec.loading, sha256=hashes)
        self.key = keys.model_key(self.card, hashes[0], self.model)
        if decoder is None:
            return False
        self.decoder_key = keys.model_key(decoder.card, hashes[1], self.model)
        if self.tokenizer_card is not None and isinstance(loaded.model, CodeGenerator):
            return True
        self.key = {**self.key, "decoder": self.decoder_key}
        return False

    def _rows_without_codes(self, nodes: list[Node]) -> list[PlannedRow]:
        rows = []
        for texts, options in zip(self.spec.rows, self.completes, strict=True):
            title = f"{self.card.name}, {words(texts)}"
            key = keys.generated_key(self.key, options, self.spec.seed, self.labels)
            views = {0: view_place(key, title, self.extractors)}
            node = self.images_node(f"generate {title}", texts, views)
            nodes.append(node)
            rows.append(PlannedRow(texts=texts, options=options, node=node, view=0))
        return rows

    def _rows_with_codes(self, nodes: list[Node]) -> list[PlannedRow]:
        assert self.tokenizer_card is not None  # for mypy: generators with codes have a tokenizer
        parts = self.divided(self.tokenizer_card)
        longest: dict[str, int] = {}
        for part in parts:
            digest = self._codes_key(part).digest()
            longest[digest] = max(longest.get(digest, 0), part.tokens)
        sources: dict[str, CodesNode] = {}
        for part in parts:
            key = self._codes_key(part)
            if key.digest() not in sources:
                node = self._codes_node(key, part, longest[key.digest()])
                sources[key.digest()] = node
                nodes.append(node)

        def source(part: Parts) -> tuple[RunKey, CodesNode]:
            key = self._codes_key(part)
            return key, sources[key.digest()]

        def place(part: Parts) -> ViewPlace:
            key = self.view_key(self._codes_key(part), part)
            return view_place(key, self.view_title(part), self.extractors)

        return decoded_rows(parts, source=source, place=place, node=self.pass_node, nodes=nodes)

    def _codes_key(self, part: Parts) -> RunKey:
        return keys.codes_key(self.key, part.sampling, self.spec.seed, self.labels)

    def _codes_node(self, key: RunKey, part: Parts, tokens: int) -> CodesNode:
        card = self.tokenizer_card
        assert card is not None
        # Codes that are there in full serve instead of making fewer of them again.
        whole = keys.with_tokens(key, card.tokens)
        if tokens < card.tokens and (RunStore().folder / whole.digest()).is_dir():
            tokens = card.tokens
        title = f"{self.card.name}, {words(part.sampling_texts)}"
        return CodesNode(
            title=f"sample {tokens} codes of {title}",
            key=keys.with_tokens(key, tokens),
            samples=self.samples,
            model=self.model,
            options={**part.sampling_texts, "tokens": str(tokens)},
            tokens=tokens,
            group=card.tokens // card.groups,
        )


class _Reconstruction(_Planner):
    card: TokenizerCard

    def __init__(self, spec: SweepSpec, card: TokenizerCard, worker: Worker, here: _Here):
        super().__init__(spec, card, worker, here)
        self.data = Data(name=spec.reference or held_out_data(), limit=spec.samples)

    def plan(self) -> Plan:
        spec, card = self.spec, self.card
        count, content = spec.samples or SAMPLES, ""
        try:
            images = cropped(self.data.open(), card.image_size)
            count, content = images.count, images.fingerprint
        except UserError as error:
            self.here.excuse(error)
        self.samples = Samples(count=count, seed=spec.seed, batch_size=spec.batch_size, shard=spec.shard)
        self.model = ModelSpec(name=spec.model, weights=spec.weights, loading=spec.loading)
        digest = ""
        try:
            digest = self.worker.tokenizer(self.model).weights_sha256
        except UserError as error:
            self.here.excuse(error)
        self.model = ModelSpec(
            name=spec.model, weights=spec.weights, loading=spec.loading, sha256=(digest, "")
        )
        self.decoder_key = keys.model_key(card, digest, self.model)
        key = keys.encoded_key(self.decoder_key, content)
        codes = CodesNode(
            title=f"encode {counted(count, 'image')} of {self.data.name} with {card.name}",
            key=key,
            samples=self.samples,
            model=self.model,
            options={},
            tokens=card.tokens,
            group=card.tokens // card.groups,
            data=self.data,
        )
        nodes: list[Node] = [codes]
        lpips = self.worker.lpips(spec.loading.device)
        scored_by = f"{lpips.backbone};{lpips.weights_sha256}" if lpips is not None else ""

        def place(part: Parts) -> ViewPlace:
            view = self.view_key(key, part)
            return view_place(view, self.view_title(part), self.extractors, keys.pairs_key(view, scored_by))

        rows = decoded_rows(
            self.divided(card),
            source=lambda part: (key, codes),
            place=place,
            node=functools.partial(self.pass_node, originals=self.data),
            nodes=nodes,
        )
        return Plan(
            spec=spec,
            card=card,
            model=self.model,
            nodes=nodes,
            rows=rows,
            panel=self.panel,
            data=self.data,
            missing=self.here.missing,
        )
