"""Homes whose embedded database has its tables already: made once a session, copied for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from data_platform.settings import load
from schemas import cluster
from schemas.binding import unbind
from schemas.installation import root_place


class ReadyHome:
    """The database of a home, as it is after the first command.

    To make one costs some seconds of computing, to copy it a fraction of one. That it is made at all by
    whoever comes first is for the tests of the embedded database, of bindings, the shipper and the demo.
    """

    def __init__(self, home: Path) -> None:
        from populate.pipeline import bind_all  # here, so that unit tests do not wait for it

        bind_all(load(home=home))
        unbind()  # the last user stops the server: the files are whole
        found = cluster.data_folder(home)
        assert found is not None
        assert not (found / "postmaster.pid").exists()
        self._data, self._password = found, home / "postgres.password"

    def copy_to(self, home: Path) -> None:
        """Give a home, which has no database yet, a copy."""
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(self._password, home / "postgres.password")
        if os.geteuid() != 0:
            return _copy(self._data, home / "postgres")
        base = Path(tempfile.mkdtemp(prefix=f"{cluster._digest(home)}-", dir=root_place()))
        base.chmod(0o711)
        data = base / "data"
        _copy(self._data, data)
        cluster.note_home(home, data)
        (home / "postgres").symlink_to(data)
        return None


def _copy(folder: Path, to: Path) -> None:
    """Copy with owners and permissions, without a process of Python's for each of a thousand files."""
    subprocess.run(["cp", "-a", str(folder), str(to)], stdin=subprocess.DEVNULL, check=True, capture_output=True)
