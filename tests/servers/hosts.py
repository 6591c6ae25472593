"""Hosts on one machine: each has a network, with one way to this machine, and a name of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NoReturn

import pytest

_made = itertools.count()


class NoHosts(Exception):
    """None can be made here; `by_kernel` says that neither another user nor another program would help."""

    def __init__(self, reason: str, by_kernel: bool = False) -> None:
        super().__init__(reason)
        self.by_kernel = by_kernel


def do_without(reason: NoHosts) -> NoReturn:
    """Skip the test; in CI only if nothing helps, or if .ci/run has it run as root besides."""
    if os.environ.get("CI") == "true" and not (reason.by_kernel or os.environ.get("HOSTS_AS_ROOT") == "true"):
        pytest.fail(str(reason))
    pytest.skip(str(reason))


@dataclass(frozen=True)
class Host:
    """A host.

    Attributes
    ----------
    name
        What it calls itself.
    gateway
        Address by which it reaches this machine, and nothing else.
    """

    name: str
    gateway: str
    namespace: str

    def command(self, *command: str) -> list[str]:
        """Return what runs `command` on the host."""
        named = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name)
        return ["ip", "netns", "exec", self.namespace, *named, *command]


@contextmanager
def hosts(*names: str) -> Iterator[list[Host]]:
    """Make hosts for the length of a block.

    Raises
    ------
    NoHosts
        If this user may not, or programs are missing.
    """
    if missing := [program for program in ("ip", "unshare", "hostname") if shutil.which(program) is None]:
        raise NoHosts(f"{', '.join(missing)} not found; install iproute2 to run this")
    if os.geteuid() != 0:
        raise NoHosts("only root may make network namespaces; run this test as root")
    with ExitStack() as stack:
        yield [stack.enter_context(_host(name, number)) for number, name in enumerate(names)]


@contextmanager
def _host(name: str, number: int) -> Iterator[Host]:
    # The network is that which RFC 2544 sets aside for tests; processes of tests differ in their numbers.
    # A deleted namespace keeps its link for a while, so the name of a link is never used again.
    ours = f"dp{os.getpid()}n{next(_made)}"
    gateway, address = (f"198.{18 + number % 2}.{os.getpid() % 256}.{4 * (number // 2) + last}" for last in (1, 2))
    try:
        _ip("netns", "add", ours)
    except subprocess.CalledProcessError as error:
        raise NoHosts(f"network namespaces are not to be had here: {error.stderr.strip()}", by_kernel=True) from error
    try:
        _ip("link", "add", ours, "type", "veth", "peer", "name", "eth0", "netns", ours)
        _ip("address", "add", f"{gateway}/30", "dev", ours)
        _ip("link", "set", ours, "up")
        _ip("-n", ours, "address", "add", f"{address}/30", "dev", "eth0")
        _ip("-n", ours, "link", "set", "eth0", "up")
        _ip("-n", ours, "link", "set", "lo", "up")
        yield Host(name, gateway, ours)
    except subprocess.CalledProcessError as error:
        said = f"{' '.join(error.cmd)}: {error.stderr.strip()}"
        raise NoHosts(f"a network cannot be made here: {said}", by_kernel=True) from error
    finally:
        _ip("netns", "delete", ours)


def _ip(*arguments: str) -> None:
    command: Sequence[str] = ("ip", *arguments)
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=120)
