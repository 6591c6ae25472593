"""What differs between two texts, as a unified diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

LINES = 500  # of the diff
LINE = 200  # characters
CONTEXT = 3
MOST_WORK = 25_000_000  # lines of one text times those of the other, from the first to the last difference


def difference(before: str, after: str) -> dict[str, Any]:
    """Return what differs between two texts, as `populate.page.reply.TextDifference` has it."""
    old, new = before.splitlines(), after.splitlines()
    start = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    rest = min(len(old), len(new)) - start
    end = next((n for n in range(rest) if old[-1 - n] != new[-1 - n]), rest)
    start, end = max(0, start - CONTEXT), max(0, end - CONTEXT)
    left, right = old[start : len(old) - end], new[start : len(new) - end]
    if len(left) * len(right) > MOST_WORK:
        return _counted(left, right)
    matcher = SequenceMatcher(None, left, right)
    changes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    hunks = [line for group in matcher.get_grouped_opcodes(CONTEXT) for line in _hunk(group, left, right, start)]
    return {
        "lines_added": sum(code[4] - code[3] for code in changes),
        "lines_removed": sum(code[2] - code[1] for code in changes),
        "unified": [_shortened(line) for line in hunks[:LINES]],
        "cut": len(hunks) > LINES,
    }


def _counted(left: Sequence[str], right: Sequence[str]) -> dict[str, Any]:
    """Compare long texts as sets of lines: what was moved counts as the same."""
    old, new = Counter(left), Counter(right)
    return {"lines_added": (new - old).total(), "lines_removed": (old - new).total(), "unified": [], "cut": True}


def _hunk(
    group: Sequence[tuple[str, int, int, int, int]], left: Sequence[str], right: Sequence[str], start: int
) -> Iterator[str]:
    (_, a, _, c, _), (_, _, b, _, d) = group[0], group[-1]
    yield f"@@ -{start + a + 1},{b - a} +{start + c + 1},{d - c} @@"
    for kind, first, last, other, beyond in group:
        if kind == "equal":
            yield from (f" {line}" for line in left[first:last])
        else:
            yield from (f"-{line}" for line in left[first:last])
            yield from (f"+{line}" for line in right[other:beyond])


def _shortened(line: str) -> str:
    """Return a line not longer than it may be, its blanks kept."""
    text = line[: LINE + 1].encode("utf-8", "replace").decode().expandtabs(4)
    return text if len(text) <= LINE else f"{text[: LINE - 1]}…"
