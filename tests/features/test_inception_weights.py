"""The weights of the Inception network out of both published forms, and files that only look like it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dar_bench.errors import UserError
from dar_bench.features.inception_weights import read_weights, state_of_graph
from dar_bench.graphdef.reading import Graph, Node, read_graph
from dar_bench.nn.inception_graph import layout


@pytest.fixture(scope="module")
def graph(inception_files) -> Graph:
    return read_graph(inception_files.pb)


def changed(graph: Graph, name: str, node: Node | None) -> Graph:
    nodes = dict(graph.nodes)
    if node is None:
        del nodes[name]
    else:
        nodes[name] = node
    return Graph(nodes=nodes, producer=graph.producer)


def test_both_forms_hold_the_same_weights(inception_files) -> None:
    from_graph, from_torch = read_weights(inception_files.pb), read_weights(inception_files.pth)
    assert list(from_graph) == list(from_torch) == list(layout())
    assert all(torch.equal(from_graph[name], from_torch[name]) for name in from_graph)
    # Of the published torch file 95,628,359 bytes are known, of which all but the names are these numbers.
    numbers = sum(4 * value.numel() for value in from_torch.values())
    assert 95_628_359 - 200_000 < numbers < 95_628_359


def test_training_counters_are_dropped(inception_files, tmp_path: Path) -> None:
    state = torch.load(inception_files.pth, weights_only=True, mmap=True)
    state["Conv2d_1a_3x3.bn.num_batches_tracked"] = torch.tensor(3)
    torch.save(state, tmp_path / "tracked.pth")
    assert list(read_weights(tmp_path / "tracked.pth")) == list(layout())


def test_a_scale_that_the_graph_does_not_use_is_one(graph: Graph) -> None:
    norm = graph.nodes["mixed/conv/batchnorm"]
    assert norm.attributes["scale_after_normalization"] is True
    unscaled = Node(norm.name, norm.op, norm.inputs, {**norm.attributes, "scale_after_normalization": False})
    before = state_of_graph(graph, Path("g.pb"))
    after = state_of_graph(changed(graph, norm.name, unscaled), Path("g.pb"))
    name = "Mixed_5b.branch1x1.bn.weight"
    assert not torch.equal(before[name], torch.ones(64)) and torch.equal(after.pop(name), torch.ones(64))
    assert all(torch.equal(before[key], value) for key, value in after.items())


def test_a_graph_of_another_network_is_named_and_its_difference_too(graph: Graph) -> None:
    def attributes(name: str, **values: object) -> Node:
        node = graph.nodes[name]
        return Node(node.name, node.op, node.inputs, {**node.attributes, **values})

    pool = graph.nodes["mixed_10/tower_2/pool"]
    cases = {
        "no node 'mixed_6/conv'": ("mixed_6/conv", None),
        "no constant 'conv_1/conv2d_params'": ("conv_1/conv2d_params", None),
        r"'softmax/weights' has shape \(2, 2\)": (
            "softmax/weights",
            attributes("softmax/weights", value=np.zeros((2, 2), np.float32)),
        ),
        "resizes with half_pixel_centers": (
            "ResizeBilinear",
            attributes("ResizeBilinear", half_pixel_centers=True),
        ),
        "'Sub/y' is 127.5": ("Sub/y", attributes("Sub/y", value=np.array(127.5, np.float32))),
        "AvgPool instead of a MaxPool": (
            pool.name,
            Node(pool.name, "AvgPool", pool.inputs, pool.attributes),
        ),
        "strides": ("conv/Conv2D", attributes("conv/Conv2D", strides=[1, 1, 1, 1])),
        "pads with b'SAME'": ("conv/Conv2D", attributes("conv/Conv2D", padding=b"SAME")),
        "epsilon": ("conv/batchnorm", attributes("conv/batchnorm", variance_epsilon=1e-5)),
    }
    for message, (name, node) in cases.items():
        with pytest.raises(UserError, match=message) as caught:
            state_of_graph(changed(graph, name, node), Path("g.pb"))
        assert "'g.pb' is not the 2015-12-05 Inception network" in str(caught.value)


def test_a_cut_graph_and_foreign_files(inception_files, tmp_path: Path) -> None:
    with inception_files.pb.open("rb") as stream:
        (tmp_path / "cut.pb").write_bytes(stream.read(1_000_000))
    with pytest.raises(UserError, match="cut .1,000,000 bytes.*bytes are missing"):
        read_weights(tmp_path / "cut.pb")
    (tmp_path / "page.pb").write_text("<html>")
    with pytest.raises(UserError, match="It is a web page"):
        read_weights(tmp_path / "page.pb")
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="does not hold the weights of 'inception-2015-12-05'"):
        read_weights(tmp_path / "other.pth")
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(UserError, match="holds a list"):
        read_weights(tmp_path / "list.pth")
    with pytest.raises(UserError, match="There is no file"):
        read_weights(tmp_path / "nowhere.pb")
