"""One uint8 field of a struct in a MATLAB file, read without trust in the bytes.

"MAT-File Format", The MathWorks, level 5: a head of 128 bytes, then elements, each a tag (type and number of
bytes) and its data, padded to 8 bytes; matrices hold elements in turn. `scipy.io.loadmat` reads all of it,
but in compiled code that crashes on one changed byte in some twenty; here every length is checked, and what
is not asked for is stepped over.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

MAX_MATRIX_BYTES = 20_000_000
"""Largest variable that is decompressed."""

_HEAD = 128
_INT8, _UINT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 2, 5, 6, 14, 15  # types of elements
_STRUCT, _UINT8_ARRAY = 2, 9  # classes of matrices


class MatlabError(ValueError):
    """The bytes are no MATLAB file of level 5, or do not hold what is asked for."""


class _Matrix(NamedTuple):
    """The class of a matrix, its dimensions and name, and the elements that follow."""

    kind: int
    shape: tuple[int, ...]
    name: str
    parts: Iterator[tuple[int, memoryview]]


def read_uint8_field(content: bytes, variable: str, field: str) -> np.ndarray:
    """Return a field of a variable that is a single struct, uint8 of any shape.

    Raises MatlabError where the bytes are damaged, or variable or field are missing or of another form.
    """
    if len(content) < _HEAD or content[124:128] not in (b"\x00\x01IM", b"\x01\x00MI"):
        raise MatlabError("not a MATLAB file of level 5")
    order = "<" if content[126:128] == b"IM" else ">"
    for kind, data in _elements(memoryview(content)[_HEAD:], order):
        if kind == _COMPRESSED:
            kind, data = next(_elements(_decompress(data), order), (0, data))
        if kind == _MATRIX:
            matrix = _matrix(data, order)
            if matrix.name == variable:
                return _uint8_array(_field(matrix, field, order), field)
    raise MatlabError(f"no variable {variable}")


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield the type and the data of each element in turn. Raises MatlabError where they are cut off."""
    position = 0
    while position < len(data):
        if len(data) - position < 8:
            raise MatlabError("cut off within a tag")
        kind, size = struct.unpack_from(f"{order}II", data, position)
        start, following = position + 8, position + 8 + size
        if kind >> 16:  # up to four bytes of data lie in the tag itself
            kind, size, start, following = kind & 0xFFFF, kind >> 16, position + 4, position + 8
        if start + size > min(len(data), following):
            raise MatlabError("cut off within an element")
        yield kind, data[start : start + size]
        position = following if kind == _COMPRESSED else -(-following // 8) * 8


def _decompress(data: memoryview) -> memoryview:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(data, MAX_MATRIX_BYTES)
    except zlib.error as error:
        raise MatlabError(f"damaged compression: {error}") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise MatlabError(f"compressed data are cut off, or of more than {MAX_MATRIX_BYTES:,} bytes")
    return memoryview(content)


def _take(parts: Iterator[tuple[int, memoryview]], kind: int) -> memoryview:
    """Return the next element's data. Raises MatlabError where it is missing or of another type."""
    found, data = next(parts, (0, memoryview(b"")))
    if found != kind:
        raise MatlabError(f"an element of type {found}, where type {kind} is expected")
    return data


def _matrix(data: memoryview, order: str) -> _Matrix:
    parts = _elements(data, order)
    flags, dimensions = _take(parts, _UINT32), _take(parts, _INT32)
    if len(flags) != 8 or len(dimensions) % 4:
        raise MatlabError("a matrix with malformed flags or dimensions")
    kind = struct.unpack_from(f"{order}I", flags)[0] & 0xFF
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    return _Matrix(kind, shape, bytes(_take(parts, _INT8)).decode("latin-1"), parts)


def _field(matrix: _Matrix, field: str, order: str) -> _Matrix:
    """Return a field's matrix of a struct of one element."""
    if matrix.kind != _STRUCT or math.prod(matrix.shape) != 1:
        raise MatlabError(f"{matrix.name} is not a single struct")
    length = _take(matrix.parts, _INT32)
    if len(length) != 4:
        raise MatlabError("a struct with malformed field names")
    step = max(1, struct.unpack(f"{order}i", length)[0])
    text = bytes(_take(matrix.parts, _INT8)).decode("latin-1")
    names = [text[start : start + step].split("\0")[0] for start in range(0, len(text), step)]
    if field not in names:
        raise MatlabError(f"{matrix.name} has no field {field}")
    for _ in range(names.index(field)):
        _take(matrix.parts, _MATRIX)
    return _matrix(_take(matrix.parts, _MATRIX), order)


def _uint8_array(matrix: _Matrix, field: str) -> np.ndarray:
    """Return a matrix's values; MATLAB stores them column by column."""
    if matrix.kind != _UINT8_ARRAY:
        raise MatlabError(f"{field} is not an array of uint8")
    data = _take(matrix.parts, _UINT8)
    if min(matrix.shape, default=-1) < 0 or math.prod(matrix.shape) != len(data):
        raise MatlabError(f"{field}: {len(data)} values for the dimensions {matrix.shape}")
    return np.frombuffer(data, np.uint8).reshape(matrix.shape, order="F").copy(order="C")
