"""Search over real tables: what is found, by whom, why, and that the index is what the tables say."""

from __future__ import annotations

import pytest
from small_company import asking, deliver, hire, path_id

from populate.search.searching import complete, search
from populate.search.tables import Document
from schemas.binding import Binding

PLATE_1, PLATE_2 = "/flow/ITX_47213/plate_1.csv", "/flow/ITX_47213/plate_2.csv"
TRIAL = "/clinical/lung trial.xlsx"
HIDDEN = "/board/ITX_47213 layoffs.csv"


@pytest.fixture
def company(binding: Binding) -> Binding:
    for login, department in (("zoe", "Screening"), ("bob", "Screening"), ("dan", "Clinical"), ("eve", "Clinical")):
        hire(login, department)
    hire("carol", "Flow cytometry", name="Carol Ito", title="Head of cytometry")
    reads = [("zoe", PLATE_1, "carol", 0), ("bob", PLATE_1, "carol", 1), ("zoe", PLATE_2, "carol", 3)]
    deliver(binding, [*reads, ("bob", TRIAL, "dan", 5)], batch="first")
    Document.populate()
    return binding


def test_smoke(company: Binding) -> None:
    zoe = asking(company, "zoe")
    found = search(zoe, "plate ITX", explain=True)

    assert search(zoe, "lung").total == 0
    assert found.total == 2
