"""Bytes of files, made from a seed when they are asked for, and the vendor's hash of them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from random import Random

_RING = 160
_SHIFT = 11
_MOST = 256  # bytes that the steps spread; a power of two
_WHOLE = (1 << _RING) - 1


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

    Every 160 bytes the places repeat, so blocks of 160 bytes are XORed into one first. That one is
    spread, so that byte i begins at bit 11·i, in eight steps: each moves the upper half of every group.
    """
    spread = 0
    for start in range(0, len(data), _RING):
        spread ^= int.from_bytes(data[start : start + _RING], "little")
    for half, lower, upper in _STEPS:
        spread = (spread & lower) | ((spread & upper) << (half * (_SHIFT - 8)))
    ring = 0
    while spread:
        ring ^= spread & _WHOLE
        spread >>= _RING
    return base64.b64encode((ring ^ (len(data) << 96)).to_bytes(20, "little")).decode()


def _step(half: int) -> tuple[int, int, int]:
    """Return masks of the lower and the upper halves of groups of `2 * half` bytes."""
    lower = 0
    for group in range(_MOST // (2 * half)):
        lower |= ((1 << (8 * half)) - 1) << (group * 2 * half * _SHIFT)
    return half, lower, lower << (8 * half)


_STEPS = [_step(2**power) for power in range(7, -1, -1)]
