"""Files and folders of this machine and of the shares that are mounted on it.

A link is followed to the real path once, and that path is the file's identity; from then on
no symlink is followed (`readers.file_access`). Sockets, devices and the system's pseudo
files are refused.
"""

from __future__ import annotations

import logging
import os
import pwd
import re
import socket
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import ClassVar
from urllib.parse import quote_from_bytes, unquote_to_bytes

from data_platform.errors import (
    SourceChanged,
    SourceElsewhere,
    SourceError,
    SourceNotFound,
    TooLarge,
    UnknownSource,
    UnsafeLink,
    UnsupportedItem,
)
from data_platform.settings import Settings
from readers.file_access import Entry, file_error, look_up, opened, settled, state_of, stream, token_of
from readers.file_walk import NO_MOUNT, Shown, folders_below
from readers.mounts import Mount, mount_table
from readers.source import Item, Listed, Login, Refused, Revision, Sink, Source
from schemas.identity import display_text

_WEB = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
_EPOCH = datetime(1970, 1, 1)  # naive: all times here are UTC
_log = logging.getLogger(__name__)


class FileSource(Source):
    """Paths (absolute, relative, ``~``), ``file://`` links, and mounted shares.

    The owner is the login that the setting ``file.owners`` names for the innermost folder,
    else that of the file's user on this machine. The revision is made of size, times, inode:
    the time of the last status change is in it, so a rewrite with a faked time is noticed.
    """

    kind: ClassVar[str] = "file"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._here = f"file/{(settings.file.host or socket.gethostname()).lower()}"[:255]
        self._described = lru_cache(maxsize=4096)(self._describe)

    @classmethod
    def understands(cls, url: str) -> bool:
        return url[:5].lower() == "file:" or _WEB.match(url) is None

    def resolve(self, url: str) -> Item:
        if not self.understands(url):
            raise UnknownSource("This is the link of another system and no path. Use `read`, which finds the reader.")
        asked = local_path(url)
        try:
            path, state = look_up(asked)
        except OSError as error:
            raise file_error(error, asked) from error
        except ValueError as error:
            raise SourceNotFound(f"No file has a name like {asked!r}. Check the path.") from error
        return self._item(path, state)

    def revision(self, item: Item) -> Revision:
        path = self._path(item)
        try:
            state = os.lstat(path)
        except OSError as error:
            raise file_error(error, path) from error
        return _revision(state) if item.is_folder else _revision(self._checked(state, path))

    def download(self, item: Item, revision: Revision, sink: Sink) -> Revision:
        path = self._path(item)
        with opened(path) as descriptor:
            before = self._checked(settled(descriptor, path), path)
            received = stream(descriptor, before.st_size, path, sink)
            after = state_of(descriptor, path)
        if item.source_system != self._here:
            # The client of a share may answer from memory; opening again asks the server.
            with opened(path) as descriptor:
                after = state_of(descriptor, path)
        if received != before.st_size or token_of(after) != token_of(before):
            raise SourceChanged(
                f"{display_text(path)} changed while it was being read. Read it again when it is at rest."
            )
        return _revision(before)

    def is_local(self, source_system: str, item_id: str) -> bool:
        mount = mount_table().holding(item_id) if source_system == self._here else None
        return mount is not None and mount.disk

    def list(self, folder: Item) -> Iterator[tuple[str, Item]]:
        """Yield the files below `folder`, in order; see `Source.list`.

        A symlink to a file within the folder is a member under the link's name. Left out,
        with one warning, are symlinks that leave the folder or lead to a folder, sockets,
        pipes and devices. What may not be read is an error: a set must not silently be a
        part of itself.
        """
        return self.walk(folder, _raise)

    def walk(self, folder: Item, refused: Refused) -> Iterator[tuple[str, Item]]:
        root = self._path(folder)
        left_out: Counter[str] = Counter()
        for inside, entries in folders_below(root, refused):
            for entry in entries:
                yield from self._members(root, f"{inside}{entry.name}", entry, left_out, refused)
        _tell(root, left_out)

    def listed(self, folder: Item, refused: Refused, left_out: Callable[[Item], bool]) -> Iterator[Listed]:
        """See `Source.listed`; the state of a regular file is the one that its folder, once opened, showed."""
        root, told = self._path(folder), Counter[str]()

        def entered(inside: str) -> bool:
            path = f"{root.rstrip('/')}/{inside}".rstrip("/") or "/"
            return not left_out(self._describe(path, mount_table().holding(path) or NO_MOUNT, True, 0))

        for inside, entries in folders_below(root, refused, entered):
            shown = Shown(f"{root.rstrip('/')}/{inside}", inside, self._here, self.settings.file.max_bytes)
            for entry in entries:
                if (listed := shown.listed(entry)) is not None:
                    yield listed
                    continue
                path = f"{inside}{entry.name}"
                for _, item in self._members(root, path, entry, told, refused):
                    if not left_out(item):
                        yield Listed(path, item.source_system, item.item_id, item=item)
        _tell(root, told)

    def reopen(self, source_system: str, item_id: str) -> Item:
        path, state = self._found(source_system, item_id)
        item = self._item(path, state)
        if item.source_system != source_system:
            raise SourceElsewhere(f"{display_text(path)} is on another share now. Mount {source_system} again.")
        return item

    # --- inner steps

    def _found(self, source_system: str, item_id: str) -> tuple[str, os.stat_result]:
        """Return where an item is and its state; what is shown of a name that is not UTF-8 may be meant, too."""
        path = self._place(source_system, item_id)
        try:
            return path, os.lstat(path)
        except OSError:
            path = self._place(source_system, _undisplayed(item_id))
        try:
            return path, os.lstat(path)
        except OSError as error:
            raise file_error(error, path) from error

    def _item(self, path: str, state: os.stat_result | Entry) -> Item:
        if stat.S_ISLNK(state.st_mode):
            raise UnsafeLink(f"There is a symlink at {display_text(path)} now. Read where it leads, if that is meant.")
        mount = mount_table().holding(path) or NO_MOUNT
        if mount.pseudo or not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
            raise UnsupportedItem(
                f"{display_text(path)} is not a file with bytes (a socket, pipe, device or pseudo file). "
                "Name a file or folder."
            )
        return self._described(path, mount, stat.S_ISDIR(state.st_mode), state.st_uid)

    def _describe(self, path: str, mount: Mount, is_folder: bool, user: int) -> Item:
        return Item(
            source_system=mount.system or self._here,
            item_id=mount.item_id(path) if mount.system else path,
            name=path[path.rindex("/") + 1 :] or "/",
            path=path,
            url=f"file://{quote_from_bytes(os.fsencode(path))}",
            is_folder=is_folder,
            owner=self._owner(path, user),
        )

    def _owner(self, path: str, user: int) -> Login:
        for folder, login in self._owners:
            if path.startswith(folder):
                return login
        return _login(self.settings.realm, user)

    @cached_property
    def _owners(self) -> tuple[tuple[str, Login], ...]:
        """The folders of the setting, innermost first, each with a slash at its end."""
        realm = self.settings.realm
        folders = {
            f"{os.path.realpath(local_path(folder)).rstrip('/')}/": Login(realm, login)
            for folder, login in self.settings.file.owners.items()
        }
        return tuple(sorted(folders.items(), key=lambda entry: len(entry[0]), reverse=True))

    def _path(self, item: Item) -> str:
        return item.item_id if item.source_system == self._here else self._place(item.source_system, item.item_id)

    def _place(self, system: str, item_id: str) -> str:
        """Return where this machine shows an item; what is not a plain absolute path is refused."""
        if not item_id.startswith("/") or "\0" in item_id or {".", ".."} & set(item_id.split("/")):
            raise UnsafeLink(f"{display_text(item_id)!r} is not an absolute path. Read the file again by its link.")
        if system == self._here:
            return item_id
        path = mount_table().local_path(system, item_id)
        if path is None:
            raise SourceElsewhere(f"{system} is not on this machine. Mount the share, or run this where the file is.")
        return path

    def _checked(self, state: os.stat_result, path: str) -> os.stat_result:
        if not stat.S_ISREG(state.st_mode):
            raise UnsupportedItem(f"{display_text(path)} is not a file with bytes any more. Name a file.")
        size, limit = max(state.st_size, state.st_blocks * 512), self.settings.file.max_bytes
        if size > limit:
            raise TooLarge(
                f"{display_text(path)} has {size} bytes and the limit is {limit}. "
                "Raise the setting file.max_bytes if it is meant."
            )
        return state

    def _members(
        self, root: str, inside: str, state: Entry, left_out: Counter[str], refused: Refused
    ) -> Iterator[tuple[str, Item]]:
        """Yield the item of an entry of a folder with its path, unless it is refused or no file within the root."""
        try:
            member = self._member(root, inside, state, left_out)
        except SourceError as error:
            refused(inside, error)
            return
        if member is not None:
            yield inside, member

    def _member(self, root: str, inside: str, state: Entry, left_out: Counter[str]) -> Item | None:
        """Return the item of an entry of a folder, or None for what is not a file within it."""
        path = f"{root.rstrip('/')}/{inside}"
        if stat.S_ISREG(state.st_mode):
            return self._item(path, state)
        if not stat.S_ISLNK(state.st_mode):
            left_out["sockets, pipes or devices"] += 1
            return None
        try:
            target, target_state = look_up(path)
        except OSError:
            left_out["broken symlinks"] += 1
            return None
        if not f"{target}/".startswith(f"{root.rstrip('/')}/"):
            left_out["symlinks that leave the folder"] += 1
        elif not stat.S_ISREG(target_state.st_mode):
            left_out["symlinks that do not lead to a file"] += 1
        else:
            return self._item(target, target_state)
        return None


def _tell(root: str, left_out: Counter[str]) -> None:
    if left_out:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
        _log.warning("Left out of the file set %s: %s.", display_text(root), counts)


def _raise(path: str, error: SourceError) -> None:
    raise error


def local_path(url: str) -> str:
    """Return the path that `url`, a path or ``file:`` link, names on this machine."""
    if url[:5].lower() != "file:":
        return os.path.expanduser(url) if url.startswith("~") else url  # noqa: PTH111 - may be relative
    rest = url[5:]
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        rest = slash + rest
        if host.lower() not in {"", "localhost"}:
            named = host.rpartition("@")[2]
            raise UnknownSource(
                f"A file link can only name this machine, not {named!r}. Mount the share and read its path."
            )
    if not rest.startswith("/"):
        raise UnknownSource(f"{url!r} has no absolute path. Write file:///folder/name, or the path alone.")
    return os.fsdecode(unquote_to_bytes(rest))


@lru_cache(maxsize=1024)
def _login(realm: str, user: int) -> Login:
    """Return the login of a user of this machine, called as the reader is (`readers.event`)."""
    try:
        return Login(realm, pwd.getpwuid(user).pw_name)
    except KeyError:
        return Login(realm, f"uid-{user}")


def modified_ns(token: str) -> int:
    """Return when a file with this revision token was modified, in nanoseconds since 1970; -1 if it does not tell."""
    parts = token.split("-")
    try:
        return int(parts[1], 16) if len(parts) == 4 else -1  # a time before 1970 has a dash more
    except ValueError:
        return -1


def _revision(state: os.stat_result) -> Revision:
    try:
        modified_at = _EPOCH + timedelta(microseconds=state.st_mtime_ns // 1000)
    except OverflowError:  # a time beyond the years 1 to 9999
        modified_at = None
    return Revision(token_of(state), state.st_size, modified_at)


def _undisplayed(item_id: str) -> str:
    """Undo what `display_text` did to a name that is not UTF-8."""
    return os.fsdecode(_ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), os.fsencode(item_id)))
