"""Where people's sign-ins are kept: the keyring of the operating system, else a file that only they can read.

What is kept opens their files for months, so it is never in the database, in a log or in a
settings file.
"""

from __future__ import annotations

import fcntl
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msal

from data_platform.errors import SettingsError
from data_platform.settings import Settings

SERVICE = "data-platform"


class Keeper(ABC):
    """Keeps one text."""

    name: str

    @abstractmethod
    def load(self) -> str:
        """Return the text, empty if there is none."""

    @abstractmethod
    def save(self, text: str) -> None:
        """Keep `text` in place of what there was."""


class KeyringKeeper(Keeper):
    """Keeps it in the operating system's keyring, under the home that it belongs to."""

    def __init__(self, keyring: Any, home: Path) -> None:
        self._keyring = keyring
        self._account = f"microsoft365 {home}"
        self.name = f"keyring ({type(keyring).__name__})"

    def load(self) -> str:
        return self._keyring.get_password(SERVICE, self._account) or ""

    def save(self, text: str) -> None:
        self._keyring.set_password(SERVICE, self._account, text)


class FileKeeper(Keeper):
    """Keeps it in a file with mode 0600 in a folder with mode 0700.

    Raises
    ------
    SettingsError
        If others could read or replace it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.name = str(file)

    def load(self) -> str:
        try:
            descriptor = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        with open(descriptor, encoding="utf-8") as file:
            state = os.fstat(descriptor)
            if state.st_uid != os.geteuid() or state.st_mode & 0o077:
                raise SettingsError(
                    f"{self._file} holds sign-ins and is not yours alone. Delete it and run `data-platform login`."
                )
            return file.read()

    def save(self, text: str) -> None:
        private_folder(self._file.parent)
        beside = self._file.with_name(f".{self._file.name}.{os.getpid()}.{threading.get_ident()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(descriptor, 0o600)
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            beside.replace(self._file)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


class TokenCache(msal.SerializableTokenCache):
    """MSAL's tokens, shared by all processes of a home: what one changes, the next one sees."""

    def __init__(self, keeper: Keeper, lock: Path) -> None:
        super().__init__()
        self.keeper = keeper
        self._lock_file = lock
        self._mine = threading.RLock()
        self._depth = 0

    def refresh(self) -> None:
        """Take over what other processes have changed."""
        with self._mine:
            if not self._depth:
                self.deserialize(self.keeper.load())

    def add(self, event: Any, **options: Any) -> None:
        with self._alone():
            super().add(event, **options)

    def modify(self, credential_type: Any, old_entry: Any, new_key_value_pairs: Any = None) -> None:
        with self._alone():
            super().modify(credential_type, old_entry, new_key_value_pairs)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let what is done within be the only change, on top of what is there, and keep it."""
        with self._mine, locked(self._lock_file, needed=not self._depth):
            if not self._depth:
                self.deserialize(self.keeper.load())
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth and self.has_state_changed:
                    self.keeper.save(self.serialize())


def token_cache(settings: Settings) -> TokenCache:
    """Return the sign-ins of this user's home."""
    folder = settings.home / "microsoft365"
    return TokenCache(keeper(settings), folder / "tokens.lock")


def keeper(settings: Settings) -> Keeper:
    """Return the keyring if there is one that can be used, else the file."""
    if settings.microsoft365.keyring and (found := _keyring(settings.home)) is not None:
        return found
    return FileKeeper(settings.home / "microsoft365" / "tokens.json")


def _keyring(home: Path) -> Keeper | None:
    try:
        import keyring
    except ImportError:
        return None
    with suppress(Exception):  # whatever a backend of somebody's own does, the file is always there
        backend = keyring.get_keyring()
        # Those that only say no have priority 0; those that write plain files are no better than ours.
        if backend.priority >= 1 and "file" not in type(backend).__module__:
            found = KeyringKeeper(backend, home)
            found.load()
            return found
    return None


def private_folder(folder: Path) -> None:
    """Make sure that a folder is there, and that nobody else can look into it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


@contextmanager
def locked(file: Path, *, needed: bool = True) -> Iterator[None]:
    """Let only one process at a time be within."""
    if not needed:
        yield
        return
    private_folder(file.parent)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
