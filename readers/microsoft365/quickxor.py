"""QuickXorHash, the checksum that OneDrive and SharePoint tell: it notices a change, and proves nothing.

It is no cryptographic hash (whoever wants to can make other bytes with the same one), so it
never stands for the content: that is the SHA-256 of the bytes received.
"""

from __future__ import annotations

import base64

_BITS = 160
_SHIFT = 11
_COLUMNS = 160  # after so many bytes the positions repeat
_MASK = (1 << _BITS) - 1


class QuickXor:
    """Takes bytes in pieces of any length."""

    def __init__(self) -> None:
        self._columns = 0  # bytes at the same position, of all rows, one upon the other
        self._length = 0

    def update(self, data: bytes) -> None:
        offset = self._length % _COLUMNS
        self._length += len(data)
        rows = int.from_bytes(b"\0" * offset + data, "little")
        width = -(-(offset + len(data)) // _COLUMNS)
        while width > 1:  # fold the rows, half of them at a time: large numbers are what Python is fast at
            half = (width + 1) // 2 * _COLUMNS * 8
            rows = (rows & ((1 << half) - 1)) ^ (rows >> half)
            width = (width + 1) // 2
        self._columns ^= rows

    def digest(self) -> bytes:
        """Return the 20 bytes."""
        ring = 0
        for position, byte in enumerate(self._columns.to_bytes(_COLUMNS, "little")):
            shift = _SHIFT * position % _BITS
            moved = byte << shift
            ring ^= (moved & _MASK) | (moved >> _BITS)
        return (ring ^ self._length << (_BITS - 64)).to_bytes(_BITS // 8, "little")

    def base64(self) -> str:
        return base64.b64encode(self.digest()).decode()
