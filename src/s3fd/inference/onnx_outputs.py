"""Cut an ONNX model down to some of its outputs, without the operations that only the others need.

ONNX Runtime runs every operation of a model, whichever outputs are requested. So a model is cut down before
it is opened. For that, this module understands only the encoding of protobuf messages
(https://protobuf.dev/programming-guides/encoding) and the few fields of ``onnx.proto`` that are named below.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

GRAPH = 7
"""Field of a model that holds its graph."""

NODE, OUTPUT = 1, 12
"""Fields of a graph: its operations, each after those whose values it takes, and its outputs."""

NODE_INPUT, NODE_OUTPUT, OP_TYPE, ATTRIBUTE = 1, 2, 4, 5
"""Fields of an operation."""

VALUE_NAME = 1
"""Field of a graph's input or output that holds its name."""

SUBGRAPHS = (6, 11)
"""Fields of an operation's attribute that hold graphs."""

WITH_SUBGRAPHS = (b"If", b"Loop", b"Scan", b"SequenceMap")
"""Operations that have such attributes."""

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
"""Wire types: how the value of a field is encoded."""


class Field(NamedTuple):
    """A field of a message: its number, the bytes of its value, and the bytes of the whole field."""

    number: int
    value: memoryview
    whole: memoryview


def keep(model: bytes, outputs: Collection[str]) -> bytes:
    """Cut a model down to these outputs and the operations that they are computed from.

    Weights stay, whether used or not: ONNX Runtime drops unused ones.

    Raises:
        ValueError: `model` is not an ONNX model, or lacks one of the outputs.
    """
    wanted = {name.encode() for name in outputs}
    parts: list[bytes | memoryview] = []
    for field in _fields(memoryview(model)):
        if field.number == GRAPH:
            graph = _cut(field.value, wanted)
            parts += [_varint(GRAPH << 3 | BYTES), _varint(len(graph)), graph]
            wanted = set()
        else:
            parts.append(field.whole)
    if wanted:
        raise ValueError("a protobuf message, but not an ONNX model")
    return b"".join(parts)


def _cut(graph: memoryview, wanted: set[bytes]) -> bytes:
    """Bytes of a graph with only the `wanted` outputs and the operations that these need."""
    fields = list(_fields(graph))
    dropped = set()
    missing = set(wanted)
    for i, field in enumerate(fields):
        if field.number == OUTPUT:
            name = next(
                (bytes(part.value) for part in _fields(field.value) if part.number == VALUE_NAME), b""
            )
            if name not in wanted:
                dropped.add(i)
            missing.discard(name)
    if missing:
        raise ValueError(f"the model has no output {b', '.join(sorted(missing)).decode()}")
    needed = set(wanted)
    for i in reversed(range(len(fields))):
        if fields[i].number == NODE:
            parts = list(_fields(fields[i].value))
            if needed.isdisjoint(bytes(part.value) for part in parts if part.number == NODE_OUTPUT):
                dropped.add(i)
            else:
                needed.update(_inputs(parts))
    return b"".join(field.whole for i, field in enumerate(fields) if i not in dropped)


def _inputs(node: list[Field]) -> Iterator[bytes]:
    """Names of the values that an operation takes, including those taken in its subgraphs."""
    nested = any(part.number == OP_TYPE and bytes(part.value) in WITH_SUBGRAPHS for part in node)
    for part in node:
        if part.number == NODE_INPUT:
            yield bytes(part.value)
        elif part.number == ATTRIBUTE and nested:
            for graph in _fields(part.value):
                if graph.number in SUBGRAPHS:
                    yield from _values(graph.value)


def _values(graph: memoryview) -> Iterator[bytes]:
    """Names of the values that an operation's subgraph takes or returns."""
    for field in _fields(graph):
        if field.number == NODE:
            yield from _inputs(list(_fields(field.value)))
        elif field.number == OUTPUT:
            yield from (bytes(part.value) for part in _fields(field.value) if part.number == VALUE_NAME)


def _fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message, in order; raises ValueError if it is not a message."""
    start = 0
    while start < len(message):
        tag, at = _read_varint(message, start)
        kind = tag & 7
        if kind == BYTES:
            size, at = _read_varint(message, at)
            end = at + size
        elif kind == VARINT:
            _, end = _read_varint(message, at)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            end = at + (8 if kind == EIGHT_BYTES else 4)
        else:
            raise ValueError("not a protobuf message")
        if end > len(message):
            raise ValueError("a truncated protobuf message")
        yield Field(tag >> 3, message[at:end], message[start:end])
        start = end


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at `at`, seven bits per byte, lowest first, and the position after it."""
    value = shift = 0
    for i in range(at, len(message)):
        byte = message[i]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, i + 1
        shift += 7
    raise ValueError("a truncated protobuf message")


def _varint(value: int) -> bytes:
    """Encode a number as `_read_varint` reads it."""
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
