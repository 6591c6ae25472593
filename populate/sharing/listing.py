"""Many short lists at once: permissions and versions of items, drives of sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from data_platform.errors import AccessDenied, SourceError, SourceNotFound
from populate.sharing.parsing import Json, several, text
from readers.microsoft365.graph import Graph


def lists(graph: Graph, urls: Sequence[str]) -> list[list[Json] | SourceError]:
    """Return the whole list at each of `urls`, or why it cannot be had; of what is no list, itself alone.

    Raises
    ------
    SourceError
        If it is not about one item: then the rest cannot be had either.
    """
    found: list[list[Json] | SourceError] = []
    for answer in graph.batch(urls) if urls else []:
        if isinstance(answer, SourceNotFound | AccessDenied):
            found.append(answer)
        elif isinstance(answer, SourceError):
            raise answer
        else:
            found.append([*several(answer, "value"), *_rest(graph, answer)] if "value" in answer else [answer])
    return found


def _rest(graph: Graph, answer: Mapping[str, object]) -> Iterable[Json]:
    if following := text(answer, "@odata.nextLink"):
        for page in graph.pages(following):
            yield from page.value
