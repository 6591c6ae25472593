"""Arrows run one way: the contracts of import-linter hold, and would be noticed to be broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PACKAGES = ("data_platform", "schemas", "readers", "populate", "dashboard")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )


def test_imports_run_one_way() -> None:
    done = lint(PROJECT)
    assert done.returncode == 0, done.stdout


def test_an_import_against_the_direction_is_noticed(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    with open(tmp_path / "schemas" / "identity.py", "a") as file:
        file.write("\nimport readers.event\n")
    done = lint(tmp_path)
    assert done.returncode != 0
    assert "schemas.identity -> readers.event" in done.stdout
