"""The folder with the data of the embedded database: where it is, and how it is made.

For a normal user it is ``HOME/postgres``. Root's server cannot reach into root's home, so
``HOME/postgres`` is a link to a folder below ``/var/lib/data-platform`` there. Either way the
database is complete the moment ``HOME/postgres`` exists.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from data_platform.errors import DatabaseUnavailable
from schemas.installation import Installation, root_place, system_account

USER = "data_platform"  # no superuser: what gets through to the database cannot leave it
DATABASE = "postgres"
_ACCESS = f"local {DATABASE} {USER} scram-sha-256\n"  # nobody else, and by no other way
_INITDB = (
    "--username=postgres",
    "--auth=reject",
    "--encoding=UTF8",
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-instructions",
)


def data_folder(home: Path) -> Path | None:
    """Return the folder with the data, or None if there is no database yet.

    Raises
    ------
    DatabaseUnavailable
        If it belongs to another user than the one who asks.
    """
    named = home / "postgres"
    if not os.path.lexists(named):
        return None
    if os.geteuid() != 0:
        if named.is_symlink() or named.stat().st_uid != os.geteuid():
            raise DatabaseUnavailable(f"{named} belongs to another user. Set DATA_PLATFORM_HOME to your own folder.")
        return named
    if not named.is_symlink():
        owner = named.stat().st_uid
        raise DatabaseUnavailable(f"{named} belongs to user {owner}. Work as that user, or set DATA_PLATFORM_HOME.")
    return _roots_folder(named)


def _roots_folder(link: Path) -> Path:
    data = link.readlink()
    try:
        sound = data.parent.parent == root_place() and data.lstat().st_uid == system_account().uid
    except OSError:
        sound = False
    if not sound:
        raise DatabaseUnavailable(f"{link} leads to {data}, which is not a database. Remove the link to begin anew.")
    return data


def release_of(data: Path) -> int:
    """Return the release of PostgreSQL that wrote the data."""
    try:
        return int((data / "PG_VERSION").read_text())
    except (OSError, ValueError) as error:
        raise DatabaseUnavailable(f"{data} is not a database ({error}). Move it away to begin anew.") from error


def create(home: Path, installation: Installation, *, fsync: bool) -> Path:
    """Make an empty database and return its folder. Nothing is visible before it is complete."""
    password = new_password(home)
    _clear_unfinished(home)
    if installation.account is None:
        staging = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=home))
        _initialise(staging, installation, password, fsync)
        return staging.rename(home / "postgres")
    base = Path(tempfile.mkdtemp(prefix=f"{_digest(home)}-", dir=root_place()))
    base.chmod(0o711)  # a fresh folder, and no more than a way through
    data = base / "data"
    data.mkdir(mode=0o700)
    os.chown(data, installation.account.uid, installation.account.gid)
    _initialise(data, installation, password, fsync)
    note_home(home, data)
    (home / "postgres").symlink_to(data)
    return data


def _clear_unfinished(home: Path) -> None:
    """Delete what a creation left behind that was killed; the caller holds the lock of the home."""
    unfinished = list(home.glob("postgres.new-*"))
    if os.geteuid() == 0:
        unfinished += [base for base in root_place().glob(f"{_digest(home)}-*") if not (base / "home").exists()]
    for folder in unfinished:
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(data: Path, installation: Installation, password: str, fsync: bool) -> None:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as script:
        script.write(f"CREATE ROLE {USER} LOGIN PASSWORD '{password}'\n".encode())
        script.write(f"ALTER DATABASE {DATABASE} OWNER TO {USER}\n".encode())
        script.seek(0)
        initdb = (installation.program("initdb"), f"--pgdata={data}", *_INITDB, *([] if fsync else ["--no-sync"]))
        alone = (installation.program("postgres"), "--single", "-D", str(data), "-c", "exit_on_error=true", DATABASE)
        failed = installation.run(*initdb, output=output) or installation.run(*alone, stdin=script, output=output)
        if failed:
            output.seek(0)
            said = output.read().decode(errors="replace").strip()[-1000:]
            raise DatabaseUnavailable(f"The embedded database cannot be made: {said}. Mend that, then retry.")
    (data / "pg_hba.conf").write_text(_ACCESS)


def new_password(home: Path) -> str:
    """Write and return a password for a database that is about to be made."""
    password = secrets.token_hex(32)
    making = home / f".postgres.password-{os.getpid()}"
    with suppress(FileNotFoundError):
        making.unlink()
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as file:
        file.write(password)
        file.flush()
        os.fsync(file.fileno())
    making.replace(home / "postgres.password")
    return password


def password_of(home: Path) -> str:
    """Return the password of the database."""
    try:
        return (home / "postgres.password").read_text().strip()
    except OSError as error:
        raise DatabaseUnavailable(
            f"The password of the embedded database cannot be read ({error.strerror}: {error.filename}). "
            f"Restore that file, or move {home / 'postgres'} away to begin anew."
        ) from error


def note_home(home: Path, data: Path) -> None:
    """Write down which home root's database belongs to, so that it can be told when that is gone."""
    note = data.parent / "home"
    if os.geteuid() == 0 and not (note.exists() and note.read_bytes() == os.fsencode(home)):
        note.write_bytes(os.fsencode(home))


def abandoned(home: Path) -> list[Path]:
    """Return data folders that root's earlier homes of this name left behind when they were deleted."""
    if os.geteuid() != 0:
        return []
    left = []
    for note in root_place().glob(f"{_digest(home)}-*/home"):
        link = Path(os.fsdecode(note.read_bytes())) / "postgres"
        data = note.parent / "data"
        if not (link.is_symlink() and link.readlink() == data):
            left.append(data)
    return left


def remove(home: Path) -> None:
    """Delete the database of a home, and those that earlier homes of that name left behind."""
    data = data_folder(home)
    for folder in (*abandoned(home), *([data] if data else [])):
        shutil.rmtree(folder if os.geteuid() else folder.parent, ignore_errors=True)
    for name in ("postgres", "postgres.password"):
        with suppress(FileNotFoundError):
            (home / name).unlink()


def _digest(home: Path) -> str:
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
