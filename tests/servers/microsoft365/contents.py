"""Bytes of files, made from a seed when they are asked for, and the vendor's hash of them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from random import Random

_RING = 160
_SHIFT = 11


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes: given ones, or `size` bytes that follow from `seed`."""

    given: bytes | None = None
    seed: int = 0
    length: int = 0

    @property
    def size(self) -> int:
        return self.length if self.given is None else len(self.given)

    def data(self) -> bytes:
        return Random(self.seed).randbytes(self.length) if self.given is None else self.given

    def hash(self) -> str:
        return quick_xor(self.data())


def quick_xor(data: bytes) -> str:
    """Return the quickXorHash: byte i is XORed into a ring of 160 bits at bit 11·i, the length into its last 64.

    Every 160 bytes the places repeat, so blocks of 160 bytes are XORed into one first.
    """
    block = 0
    for start in range(0, len(data), _RING):
        block ^= int.from_bytes(data[start : start + _RING], "little")
    ring = 0
    for index, byte in enumerate(block.to_bytes(_RING, "little")):
        if byte:
            ring ^= byte << (_SHIFT * index % _RING)
    ring = (ring & ((1 << _RING) - 1)) ^ (ring >> _RING)  # what went over the end goes on at the start
    return base64.b64encode((ring ^ (len(data) << 96)).to_bytes(20, "little")).decode()
