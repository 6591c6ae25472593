"""The canonical form of a content: a hash of what it says, and a sketch to tell how alike two are.

The sketch is the `SKETCH` least of the hashes of a form's elements (rows of a table, five
words in a row of a text), which is a fair sample of them: of two sketches, the share of
common hashes among the least of both together estimates the Jaccard similarity of the two
sets of elements (Broder 1997), and is exact for sets that are smaller than a sketch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from heapq import nsmallest

READY = "ready\n"  # what the limited process says first
SKETCH = 128
DIGITS = 12  # of a hash in a sketch: 48 bits

BYTES, TABLE, WORKBOOK, DOCUMENT, TEXT, JSON, ARCHIVE, NONE = KINDS = (
    *("bytes", "table", "workbook", "document", "text", "json", "archive"),
    "none",
)


@dataclass(frozen=True, slots=True)
class Form:
    """What a content says.

    Attributes
    ----------
    kind
        One of `KINDS`; ``bytes`` says that only its bytes count (once unpacked), ``none``
        that it has no form.
    sha256
        Hash of the form, hex; of ``bytes`` that of the bytes themselves. Empty for ``none``.
    elements
        Different elements (rows, runs of words); 0 if there are none to compare.
    sketch
        Their `SKETCH` least hashes, `DIGITS` hex digits each, in order, without separators.
    why
        Why there is no form, or none better than its bytes; mostly empty.
    """

    kind: str
    sha256: str
    elements: int = 0
    sketch: str = ""
    why: str = ""


def form(kind: str, head: Collection[str], elements: Iterable[bytes]) -> Form:
    """Return the form of a multiset of elements under a head, in which order does not count.

    There is no sketch where most elements are repeated: of columns with few values any two
    tables have almost all rows in common, and are not alike for that.
    """
    ordered = sorted(hashlib.blake2b(element, digest_size=16).digest() for element in elements)
    digest = hashlib.sha256(kind.encode())
    for part in head:
        digest.update(len(part.encode()).to_bytes(8, "big") + part.encode())
    digest.update(b"\0")
    for element in ordered:
        digest.update(element)
    different, sketch = sketched(element.hex()[:DIGITS] for element in ordered)
    return Form(kind, digest.hexdigest(), different, sketch if 2 * different > len(ordered) else "")


def sketched(hashes: Iterable[str]) -> tuple[int, str]:
    """Return the number of different hashes, and the sketch of them."""
    different = set(hashes)
    return len(different), "".join(nsmallest(SKETCH, different))


def hashes_of(sketch: str) -> list[str]:
    """Return the hashes that a sketch is made of, least first."""
    return [sketch[start : start + DIGITS] for start in range(0, len(sketch), DIGITS)]


def similarity(one: Collection[str], other: Collection[str]) -> float:
    """Return the estimated Jaccard similarity, 0 to 1, of the elements behind two sketches, given as hashes."""
    ours, theirs = frozenset(one), frozenset(other)
    least = sorted(ours | theirs)[:SKETCH]
    return len(ours.intersection(theirs, least)) / len(least) if least else 0.0
