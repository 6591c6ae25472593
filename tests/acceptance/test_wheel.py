"""The wheel holds what it should and nothing else, and works where only it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser
from email import message_from_string
from functools import lru_cache
from pathlib import Path
from zipfile import ZipFile

import pytest

PROJECT = Path(__file__).parents[2]
PACKAGES = ("dashboard", "data_platform", "populate", "readers", "schemas")
BESIDE = ("pyproject.toml", "README.md", "LICENSE", "tests", "benchmarks", "docs")
VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]


def run(*command: str, folder: Path, **environment: str) -> str:
    """Run a command with the tools of this environment and return what it printed."""
    variables = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder), **environment}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments: str, folder: Path) -> None:
    options = ("--no-deps", "--no-index", "--no-cache-dir", "--disable-pip-version-check", "--quiet")
    run(sys.executable, "-m", "pip", *arguments, *options, folder=folder)


@lru_cache(maxsize=1)
def tracked() -> list[str]:
    """Return the project's files as git knows them; where there is no git, as they lie there."""
    command = ["git", "-c", f"safe.directory={PROJECT}", "ls-files", "-z", "--", *PACKAGES, *BESIDE]
    try:
        listed = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        found = [path for name in (*PACKAGES, *BESIDE) for path in (PROJECT / name, *(PROJECT / name).rglob("*"))]
        listed = [str(path.relative_to(PROJECT)) for path in found if "__pycache__" not in path.parts]
    return sorted(name for name in listed if name and (PROJECT / name).is_file())


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project, with what lies about in a working folder."""
    folder = tmp_path_factory.mktemp("sources")
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    for name in ("readers/__pycache__/event.cpython-311.pyc", "notes/secret.txt", ".env", "build/lib/readers/old.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("not for others")
    return folder


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(sources), folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--target", str(folder), str(wheel), folder=folder)
    return folder


def contents(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def test_the_wheel_holds_the_five_packages_whole_and_nothing_else(wheel: Path, sources: Path) -> None:
    files = contents(wheel)
    information = f"data_platform-{VERSION}.dist-info"
    expected = {name for name in tracked() if name.split("/")[0] in PACKAGES}
    assert {name for name in files if not name.startswith(f"{information}/")} == expected
    assert {f"{package}/py.typed" for package in PACKAGES} <= expected
    names = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert {name for name in files if name.startswith(information)} == {f"{information}/{name}" for name in names}
    assert wheel.name == f"data_platform-{VERSION}-py3-none-any.whl"
    for name in expected:
        assert files[name] == (sources / name).read_bytes()


def test_its_metadata_say_what_the_project_says(wheel: Path) -> None:
    information = contents(wheel)[f"data_platform-{VERSION}.dist-info/METADATA"].decode()
    metadata = message_from_string(information)
    assert (metadata["Name"], metadata["Version"], metadata["License-Expression"]) == (
        "data-platform",
        VERSION,
        "Apache-2.0",
    )
    assert set(metadata.get_all("Provides-Extra", [])) >= {"demo", "platform", "s3"}
    requirements = metadata.get_all("Requires-Dist", [])
    assert requirements
    for requirement in requirements:
        assert ">=" in requirement or "data-platform[" in requirement
        assert "@" not in requirement


def test_its_entry_points_lead_to_what_it_holds(wheel: Path) -> None:
    files = contents(wheel)
    points = ConfigParser(delimiters="=")
    points.read_string(files[f"data_platform-{VERSION}.dist-info/entry_points.txt"].decode())
    assert points["console_scripts"]["data-platform"] == "data_platform.cli:main"
    assert set(points["data_platform.readers"]) == {"file", "http", "microsoft365", "s3"}
    for section in points.values():
        for target in section.values():
            module, _, name = target.partition(":")
            path = module.replace(".", "/")
            source = files.get(f"{path}.py") or files[f"{path}/__init__.py"]
            assert name.encode() in source


def python(folder: Path, installed: Path, *arguments: str) -> str:
    environment: Mapping[str, str] = {"PYTHONPATH": str(installed), "DATA_PLATFORM_HOME": str(folder / "home")}
    return run(sys.executable, *arguments, folder=folder, **environment)


def test_every_module_is_imported_from_where_it_is_installed(installed: Path, tmp_path: Path) -> None:
    code = "import data_platform, schemas, readers, populate, dashboard as d; from readers import event; "
    code += (
        "print(data_platform.__version__, *[m.__file__ for m in (data_platform, schemas, readers, populate, d, event)])"
    )
    version, *files = python(tmp_path, installed, "-c", code).split()
    assert version == VERSION
    names = ("data_platform", "schemas", "readers", "populate", "dashboard")
    assert files == [*(f"{installed}/{name}/__init__.py" for name in names), f"{installed}/readers/event.py"]


def test_the_command_line_works_from_there(installed: Path, tmp_path: Path) -> None:
    assert python(tmp_path, installed, "-m", "data_platform", "--version") == f"data-platform, version {VERSION}\n"
    assert (installed / "bin" / "data-platform").exists()
    (tmp_path / "plates.csv").write_text("well,signal\n")
    environment = {"PYTHONPATH": str(installed), "DATA_PLATFORM_HOME": str(tmp_path / "home")}
    command = (sys.executable, "-m", "data_platform", "read", "plates.csv")
    path = Path(run(*command, folder=tmp_path, DATA_PLATFORM_OUTBOX__SHIP="false", **environment).strip())
    assert path.read_text() == "well,signal\n"


def test_bytecode_is_compiled_at_install(installed: Path) -> None:
    for package in PACKAGES:
        assert list((installed / package / "__pycache__").glob("__init__.*.pyc"))
