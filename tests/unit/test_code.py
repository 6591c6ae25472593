"""What code says of itself, and the summaries made of that."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from populate.describe.summary import LONGEST, content_summary, facts_sha256, run_facts, run_summary
from readers.code import Outline, code_record, notebook, outline

SCRIPT = '''#!/usr/bin/env python3
"""Curves by arm, with
their medians.

password=hunter2secret
"""
import os, pandas as pd
from lifelines import KaplanMeierFitter as Fitter
from . import mine

PATH = "/secret/patients.csv"

def load(path):
    """Read the cohort.

    More of it."""
    return pd.read_csv(path).dropna()

class Arm: ...

Fitter().fit(load(PATH), os.getcwd(), mine.x())
'''
RUN: dict[str, Any] = {
    "entry_point": "/home/amy/curves.py",
    "repository": "https://git.example/trial.git",
    "commit_id": "1a2b3c4d5e6f7a8b",
    "dirty": True,
    "argv": '["curves.py", "--arm=B", "-o", "secret.csv", "patients.csv", "--key", "x", "--arm"]',
    "host": "lab",
}


def test_only_names_and_the_introduction_are_kept() -> None:
    assert outline(SCRIPT) == Outline(
        "Curves by arm, with their medians.",
        ["pandas", "lifelines"],
        [["load", "Read the cohort."], ["Arm", ""]],
        ["lifelines.KaplanMeierFitter", "pandas.read_csv"],
    )


@pytest.mark.parametrize(
    ("code", "title"),
    [
        (
            "#!/bin/x\n# -*- coding: utf-8 -*-\n# Copyright Somebody\n# Plate reader\n# of the lab\n\nx = 1",
            "Plate reader of the lab",
        ),
        ("# Broken\nx = (", "Broken"),
        ("x = 1\n# not this", ""),
        ("\0", ""),
        ("", ""),
        ("(" * 5000, ""),
        ('"\\d"', "\\d"),
    ],
)
def test_code_that_says_little_or_is_broken(code: str, title: str) -> None:
    assert outline(code).title == title


def test_a_notebook_is_its_cells_and_first_heading() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Plate 12\n", "\n", "More."]},
        {
            "cell_type": "code",
            "source": ["%matplotlib inline\n", "!pip install x\n", "import numpy as np\n", "np.mean([1])"],
        },
    ]
    code, heading = notebook(json.dumps({"cells": cells}).encode())
    assert heading == "Plate 12"
    assert outline(code).calls == ["numpy.mean"]


def test_a_file_is_looked_at_where_it_is_and_only_there(tmp_path: Path) -> None:
    script = tmp_path / "curves.py"
    script.write_text(SCRIPT)
    run = {**RUN, "entry_point": str(script)}
    record = code_record(run, "lab", os.environ)
    assert record is not None
    assert record["code_title"] == "Curves by arm, with their medians."
    assert "secret" not in json.dumps(record)
    assert record["commit_subject"] == ""  # of no checkout
    assert code_record(run, "elsewhere", os.environ) is None
    for other in ("-c", "-m curves", str(tmp_path), str(tmp_path / "gone.py"), "curves.py", os.__file__, "/x\0.py"):
        assert code_record({**run, "entry_point": other}, "lab", os.environ) is None
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "large.py").write_text("x = 1\n" * 50_000)
    (tmp_path / "odd.ipynb").write_text("[1]")
    for name in ("pipe.py", "large.py", "odd.ipynb"):
        assert code_record({**run, "entry_point": str(tmp_path / name)}, "lab", os.environ) is None


def test_a_summary_tells_names_of_options_and_no_values() -> None:
    found = outline(SCRIPT)
    code = {"code_title": found.title, "code_outline": json.dumps(found.names), "commit_subject": "Add arm B"}
    facts = run_facts(RUN, code)
    assert run_summary(facts) == (
        "Curves by arm, with their medians. Script curves.py of https://git.example/trial at 1a2b3c4d5e6f with changes "
        "(Add arm B); defines load (Read the cohort), Arm; calls lifelines.KaplanMeierFitter, pandas.read_csv; "
        "options --arm, -o, --key."
    )
    assert facts_sha256(facts) == facts_sha256(json.loads(json.dumps(facts)))
    bare = run_facts({**RUN, "entry_point": "interactive", "repository": "", "commit_id": "", "argv": "no JSON"}, None)
    assert run_summary(bare) == "interactive."


def test_a_summary_of_a_content_tells_its_shape() -> None:
    columns = [["patient", "text"], ["age", "integer"], ["", "empty"]]
    sheet = {"name": "", "rows": 1204, "columns": columns, "column_count": 3}
    assert content_summary({"kind": "table", "sheets": [sheet]}) == "1,204 rows of 3 columns: patient, age."
    named = {**sheet, "name": "arm A"}
    assert content_summary({"kind": "workbook", "sheets": [named]}).startswith("Workbook: arm A, 1,204 rows")
    lines = {"name": "", "rows": 7, "columns": [], "column_count": 0}
    assert content_summary({"kind": "text", "sheets": [lines]}) == "Text: 7 lines."
    assert content_summary({"kind": "bytes", "sheets": []}) == ""


@given(st.text(max_size=2000), st.text(max_size=200), st.lists(st.text(max_size=80), max_size=30))
def test_no_text_is_too_odd_for_a_summary(title: str, name: str, names: list[str]) -> None:
    code = {
        "code_title": title,
        "code_outline": json.dumps({"defines": [[n, n] for n in names]}),
        "commit_subject": name,
    }
    made = run_summary(run_facts({**RUN, "entry_point": name, "argv": json.dumps(names)}, code))
    assert 0 < len(made) <= LONGEST
    assert made.isprintable()
    made.encode()
