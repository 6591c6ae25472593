"""Summaries without a model: sentences put together from what code and contents say of themselves.

What is told of a run is what whoever may know the run may know: of its arguments only the names of options, for
values may be names of files; and no name of a file that it read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from data_platform.redact import redact_text
from schemas.identity import display_text

LONGEST = 1000
"""Characters of a summary."""
NAMED = 6
"""Names of a kind that a summary tells, at most."""
_OPTION = re.compile(r"(--?[A-Za-z][A-Za-z0-9-]{0,40})(?:=|$)")


def run_facts(run: Mapping[str, Any], code: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is known of a run's code, for a summary and for a model alike.

    Parameters
    ----------
    run
        Row of `schemas.sharing.AccessRun`.
    code
        Row of `schemas.code.RunCode`, if there is one.
    """
    outline = json.loads(code["code_outline"]) if code and code["code_outline"] else {}
    return {
        "script": PurePosixPath(run["entry_point"]).name or run["entry_point"],
        "title": code["code_title"] if code else "",
        "repository": run["repository"].removesuffix(".git"),
        "commit": run["commit_id"][:12],
        "commit_subject": code["commit_subject"] if code else "",
        "changed": bool(run["dirty"]),
        "options": _options(run["argv"]),
        "imports": outline.get("imports", []),
        "defines": outline.get("defines", []),
        "calls": outline.get("calls", []),
    }


def _options(argv: str) -> list[str]:
    """Return the names of options among arguments, without their values."""
    try:
        arguments = json.loads(argv or "[]")
    except ValueError:
        return []
    found = (_OPTION.match(str(argument)) for argument in arguments)
    return list(dict.fromkeys(match[1] for match in found if match))


def run_summary(facts: Mapping[str, Any]) -> str:
    """Return what a run is about, in at most `LONGEST` characters; the same facts give the same text.

    Examples
    --------
    >>> run_summary({"title": "Curves by arm.", "script": "curves.py", "imports": ["pandas"], "options": ["--arm"]})
    'Curves by arm. Script curves.py; uses pandas; options --arm.'
    """
    script = facts.get("script", "")
    parts = [f"{_kind_of(script)} {script}" if "/" not in script and script.endswith((".py", ".ipynb")) else script]
    if repository := facts.get("repository"):
        parts[0] += f" of {repository}"
    if commit := facts.get("commit"):
        parts[0] += f" at {commit}" + (" with changes" if facts.get("changed") else "")
    if subject := facts.get("commit_subject"):
        parts[0] += f" ({subject})"
    if defines := facts.get("defines"):
        parts.append(f"defines {_some([_defined(*one) for one in defines])}")
    if calls := facts.get("calls"):
        parts.append(f"calls {_some(calls)}")
    elif imports := facts.get("imports"):
        parts.append(f"uses {_some(imports)}")
    if options := facts.get("options"):
        parts.append(f"options {_some(options)}")
    title = facts.get("title", "").strip()
    said = f"{title}{'' if title.endswith(('.', '!', '?', ':')) else '.'} " if title else ""
    return _shown(f"{said}{'; '.join(part for part in parts if part)}.")


def _kind_of(script: str) -> str:
    return "Notebook" if script.endswith(".ipynb") else "Script"


def _defined(name: str, about: str = "") -> str:
    return f"{name} ({about.rstrip('.')})" if about else name


def content_facts(profile: Any) -> dict[str, Any]:
    """Return what is known of a content from its `populate.profile.view.ProfileView`: no values, only structure."""
    return {
        "kind": profile.kind,
        "sheets": [
            {
                "name": sheet.name,
                "rows": sheet.rows,
                "columns": [[column.name, column.kind] for column in sheet.columns[:40]],
                "column_count": sheet.width,
            }
            for sheet in profile.sheets[:5]
        ],
    }


def content_summary(facts: Mapping[str, Any]) -> str:
    """Return what a content is, in at most `LONGEST` characters; empty if nothing can be told."""
    sheets = [_sheet(sheet) for sheet in facts["sheets"]]
    if not sheets:
        return ""
    kind = {"workbook": "Workbook: ", "text": "Text: "}.get(facts["kind"], "")
    said = kind + "; ".join(sheets)
    return _shown(f"{said[:1].upper()}{said[1:]}.")


def _sheet(sheet: Mapping[str, Any]) -> str:
    named = f"{sheet['name']}, " if sheet["name"] else ""
    if not sheet["column_count"]:
        return f"{named}{sheet['rows']:,} lines"
    shape = f"{named}{sheet['rows']:,} rows of {sheet['column_count']:,} columns"
    columns = [name for name, _ in sheet["columns"] if name]
    return f"{shape}: {_some(columns, 12)}" if columns else shape


def _some(names: Sequence[str], most: int = NAMED) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _shown(text: str) -> str:
    made = " ".join(redact_text(display_text(text)).split())
    made = "".join(letter for letter in made if letter.isprintable())
    return made if len(made) <= LONGEST else f"{made[: LONGEST - 1]}…"


def facts_sha256(facts: Mapping[str, Any]) -> str:
    """Return the identity of facts: what was made of equal ones need not be made again."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
