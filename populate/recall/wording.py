"""What a person is told of a recall by mail: plain text, and the same as HTML."""

from __future__ import annotations

from html import escape

from populate.conversation.wording import SHORT, harmless
from populate.recall.looking import Recalled

LONGEST_REASON = 1000


def subject(recalled: Recalled) -> str:
    """Return the subject of a mail: one line."""
    name = harmless((recalled.file or recalled.met).rpartition("/")[2], SHORT)
    if recalled.file:
        return f"Recalled: {name}"
    return f"Recalled: data behind {name}" if name else "Recalled: data that you worked with"


def plain_text(recalled: Recalled, person: str) -> str:
    """Return the mail as plain text."""
    return "\n\n".join([f"Hello {harmless(person, SHORT)},", *_sentences(recalled), ""])


def html_text(recalled: Recalled, person: str) -> str:
    """Return the mail as HTML: no pictures, no links, nothing that runs."""
    parts = [f"Hello {harmless(person, SHORT)},", *_sentences(recalled)]
    return f"<!DOCTYPE html><html><body>{''.join(f'<p>{escape(part)}</p>' for part in parts)}</body></html>"


def _sentences(recalled: Recalled) -> list[str]:
    reason = harmless(recalled.reason, LONGEST_REASON)
    told = [_what(recalled), f'The reason: "{reason}"', _met(recalled)]
    if recalled.right:
        told.append(f"The right version is sha256:{recalled.right}; read it with version= and that hash.")
    elif recalled.file:
        told.append("No other version was named to use instead; ask the owner.")
    told.append(
        f"Please see whether your results stand, and say that you have taken note: "
        f"data-platform acknowledge {recalled.recall_id}"
    )
    return told


def _what(recalled: Recalled) -> str:
    if recalled.file:
        who = harmless(recalled.owner, SHORT) if recalled.owner else "Its owner"
        return f"{who} has recalled a version of {harmless(recalled.file)}: it is wrong and should not be used."
    return "the owner of data that you worked with has recalled them: they are wrong and should not be used."


def _met(recalled: Recalled) -> str:
    met = f" ({harmless(recalled.met)})" if recalled.met else ""
    day = f" on {recalled.met_at:%d %B %Y}" if recalled.met_at else ""
    return {
        "read": f"You read these bytes{day}{met}.",
        "holds": f"You have a file with the same bytes{met}.",
        "wrote": f"A run of yours made a result of them{day}{met}.",
        "result": f"You read a result that was made of them{day}{met}.",
    }.get(recalled.concern, "It concerns you.")
