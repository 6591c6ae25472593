"""The face: what users may call is there, importing it is cheap, and a namesake is named."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

import data_platform
from data_platform import face

PROJECT = Path(__file__).parents[2]

HEAVY = (
    "datajoint",
    "pandas",
    "numpy",
    "boto3",
    "streamlit",
    "httpx",
    "pydantic",
    "psycopg2",
    "pymysql",
    "obstore",
    "tqdm",
)

WATCHED_IMPORT = """
import json, sys
opened, connected = [], []
def watch(event, arguments):
    if event == "open":
        opened.append(str(arguments[0]))
    elif event.startswith("socket.") or event in ("subprocess.Popen", "os.fork", "os.system", "os.posix_spawn"):
        connected.append(event)
sys.addaudithook(watch)
import data_platform
print(json.dumps({"opened": opened, "connected": connected, "loaded": sorted(sys.modules)}))
"""


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PYTHONPATH": str(PROJECT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATA_PLATFORM_HOME": str(folder / "home"),
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def typed_names() -> set[str]:
    """Return the names that type checkers are told of."""
    tree = ast.parse(Path(str(data_platform.__file__)).read_text())
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.asname or alias.name
        for block in blocks
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("name", data_platform.__all__)
def test_every_name_of_the_face_is_there_and_documented(name: str) -> None:
    value = getattr(data_platform, name)
    assert isinstance(value, str | ModuleType) or callable(value)
    assert name == "__version__" or inspect.getdoc(value)
    assert getattr(data_platform, name) is value


def test_the_face_is_all_of_what_users_may_call() -> None:
    public = {
        name
        for name, value in vars(face).items()
        if inspect.isfunction(value) and value.__module__.startswith(f"{face.__name__}.") and not name.startswith("_")
    }
    assert public == set(face.__all__)
    others = {"__version__", "autolog", "errors", "settings"}
    assert set(data_platform.__all__) == public | others
    assert data_platform.__all__ == sorted(data_platform.__all__)
    assert dir(data_platform) == data_platform.__all__


def test_type_checkers_know_the_same_names() -> None:
    assert typed_names() | {"__version__"} == set(data_platform.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'data_platform' has no attribute 'raed'"):
        data_platform.raed  # noqa: B018


def test_importing_opens_nothing_and_loads_nothing_heavy(tmp_path: Path) -> None:
    done = python("-c", WATCHED_IMPORT, folder=tmp_path)
    assert not done.stderr
    seen = json.loads(done.stdout)
    loaded = {name.partition(".")[0] for name in seen["loaded"]}
    assert loaded.isdisjoint(HEAVY)
    assert loaded.isdisjoint({"schemas", "readers", "populate", "dashboard"})
    assert seen["connected"] == []
    places = (str(PROJECT / "data_platform"), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
    assert [file for file in seen["opened"] if not file.startswith(places) or not file.endswith((".py", ".pyc"))] == []
    assert any(file.startswith(places[0]) for file in seen["opened"]), "the watch saw nothing"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "first", ["from data_platform import read", "from data_platform import autolog", "from data_platform import *"]
)
def test_taking_names_from_the_face_loads_no_driver(first: str, tmp_path: Path) -> None:
    code = f"{first}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    loaded = {name.partition(".")[0] for name in json.loads(python("-c", code, folder=tmp_path).stdout)}
    assert "data_platform" in loaded
    assert loaded.isdisjoint(
        {"datajoint", "pandas", "numpy", "boto3", "streamlit", "httpx", "psycopg2", "pymysql", "obstore"}
    )
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("part", ["schemas", "readers", "populate", "dashboard"])
@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py"])
@pytest.mark.parametrize("before", ["", "import {}; "])
def test_a_file_of_the_user_that_hides_a_package_is_named(part: str, form: str, before: str, tmp_path: Path) -> None:
    hiding = tmp_path / form.format(part)
    hiding.parent.mkdir(exist_ok=True)
    hiding.write_text("mine = True\n")
    done = python("-c", before.format(part) + "import data_platform", folder=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"data_platform.errors.PackageHidden: {hiding} has the same name as the package `{part}`")
    assert last.endswith("Rename it, or start Python in another folder.")


def test_the_command_line_names_it_too(tmp_path: Path) -> None:
    (tmp_path / "readers.py").touch()
    assert (
        f"{tmp_path}/readers.py has the same name" in python("-m", "data_platform", "--version", folder=tmp_path).stderr
    )


def test_a_folder_of_that_name_without_code_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "dashboard").mkdir()
    done = python("-c", "import data_platform; print(data_platform.errors.__name__)", folder=tmp_path)
    assert (done.stdout, done.stderr) == ("data_platform.errors\n", "")


def test_a_folder_of_that_name_that_was_loaded_first_does(tmp_path: Path) -> None:
    (tmp_path / "lib" / "dashboard").mkdir(parents=True)
    code = "import sys; path = sys.path[:]; sys.path[:] = ['lib']; import dashboard; sys.path[:] = path; "
    done = python("-c", code + "import data_platform", folder=tmp_path)
    assert "has the same name as the package `dashboard`" in done.stderr
