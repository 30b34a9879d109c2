"""Read a frozen graph: its nodes, their attributes, and the tensors of its constants."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dar_bench.errors import UserError

Array = npt.NDArray[Any]

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5

# DataType in types.proto, for the types that constants of such networks have.
_DTYPES: dict[int, str] = {1: "<f4", 2: "<f8", 3: "<i4", 4: "|u1", 9: "<i8", 10: "|b1", 19: "<f2"}
# Field of TensorProto that holds the values of a dtype where they are listed one by one.
_VALUE_FIELDS = {1: 5, 2: 6, 3: 7, 4: 7, 9: 10, 10: 11}


class _Malformed(Exception):
    """The bytes are no protocol buffer of this shape."""


@dataclass(frozen=True)
class Node:
    """One operation of a graph.

    Attributes:
        name: unique in the graph.
        op: the kind of operation (``Conv2D``, ``Const``).
        inputs: names of the nodes it reads; ``^name`` only orders, ``name:1`` is a second output.
        attributes: by name: bool, int, float, bytes, list of those, or a NumPy array for tensors. Types and
            shapes are left out.
    """

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A graph as it is in its file.

    Attributes:
        nodes: by name, in the order of the file.
        producer: version of the format that wrote it; some operations exist below a version only.
    """

    nodes: dict[str, Node]
    producer: int

    def constant(self, name: str) -> Array | None:
        """Return the value of a constant, or ``None`` where there is no such constant."""
        node = self.nodes.get(name)
        value = node.attributes.get("value") if node and node.op == "Const" else None
        return value if isinstance(value, np.ndarray) else None


def looks_like_graph(start: bytes) -> bool:
    """Tell whether a file that begins with ``start`` (64 bytes) can be a graph: it opens with a named node."""
    try:
        number, wire, position = _tag(memoryview(start), 0)
        _, position = _varint(memoryview(start), position)
        inner, inner_wire, position = _tag(memoryview(start), position)
        length, position = _varint(memoryview(start), position)
    except _Malformed:
        return False
    text = start[position : position + length]
    return (number, wire, inner, inner_wire) == (1, _LENGTH, 1, _LENGTH) and text.isascii() and bool(text)


def read_graph(path: Path) -> Graph:
    """Read a graph file; about 0.1 s for 100 MB.

    Raises:
        UserError: no such file, or not a graph, or cut.
    """
    if not path.is_file():
        raise UserError(f"There is no file '{path}'.", hint="Give the path of a .pb file.")
    data = memoryview(path.read_bytes())
    try:
        return _graph(data)
    except (_Malformed, UnicodeDecodeError, ValueError, struct.error) as error:
        raise UserError(
            f"'{path}' is not a TensorFlow graph, or it is cut ({len(data):,} bytes).",
            why=f"The reader says: {error}.",
            hint="Download or copy it again.",
        ) from error


def _graph(data: memoryview) -> Graph:
    nodes: dict[str, Node] = {}
    producer = 0
    for number, value in _fields(data):
        if number == 1:
            node = _node(_bytes(value))
            nodes[node.name] = node
        elif number == 4:
            producer = next((int(v) for n, v in _fields(_bytes(value)) if n == 1), 0)
        elif number == 3 and isinstance(value, int):
            producer = producer or value
    if not nodes:
        raise _Malformed("it has no node")
    return Graph(nodes=nodes, producer=producer)


def _node(data: memoryview) -> Node:
    name = op = ""
    inputs: list[str] = []
    attributes: dict[str, Any] = {}
    for number, value in _fields(data):
        if number == 1:
            name = str(_bytes(value), "utf-8")
        elif number == 2:
            op = str(_bytes(value), "utf-8")
        elif number == 3:
            inputs.append(str(_bytes(value), "utf-8"))
        elif number == 5:
            entry = dict(_fields(_bytes(value)))
            attributes[str(_bytes(entry.get(1, memoryview(b""))), "utf-8")] = _attribute(
                _bytes(entry.get(2, memoryview(b"")))
            )
    return Node(name, op, tuple(inputs), attributes)


def _attribute(data: memoryview) -> Any:
    """Return an AttrValue; the types and shapes among them as ``None``."""
    for number, value in _fields(data):
        if number == 1:
            return _list(_bytes(value))
        if number == 2:
            return bytes(_bytes(value))
        if number == 3:
            return _signed(value)
        if number == 4:
            return struct.unpack("<f", _bytes(value))[0]
        if number == 5:
            return bool(value)
        if number == 8:
            return _tensor(_bytes(value))
    return None


def _list(data: memoryview) -> list[Any]:
    found: list[Any] = []
    for number, value in _fields(data):
        if number == 2:
            found.append(bytes(_bytes(value)))
        elif number == 3:
            found += [_signed(v) for v in _varints(value)]
        elif number == 4:
            found += np.frombuffer(_bytes(value), "<f4").tolist()
    return found


def _tensor(data: memoryview) -> Array | None:
    """Return a TensorProto as an array; ``None`` for types that are not numbers."""
    dtype, content = 0, memoryview(b"")
    shape: tuple[int, ...] = ()
    listed: dict[int, list[Any]] = {}
    for number, value in _fields(data):
        if number == 1:
            dtype = int(value)
        elif number == 2:
            shape = _shape(_bytes(value))
        elif number == 4:
            content = _bytes(value)
        else:
            listed.setdefault(number, []).append(value)
    if dtype not in _DTYPES:
        return None
    count = int(np.prod(shape, dtype=np.int64))
    if len(content):
        values = np.frombuffer(content, _DTYPES[dtype])
    else:
        values = _listed(dtype, listed.get(_VALUE_FIELDS.get(dtype, -1), []))
        # Values that repeat at the end are written once.
        values = np.concatenate([values, np.repeat(values[-1:], max(0, count - len(values)))])
    if len(values) != count:
        raise _Malformed(f"a tensor of shape {shape} holds {len(values)} values")
    return values.reshape(shape)


def _listed(dtype: int, parts: list[Any]) -> Array:
    kind = np.dtype(_DTYPES[dtype])
    if kind.kind == "f":
        return np.frombuffer(b"".join(bytes(_bytes(part)) for part in parts), kind)
    return np.array([_signed(v) for part in parts for v in _varints(part)], dtype=kind)


def _shape(data: memoryview) -> tuple[int, ...]:
    sizes = []
    for number, value in _fields(data):
        if number == 2:
            sizes.append(next((_signed(v) for n, v in _fields(_bytes(value)) if n == 1), 0))
    if any(size < 0 for size in sizes):
        raise _Malformed("a constant has an unknown size")
    return tuple(sizes)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value): an integer for varints, the bytes for all others."""
    position = 0
    while position < len(data):
        number, wire, position = _tag(data, position)
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == _LENGTH:
            size, position = _varint(data, position)
        elif wire in (_FOUR_BYTES, _EIGHT_BYTES):
            size = 4 if wire == _FOUR_BYTES else 8
        else:
            raise _Malformed(f"unknown kind of field {wire}")
        if position + size > len(data):
            raise _Malformed(f"{position + size - len(data):,} bytes are missing")
        yield number, data[position : position + size]
        position += size


def _tag(data: memoryview, position: int) -> tuple[int, int, int]:
    value, position = _varint(data, position)
    return value >> 3, value & 7, position


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
    raise _Malformed("it ends inside a number")


def _varints(value: int | memoryview) -> list[int]:
    """Return repeated integers, written one by one or packed."""
    if isinstance(value, int):
        return [value]
    found, position = [], 0
    while position < len(value):
        number, position = _varint(value, position)
        found.append(number)
    return found


def _signed(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise _Malformed("a number was expected")
    return value - (1 << 64) if value >= 1 << 63 else value


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _Malformed("bytes were expected")
    return value
