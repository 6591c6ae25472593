"""What a process gives up for good, where the kernel lets it, so that whoever takes it over gets nowhere with it.

Linux offers two things to any process, without privileges: Landlock (5.13 and later: no file is
opened but those of Python and its libraries, other processes are out of reach) and seccomp
(no socket, no other program, no other process). Both are best effort: where one is missing,
what `child.limit` sets and an account without rights still hold.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import sysconfig
from collections.abc import Collection, Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

FILES, CALLS = "files", "calls"
NOBODY = 65534

_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2  # of prctl
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # of Landlock, on all machines
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_RIGHTS = ((1, 13), (2, 14), (3, 15), (5, 16))  # version of Landlock, rights to files that it knows

# Denied, by machine: the kernel's name for it, then sockets, other programs, other processes, and signals to them.
_MACHINES = {
    "x86_64": (0xC000003E, (41, 57, 58, 59, 322, 101, 310, 311, 62, 200, 234, 424, 425, 438), 56),
    "aarch64": (0xC00000B7, (198, 221, 281, 117, 270, 271, 129, 130, 131, 424, 425, 438), 220),
}
_CLONE3 = 435
_THREAD = 0x10000  # of clone: a thread of this process, and no process of its own
_X32 = 0x40000000  # and above: the same calls by other numbers
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # of the filter's language
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026


def confine(parsers: Collection[str]) -> set[str]:
    """Give up files, network and other processes; return which of `FILES` and `CALLS` the kernel took.

    Parameters
    ----------
    parsers
        Packages that are still to be imported.
    """
    specs = [spec for name in parsers if (spec := find_spec(name)) is not None]
    readable = _libraries(Path(place).parent for spec in specs for place in spec.submodule_search_locations or ())
    if os.geteuid() == 0:
        with suppress(OSError):  # a root that may not change, as in some containers
            _become_nobody([*readable, *(Path(spec.origin) for spec in specs if spec.origin)])
    if sys.platform != "linux":
        return set()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0))):
        return set()
    return {name for name, taken in ((FILES, _files(libc, readable)), (CALLS, _calls(libc))) if taken}


def _libraries(packages: Iterable[Path]) -> list[Path]:
    """Return where `packages`, Python and the libraries that they load are."""
    python = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    system = [Path(name) for name in ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache")]
    loaded = [Path(name).parent for name in _loaded()]
    return sorted({place.resolve() for place in (*packages, *python, *system, *loaded) if place.exists()})


def _loaded() -> set[str]:
    """Return the shared libraries of this process."""
    with suppress(OSError), open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        names = [line.rstrip("\n").partition("/")[2] for line in maps]
        return {f"/{name}" for name in names if ".so" in name}
    return set()


def _become_nobody(readable: Iterable[Path]) -> None:
    """Give up root's rights, unless Python is where only root may read."""
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    allowed = all(os.access(place, os.R_OK, effective_ids=True) for place in readable)
    os.seteuid(0)
    os.setegid(0)
    if allowed:
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def _files(libc: ctypes.CDLL, readable: Iterable[Path]) -> bool:
    """Open nothing from now on but what is in `readable`; connect nowhere and reach no process outside."""
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    if version < 1:
        return False
    rights = max(count for since, count in _RIGHTS if since <= version)
    # Files; then TCP both ways (version 4); then abstract sockets and signals (version 6).
    attributes = struct.pack("=QQQ", (1 << rights) - 1, 3, 3)[: 8 if version < 4 else 16 if version < 6 else 24]
    rules = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    if rules < 0:
        return False
    try:
        for place in readable:
            _allow(libc, rules, place)
        return bool(libc.syscall(_RESTRICT_SELF, rules, ctypes.c_uint(0)) == 0)
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, place: Path) -> None:
    with suppress(OSError):  # what nobody may open needs no leave
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
        try:
            right = _READ_FILE | (_READ_FOLDER if place.is_dir() else 0)
            libc.syscall(_ADD_RULE, rules, ctypes.c_int(1), struct.pack("=Qi", right, opened), ctypes.c_uint(0))
        finally:
            os.close(opened)


def _calls(libc: ctypes.CDLL) -> bool:
    """Make no socket, no other process, and start no program, from now on."""
    if platform.machine() not in _MACHINES or sys.maxsize < 2**32:
        return False
    code = b"".join(_filter(*_MACHINES[platform.machine()]))
    room = ctypes.create_string_buffer(code)
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(room))
    return bool(libc.prctl(_SECCOMP, ctypes.c_ulong(_FILTER), program) == 0)


def _filter(machine: int, denied: Iterable[int], clone: int) -> Iterable[bytes]:
    """Yield the filter: each step is a code, how many steps to skip if it is true or false, and a value."""

    def step(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, true, false, value)

    yield step(_LOAD, 4)
    yield step(_EQUAL, machine, true=1)
    yield step(_RETURN, _EPERM)
    yield step(_LOAD, 0)
    yield step(_AT_LEAST, _X32, false=1)
    yield step(_RETURN, _EPERM)
    for number in denied:
        yield step(_EQUAL, number, false=1)
        yield step(_RETURN, _EPERM)
    yield step(_EQUAL, _CLONE3, false=1)
    yield step(_RETURN, _ENOSYS)  # libraries use clone then, whose flags can be looked at
    yield step(_EQUAL, clone, true=1)
    yield step(_RETURN, _ALLOW)
    yield step(_LOAD, 16)
    yield step(_ANY_BIT, _THREAD, true=1)
    yield step(_RETURN, _EPERM)
    yield step(_RETURN, _ALLOW)
