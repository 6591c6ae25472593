"""The facts of a run from real checkouts and real processes, hostile ones included."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from readers.git import Checkout, checkout

PROJECT = Path(__file__).parents[2]
PATIENT = 120.0
"""Seconds; on a busy machine even git takes its time."""

GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{role}_{part}": "amy@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")},
}
PRINT_FACTS = "import json; from readers.run import run_record; print(json.dumps(run_record()))"

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None and "CI" not in os.environ, reason="git is missing; install it: apt-get install git"
)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(
        command, cwd=folder, env=GIT_ENVIRONMENT, check=True, capture_output=True, text=True
    ).stdout.strip()


def facts(folder: Path) -> Checkout:
    found = checkout(folder, os.environ, PATIENT)
    assert found is not None
    return found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a checkout with one commit on the branch ``study/lung``."""
    folder = tmp_path / "repository"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "fetch.py").write_text(PRINT_FACTS)
    git(folder, "init", "--initial-branch=study/lung")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "Begin")
    return folder


def test_commit_branch_and_a_clean_state(repository: Path) -> None:
    assert facts(repository / "src") == Checkout("", git(repository, "rev-parse", "HEAD"), "study/lung", False)


def test_a_folder_outside_any_checkout_has_none(tmp_path: Path) -> None:
    assert checkout(tmp_path, os.environ) is None


def test_only_tracked_files_make_a_checkout_dirty(repository: Path) -> None:
    (repository / "notes.txt").write_text("not tracked")
    assert facts(repository).dirty is False
    (repository / "src" / "fetch.py").write_text("changed")
    assert facts(repository).dirty is True
    git(repository, "add", "src")
    assert facts(repository).dirty is True
    git(repository, "commit", "-m", "Change")
    assert facts(repository).dirty is False
    (repository / "src" / "fetch.py").unlink()
    assert facts(repository).dirty is True


def test_a_file_that_was_only_touched_is_not_dirty_and_the_index_stays(repository: Path) -> None:
    os.utime(repository / "src" / "fetch.py", (1, 1))
    before = (repository / ".git" / "index").read_bytes()
    assert facts(repository).dirty is False
    assert (repository / ".git" / "index").read_bytes() == before


def test_packed_references_and_objects(repository: Path) -> None:
    commit = facts(repository).commit
    git(repository, "gc", "--quiet")
    assert not (repository / ".git" / "refs" / "heads" / "study" / "lung").exists()
    assert facts(repository) == Checkout("", commit, "study/lung", False)


def test_a_detached_head_is_on_no_branch(repository: Path) -> None:
    git(repository, "checkout", "--detach")
    assert facts(repository) == Checkout("", git(repository, "rev-parse", "HEAD"), "", False)


def test_before_the_first_commit_there_is_a_branch_and_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--initial-branch=main")
    assert facts(tmp_path) == Checkout("", "", "main", None)


def test_a_worktree_has_a_head_of_its_own(repository: Path, tmp_path: Path) -> None:
    git(repository, "remote", "add", "origin", "https://git.example.org/lab.git")
    git(repository, "worktree", "add", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side" / "new.txt").touch()
    git(tmp_path / "side", "add", ".")
    git(tmp_path / "side", "commit", "-m", "Aside")
    found = facts(tmp_path / "side" / "src")
    assert found == Checkout(
        "https://git.example.org/lab.git", git(tmp_path / "side", "rev-parse", "HEAD"), "side", False
    )
    assert found.commit != facts(repository).commit


def test_a_submodule_is_a_checkout_of_its_own(repository: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--initial-branch=main")
    git(outer, "submodule", "add", str(repository), "parts/lung")
    git(outer, "commit", "-m", "Take a part")
    inner = facts(outer / "parts" / "lung" / "src")
    assert inner == Checkout(str(repository), facts(repository).commit, "study/lung", False)
    assert facts(outer).branch == "main"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://amy:hunter2@git.example.org/lab.git", "https://git.example.org/lab.git"),
        ("https://ghp_0123456789abcdefghij0123456789abcdef@git.example.org/lab.git", "https://git.example.org/lab.git"),
        ("git@git.example.org:lab/study.git", "git@git.example.org:lab/study.git"),
        ("amy:hunter2@git.example.org:lab.git", "git.example.org:lab.git"),
        ('/srv/git/with # and ; and "quotes".git', '/srv/git/with # and ; and "quotes".git'),
    ],
)
def test_a_remote_has_no_credentials(url: str, expected: str, repository: Path) -> None:
    git(repository, "remote", "add", "other", "https://other.example.org/lab.git")
    git(repository, "remote", "add", "origin", url)
    assert facts(repository).remote == expected


def test_without_an_origin_any_remote_will_do(repository: Path) -> None:
    git(repository, "remote", "add", "upstream", "https://git.example.org/lab.git")
    assert facts(repository).remote == "https://git.example.org/lab.git"


def test_end_of_line_conversion_of_the_checkout_is_respected(repository: Path) -> None:
    git(repository, "config", "core.autocrlf", "true")
    (repository / "src" / "fetch.py").write_bytes(PRINT_FACTS.encode() + b"\r\n")
    git(repository, "commit", "-a", "-m", "Lines")
    os.utime(repository / "src" / "fetch.py", (1, 1))
    assert facts(repository).dirty is False


@pytest.fixture
def trap(repository: Path, tmp_path: Path) -> Path:
    """Set up a checkout that runs programs when git looks at it; return the file that these would write."""
    sprung = tmp_path / "sprung"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 >> {sprung}\ncat\n")
    program.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=trap\n")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "Set")
    (repository / ".git" / "hooks").mkdir(exist_ok=True)
    shutil.copy(program, repository / ".git" / "hooks" / "post-index-change")
    included = tmp_path / "included"
    included.write_text(f'[filter "trap"]\n\tclean = {program}\n[core]\n\tfsmonitor = {program}\n')
    with open(repository / ".git" / "config", "a") as config:
        config.write(f"[include]\n\tpath = {included}\n[core]\n\thooksPath = {repository}/.git/hooks\n")
    os.utime(repository / "src" / "fetch.py", (1, 1))  # so that git has to look at the content
    return sprung


def test_a_hostile_checkout_runs_nothing(repository: Path, trap: Path) -> None:
    assert facts(repository).dirty is False
    assert not trap.exists()
    git(repository, "status")
    assert trap.read_text(), "git by itself walks into the trap, so it was one"


def test_a_pipe_in_place_of_a_file_does_not_stop_anybody(repository: Path) -> None:
    (repository / ".git" / "HEAD").unlink()
    os.mkfifo(repository / ".git" / "HEAD")
    assert checkout(repository, os.environ, PATIENT) is None


def test_a_reference_cannot_lead_out_of_the_checkout(repository: Path) -> None:
    (repository / "secret").write_text("a" * 40)
    (repository / ".git" / "HEAD").write_text("ref: refs/../../secret\n")
    assert facts(repository).commit == ""
    (repository / ".git" / "HEAD").write_text("not a commit: hunter2\n")
    assert facts(repository).commit == ""


def test_git_that_takes_too_long_is_not_waited_for(repository: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\necho $$ > {started}\nexec sleep 100000\n")
    slow.chmod(0o755)
    environment = {"PATH": f"{slow.parent}:/usr/bin:/bin"}
    assert checkout(repository, environment, 2.0) == Checkout("", facts(repository).commit, "study/lung", None)
    process = started.read_text() if started.exists() else ""
    if process:  # else it was ended before its first line was done
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)


def test_without_git_the_state_is_unknown(repository: Path, tmp_path: Path) -> None:
    assert checkout(repository, {"PATH": str(tmp_path)}) == Checkout("", facts(repository).commit, "study/lung", None)


def run(*arguments: str, folder: Path, text: str | None = None, **variables: str) -> dict[str, object]:
    """Return the run record that another process prints."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "DATA_PLATFORM_HOME": str(folder / "home"),
        **variables,
    }
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, input=text, capture_output=True, text=True, check=True)
    record = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(record, dict)
    return record


def test_a_script_with_its_code_arguments_and_place(repository: Path, tmp_path: Path) -> None:
    git(repository, "remote", "add", "origin", "https://amy:hunter2@git.example.org/lab.git")
    script = repository / "src" / "fetch.py"
    before = datetime.now(UTC).replace(tzinfo=None)
    record = run(
        *("../repository/src/fetch.py", "--token", "hunter2", "https://amy:hunter2@lims.example.org/7", "plate 1"),
        folder=repository,
        DATA_PLATFORM_REALM="acme.example",
        SLURM_JOB_ID="4711",
        LIMS_PASSWORD="hunter2",
    )
    assert record["entry_point"] == str(script)
    assert json.loads(str(record["argv"]))[1:] == ["--token", "***", "https://lims.example.org/7", "plate 1"]
    assert record["repository"] == "https://git.example.org/lab.git"
    assert record["commit_id"] == git(repository, "rev-parse", "HEAD")
    assert (record["branch"], record["dirty"]) == ("study/lung", False)
    assert record["run_realm"] == "acme.example"
    assert json.loads(str(record["environment"]))["slurm_job_id"] == "4711"
    # The system counts process starts in hundredths of a second, from a boot time that it rounds.
    assert datetime.fromisoformat(str(record["started_at"])) > before - timedelta(minutes=1)
    assert "hunter2" not in json.dumps(record)


def test_a_module_a_command_and_a_prompt(repository: Path) -> None:
    module = run("-m", "src.fetch", folder=repository)
    assert (module["entry_point"], module["branch"]) == ("-m src.fetch", "study/lung")
    command = run("-c", PRINT_FACTS, folder=repository)
    assert (command["entry_point"], command["branch"]) == ("-c", "study/lung")
    assert run("-", folder=repository, text=PRINT_FACTS)["entry_point"] == "interactive"


def test_a_script_elsewhere_is_not_of_the_checkout_it_is_run_in(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text(PRINT_FACTS)
    record = run(str(tmp_path / "tool.py"), folder=repository)
    assert (record["commit_id"], record["repository"], record["dirty"]) == ("", "", False)


FORK = """
import json, os, sys
from readers.run import run_record
mine = run_record()
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, json.dumps(run_record()).encode())
    os._exit(0)
os.wait()
print(json.dumps({"mine": mine, "child": json.loads(os.read(read, 65536))}))
"""

SPAWN = """
import json, multiprocessing
from readers.run import run_record

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(json.dumps({"mine": run_record(), "child": pool.apply(run_record)}))
"""


@pytest.mark.parametrize("code", [FORK, SPAWN], ids=["fork", "spawn"])
def test_a_fork_is_the_same_run_and_a_new_process_is_another(code: str, tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(code)
    records = run(str(tmp_path / "parent.py"), folder=tmp_path)
    mine, child = records["mine"], records["child"]
    assert isinstance(mine, dict)
    assert isinstance(child, dict)
    assert (child["execution_id"] == mine["execution_id"]) is (code is FORK)
    assert child["entry_point"] == mine["entry_point"] == str(tmp_path / "parent.py")


def test_a_run_whose_folder_was_removed_has_facts_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    code = f"import os; os.rmdir({str(folder)!r}); " + PRINT_FACTS
    environment = {"PYTHONPATH": str(PROJECT), "DATA_PLATFORM_HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["entry_point"] == "-c"
