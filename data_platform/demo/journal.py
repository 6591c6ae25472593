"""What the demo has done already, so that a second run adds nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

from data_platform.demo import JOURNAL


class Journal:
    """Names of the steps that are done, kept in the demo's home.

    A read is an event that really happened, so repeating one would rightly be counted
    again. Steps that are done are therefore skipped: as long as the catalogue still holds
    at least the accesses that it held when the last of them was noted.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / JOURNAL
        noted = json.loads(self._path.read_text(encoding="utf-8"))
        self._done: list[str] = noted.get("done", [])
        self._accesses: int = noted.get("accesses", 0)

    def verify(self, accesses: int) -> None:
        """Forget everything if the catalogue holds less than it did, because it was emptied since."""
        if accesses < self._accesses:
            self._done, self._accesses = [], 0
            self._write()

    def done(self, step: str) -> bool:
        return step in self._done

    def note(self, step: str) -> None:
        """Note `step` as done."""
        self._done.append(step)
        self._write()

    def close(self, accesses: int) -> None:
        """Note how many accesses the catalogue holds now."""
        self._accesses = accesses
        self._write()

    def _write(self) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text(
            json.dumps({"done": self._done, "accesses": self._accesses}, indent=1) + "\n", encoding="utf-8"
        )
        draft.replace(self._path)
