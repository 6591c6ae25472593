"""Where items lie: the latest states of a drive's items, looked up as they are needed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from populate.facts import stored
from populate.lookup import add, lookup
from populate.sharing.items import FOLDER, GONE, Seen
from schemas.following import ItemState

REFUSED = "(refused)"  # in place of a token: the source refused to tell of the item, so it is asked again
DEEPEST = 400  # folders in each other, more than any source admits
MANY = 2000  # keys in a question to the database
_COLUMNS = ("source_item", "parent_key", "item_name", "item_kind", "item_token", "item_size", "item_shared")


class State(NamedTuple):
    """What was noted of an item last."""

    source_item: str
    parent_key: str
    name: str
    kind: str
    token: str
    size: int
    shared: str
    since: datetime = datetime.min

    @property
    def place(self) -> tuple[str, str]:
        """What its path depends on."""
        return (self.parent_key, self.name)


class Tree:
    """The items of one drive.

    Parameters
    ----------
    drive_key
        Of the drive.
    """

    def __init__(self, drive_key: str) -> None:
        self.drive_key = drive_key
        self._held: dict[str, State | None] = {}
        self._changed: dict[str, State] = {}
        self._stored: dict[str, State | None] = {}

    def load_all(self) -> dict[str, State]:
        """Look all items up, and return them by key."""
        self._hold(lookup(ItemState, "item_key", *_COLUMNS, "state_since", drive_key=(self.drive_key,)))
        return {key: state for key, state in self._held.items() if state is not None}

    def states(self, keys: Collection[str]) -> dict[str, State]:
        """Return what is known of these items, by key."""
        missing = sorted({key for key in keys if key not in self._held})
        self._held |= dict.fromkeys(missing)
        for some in portions(missing, MANY):
            found = lookup(ItemState, "item_key", *_COLUMNS, "state_since", drive_key=(self.drive_key,), item_key=some)
            self._hold(found)
        return {key: state for key in keys if (state := self._held[key]) is not None}

    def change(self, seen: Seen, now: datetime) -> State | None:
        """Note what an item is like now; return what it was like before, or None if it was not known."""
        before = self.states([seen.key]).get(seen.key)
        state = State(*_storable(seen, before))
        if before is None or before[:-1] != state[:-1]:
            self._note(seen.key, state, before, now)
        return before

    def refuse(self, key: str, now: datetime) -> None:
        """Note that the source refused to tell of an item, so that the next sync asks again; once, however often."""
        state = self.states([key]).get(key)
        if state is None or state.kind == GONE:
            return
        refused, stored_before = state._replace(token=REFUSED), self._stored.get(key, state)
        if stored_before is not None and stored_before[:-1] == refused[:-1]:
            self._changed.pop(key, None)
            self._held[key] = stored_before
        else:
            self._note(key, refused, state, now)

    def _note(self, key: str, state: State, before: State | None, now: datetime) -> None:
        self._stored.setdefault(key, before)
        since = now if before is None else max(now, before.since + timedelta(microseconds=1))
        self._held[key] = self._changed[key] = state._replace(since=since)

    def path(self, key: str) -> str:
        """Return the path of an item within its drive, without its root, as far as the folders are known."""
        names: list[str] = []
        state = self.states([key]).get(key)
        while state is not None and state.parent_key != key and len(names) < DEEPEST:
            names.append(state.name)
            key = state.parent_key
            state = self.states([key]).get(key)
        return "/".join(reversed(names))

    def unknown_folders(self, keys: Iterable[str]) -> set[str]:
        """Return the nearest folders above these items of which nothing is known."""
        found, look = set(), set(keys)
        for _ in range(DEEPEST):
            states = self.states(look)
            above = {state.parent_key for key, state in states.items() if state.parent_key != key}
            known = self.states(above)
            found |= above - known.keys()
            look = set(known)
            if not look:
                break
        return found

    def below(self, folders: Collection[str]) -> dict[str, State]:
        """Return what is there in these folders and deeper, by key."""
        found: dict[str, State] = {}
        look = set(folders)
        for _ in range(DEEPEST):
            inside = {key: state for key, state in self._inside(look).items() if key not in found}
            found |= inside
            look = {key for key, state in inside.items() if state.kind == FOLDER}
            if not look:
                break
        return found

    def write(self) -> None:
        """Add the states that changed; to be called within a transaction, and once more if that was undone."""
        rows = [
            {"drive_key": self.drive_key, "item_key": key, "state_since": state.since}
            | dict(zip(_COLUMNS, state[:-1], strict=True))
            for key, state in sorted(self._changed.items())
        ]
        for some in portions(rows, MANY):
            add(ItemState, some)

    def _inside(self, folders: Collection[str]) -> dict[str, State]:
        """Return the items whose folder, by what is known last, is one of `folders`."""
        for some in portions(sorted(folders), MANY):
            below = lookup(ItemState, "item_key", drive_key=(self.drive_key,), parent_key=some)
            self.states([key for (key,) in below])
        return {
            key: state
            for key, state in self._held.items()
            if state is not None and state.kind != GONE and state.parent_key in folders and state.parent_key != key
        }

    def _hold(self, rows: Iterable[tuple[Any, ...]]) -> None:
        for key, *values in rows:
            state, held = State(*values), self._held.get(key)
            if key not in self._changed and (held is None or held.since < state.since):
                self._held[key] = state


def _storable(seen: Seen, before: State | None) -> tuple[str, str, str, str, str, int, str]:
    """Return the state in the form of its columns; what is gone keeps the name and place that it had."""
    parent, name, kind, token, size, shared = seen.state
    if kind == GONE and before is not None:
        parent, name = before.place
    own_id = stored(seen.item_id.partition("/")[2], 512)
    return own_id, parent, stored(name, 768), kind, stored(token, 512), size, stored(shared, 32)


def portions(things: Any, size: int) -> Iterator[Any]:
    """Yield `things`, a sequence, in pieces."""
    for start in range(0, len(things), size):
        yield things[start : start + size]
