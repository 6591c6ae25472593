"""What code a run is of: the facts of the git checkout that a folder belongs to.

Commit, branch and remote are read from the files below ``.git``, which takes well under a
millisecond and runs nothing. Whether tracked files were changed only git can tell. It is
asked once per process, and not for long, in a way that a hostile checkout cannot turn
against its visitor: its configuration could name programs to run (filters, fsmonitor,
hooks), so git works with an empty directory of ours in place of ``.git`` that borrows the
checkout's index and objects.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from data_platform.redact import redact_url

PATIENCE_SECONDS = 0.2
"""How long the first read of a process may wait for git; a checkout of 8,000 files takes about 16 ms."""

_SMALL_FILE = 1 << 20
_PACKED_REFS = 64 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_SECTION = re.compile(r"\[\s*([\w.-]+)\s*(?:\"((?:[^\"\\]|\\.)*)\")?\s*\]")
_ENTRY = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:=\s*(.*))?\Z")
# How files of the checkout compare with its index; nothing here names a program.
_HARMLESS = frozenset(
    f"core.{name}"
    for name in (
        *("filemode", "autocrlf", "eol", "safecrlf", "ignorecase", "symlinks", "trustctime", "checkstat"),
        *("precomposeunicode", "repositoryformatversion", "sparsecheckout", "sparsecheckoutcone"),
    )
) | {"extensions.objectformat", "index.sparse"}


@dataclass(frozen=True, slots=True)
class Checkout:
    """State of a git checkout; texts are empty where there is nothing to tell.

    `remote` has no credentials. `dirty` says whether tracked files differ from the commit;
    None if that could not be found out in time.
    """

    remote: str
    commit: str
    branch: str
    dirty: bool | None


@dataclass(frozen=True, slots=True)
class _Place:
    root: Path
    git_dir: Path  # of this worktree
    common_dir: Path  # of all worktrees


def checkout(folder: Path, environment: Mapping[str, str], patience: float = PATIENCE_SECONDS) -> Checkout | None:
    """Return the state of the checkout that `folder` is in, or None if it is in none.

    Parameters
    ----------
    environment
        That git is to run in; what would redirect it (``GIT_*``) is left out.
    patience
        Seconds that git may take to tell whether the checkout is dirty.
    """
    place = _find(folder)
    if place is None:
        return None
    config = dict(_config(_text(place.common_dir / "config")))
    commit, branch = _head(place)
    return Checkout(_remote(config), commit, branch, _dirty(place, commit, config, environment, patience))


def subject(folder: Path, commit: str, environment: Mapping[str, str], patience: float = 2.0) -> str:
    """Return the first line of a commit's message; empty if git cannot tell it in `patience` seconds.

    Parameters
    ----------
    folder
        In a checkout of the repository.
    environment
        That git is to run in.
    """
    place = _find(folder)
    git = shutil.which("git", path=environment.get("PATH"))
    if place is None or git is None or not _COMMIT.match(commit):
        return ""
    try:
        with tempfile.TemporaryDirectory(prefix="data-platform-git-", ignore_cleanup_errors=True) as stand_in:
            _furnish(Path(stand_in), commit, dict(_config(_text(place.common_dir / "config"))))
            variables = _variables(place, Path(stand_in), environment)
            answer = _run([git, "cat-file", "commit", commit], place, variables, patience)
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    message = answer.partition(b"\n\n")[2].decode("utf-8", "replace")
    return message.strip().partition("\n")[0]


def _find(folder: Path) -> _Place | None:
    for root in (folder, *folder.parents):
        git = root / ".git"
        if os.path.isdir(git):
            git_dir = git
        elif pointer := re.match(r"gitdir: (.+)", _text(git)):  # a worktree or a submodule
            git_dir = root / pointer[1].rstrip()
        else:
            continue
        if _text(git_dir / "HEAD"):
            return _Place(root, git_dir, git_dir / (_text(git_dir / "commondir").strip() or "."))
    return None


def _text(path: Path, limit: int = _SMALL_FILE) -> str:
    """Return the text of a regular file up to `limit` bytes; nothing if it cannot be had.

    Not to block: a checkout made to annoy may hold a pipe in place of a file.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return ""
            return file.read(limit).decode("utf-8", "surrogateescape")
    except (OSError, ValueError):
        return ""


def _head(place: _Place) -> tuple[str, str]:
    """Return the commit and the branch that are checked out."""
    name = "HEAD"
    branch = ""
    for _ in range(5):  # git, too, follows no longer chain
        value = _ref(place, name)
        if not value.startswith("ref: "):
            return (value if _COMMIT.match(value) else ""), branch
        name = value[5:].strip()
        if not name.startswith("refs/") or ".." in name or name.endswith("/.invalid"):
            break
        branch = branch or name.removeprefix("refs/heads/")
    return "", branch


def _ref(place: _Place, name: str) -> str:
    """Return what a reference says: a commit, or ``ref:`` and another reference."""
    loose = _text(place.git_dir / name) or _text(place.common_dir / name)
    if loose or name == "HEAD":
        return loose.strip()
    packed = re.search(rf"^([0-9a-f]+) {re.escape(name)}$", _text(place.common_dir / "packed-refs", _PACKED_REFS), re.M)
    return packed[1] if packed else ""


def _config(text: str) -> Iterator[tuple[str, str]]:
    """Yield ``section.subsection.key`` and value of a git configuration, without its includes."""
    section = ""
    for raw in text.replace("\\\n", "").splitlines():
        line = raw.lstrip()
        if header := _SECTION.match(line):
            name = re.sub(r"\\(.)", r"\1", header[2] or "")
            section = f"{header[1].lower()}.{name}." if name else f"{header[1].lower()}."
            line = line[header.end() :]
        if section and (entry := _ENTRY.match(line)):
            yield section + entry[1].lower(), _value(entry[2])


def _value(raw: str | None) -> str:
    if raw is None:  # a key alone means yes
        return "true"
    pieces = re.findall(r'"((?:[^"\\]|\\.)*)"|([^"#;\\]+|\\.)|([#;].*)', raw)
    text = "".join(quoted or plain for quoted, plain, _comment in pieces).strip()
    return re.sub(r"\\(.)", r"\1", text)


def _remote(config: Mapping[str, str]) -> str:
    """Return the URL of the remote ``origin``, else of any, without credentials."""
    urls = (url for key, url in config.items() if key.startswith("remote.") and key.endswith(".url"))
    url = config.get("remote.origin.url") or next(urls, "")
    # user:password@host:path has no scheme; a lone git@ is no secret and tells the way in.
    return redact_url(re.sub(r"\A[^/@:]+:[^/@]*@", "", url))


def _dirty(
    place: _Place, commit: str, config: Mapping[str, str], environment: Mapping[str, str], patience: float
) -> bool | None:
    git = shutil.which("git", path=environment.get("PATH"))
    if git is None or not commit:
        return None
    try:
        with tempfile.TemporaryDirectory(prefix="data-platform-git-", ignore_cleanup_errors=True) as stand_in:
            _furnish(Path(stand_in), commit, config)
            return _ask(git, place, Path(stand_in), environment, patience)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _furnish(stand_in: Path, commit: str, config: Mapping[str, str]) -> None:
    """Make what git takes for a repository, at that commit."""
    (stand_in / "refs").mkdir()
    (stand_in / "HEAD").write_text(f"{commit}\n")
    with open(stand_in / "config", "w") as file:
        for key in _HARMLESS & config.keys():
            section, _, name = key.partition(".")
            if re.fullmatch(r"[\w-]*", config[key]):
                file.write(f"[{section}]\n{name} = {config[key]}\n")


def _ask(git: str, place: _Place, stand_in: Path, environment: Mapping[str, str], patience: float) -> bool:
    index = str((place.git_dir / "index").resolve(strict=True))
    variables = _variables(place, stand_in, environment) | {"GIT_INDEX_FILE": index}
    command = [git, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "status", "--porcelain", "-z"]
    command += ["--untracked-files=no", "--ignore-submodules=all", "--no-renames"]
    return bool(_run(command, place, variables, patience))


def _run(command: list[str], place: _Place, variables: Mapping[str, str], patience: float) -> bytes:
    """Return what git says; raises what `subprocess` does."""
    return subprocess.run(
        command,
        env=variables,
        cwd=place.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=patience,
        check=True,
    ).stdout


def _variables(place: _Place, stand_in: Path, environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("GIT_")} | {
        "GIT_DIR": str(stand_in),
        "GIT_WORK_TREE": str(place.root),
        "GIT_OBJECT_DIRECTORY": str(place.common_dir / "objects"),
        "GIT_OPTIONAL_LOCKS": "0",  # the index is not ours to refresh
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
