"""`log_output`: what a run writes reaches the catalogue by the hash of its bytes, and costs the run nothing else."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_platform import autolog, flush, log_output, read
from data_platform.errors import SourceNotFound, UnsupportedItem
from populate.ingest import Ingest
from readers.run import EXECUTION_ID
from schemas.binding import Binding
from schemas.output import Output
from schemas.sharing import Access, AccessBatch, Execution


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_an_output_is_delivered_beside_the_accesses_of_its_run(binding: Binding, tmp_path: Path) -> None:
    data, result = written(tmp_path / "data.csv", "1,2\n"), written(tmp_path / "result.csv", "3\n")
    read(data)
    assert log_output(result) == result
    assert flush() == 2
    (output,) = Output.to_dicts()
    (access,) = Access.to_dicts()
    assert output["sha256"] == hashlib.sha256(b"3\n").hexdigest()
    assert (output["output_size"], output["file_name"], output["function_name"]) == (2, "result.csv", "")
    for same in ("batch_id", "execution_id", "account_id", "source_system"):
        assert output[same] == access[same]
    assert output["execution_id"] == EXECUTION_ID
    assert output["written_at"] > access["accessed_at"]
    assert AccessBatch.to_arrays("access_count").tolist() == [1]
    Ingest.populate()
    assert len(Execution()) == 1


def test_a_run_that_only_writes_is_catalogued_too(binding: Binding, tmp_path: Path) -> None:
    result = written(tmp_path / "result.csv", "3\n")
    log_output(result)
    written(result, "4\n")
    log_output(os.fspath(result))  # another output of the same file
    assert flush() == 2
    assert flush() == 0
    Ingest.populate()
    assert len(Output()) == 2
    assert len(set(Output.to_arrays("file_id"))) == 1
    assert Execution.to_arrays("execution_id").tolist() == [EXECUTION_ID]
    assert len(Access()) == 0


def test_within_autolog_the_outermost_function_wrote_it_and_is_still_noted(binding: Binding, tmp_path: Path) -> None:
    result = tmp_path / "result.csv"

    @autolog(source="lims")
    def analyse(sample: str) -> int:
        log_output(written(result, sample))
        return len(sample)

    assert analyse("ITX-1") == 5
    flush()
    assert Output.to_arrays("function_name").tolist() == Access.to_arrays("function_name").tolist()
    assert Output.to_arrays("function_name")[0].endswith("analyse")


@pytest.mark.parametrize("backend", ["postgresql"])
def test_what_is_no_file_is_refused_and_nothing_is_noted(binding: Binding, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound):
        log_output(tmp_path / "absent.csv")
    with pytest.raises(UnsupportedItem, match="for each file"):
        log_output(tmp_path)
    assert flush() == 0


def test_a_run_that_notes_an_output_loads_no_database(home: Path, tmp_path: Path) -> None:
    result = written(tmp_path / "result.csv", "3\n")
    code = (
        "import sys; from data_platform import log_output; log_output(sys.argv[1]);"
        "print([m for m in ('datajoint', 'psycopg2', 'pymysql', 'populate') if m in sys.modules])"
    )
    environment = {**os.environ, "DATA_PLATFORM_OUTBOX__SHIP": "false"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(result)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
