"""A real OpenLDAP server on loopback, as an ordinary process of whoever runs the tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from populate.directory.ldap_search import ldap3  # imported quietly there
from servers.processes import accepts, free_port, start, stop, wait_until

SLAPD = shutil.which("slapd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
HOW_TO_INSTALL = "apt-get install slapd"
BASE = "dc=lab,dc=example"
ADMIN, SECRET = f"cn=admin,{BASE}", "of the directory"
READER, READER_SECRET = f"cn=reader,{BASE}", "of the reader"

_CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
database mdb
maxsize 67108864
suffix "{base}"
rootdn "{admin}"
rootpw "{secret}"
directory {folder}/data
dbnosync
limits dn.exact="{reader}" size.soft={limit} size.hard={limit} size.prtotal={total}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
"""


class SlapdMissing(Exception):
    """There is no slapd here."""


@dataclass
class Directory:
    """A running server, and what its administrator does."""

    port: int
    folder: Path
    connection: ldap3.Connection = field(init=False, repr=False)

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def sign_in(self) -> None:
        """Sign in as the administrator."""
        server = ldap3.Server("127.0.0.1", port=self.port, get_info=ldap3.NONE)
        self.connection = ldap3.Connection(server, user=ADMIN, password=SECRET, auto_bind=True, check_names=False)

    def hire(self, uid: str, name: str, *, manager: str = "", **attributes: str) -> str:
        """Add somebody; return the distinguished name. Attributes as of inetOrgPerson."""
        given = {"uid": uid, "cn": name, "sn": name.rsplit(maxsplit=1)[-1], "mail": f"{uid}@lab.example", **attributes}
        if manager:
            given["manager"] = person(manager)
        return self._add(person(uid), "inetOrgPerson", {key: [value] for key, value in given.items() if value})

    def group(self, name: str, *members: str) -> str:
        """Add a group of distinguished names."""
        return self._add(f"cn={name},ou=groups,{BASE}", "groupOfNames", {"cn": [name], "member": list(members)})

    def change(self, name: str, **attributes: Sequence[str]) -> None:
        """Replace the values of attributes; no value removes one."""
        changes = {key: [(ldap3.MODIFY_REPLACE, list(values))] for key, values in attributes.items()}
        self._done(self.connection.modify(name, changes))

    def rename(self, uid: str, new: str) -> None:
        """Give somebody another login."""
        self._done(self.connection.modify_dn(person(uid), f"uid={new}"))

    def delete(self, name: str) -> None:
        """Delete an object."""
        self._done(self.connection.delete(name))

    def _add(self, name: str, kind: str, attributes: Mapping[str, Sequence[str]]) -> str:
        self._done(self.connection.add(name, kind, dict(attributes)))
        return name

    def _done(self, succeeded: bool) -> None:
        assert succeeded, self.connection.result


def person(uid: str) -> str:
    """Return the distinguished name of somebody."""
    return f"uid={uid},ou=people,{BASE}"


@contextmanager
def slapd(
    folder: Path, *, people: int = 0, limit: str = "unlimited", total: str = "unlimited", certificate: Path, key: Path
) -> Iterator[Directory]:
    """Run a server with so many people, p0000 and so on, until the block ends.

    Parameters
    ----------
    limit
        Objects that the reader gets by one search, or page of one.
    total
        Objects that the reader gets by all pages of a search.
    certificate, key
        Files for TLS.

    Raises
    ------
    SlapdMissing
        If it is not installed.
    """
    if SLAPD is None:
        raise SlapdMissing(HOW_TO_INSTALL)
    (folder / "data").mkdir(parents=True)
    configuration, log = folder / "slapd.conf", folder / "log"
    values = {"base": BASE, "admin": ADMIN, "secret": SECRET, "reader": READER, "limit": limit, "total": total}
    configuration.write_text(_CONFIGURATION.format(folder=folder, certificate=certificate, key=key, **values))
    text = "\n".join("\n".join(block) + "\n" for block in _objects(people))
    load = [SLAPD, "-T", "add", "-q", "-f", str(configuration)]
    subprocess.run(load, input=text.encode(), capture_output=True, check=True, timeout=120)
    for attempt in range(3):  # a port that was free may be taken by the time the server binds it
        directory = Directory(free_port(), folder)
        process = start([SLAPD, "-d", "0", "-f", configuration, "-h", directory.url], log)
        try:
            try:
                wait_until(lambda: accepts(directory.port), "slapd", [process], log)  # noqa: B023
            except RuntimeError:
                if attempt == 2:
                    raise
                continue
            directory.sign_in()
            try:
                yield directory
            finally:
                directory.connection.unbind()
            return
        finally:
            stop([process])


def _objects(people: int) -> Iterable[list[str]]:
    yield [f"dn: {BASE}", "objectClass: dcObject", "objectClass: organization", "o: Lab", "dc: lab"]
    for unit in ("people", "groups"):
        yield [f"dn: ou={unit},{BASE}", "objectClass: organizationalUnit", f"ou: {unit}"]
    yield [
        f"dn: {READER}",
        "objectClass: organizationalRole",
        "objectClass: simpleSecurityObject",
        "cn: reader",
        f"userPassword: {READER_SECRET}",
    ]
    for number in range(people):
        uid = f"p{number:04d}"
        yield [
            f"dn: {person(uid)}",
            "objectClass: inetOrgPerson",
            f"uid: {uid}",
            f"cn: Person {number}",
            f"sn: {number}",
            f"mail: {uid}@lab.example",
            f"departmentNumber: Department {number % 7}",
        ]
