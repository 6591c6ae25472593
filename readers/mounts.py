"""What is mounted where, so that two machines call a file on a share by the same identity.

A file on ``filer:/export/lab``, mounted at ``/mnt/lab`` here and at ``/data`` there, is
``/x.csv`` of ``nfs/filer/export/lab`` on both. Only Linux tells; elsewhere every file counts
as the machine's own.
"""

from __future__ import annotations

import hashlib
import os
import re
import select
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

MOUNTINFO = "/proc/self/mountinfo"
_HOST_AND_PATH = {
    "nfs": "nfs",
    "nfs4": "nfs",
    "fuse.sshfs": "sshfs",
    "ceph": "ceph",
    "fuse.glusterfs": "glusterfs",
    "lustre": "lustre",
}
_SMB = {"cifs", "smb3", "smbfs"}
# fmt: off
_PSEUDO = frozenset((
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "efivarfs", "fusectl", "mqueue",
    "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs",
))
_DISKS = frozenset((
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "ntfs3", "overlay", "ramfs", "tmpfs", "vfat",
    "xfs", "zfs",
))
# fmt: on
_SYSTEM_WIDTH = 255
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, eq=False)
class Mount:
    """A mounted file system. Compared by identity, which makes it a cheap key.

    Attributes
    ----------
    point
        Where it is mounted, absolute.
    system
        `Item.source_system` of a share, empty for disks of this machine.
    root
        Which path of the share is mounted there; empty for the whole of it.
    pseudo
        It holds no data, only the system's view of itself.
    disk
        It is of a kind that is known to be on a disk of this machine, or in its memory.
    """

    point: str
    system: str = ""
    root: str = ""
    pseudo: bool = False
    disk: bool = False

    def item_id(self, path: str) -> str:
        """Return the path within the share of the absolute `path`, which lies in this mount."""
        return f"{self.root}{path[len(self.point.rstrip('/')) :]}" or "/"

    def local_path(self, item_id: str) -> str | None:
        """Return where this mount shows the path `item_id` of the share, or None if it does not."""
        if item_id != self.root and not item_id.startswith(f"{self.root}/"):
            return None
        return f"{self.point.rstrip('/')}{item_id[len(self.root) :].rstrip('/')}" or "/"


class MountTable:
    """The mounts that this process sees, read anew whenever the kernel says that they changed."""

    def __init__(self, source: str = MOUNTINFO) -> None:
        self._mounts: dict[str, Mount] = {}
        self._changes = select.poll()
        self._descriptor = -1
        with suppress(OSError):
            self._descriptor = os.open(source, os.O_RDONLY)
            self._changes.register(self._descriptor, select.POLLPRI)
            self._read()

    def close(self) -> None:
        """Let go of the open file; the mounts stay as they were last seen."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def holding(self, path: str) -> Mount | None:
        """Return the mount that the absolute, real `path` lies in."""
        return holding(self.mounts(), path)

    def local_path(self, system: str, item_id: str) -> str | None:
        """Return where a path of a share is found on this machine, or None if it is not mounted."""
        here = (mount.local_path(item_id) for mount in self.mounts().values() if mount.system == system)
        return next((path for path in here if path is not None), None)

    def mounts(self) -> Mapping[str, Mount]:
        """Return the mounts of this moment, by where they are."""
        if self._descriptor >= 0 and self._changed():
            self._read()
        return self._mounts

    def _changed(self) -> bool:
        try:
            return bool(self._changes.poll(0))
        except RuntimeError:  # another thread is asking, and reads if need be
            return False

    def _read(self) -> None:
        pieces: list[bytes] = []
        while piece := os.pread(self._descriptor, 1 << 16, sum(map(len, pieces))):
            pieces.append(piece)
        self._mounts = {mount.point: mount for mount in parse_mounts(os.fsdecode(b"".join(pieces)).splitlines())}


def holding(mounts: Mapping[str, Mount], path: str) -> Mount | None:
    """Return which of `mounts` the absolute, real `path` lies in."""
    while (mount := mounts.get(path)) is None and len(path) > 1:
        path = path[: path.rindex("/")] or "/"
    return mount


_table: MountTable | None = None


def mount_table() -> MountTable:
    """Return the mount table of this process."""
    global _table
    if _table is None:
        _table = MountTable()
    return _table


def _renew() -> None:
    """Forget the parent's open file: the kernel tells of a change only once for each."""
    global _table
    if _table is not None:
        _table.close()
        _table = None


os.register_at_fork(after_in_child=_renew)


def parse_mounts(lines: Iterable[str]) -> list[Mount]:
    """Return the mounts that lines of ``/proc/self/mountinfo`` describe, in their order."""
    return [_mount(*fields) for fields in map(_fields, lines) if fields is not None]


def _fields(line: str) -> tuple[str, str, str, str] | None:
    """Return root, mount point, file system type and mount source of a line."""
    left, separator, right = line.partition(" - ")
    before, after = left.split(" "), right.split(" ")
    if not separator or len(before) < 6 or len(after) < 2:
        return None
    return _plain(before[3]), _plain(before[4]), after[0], _plain(after[1])


def _plain(field: str) -> str:
    """Undo the octal escapes of blanks and backslashes."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), field)


def _mount(root: str, point: str, kind: str, source: str) -> Mount:
    inner = "" if root == "/" else root
    if kind in _PSEUDO:
        return Mount(point, pseudo=True)
    if kind in _SMB and (share := re.fullmatch(r"//([^/]+)/([^/]+)(/.*)?", source.replace("\\", "/"))):
        return Mount(point, _system("smb", share[1], f"/{share[2]}"), (share[3] or "").rstrip("/") + inner)
    if kind in _HOST_AND_PATH and (export := re.fullmatch(r"(.+?):(/.*)", source)):
        host = export[1].rpartition("@")[2] if kind == "fuse.sshfs" else export[1]
        return Mount(point, _system(_HOST_AND_PATH[kind], host, export[2].rstrip("/")), inner)
    return Mount(point, disk=kind in _DISKS)


def _system(kind: str, host: str, path: str) -> str:
    system = f"{kind}/{host}{path}".lower()
    if len(system) > _SYSTEM_WIDTH:
        system = f"{system[:222]}-{hashlib.sha256(system.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
    return system
