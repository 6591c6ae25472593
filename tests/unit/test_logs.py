"""Logs as JSON: every line an object, every field where programs look for it, and no secret."""

from __future__ import annotations

import io
import json
import logging
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click
import pytest
from click.testing import CliRunner

from data_platform.cli.failure import Sentences
from data_platform.errors import SourceNotFound
from data_platform.logs import handler
from data_platform.settings import LogSettings

SECRET = "hunter2hunter2"


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """Return a logger and what its handler writes."""
    logger, stream = logging.getLogger("tests.logs"), io.StringIO()
    made = handler(LogSettings(format="json"), "")
    assert isinstance(made, logging.StreamHandler)
    made.setStream(stream)
    logger.addHandler(made)
    logger.propagate, before = False, logger.propagate
    logger.setLevel(logging.INFO)
    yield logger, stream
    logger.propagate = before
    logger.removeHandler(made)
    logger.setLevel(logging.NOTSET)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_its_fields(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    facts = {"table": "Ingest", "key": {"batch_id": "ab", "part": 0}, "outcome": "made", "seconds": 0.25}
    logger.info("made %s", "it\nin two lines", extra=facts)
    (line,) = lines(stream)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "tests.logs",
        "message": "made it\nin two lines",
        "host": platform.node(),
        "pid": os.getpid(),
        **facts,
    }


def test_the_time_is_the_records_in_utc(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    before = datetime.now(UTC)
    logger.warning("x")
    told = datetime.fromisoformat(lines(stream)[0]["time"])
    assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= told <= datetime.now(UTC)


def test_no_secret_of_message_field_or_traceback_is_told(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    try:
        raise ValueError(f"password={SECRET}")
    except ValueError:
        logger.exception("at https://amy:%s@host/", SECRET, extra={"key": {"url": f"https://h/?sig={SECRET}", "n": 1}})
    (line,) = lines(stream)
    assert "Traceback" in line["exception"]
    assert line["key"] == {"url": "https://h/", "n": 1}
    assert SECRET not in stream.getvalue()


def test_text_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    made = handler(LogSettings(), "worker: %(message)s")
    made.handle(logging.LogRecord("x", logging.INFO, "", 0, f"token={SECRET}", None, None))
    assert capsys.readouterr().err == "worker: token=***\n"


@click.group(cls=Sentences)
@click.option("--debug", is_flag=True)
def faulty(debug: bool) -> None:
    """A group whose command fails."""


@faulty.command()
def fail() -> None:
    import warnings

    logging.getLogger("x").info("not worth telling")
    warnings.warn(f"odd token={SECRET}", RuntimeWarning, stacklevel=1)
    raise SourceNotFound(f"There is nothing at https://host/x?sig={SECRET}.")


def test_a_command_tells_warnings_and_its_failure_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    monkeypatch.setenv("DATA_PLATFORM_LOG__FORMAT", "json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = CliRunner().invoke(faulty, ["fail"])
    assert result.exit_code == 1
    found = [json.loads(line) for line in result.stderr.splitlines()]
    assert [(line["level"], line["logger"]) for line in found] == [
        ("warning", "py.warnings"),
        ("error", "data_platform.cli"),
    ]
    assert SECRET not in result.output + result.stderr
