"""Debian's packages, unpacked in a folder of the user's: nothing is installed, and no root is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs

from schemas.locks import EXCLUSIVE, locked

CACHE = platformdirs.user_cache_path("data-platform-tests")
FETCH_SECONDS = 600.0


class Unavailable(Exception):
    """The packages cannot be fetched here; the message says why."""


def unpacked(name: str, *packages: str, suite: str) -> Path:
    """Return the folder with these packages and all that they need, fetched once for all sessions of a machine.

    Raises
    ------
    Unavailable
        If this is no Debian, or its mirror does not answer.
    """
    root = CACHE / name
    if not root.is_dir():
        if not all(map(shutil.which, ("apt-get", "apt-cache", "dpkg"))):
            raise Unavailable("apt is not there")
        CACHE.mkdir(parents=True, exist_ok=True)
        with locked(CACHE / f"{name}.lock", EXCLUSIVE, FETCH_SECONDS):
            if not root.is_dir():
                _unpack(root, suite, packages)
    return root


def command(root: Path, path: str) -> list[str]:
    """Return how an unpacked program is started, with the libraries that it came with."""
    loader = next(path for path in sorted(root.glob("usr/lib*/ld-linux*")) + sorted(root.glob("usr/lib/*/ld-linux*")))
    libraries = next(path for path in sorted(root.glob("usr/lib/*-linux-gnu*")) if path.is_dir())
    return [str(loader), "--library-path", str(libraries), str(root / path)]


def _unpack(root: Path, suite: str, packages: tuple[str, ...]) -> None:
    making = Path(tempfile.mkdtemp(prefix=f"{root.name}-", dir=root.parent))
    try:
        _fetch(making, suite, packages)
        (making / "root").rename(root)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(str(getattr(error, "stderr", None) or error)) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _fetch(folder: Path, suite: str, packages: tuple[str, ...]) -> None:
    """Fetch the packages from the mirror that this machine uses, and unpack them below ``root``.

    apt gets lists and a state of its own, so it changes nothing on the machine.
    """
    mirror = re.search(r"\bhttps?://\S*?/debian\b", _output("apt-cache", "policy"))
    if mirror is None:
        raise FileNotFoundError("apt knows no Debian mirror")
    for name in ("lists/partial", "archives/partial", "root"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb {mirror[0]} {suite} main\n")
    changes = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache::archives": folder / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Debug::NoLocking": "1",
    }
    options = [argument for name, value in changes.items() for argument in ("-o", f"{name}={value}")]
    _output("apt-get", *options, "update", "-qq")
    _output("apt-get", *options, "install", "-y", "-qq", "--download-only", *packages)
    for package in (folder / "archives").glob("*.deb"):
        _output("dpkg", "-x", str(package), str(folder / "root"))


def _output(*arguments: str) -> str:
    return subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=FETCH_SECONDS
    ).stdout
