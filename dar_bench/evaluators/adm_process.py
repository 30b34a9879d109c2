"""A child process that runs the Inception graph in TensorFlow; images and features go through its pipes.

TensorFlow and torch in one process can crash, and TensorFlow keeps what memory it takes. The child reads its standard
input to the end, so it cannot outlive its parent.

A request is three little-endian int64 (n, height, width) and n x height x width x 3 bytes; the answer to each of them
is the byte 1 and three float32 arrays (n, 2048), (n, 2023), (n, 1008), or the byte 0 and a text with its length as
int64. The child says 2 when it is ready.
"""

from __future__ import annotations

import importlib.util
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from dar_bench.errors import UserError
from dar_bench.nn.inception_graph import CLASSES, POOL_FEATURES, SPATIAL_FEATURES
from dar_bench.plugins import missing_module

Float32Array = npt.NDArray[np.float32]

HEADER = struct.Struct("<3q")
LENGTH = struct.Struct("<q")
READY, FEATURES, FAILED = b"\x02", b"\x01", b"\x00"
BATCH = 64
WORKER = (sys.executable, "-m", "dar_bench.evaluators.adm_worker")
WIDTHS = (POOL_FEATURES, SPATIAL_FEATURES, CLASSES)

START_TIMEOUT_S = 300.0
"""Importing TensorFlow on a cold, busy machine takes a minute."""

BATCH_TIMEOUT_S = 900.0

_LAST_LINES = 3


class GraphProcess:
    """The child, started with the first images.

    Args:
        graph: the graph file.

    Raises:
        UserError: TensorFlow is not installed.
    """

    def __init__(self, graph: Path):
        if importlib.util.find_spec("tensorflow") is None:
            raise missing_module(
                "The evaluator 'adm' runs the graph in TensorFlow.",
                ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow"),
            )
        self._graph = graph
        self._child: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def run(self, images: npt.NDArray[np.uint8]) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Return pooled features, spatial features and probabilities of uint8 images (n, H, W, 3).

        Raises:
            UserError: the child died, answered nothing for too long, or TensorFlow refused the images.
        """
        parts = [self._run_batch(images[at : at + BATCH]) for at in range(0, len(images), BATCH)]
        pool, spatial, probabilities = (np.concatenate(column) for column in zip(*parts, strict=True))
        return pool, spatial, probabilities

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._finalizer()
            self._child = None

    def _run_batch(self, images: npt.NDArray[np.uint8]) -> list[Float32Array]:
        try:
            child = self._started()
            assert child.stdin is not None
            child.stdin.write(HEADER.pack(*images.shape[:3]))
            child.stdin.write(images.tobytes())
            child.stdin.flush()
            deadline = time.monotonic() + BATCH_TIMEOUT_S
            answer = self._read(1, deadline)
            if answer == FAILED:
                (length,) = LENGTH.unpack(self._read(LENGTH.size, deadline))
                raise UserError(
                    "TensorFlow refused the images.",
                    why=self._read(length, deadline).decode(errors="replace"),
                )
            return [
                np.frombuffer(self._read(4 * len(images) * width, deadline), "<f4").reshape(-1, width)
                for width in WIDTHS
            ]
        except (BrokenPipeError, EOFError) as error:
            raise self._died() from error
        except BaseException:
            # An answer may be half read (Ctrl-C, a timeout): nothing that follows would be understood.
            self.close()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is not None:
            return self._child
        log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the finalizer
        child = subprocess.Popen(
            [*WORKER, str(self._graph)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        self._child, self._log = child, log
        self._finalizer = weakref.finalize(self, _end, child, log)
        self._read(1, time.monotonic() + START_TIMEOUT_S)
        return child

    def _read(self, count: int, deadline: float) -> bytes:
        """Return so many bytes of the child's answer.

        Raises:
            EOFError: the child is gone.
            UserError: it took too long.
        """
        assert self._child is not None and self._child.stdout is not None
        descriptor, parts, missing = self._child.stdout.fileno(), [], count
        while missing:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise UserError(
                    "TensorFlow does not answer.",
                    why="It was given many times what a batch of 64 images takes.",
                    hint="Look at the machine's load and memory, or use --evaluator native.",
                )
            part = os.read(descriptor, missing)
            if not part:
                raise EOFError("the child closed its output")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _died(self) -> UserError:
        child, log = self._child, self._log
        assert child is not None and log is not None
        try:
            status = child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            status = 0
        log.seek(0)
        lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        self.close()
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        told = " / ".join(lines[-_LAST_LINES:]) if lines else "it said nothing"
        return UserError(
            f"The TensorFlow process {how}.",
            why=f"Its last words: {told}.",
            hint="Signal 9 means too little memory. The evaluator 'native' needs no TensorFlow.",
        )


def _end(child: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    """End a child for good: no zombie stays behind."""
    if child.poll() is None:
        child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout, log):
        try:
            if stream is not None:
                stream.close()
        except BrokenPipeError:
            pass  # what the dead child did not read
