"""What lies below a root is listed ahead: all of it, in portions, with what was refused, and no longer than wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from data_platform.errors import AccessDenied, SourceError
from data_platform.settings import load
from populate.adopt.listing import Listing, Portion
from readers.file import FileSource
from readers.source import Item, Listed, Refused


def nothing(item: Item) -> bool:
    return False


class Shelf(FileSource):
    """Lists books by number; some shelves are locked."""

    def __init__(self, listing: Callable[[Refused], Iterator[int]]) -> None:
        self._listing = listing

    def listed(self, folder: Item, refused: Refused, left_out: Callable[[Item], bool]) -> Iterator[Listed]:
        return (Listed(f"{book}", "shelf", f"{book}", "as it was", 1) for book in self._listing(refused))


def listing(source: FileSource, root: Item, left_out: Callable[[Item], bool], size: int) -> Iterator[Portion]:
    with closing(Listing(source, root, left_out, size)) as portions:
        yield from portions


def root() -> Item:
    return Item(source_system="shelf", item_id="/", url="file:///", name="/", path="/", is_folder=True)


def test_portions_are_of_the_size_and_together_everything() -> None:
    portions = list(listing(Shelf(lambda _: iter(range(10))), root(), nothing, 4))
    assert [[one.item_id for one in portion.met.values()] for portion in portions] == [
        ["0", "1", "2", "3"],
        ["4", "5", "6", "7"],
        ["8", "9"],
    ]
    assert len({identity for portion in portions for identity in portion.met}) == 10


def test_what_is_refused_comes_with_a_portion_even_if_nothing_else_is_in_it() -> None:
    def locked_at_the_end(refused: Refused) -> Iterator[int]:
        yield from range(4)
        refused("attic", AccessDenied("The attic is locked. Ask for the key."))

    portions = list(listing(Shelf(locked_at_the_end), root(), nothing, 4))
    assert [(len(portion.met), [path for path, _ in portion.refused]) for portion in portions] == [
        (4, []),
        (0, ["attic"]),
    ]


@pytest.mark.parametrize("books", [0, 6])
def test_a_root_that_cannot_be_listed_is_an_error_wherever_it_is_met(books: int) -> None:
    def burning(refused: Refused) -> Iterator[int]:
        yield from range(books)
        refused("", AccessDenied("The library burns. Fetch water."))

    with pytest.raises(SourceError, match="library burns"):
        list(listing(Shelf(burning), root(), nothing, 4))


def test_who_is_interrupted_does_not_wait_for_the_portion_that_is_being_listed() -> None:
    went_on, listed = threading.Event(), []

    def slow_in_the_end(_: Refused) -> Iterator[int]:
        for book in range(2000):
            if book >= 1000:
                went_on.set()
                time.sleep(0.01)
            listed.append(book)
            yield book

    with closing(Listing(Shelf(slow_in_the_end), root(), nothing, 1000)) as portions:
        assert len(next(iter(portions)).met) == 1000
        assert went_on.wait(20)
    assert len(listed) < 2000
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("listing")]


def test_a_folder_of_this_machine_is_listed_as_it_is(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"folder {number % 3}").mkdir(exist_ok=True)
        (tmp_path / f"folder {number % 3}" / f"{number}.csv").write_text("a,b\n")
    source = FileSource(load(home=tmp_path / "home"))
    folder = source.resolve(str(tmp_path))
    met = [one.path for portion in listing(source, folder, nothing, 3) for one in portion.met.values()]
    assert sorted(met) == sorted(f"folder {number % 3}/{number}.csv" for number in range(7))
