"""The child that runs TensorFlow: what the parent says when it fails, and that none is left behind."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dar_bench import weights
from dar_bench.errors import UserError
from dar_bench.evaluators import adm_process
from dar_bench.evaluators.adm import AdmEvaluator
from dar_bench.evaluators.adm_process import GraphProcess
from dar_bench.features.cards import INCEPTION

# A child without TensorFlow: features are the first values of every image.
ECHO = """
import sys, os, struct, time
import numpy as np
out = os.fdopen(1, "wb"); out.write(b"\\x02"); out.flush()
while header := sys.stdin.buffer.read(24):
    n, h, w = struct.unpack("<3q", header)
    images = np.frombuffer(sys.stdin.buffer.read(n * h * w * 3), np.uint8).reshape(n, -1)
    ANSWER
    out.flush()
"""
GOOD = """out.write(b"\\x01")
    for width in (2048, 2023, 1008):
        out.write(np.repeat(images[:, :1], width, axis=1).astype("<f4").tobytes())"""
REFUSING = """out.write(b"\\x00" + struct.pack("<q", 4) + b"no!!")"""
DYING = """sys.stderr.write("out of memory\\\\n"); sys.stderr.flush(); os.kill(os.getpid(), 9)"""
SILENT = "time.sleep(600)"
HALF = """out.write(b"\\x01" + b"abc"); out.flush(); sys.exit(3)"""

IMAGES = np.arange(130, dtype=np.uint8)[:, None, None, None].repeat(2, 1).repeat(2, 2).repeat(3, 3)


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], GraphProcess]:
    def make(answer: str) -> GraphProcess:
        script = tmp_path / "child.py"
        script.write_text(ECHO.replace("ANSWER", answer))
        monkeypatch.setattr(adm_process, "WORKER", (sys.executable, str(script)))
        return GraphProcess(tmp_path / "graph.pb")

    return make


def is_gone(pid: int) -> bool:
    """A zombie would still be there to be signalled."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_images_go_in_batches_and_come_back_in_order(child: Callable[[str], GraphProcess]) -> None:
    process = child(GOOD)
    pool, spatial, probabilities = process.run(IMAGES)
    assert (pool.shape, spatial.shape, probabilities.shape) == ((130, 2048), (130, 2023), (130, 1008))
    assert pool[:, 5].tolist() == spatial[:, 0].tolist() == list(range(130))
    pid = process._child.pid  # type: ignore[union-attr]
    process.run(IMAGES[:1])
    assert process._child.pid == pid and not is_gone(pid)  # type: ignore[union-attr]
    process.close()
    assert is_gone(pid)
    process.close()


def test_a_dead_child_is_told_with_its_last_words(child: Callable[[str], GraphProcess]) -> None:
    process = child(DYING)
    with pytest.raises(UserError, match="ended by signal 9.*out of memory.*native"):
        process.run(IMAGES)
    with pytest.raises(UserError, match="ended with status 3"):
        child(HALF).run(IMAGES)
    # The next images start another one.
    assert process._child is None


def test_what_tensorflow_refuses_is_told(child: Callable[[str], GraphProcess]) -> None:
    with pytest.raises(UserError, match="TensorFlow refused the images. no!!"):
        child(REFUSING).run(IMAGES)


def test_a_silent_child_is_given_up_and_ended(
    child: Callable[[str], GraphProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adm_process, "BATCH_TIMEOUT_S", 0.2)
    process = child(SILENT)
    started: list[int] = []
    real = process._started
    monkeypatch.setattr(process, "_started", lambda: (c := real(), started.append(c.pid))[0])
    with pytest.raises(UserError, match="TensorFlow does not answer"):
        process.run(IMAGES[:1])
    assert started and is_gone(started[0])


def test_ctrl_c_ends_the_child(child: Callable[[str], GraphProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    process = child(SILENT)
    pid = process._started().pid
    real = process._read

    def interrupted(count: int, deadline: float) -> bytes:
        signal.raise_signal(signal.SIGINT)
        return real(count, deadline)

    monkeypatch.setattr(process, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.run(IMAGES[:1])
    assert is_gone(pid)


def test_an_evaluator_that_is_forgotten_takes_its_child_along(child: Callable[[str], GraphProcess]) -> None:
    process = child(GOOD)
    process.run(IMAGES[:1])
    pid = process._child.pid  # type: ignore[union-attr]
    del process
    assert is_gone(pid)


def test_missing_parts_say_how_to_get_them(inception_files, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="weights fetch inception-2015-12-05"):
        AdmEvaluator()
    weights.import_file(INCEPTION, inception_files.pth, trust=True)
    with pytest.raises(UserError, match="needs the TensorFlow graph.*serves the evaluator 'native' alone"):
        AdmEvaluator()
    weights.import_file(INCEPTION, inception_files.pb, trust=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tensorflow.*pip install 'dar-bench\[adm\]'"):
        AdmEvaluator()
