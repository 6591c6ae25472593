"""The format of sealed contents: every byte of an object counts, and pieces are read by themselves."""

from __future__ import annotations

import random

import pytest
from cryptography.exceptions import InvalidTag

from data_platform.errors import BlobDamaged, SettingsError
from populate.store.sealing import (
    HEADER,
    SEGMENT,
    TAG,
    Header,
    MasterKey,
    Opening,
    Seal,
    master_keys,
    plain_size,
    sealed_size,
)

KEY = MasterKey(bytes(range(32)))
WHOLE = SEGMENT + TAG
SIZES = [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT - 1, 2 * SEGMENT, 3 * SEGMENT + 7]


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def sealed(plain: bytes, *, piece: int = SEGMENT // 3, size_known: bool = True) -> bytes:
    seal = Seal(KEY, len(plain) if size_known else None)
    pieces = [seal.sealed(plain[at : at + piece]) for at in range(0, len(plain), piece)]
    return b"".join([seal.header, *pieces, seal.last()])


def opened(
    stored: bytes, offset: int = 0, length: int | None = None, *, key: MasterKey = KEY, piece: int = 5000
) -> bytes:
    header = Header.of(stored[:HEADER])
    size = header.size if header.size is not None else plain_size(len(stored))
    if size is None:
        raise BlobDamaged
    opening = Opening(header, key, size)
    length = size - offset if length is None else length
    first, end = opening.span(offset, length)
    there = stored[first:end]
    pieces = (there[at : at + piece] for at in range(0, len(there), piece))
    return b"".join(opening.opened(pieces, offset, length))


@pytest.mark.parametrize("size_known", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_is_opened_and_its_size_is_known_beforehand(size: int, size_known: bool) -> None:
    plain = content(size)
    for piece in (1000, SEGMENT, 10 * SEGMENT):
        stored = sealed(plain, piece=piece, size_known=size_known)
        assert len(stored) == sealed_size(size)
        assert opened(stored) == plain
        assert opened(stored, piece=WHOLE) == plain
    assert size < 16 or plain[:16] not in stored


def test_sizes_are_functions_of_each_other() -> None:
    sizes = [n * SEGMENT + more for n in range(4) for more in range(-40, 41) if n * SEGMENT + more >= 0]
    assert [plain_size(sealed_size(size)) for size in sizes] == sizes
    possible = {sealed_size(size) for size in range(3 * WHOLE)}
    found = [stored for stored in range(HEADER + 2 * WHOLE + 99) if plain_size(stored) is not None]
    assert found == [stored for stored in range(HEADER + 2 * WHOLE + 99) if stored in possible]


@pytest.mark.parametrize("size", SIZES)
def test_a_piece_is_read_by_itself(size: int) -> None:
    plain, chance = content(size), random.Random(7)
    stored = sealed(plain)
    edges = [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, size - 1, size]
    places = [(at, n) for at in edges for n in (0, 1, SEGMENT, SEGMENT + 1, size) if 0 <= at <= at + n <= size]
    places += [(at, chance.randint(0, size - at)) for at in (chance.randint(0, size) for _ in range(20))]
    for offset, length in places:
        assert opened(stored, offset, length) == plain[offset : offset + length]


def test_no_two_objects_have_the_same_bytes() -> None:
    first, second = sealed(b"the same"), sealed(b"the same")
    assert first[HEADER:] != second[HEADER:]
    assert opened(first[:HEADER] + first[HEADER:]) == opened(second) == b"the same"
    with pytest.raises(InvalidTag):
        opened(first[:HEADER] + second[HEADER:])


@pytest.mark.parametrize("size", [0, 1, SEGMENT, 2 * SEGMENT + 100])
def test_every_flipped_bit_is_noticed(size: int) -> None:
    stored = sealed(content(size))
    places = [*range(HEADER + TAG), *random.Random(1).sample(range(len(stored)), 30), len(stored) - 1]
    for at in places:
        if at in range(8, 16):
            continue  # names another key, which whoever opens it looks up
        spoilt = bytearray(stored)
        spoilt[at % len(stored)] ^= 1 << (at % 8)
        with pytest.raises((InvalidTag, BlobDamaged)):
            opened(bytes(spoilt))


@pytest.mark.parametrize("size_known", [True, False])
@pytest.mark.parametrize("size", [0, 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 3 * SEGMENT + 5])
def test_what_was_cut_off_is_noticed(size: int, size_known: bool) -> None:
    stored = sealed(content(size), size_known=size_known)
    ends = {0, 8, HEADER, HEADER + TAG - 1, HEADER + WHOLE, HEADER + 2 * WHOLE, len(stored) - TAG, len(stored) - 1}
    for end in (end for end in ends if end < len(stored)):
        with pytest.raises((InvalidTag, BlobDamaged)):
            opened(stored[:end])


def test_segments_cannot_be_swapped_repeated_left_out_or_added() -> None:
    stored = sealed(content(4 * SEGMENT), size_known=False)
    header, body = stored[:HEADER], stored[HEADER:]
    a, b, c, d = (body[at : at + WHOLE] for at in range(0, 4 * WHOLE, WHOLE))
    other = sealed(content(4 * SEGMENT), size_known=False)[HEADER:]
    assert opened(header + a + b + c + d) == content(4 * SEGMENT)
    for wrong in (b + a + c + d, a + b + d + c, a + a + c + d, a + c + d, a + b + c, a + b + c + d + d, d):
        with pytest.raises(InvalidTag):
            opened(header + wrong)
    with pytest.raises(InvalidTag):
        opened(header + a + other[WHOLE : 2 * WHOLE] + c + d)


def test_another_key_opens_nothing() -> None:
    other = MasterKey(bytes(32))
    assert other.id != KEY.id
    with pytest.raises(InvalidTag):
        opened(sealed(b"secret"), key=other)


def test_keys_come_from_the_setting_and_are_never_told() -> None:
    text = "ab" * 32
    keys = master_keys(f"{text}\n{'CD' * 32}, {'01' * 32}\n")
    assert len({key.id for key in keys}) == 3
    assert keys[0].id == master_keys(text)[0].id
    assert not master_keys(" \n")
    for told in (repr(keys[0]), str(vars(keys[0])), keys[0].id):
        assert text not in told
    for wrong in (text[:-1], text + "0", "passphrase", "zz" * 32):
        with pytest.raises(SettingsError, match="Key 2") as caught:
            master_keys(f"{text} {wrong}")
        assert wrong not in str(caught.value)


def test_the_format_is_the_one_that_was_written_before() -> None:
    assert opened(bytes.fromhex(WRITTEN)) == b"abc"
    assert KEY.id == WRITTEN[16:32]


WRITTEN = (
    "44505345414c310a32be1567c22e730f0000000000000003d926e851ac18308009588b4877c5332c9dfb695250bb6842"
    "cad7ccc847917c7610041e4061e50b07bb75afed71f743c0a3f77be57bab58b9dbd99e2dd5f1fd5d7fb0b5f6d50de92d"
    "f2c0fd75374c56"
)
"""Of a content of three bytes."""
