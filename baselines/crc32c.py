"""The Castagnoli checksum, fast enough in NumPy for some megabytes.

A checksum is linear over GF(2): the data are cut into lanes of equal length, all lanes advance
together, and each lane's result is moved past the lanes behind it by a 32 x 32 bit matrix.
"""

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78  # bits reversed
_LANES = 1024


@functools.cache
def _table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


def crc32c(data: bytes) -> int:
    """CRC-32C of the bytes (check value of b"123456789": 0xE3069283)."""
    values = np.frombuffer(data, np.uint8)
    length = len(values) // _LANES
    state = 0xFFFFFFFF
    if length:
        lanes = values[: length * _LANES].reshape(_LANES, length)
        partial = _advance(np.zeros(_LANES, np.uint32), lanes.T)
        columns = _zeros_matrix(length)
        for lane in partial.tolist():
            state = _times(columns, state) ^ lane
    rest = values[length * _LANES :, None]
    (state,) = _advance(np.array([state], np.uint32), rest).tolist()
    return state ^ 0xFFFFFFFF


def _advance(state: np.ndarray, steps: np.ndarray) -> np.ndarray:
    table = _table()
    for byte in steps:
        state = table[(state ^ byte) & 0xFF] ^ (state >> np.uint32(8))
    return state


def _zeros_matrix(length: int) -> list[int]:
    """Columns of the matrix that moves a state past `length` zero bytes."""
    units = np.uint32(1) << np.arange(32, dtype=np.uint32)
    one = _advance(units, np.zeros((1, 1), np.uint8)).tolist()
    result, square = units.tolist(), one
    while length:
        if length & 1:
            result = [_times(square, column) for column in result]
        square = [_times(square, column) for column in square]
        length >>= 1
    return result


def _times(columns: list[int], state: int) -> int:
    result = 0
    for column in columns:
        if state & 1:
            result ^= column
        state >>= 1
    return result
