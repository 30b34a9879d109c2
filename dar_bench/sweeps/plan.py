"""A sweep as a graph of shared work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dar_bench.api import GeneratorCard, TokenizerCard
from dar_bench.evaluation.scoring import Panel
from dar_bench.sweeps.jobs import Data
from dar_bench.sweeps.made import View
from dar_bench.sweeps.nodes import ImagesNode, Node
from dar_bench.sweeps.specification import SweepSpec, Texts
from dar_bench.sweeps.worker import ModelSpec


@dataclass(frozen=True, kw_only=True)
class PlannedRow:
    """One row of the table.

    Attributes:
        texts: what the user gave. options: the model's, complete.
        node: makes its images. view: which of them.
    """

    texts: Texts
    options: dict[str, Any]
    node: ImagesNode
    view: View


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep as a graph.

    Attributes:
        spec: what was asked for. card: of the model. model: as workers load it.
        nodes: in an order in which each can be made after those before it.
        rows: of the table, in the order of the specification.
        panel: the evaluators. data: reference images, or those that are reconstructed.
        policy: of the labels; empty for reconstructions.
        missing: what is not on this machine, one sentence each; such a plan can be looked at, not run.
    """

    spec: SweepSpec
    card: GeneratorCard | TokenizerCard
    model: ModelSpec
    nodes: list[Node]
    rows: list[PlannedRow]
    panel: Panel
    data: Data
    policy: str = ""
    missing: list[str] = field(default_factory=list)

    def dependents(self, node: Node) -> list[Node]:
        """Return the nodes that a node's codes are for."""
        return [other for other in self.nodes if other.source is node]
