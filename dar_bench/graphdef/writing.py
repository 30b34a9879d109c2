"""Write a frozen graph: nodes with their attributes and constants."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

FLOAT, INT32, STRING = 1, 3, 7
"""``DataType`` in types.proto."""


@dataclass(frozen=True)
class DType:
    """An attribute that is a type, by its number in types.proto."""

    number: int


class GraphWriter:
    """Writes nodes to a stream as they come, so that a graph needs no second copy in memory.

    Args:
        stream: open for writing bytes.
        producer: version of the format to declare; an operation that was removed in version v needs a lower one.
    """

    def __init__(self, stream: BinaryIO, *, producer: int):
        self._stream = stream
        self._producer = producer

    def finish(self) -> None:
        """Write what follows the nodes."""
        self._stream.write(_message(4, _varint_field(1, self._producer)))

    def node(self, name: str, op: str, inputs: Sequence[str] = (), **attributes: Any) -> str:
        """Write a node and return its name; attributes are bool, int, float, bytes, lists, arrays or ``DType``."""
        parts = [_message(1, name.encode()), _message(2, op.encode())]
        parts += [_message(3, source.encode()) for source in inputs]
        parts += [_message(5, _entry(key, value)) for key, value in attributes.items()]
        self._stream.write(_message(1, b"".join(parts)))
        return name

    def constant(self, name: str, value: Any, dtype: str = "<f4") -> str:
        """Write a constant of numbers and return its name."""
        array = np.asarray(value, dtype=dtype)
        kind = DType(INT32 if array.dtype.kind == "i" else FLOAT)
        return self.node(name, "Const", value=array, dtype=kind)


def _entry(key: str, value: Any) -> bytes:
    return _message(1, key.encode()) + _message(2, b"".join(_attribute(value)))


def _attribute(value: Any) -> Iterator[bytes]:
    match value:
        case DType():
            yield _varint_field(6, value.number)
        case bool():
            yield _varint_field(5, int(value))
        case int():
            yield _varint_field(3, value)
        case float():
            yield _varint(4 << 3 | 5) + struct.pack("<f", value)
        case bytes():
            yield _message(2, value)
        case np.ndarray():
            yield _message(8, _tensor(value))
        case list():
            yield _message(1, _message(3, b"".join(_varint(item) for item in value)))
        case _:
            raise TypeError(f"no attribute can hold {value!r}")


def _tensor(array: np.ndarray[Any, Any]) -> bytes:
    sizes = b"".join(_message(2, _varint_field(1, size)) for size in array.shape)
    kind = INT32 if array.dtype.kind == "i" else FLOAT
    content = np.ascontiguousarray(array).tobytes()
    return _varint_field(1, kind) + _message(2, sizes) + _message(4, content)


def _message(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
