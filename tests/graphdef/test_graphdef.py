"""Graph files against TensorFlow's own reader and writer."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dar_bench.errors import UserError
from dar_bench.graphdef.reading import looks_like_graph, read_graph
from dar_bench.graphdef.writing import FLOAT, DType, GraphWriter

# TensorFlow in a process of its own: loading it beside torch can crash.
WRITE = """
import sys, numpy as np, tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.framework.tensor_pb2 import TensorProto
g = GraphDef(); g.versions.producer = 7
n = g.node.add(name="packed", op="Const"); n.attr["dtype"].type = 1
n.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.arange(6, dtype=np.float32).reshape(2, 3)))
n = g.node.add(name="listed", op="Const")
n.attr["value"].tensor.CopyFrom(TensorProto(dtype=1, float_val=[1.5, -2.0, 3.25]))
n.attr["value"].tensor.tensor_shape.dim.add(size=5)
n = g.node.add(name="ints", op="Const")
n.attr["value"].tensor.CopyFrom(TensorProto(dtype=9, int64_val=[-3, 4]))
n.attr["value"].tensor.tensor_shape.dim.add(size=2)
n = g.node.add(name="text", op="Const")
n.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("words"))
n = g.node.add(name="conv", op="Conv2D", input=["packed:0", "^ints"])
n.attr["strides"].list.i.extend([1, 2, 2, 1]); n.attr["padding"].s = b"VALID"
n.attr["epsilon"].f = 0.25; n.attr["flag"].b = True; n.attr["axis"].i = -1; n.attr["T"].type = 1
open(sys.argv[1], "wb").write(g.SerializeToString())
"""

READ = """
import sys, json, tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef
g = GraphDef(); g.ParseFromString(open(sys.argv[1], "rb").read())
c, n = g.node
print(json.dumps([g.versions.producer, c.name, tf.make_ndarray(c.attr["value"].tensor).tolist(), c.attr["dtype"].type,
  n.op, list(n.input), list(n.attr["strides"].list.i), n.attr["padding"].s.decode(), n.attr["epsilon"].f,
  n.attr["flag"].b, n.attr["axis"].i, n.attr["T"].type]))
"""


def tensorflow(program: str, path: Path) -> str:
    ran = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_reads_what_tensorflow_writes(tmp_path: Path) -> None:
    tensorflow(WRITE, tmp_path / "g.pb")
    graph = read_graph(tmp_path / "g.pb")
    assert graph.producer == 7
    packed, listed, ints = (graph.constant(name) for name in ("packed", "listed", "ints"))
    assert packed is not None and packed.dtype == np.float32 and packed.tolist() == [[0, 1, 2], [3, 4, 5]]
    # The last value stands for all that follow.
    assert listed is not None and listed.tolist() == [1.5, -2.0, 3.25, 3.25, 3.25]
    assert ints is not None and ints.tolist() == [-3, 4]
    assert graph.constant("text") is None and graph.constant("conv") is None
    node = graph.nodes["conv"]
    assert (node.op, node.inputs) == ("Conv2D", ("packed:0", "^ints"))
    assert node.attributes == {
        "strides": [1, 2, 2, 1],
        "padding": b"VALID",
        "epsilon": 0.25,
        "flag": True,
        "axis": -1,
        "T": None,
    }


def test_tensorflow_reads_what_is_written(tmp_path: Path) -> None:
    with (tmp_path / "g.pb").open("wb") as stream:
        writer = GraphWriter(stream, producer=8)
        writer.constant("c", [[1.0, 2.0]])
        writer.node(
            "n",
            "Conv2D",
            ["c", "^c"],
            strides=[1, 300, 2, 1],
            padding=b"SAME",
            epsilon=0.5,
            flag=True,
            axis=-1,
            T=DType(FLOAT),
        )
        writer.finish()
    told = json.loads(tensorflow(READ, tmp_path / "g.pb"))
    assert told == [8, "c", [[1.0, 2.0]], 1, "Conv2D", ["c", "^c"], [1, 300, 2, 1], "SAME", 0.5, True, -1, 1]


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    stream = io.BytesIO()
    writer = GraphWriter(stream, producer=8)
    writer.constant("c", np.arange(4.0))
    whole = stream.getvalue()
    assert looks_like_graph(whole)
    for length in range(len(whole)):
        (tmp_path / "cut.pb").write_bytes(whole[:length])
        with pytest.raises(UserError, match=f"not a TensorFlow graph, or it is cut .{length} bytes"):
            read_graph(tmp_path / "cut.pb")


def test_other_files_do_not_look_like_graphs() -> None:
    for start in (b"", b"<html>", b"PK\x03\x04", b"\x80\x02}q", b"\x0a", b"\x0a\x05\x0a\x03\xff\xfe\xfd"):
        assert not looks_like_graph(start), start
