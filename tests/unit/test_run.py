"""The facts of a run that need no other process: notebooks, places, and texts that fit their columns."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_platform import __version__
from readers.environment import environment_facts
from readers.run import EXECUTION_ID, entry_point, json_within, run_record
from schemas.sharing import AccessRun

PROJECT = Path(__file__).parents[2]
CONTAINER = "4f401425c895d0cbd0857a44404acf1f" * 2


def test_the_record_has_every_column_but_that_of_its_batch(home: Path) -> None:
    columns = re.findall(r"^ *(\w+) : (?:(?:var)?char\((\d+)\))?", str(AccessRun.definition), re.M)
    record = run_record()
    assert record.keys() == {name for name, _ in columns}
    for name, length in columns:
        assert not length or len(str(record[name])) <= int(length)
    assert json.loads(json.dumps(record)) == record


def test_the_record_says_who_and_where(home: Path) -> None:
    record = run_record()
    assert record["execution_id"] == EXECUTION_ID
    assert re.fullmatch(r"[0-9a-f]{32}", EXECUTION_ID)
    assert (record["host"], record["python_version"]) == (socket.gethostname(), platform.python_version())
    assert json.loads(str(record["argv"]))[1:] == sys.argv[1:]


def test_nobody_can_change_the_record_of_others(home: Path) -> None:
    run_record()["host"] = "elsewhere"
    assert run_record()["host"] == socket.gethostname()


def test_the_version_is_that_of_the_project_file() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert __version__ == project["version"]
    assert run_record()["package_version"] == __version__


@pytest.mark.parametrize("count", [0, 1, 3, 500])
def test_arguments_that_are_too_many_are_cut_at_the_end(count: int) -> None:
    arguments = [f"plate_{number:04}.csv" for number in range(count)]
    text = json_within(100, arguments)
    kept = json.loads(text)
    assert len(text) <= 100
    assert kept == arguments if count <= 3 else kept == [*arguments[: len(kept) - 1], "…"]


def test_facts_that_are_too_many_are_dropped_from_the_end() -> None:
    kept = json.loads(json_within(60, {f"fact_{number}": "x" * 10 for number in range(9)}))
    assert list(kept) == ["fact_0", "fact_1"]


class Shell:
    """An IPython shell, as far as it is looked at."""

    def __init__(self, **namespace: object) -> None:
        self.user_ns = namespace


class KernelShell(Shell):
    kernel = "of a notebook"


def in_ipython(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


@pytest.mark.parametrize(
    ("variable", "namespace", "expected"),
    [
        ("/home/amy/study/analysis.ipynb", {}, "/home/amy/study/analysis.ipynb"),
        ("study.ipynb", {"__vsc_ipynb_file__": "/home/amy/vs/code.ipynb"}, "/home/amy/vs/code.ipynb"),
        ("", {}, "notebook"),
    ],
)
def test_a_notebook_is_known_by_its_path(
    variable: str, namespace: dict[str, object], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_ipython(monkeypatch, KernelShell(**namespace))
    monkeypatch.setenv("JPY_SESSION_NAME", variable)
    entry, folder = entry_point()
    assert entry == expected
    assert folder == (Path(expected).parent if os.sep in expected else Path.cwd())


def started(monkeypatch: pytest.MonkeyPatch, file: Path | None, module: str | None, *arguments: str) -> None:
    """Let this process look like one that was started with this file or module."""
    spec = None if module is None else SimpleNamespace(name=module)
    main = SimpleNamespace(__spec__=spec) if file is None else SimpleNamespace(__spec__=spec, __file__=str(file))
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(sys, "argv", list(arguments))


def test_a_script_started_from_a_notebook_is_not_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/amy/analysis.ipynb")
    started(monkeypatch, tmp_path / "run.py", None)
    assert entry_point() == (str(tmp_path / "run.py"), tmp_path)


def test_the_code_of_a_linked_script_is_where_the_link_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("code", "bin"):
        (tmp_path / folder).mkdir()
    (tmp_path / "code" / "run.py").touch()
    (tmp_path / "bin" / "run").symlink_to(tmp_path / "code" / "run.py")
    started(monkeypatch, tmp_path / "bin" / "run", None)
    assert entry_point() == (str(tmp_path / "bin" / "run"), tmp_path / "code")


@pytest.mark.parametrize(("module", "entry"), [("lab.fetch", "-m lab.fetch"), ("lab.__main__", "-m lab")])
def test_a_module_is_known_by_its_name(
    module: str, entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(monkeypatch, tmp_path / "lab" / "fetch.py", module)
    assert entry_point() == (entry, tmp_path / "lab")


def test_a_folder_run_as_a_script_is_known_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, tmp_path / "app" / "__main__.py", "__main__")
    assert entry_point() == (str(tmp_path / "app" / "__main__.py"), tmp_path / "app")


def test_an_installed_command_runs_code_of_the_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, Path(sys.prefix) / "bin" / "snakemake", None)
    assert entry_point() == (str(Path(sys.prefix) / "bin" / "snakemake"), Path.cwd())
    started(monkeypatch, Path("/home/amy/.local/lib/python3.12/site-packages/pytest/__main__.py"), "pytest.__main__")
    assert entry_point() == ("-m pytest", Path.cwd())


def test_without_a_file_a_run_is_a_command_or_interactive(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, None, None, "-c", "x")
    assert entry_point() == ("-c", Path.cwd())
    started(monkeypatch, None, None, "")
    assert entry_point() == ("interactive", Path.cwd())


def test_ipython_in_a_terminal_is_interactive(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, Path(sys.prefix) / "bin" / "ipython", None)
    in_ipython(monkeypatch, Shell())
    assert entry_point() == ("interactive", Path.cwd())


def test_an_import_of_ipython_alone_is_not_interactive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, tmp_path / "run.py", None)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert entry_point()[0] == str(tmp_path / "run.py")


def test_known_ids_are_taken_from_the_environment_and_nothing_else(tmp_path: Path) -> None:
    variables = {
        "SLURM_JOB_ID": "4711",
        "JUPYTERHUB_USER": "amy",
        "AIRFLOW_CTX_DAG_ID": "nightly",
        "LSB_JOBID": "",
        "JOB_ID": "12",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "JUPYTERHUB_API_TOKEN": "hunter2",
    }
    facts = environment_facts(variables, tmp_path)
    assert facts == {"slurm_job_id": "4711", "jupyterhub_user": "amy", "airflow_ctx_dag_id": "nightly"}
    assert environment_facts(variables | {"SGE_ROOT": "/opt/sge"}, tmp_path) == facts | {"sge_job_id": "12"}


def test_an_id_that_holds_a_secret_or_a_novel_is_shortened(tmp_path: Path) -> None:
    facts = environment_facts({"BUILD_TAG": "https://amy:hunter2@ci.example.org/" + "x" * 1000}, tmp_path)
    assert facts["build_tag"].startswith("https://ci.example.org/xxx")
    assert len(facts["build_tag"]) == 160


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("proc/self/cgroup", f"12:memory:/docker/{CONTAINER}\n", CONTAINER),
        ("proc/self/cgroup", f"1:cpu:/kubepods/besteffort/pod1/cri-containerd-{CONTAINER}.scope\n", CONTAINER),
        (
            "proc/self/mountinfo",
            f"1 2 0:3 /var/lib/docker/containers/{CONTAINER}/hostname /etc/hostname rw\n",
            CONTAINER,
        ),
        ("proc/self/mountinfo", f"1 2 0:3 /var/lib/images/{CONTAINER} / rw\n", None),
        ("proc/self/cgroup", "0::/user.slice\n", None),
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
    ],
)
def test_a_container_is_known_by_its_id(file: str, text: str, expected: str | None, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert environment_facts({}, tmp_path).get("container") == expected


def test_a_pod_is_known_by_its_name_and_namespace(tmp_path: Path) -> None:
    namespace = tmp_path / "var/run/secrets/kubernetes.io/serviceaccount/namespace"
    namespace.parent.mkdir(parents=True)
    namespace.write_text("screening\n")
    cluster = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "reader-7f"}
    by_host = {"kubernetes_pod": "reader-7f", "kubernetes_namespace": "screening"}
    assert environment_facts(cluster, tmp_path) == by_host
    named = environment_facts(cluster | {"POD_NAME": "reader", "POD_NAMESPACE": "lab"}, tmp_path)
    assert named == {"kubernetes_pod": "reader", "kubernetes_namespace": "lab"}
    assert environment_facts({"HOSTNAME": "laptop"}, tmp_path) == {}
