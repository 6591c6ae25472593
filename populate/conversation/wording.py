"""What a person is told: plain text, and the same as HTML.

Names of files and people come from outside and are shown as what they are: without control,
direction and line characters, escaped in HTML, cut to a length, and such that no mail program
makes a link of them. Of other people's copies owner and department are told, never the path;
of owners who are not findable the department alone.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

LONGEST = 300  # characters of a path
SHORT = 80  # characters of a name in a subject
MANY = 10  # copies that are listed, of each kind

CHOICES = {
    "keep": "I need my copy",
    "canonical": "Mine is the one that everybody should use",
    "withdraw": "I will remove my copy",
    "never": "Do not ask me again",
}
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Endings of files that are no top-level domain. After any other dot a mail program may see a host's
# name, also one that is new in the world: so these are known, and not the domains.
_ENDINGS = (
    "accdb|arrow|avro|bam|bcf|bed|bmp|cdf|cif|cram|csv|czi|dat|db|dcm|doc|docm|docx|dta|"
    "edf|fasta|fastq|fcs|feather|fid|gct|gff|gif|gtf|gz|hdf|htm|html|idat|ipynb|jpeg|jpg|"
    "json|jsonl|lif|log|loom|lsm|mat|mdb|mtx|mzml|mzxml|nii|npy|npz|odp|ods|odt|orc|parquet|"
    "pdb|pdf|pickle|pkl|png|ppt|pptx|raw|rda|rdata|rds|sam|sav|sdf|sqlite|svg|svs|tar|tgz|"
    "tif|tiff|tsv|txt|vcf|vsi|wav|xls|xlsb|xlsm|xlsx|xml|xpt|xz|yaml|yml|zst"
)
_LIKE_A_LINK = re.compile(
    rf"""(?ix) (?<=:)// | (?<=mailto):
    | (?<=[\w-]) [.\u3002\uff0e\uff61] (?! (?:{_ENDINGS}) (?!\w) ) (?: (?=[^\W\d_]{{2,}}(?!\w)) | (?=xn--) )
    | (?<=\d) \. (?=\d+\.\d+\.\d+(?!\d))"""
)
_JOINER = "\N{WORD JOINER}"  # not seen, and not broken at; `harmless` takes those away that come from outside
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True)
class Told:
    """A question in the words that its recipient may read, already made harmless.

    Attributes
    ----------
    person
        Who is asked.
    mine
        Paths of their copies.
    others
        A line for each other owner; the original's first, empty if there are no others now.
    size
        Bytes of the content.
    answered
        What they answered last, or empty.
    """

    person: str
    mine: tuple[str, ...]
    others: tuple[str, ...]
    size: int
    answered: str = ""

    @property
    def saving(self) -> int:
        """Bytes of their copies."""
        return self.size * len(self.mine)


def told(
    person: str,
    size: int,
    paths: Sequence[str],
    others: Sequence[Any],
    answered: str = "",
    *,
    unnamed: Collection[str],
) -> Told:
    """Return a question to `person` about their files at `paths`.

    Parameters
    ----------
    size
        Bytes of the content.
    others
        Copies of other owners (`populate.duplicates.live.Copy`).
    answered
        What they answered last, or empty.
    unnamed
        Owners who are not to be named: of them only the department is told.
    """
    return Told(harmless(person, SHORT), tuple(map(harmless, paths)), tuple(_owners(others, unnamed)), size, answered)


def _owners(others: Sequence[Any], unnamed: Collection[str]) -> list[str]:
    """Return a line for each owner, so that no file of theirs is named."""
    origin = [_who(copy, unnamed) for copy in others if copy.is_origin]
    counts = Counter(_who(copy, unnamed) for copy in others if not copy.is_origin)
    lines = [f"{who}: the original, as far as can be told" for who in origin]
    return lines + [f"{who}: {_number(number)}" for who, number in sorted(counts.items())]


def _who(copy: Any, unnamed: Collection[str]) -> str:
    owner = copy.owner
    if not owner.person_id:
        return "somebody whom the source does not name"
    if owner.person_id in unnamed:
        return harmless(f"somebody in {owner.department}" if owner.department else "somebody", SHORT)
    return harmless(", ".join(filter(None, (owner.full_name, owner.department))), SHORT)


def _number(number: int) -> str:
    return "a copy" if number == 1 else f"{number} copies"


def subject(question: Told, mail_round: int) -> str:
    """Return the subject of a mail: one line."""
    name = harmless(question.mine[0].rstrip("/").rpartition("/")[2] or question.mine[0], SHORT)
    asked = f"Do you still need your copy of {name}?"
    return asked if mail_round == 1 else f"Reminder: {asked}"


def plain_text(question: Told, address: str, until: datetime, teams: str = "") -> str:
    """Return the mail as plain text."""
    lines = [f"Hello {question.person},", "", _opening(question), ""]
    lines += [f"    {path}" for path in _shortened(question.mine)]
    if question.others:
        lines += ["", "The same bytes are also with", ""]
        lines += [f"    {line}" for line in _shortened(question.others)]
    lines += ["", "Is yours still needed? Answer on this page, which is for you alone:", "", address, ""]
    lines += ["You can answer", ""] + [f"    - {choice}" for choice in CHOICES.values()]
    if teams:
        lines += ["", "Ask the owner of the original in Teams:", "", teams]
    return "\n".join([*lines, "", *_closing(until), ""])


def html_text(question: Told, address: str, until: datetime, teams: str = "") -> str:
    """Return the mail as HTML: no pictures, no styles from elsewhere, nothing that runs."""
    parts = [f"<p>Hello {_safe(question.person)},</p>", f"<p>{_safe(_opening(question))}</p>", _list(question.mine)]
    if question.others:
        parts += ["<p>The same bytes are also with</p>", _list(question.others)]
    parts += [
        f'<p>Is yours still needed? <a href="{_safe(address)}">Answer on this page</a>, which is for you alone.</p>'
    ]
    parts += ["<p>You can answer</p>", _list(tuple(CHOICES.values()))]
    if teams:
        parts += [f'<p><a href="{_safe(teams)}">Ask the owner of the original in Teams</a></p>']
    parts += [f"<p>{_safe(' '.join(_closing(until)))}</p>"]
    return f"<!DOCTYPE html><html><body>{''.join(parts)}</body></html>"


def teams_link(recipient: str, question: Told) -> str:
    """Return a link that opens a draft to `recipient` in Teams; nothing is sent by it."""
    message = f"We both have a copy of {harmless(question.mine[0].rpartition('/')[2], SHORT)}. Do we need both?"
    return "https://teams.microsoft.com/l/chat/0/0?" + urlencode({"users": recipient, "message": message})


def _opening(question: Told) -> str:
    if len(question.mine) == 1:
        return f"this file of yours, {human(question.size)}, has the very same bytes as others have:"
    return f"these files of yours, {human(question.saving)} together, have the very same bytes:"


def _closing(until: datetime) -> list[str]:
    return [
        "Nothing is ever deleted by the data catalogue: only you can remove your file.",
        f"The link works until {until:%d %B %Y}. Nobody is asked twice about the same bytes.",
    ]


def _shortened(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MANY
    return [*lines[:MANY], f"and {more} more"] if more > 0 else list(lines)


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_safe(line)}</li>' for line in _shortened(lines))}</ul>"


def _safe(text: str) -> str:
    return html.escape(text, quote=True)


def harmless(text: str, longest: int = LONGEST) -> str:
    """Return `text` as one line of visible characters, cut in the middle if long, and no link to any mail program."""
    seen = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _UNSEEN else c for c in text)
    line = " ".join(seen.split())
    if len(line) > longest:
        half = (longest - 1) // 2
        line = f"{line[:half]}…{line[-half:]}"
    return _LIKE_A_LINK.sub(lambda match: f"{_JOINER}{match[0]}", line)


def copyable(line: str) -> str:
    """Return a `harmless` line without what keeps mail programs from linking: for pages that link nothing."""
    return line.replace(_JOINER, "")


def human(count: float) -> str:
    """Return `count` bytes as people write it, as ``1.4 MB``."""
    unit = 0
    while abs(count) >= 1000 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:,.0f} {_UNITS[unit]}" if unit == 0 else f"{count:,.1f} {_UNITS[unit]}"
