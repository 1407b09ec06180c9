"""Reads a TensorFlow checkpoint (`.index` and `.data-00000-of-00001`) without TensorFlow.

The index is a LevelDB table, uncompressed: its last 48 bytes name the index block, that names the
data blocks, and those map a tensor's name to a small protocol buffer with type, shape and place.
The data file holds the values as in memory, little-endian. The checksums of the format are not
compared: the SHA-256 of both files is known and checked before (see `weights`).

Source: tensorflow/core/util/tensor_bundle, tensorflow/core/lib/io/table_format.txt,
tensorflow/core/protobuf/tensor_bundle.proto.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from melodai.errors import DataError

_FOOTER_BYTES = 48
_MAGIC = 0xDB4775248B80FB57
_DTYPES = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8")}


class Entry(NamedTuple):
    """Where a tensor is in the data file."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


def read_index(index_file: Path) -> dict[str, Entry]:
    """All tensors of a checkpoint, by name.

    Raises:
        DataError: not such an index, or a damaged one.
    """
    table = index_file.read_bytes()
    try:
        return {key.decode(): _entry(value) for key, value in _rows(table) if key}
    except (IndexError, ValueError, struct.error) as error:
        raise DataError(f"{index_file} is not the index of a TensorFlow checkpoint: {error}") from (
            error
        )


def read_checkpoint(
    index_file: Path, data_file: Path, skip: str = "/Adam"
) -> dict[str, np.ndarray]:
    """Values of all tensors, except those with `skip` in their names.

    Raises:
        DataError: not such files, or damaged ones.
    """
    data = data_file.read_bytes()
    entries = read_index(index_file).items()
    return {name: _values(name, entry, data) for name, entry in entries if skip not in name}


def _values(name: str, entry: Entry, data: bytes) -> np.ndarray:
    raw = data[entry.offset : entry.offset + entry.size]
    dtype = _DTYPES.get(entry.dtype)
    if dtype is None or entry.shard != 0:
        raise DataError(f"tensor {name}: type {entry.dtype} in shard {entry.shard} cannot be read")
    if len(raw) != entry.size or entry.size != dtype.itemsize * int(np.prod(entry.shape)):
        raise DataError(f"tensor {name}: {len(raw)} bytes do not make shape {entry.shape}")
    return np.frombuffer(raw, dtype).reshape(entry.shape)


def _rows(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(table) < _FOOTER_BYTES or struct.unpack("<Q", table[-8:])[0] != _MAGIC:
        raise ValueError("the magic number at the end is missing")
    footer = memoryview(table)[-_FOOTER_BYTES:]
    _, position = _handle(footer, 0)  # of the meta-index, unused
    index_block, _ = _handle(footer, position)
    for _, place in _block_rows(table, index_block):
        yield from _block_rows(table, _handle(place, 0)[0])


def _block_rows(table: bytes, handle: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block. A key stores only what differs from the key before."""
    offset, size = handle
    block, compression = table[offset : offset + size], table[offset + size]
    if compression != 0:
        raise ValueError(f"compressed blocks (type {compression}) cannot be read")
    (num_restarts,) = struct.unpack("<I", block[-4:])
    end = size - 4 - 4 * num_restarts
    key, position = b"", 0
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length


def _handle(data: bytes | memoryview, position: int) -> tuple[tuple[int, int], int]:
    offset, position = _varint(data, position)
    size, position = _varint(data, position)
    return (offset, size), position


def _entry(message: bytes) -> Entry:
    """A BundleEntryProto: 1 type, 2 shape, 3 shard, 4 offset, 5 size."""
    fields = dict(_fields(message))
    shape = tuple(
        dict(_fields(dimension)).get(1, 0)
        for number, dimension in _fields(fields.get(2, b""))
        if number == 2
    )
    return Entry(fields.get(1, 0), shape, *(fields.get(number, 0) for number in (3, 4, 5)))


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a protocol buffer's fields."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, position = _varint(message, position)
        elif kind == 2:
            length, position = _varint(message, position)
            value, position = message[position : position + length], position + length
        elif kind == 5:
            (value,) = struct.unpack("<I", message[position : position + 4])
            position += 4
        else:
            raise ValueError(f"a field of wire type {kind}")
        yield number, value


def _varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
