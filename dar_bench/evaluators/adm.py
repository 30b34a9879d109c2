"""The evaluator ``adm``: the published graph in TensorFlow, as OpenAI's script runs it, in a process of its own."""

from __future__ import annotations

import numpy as np
import torch

from dar_bench.errors import UserError
from dar_bench.evaluators.adm_process import GraphProcess
from dar_bench.evaluators.adm_protocol import AdmProtocol
from dar_bench.features.base import Features
from dar_bench.features.cards import INCEPTION
from dar_bench.features.checks import check_images
from dar_bench.features.inception_store import GRAPH_FILE, stored

PREPROCESSING = "float32-nhwc-0-255;ExpandDims:0;tf1-bilinear-299"


class TensorFlowInception:
    """The features of the graph. TensorFlow starts with the first images, and ends with this object.

    Raises:
        UserError: the graph is not on this machine, or TensorFlow is not installed.
    """

    name = f"{INCEPTION.name}-tensorflow"

    def __init__(self) -> None:
        files = stored()
        if files.graph is None:
            raise UserError(
                "The evaluator 'adm' needs the TensorFlow graph, and only the torch file is in the store.",
                why=f"TensorFlow runs '{GRAPH_FILE}'; the torch file serves the evaluator 'native' alone.",
                hint=f"Run: dar-bench weights fetch {INCEPTION.name}   (or, with the file from elsewhere: "
                f"dar-bench weights import {INCEPTION.name} {GRAPH_FILE})",
            )
        self.trusted = files.trusted
        self._content_sha256 = files.content_sha256
        self._process = GraphProcess(files.graph)

    def fingerprint(self) -> str:
        """Return the hash of the weights' numbers and how images enter the graph."""
        return f"{self.name};sha256={self._content_sha256};{PREPROCESSING}"

    def precision_note(self) -> str:
        """Return nothing: the graph is float32."""
        return ""

    def extract(self, images: torch.Tensor) -> Features:
        """Return the features of ``images``, uint8 (n, 3, H, W), in batches of 64 as ADM feeds them.

        Raises:
            UserError: not uint8 RGB images, or the process died; says how.
        """
        check_images(images)
        pool, spatial, probabilities = self._process.run(
            np.ascontiguousarray(images.cpu().permute(0, 2, 3, 1).numpy())
        )
        return Features(
            pool=pool,
            probabilities=probabilities,
            extractor=self.name,
            fingerprint=self.fingerprint(),
            spatial=spatial,
        )

    def close(self) -> None:
        """End the process, if it was started."""
        self._process.close()


class AdmEvaluator(AdmProtocol):
    """The ADM protocol on the features of the TensorFlow graph.

    Args:
        device: TensorFlow chooses its own; this is for the other evaluators.

    Raises:
        UserError: TensorFlow or the graph is missing.
    """

    def __init__(self, device: str = "cpu"):
        super().__init__("adm", TensorFlowInception(), "adm")
