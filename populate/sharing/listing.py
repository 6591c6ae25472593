"""Many short lists at once: permissions and versions of items, drives of sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from data_platform.errors import SignInNeeded, SourceError, SourceTimeout, SourceUnavailable
from populate.sharing.parsing import Json, several, text
from readers.microsoft365.graph import Graph
from readers.microsoft365.refusal import THROTTLED, refusal_of

_OF_ALL = THROTTLED | {401, 408}  # statuses below 500 that are not about what was asked for


def lists(graph: Graph, urls: Sequence[str]) -> list[list[Json] | SourceError]:
    """Return the whole list at each of `urls`, or why it cannot be had; of what is no list, itself alone.

    Raises
    ------
    SourceError
        If it is not about one item: then the rest cannot be had either.
    """
    found: list[list[Json] | SourceError] = []
    for answer in graph.batch(urls) if urls else []:
        listed = answer if isinstance(answer, SourceError) else _whole(graph, answer)
        if isinstance(listed, SourceError) and not is_of_item(listed):
            raise listed
        found.append(listed)
    return found


def is_of_item(error: SourceError) -> bool:
    """Tell whether an error concerns one item alone: then others can be asked about all the same."""
    if isinstance(error, SignInNeeded):
        return False
    if (refusal := refusal_of(error)) is not None:  # a locked item counts as unavailable, but is no outage
        return refusal.status == 501 or (refusal.status < 500 and refusal.status not in _OF_ALL)
    return not isinstance(error, SourceUnavailable | SourceTimeout)


def _whole(graph: Graph, answer: Json) -> list[Json] | SourceError:
    if "value" not in answer:
        return [answer]
    try:
        return [*several(answer, "value"), *_rest(graph, answer)]
    except SourceError as error:
        return error


def _rest(graph: Graph, answer: Mapping[str, object]) -> Iterable[Json]:
    if following := text(answer, "@odata.nextLink"):
        for page in graph.pages(following):
            yield from page.value
