"""The task of ``dar-bench train ar``: next-token prediction on cached codes (paper, equation 6)."""

from __future__ import annotations

from dar_bench.nn.llama import Llama, LlamaConfig
from dar_bench.training.next_token_task import NextTokenTask
from dar_bench_dar.export import AR
from dar_bench_dar.model.ar import build_ar


class ARTask(NextTokenTask):
    """Trains the Llama with a 1-D rotary table."""

    kind = AR

    def build(self, config: LlamaConfig) -> Llama:
        """Return the network with fresh weights."""
        return build_ar(config)
