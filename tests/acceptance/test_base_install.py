"""What an analyst's laptop has: the base install, without what the extras bring."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from data_platform.extras import EXTRAS

PROJECT = Path(__file__).parents[2]
# Finders are asked before anything is imported, so what is named is as if it were not installed.
WITHOUT = """
import importlib.util, json, sys
absent = set(json.loads(sys.argv.pop(1)))
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in absent else find(name, package)
sys.meta_path.insert(0, Absent())
"""
COMMAND = WITHOUT + "from data_platform.cli import main; main()"


def base_packages() -> set[str]:
    """Return the packages of the base install."""
    wanted, waiting = set[str](), ["data-platform"]
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        extra = "postgres" if name == "datajoint" else ""
        needed = (Requirement(text) for text in requires(name) or ())
        waiting += [
            canonicalize_name(one.name) for one in needed if one.marker is None or one.marker.evaluate({"extra": extra})
        ]
    return wanted


@pytest.fixture(scope="module")
def absent() -> str:
    base = base_packages()
    found = packages_distributions()
    modules = sorted(module for module, names in found.items() if not {canonicalize_name(one) for one in names} & base)
    assert {"boto3", "botocore", "msal", "duckdb", "streamlit"} <= set(modules)
    assert not {"datajoint", "psycopg2", "pydantic", "click"} & set(modules)
    return json.dumps(modules)


def run(absent: str, home: Path, *arguments: str, code: str = COMMAND) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATA_PLATFORM_HOME": str(home), "DATA_PLATFORM_OUTBOX__SHIP": "false"}
    command = [sys.executable, "-c", code, absent, *arguments]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


def test_files_are_read_and_what_is_missing_is_said(absent: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    read = run(absent, home, "read", str(tmp_path / "a.csv"))
    assert (read.returncode, read.stderr) == (0, "")
    assert Path(read.stdout.strip()).read_text() == "1,2\n"
    for arguments, extra in ((("read", "s3://bucket/a.csv"), "s3"), (("login",), "microsoft365")):
        missing = run(absent, home, *arguments)
        assert missing.returncode == 1, arguments
        assert f"pip install 'data-platform[{extra}]'" in missing.stderr
        assert "Traceback" not in missing.stderr
    told = json.loads(run(absent, home, "doctor", "--json").stdout)
    states = {finding["name"]: finding for finding in told["findings"]}
    assert states["reader file"]["state"] == "ok"
    assert "data-platform[s3]" in states["reader s3"]["detail"]
    assert "data-platform[microsoft365]" in states["reader microsoft365"]["detail"]


def test_an_error_in_a_program_is_ours(absent: str, home: Path) -> None:
    code = WITHOUT + (
        "import data_platform as dp\n"
        "for call in (lambda: dp.read_s3('s3://bucket/a.csv'), dp.login):\n"
        "    try:\n        call()\n    except ImportError as error:\n        print(type(error).__name__)\n"
    )
    told = run(absent, home, code=code)
    assert told.stdout.split() == ["MissingExtra", "MissingExtra"], told.stderr


def test_the_table_of_extras_is_that_of_the_package() -> None:
    brought: dict[str, set[str]] = {}
    for text in requires("data-platform") or ():
        needed = Requirement(text)
        for extra in ("s3", "microsoft365", "platform", "semantic", "demo"):
            if needed.marker is not None and needed.marker.evaluate({"extra": extra}):
                brought.setdefault(canonicalize_name(needed.name), set()).add(extra)
    found = packages_distributions()
    for module, extra in EXTRAS.items():
        names = {canonicalize_name(name) for name in found[module]}
        if module not in ("botocore", "authlib"):  # boto3 and streamlit[auth] bring these
            assert any(extra in brought.get(name, ()) for name in names), module
