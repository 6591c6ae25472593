"""`@autolog`: notes down what a user's own reader function reads, without changing what it does.

One access is noted once. A function that reads through the platform (`data_platform.read`
and its like, or another autologged function) is not noted itself: each of those reads is,
under the name of the outermost function. One that reads by its own means is noted by the
link it was given. Reads in threads that it starts without their context are on their own.
"""

from __future__ import annotations

import functools
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast, overload

from data_platform.errors import AutologError
from readers.autolog_facts import Link, Options, record_of
from readers.outbox import outbox

P = ParamSpec("P")
R = TypeVar("R")

_SOURCE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_log = logging.getLogger(__name__)
_warned = False


class _Function(NamedTuple):
    """What is known of an autologged function when it is decorated."""

    name: str
    link: Link
    options: Options


class _Call:
    """A call of an autologged function: running within its ``with``, noted at the end of it."""

    __slots__ = ("arguments", "function", "keywords", "name", "noted", "outer", "value")

    def __init__(self, function: _Function, arguments: tuple[object, ...], keywords: Mapping[str, object]) -> None:
        self.function = function
        self.arguments = arguments
        self.keywords = keywords
        self.outer = _running.get()
        self.name: str = function.name if self.outer is None else self.outer.name
        self.value: object = None
        self.noted = False

    def __enter__(self) -> _Call:
        _running.set(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        _running.set(self.outer)  # no reset(token): that fails if a coroutine is ended in another context
        if not self.noted:
            try:
                self._note(error)
            except Exception as trouble:  # never the user's trouble
                _warn(trouble)

    def _note(self, error: BaseException | None) -> None:
        link = self.function.link.text(self.arguments, self.keywords)
        record = record_of(self.name, link, self.function.options, self.value, error)
        outbox().append(record)
        _claim(self.outer)


_running: ContextVar[_Call | None] = ContextVar("data_platform_autolog", default=None)


def current_function() -> str | None:
    """Return the name under which an access is to be noted now, or None if no autologged function runs.

    Who asks is about to note an access, so the functions that are running will not be noted
    themselves.
    """
    call = _running.get()
    _claim(call)
    return call.name if call is not None else None


def running_function() -> str | None:
    """Return the name of the outermost autologged function that runs, which stays to be noted itself."""
    call = _running.get()
    return call.name if call is not None else None


def _claim(call: _Call | None) -> None:
    """Remember that something was noted within this call and those around it."""
    while call is not None:
        call.noted = True
        call = call.outer


def _warn(trouble: Exception) -> None:
    global _warned
    if not _warned:
        _warned = True
        _log.warning("A call could not be noted (%s: %s). Run `data-platform doctor`.", type(trouble).__name__, trouble)


@overload
def autolog(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def autolog(
    *, source: str | None = None, owner: str | None = None, url: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def autolog(
    function: Callable[..., Any] | None = None,
    /,
    *,
    source: str | None = None,
    owner: str | None = None,
    url: str | None = None,
) -> Callable[..., Any]:
    """Note down each call of a reader function: who read what, when, in which run, and whether it worked.

    Works bare (``@autolog``) and with options, on plain and async functions and on methods.
    What the function returns or raises reaches the caller unchanged, whatever happens to the
    note. Of its arguments only the link is kept, without secrets.

    If the function returns the path of a file, its bytes are taken into the cache, so that
    they can be backed up as the version that was read.

    Parameters
    ----------
    source
        Name of the system that the function reads from, as ``"lims"``: letters, digits and
        ``._-``. Without it, a link that is a path of this machine stands for that file, and
        any other belongs to the source ``function``.
    owner
        Login of whoever owns what is read.
    url
        Name of the parameter that holds the link; default: the first.

    Raises
    ------
    AutologError
        If what is decorated is not a function, is a generator, has no such parameter, or if
        the name of the source is not one.

    Examples
    --------
    >>> @autolog(source="lims")
    ... def sample(barcode: str) -> Path: ...
    """
    options = Options(_source(source), owner)
    if function is None:
        return lambda decorated: _decorate(decorated, options, url)
    return _decorate(function, options, url)


def _source(name: str | None) -> str | None:
    if name is not None and not _SOURCE.fullmatch(name.lower()):
        raise AutologError(f"{name!r} is no name of a source: use up to 64 letters, digits and ._- only.")
    return name.lower() if name is not None else None


def _decorate(decorated: Callable[P, R], options: Options, url: str | None) -> Callable[P, R]:
    if isinstance(decorated, staticmethod | classmethod):
        return cast(Callable[P, R], type(decorated)(_decorate(decorated.__func__, options, url)))
    _refuse_others(decorated)
    name = f"{decorated.__module__}.{decorated.__qualname__}".replace("<locals>.", "").removeprefix("__main__.")
    function = _Function(name, Link.of(decorated, url), options)
    if inspect.iscoroutinefunction(decorated):
        return cast(Callable[P, R], _wrapped_async(decorated, function))
    return _wrapped(decorated, function)


def _refuse_others(function: object) -> None:
    """Raise for what is called only later, piece by piece, or is no function at all."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise AutologError(
            f"{function.__qualname__} is a generator, whose reading is spread over its caller's loop. "
            "Decorate a function that returns its result, or call data_platform.read in the generator."
        )
    if not inspect.isroutine(function):
        raise AutologError(f"{function!r:.100} is not a function. Decorate the function that reads.")


def _wrapped(decorated: Callable[P, R], function: _Function) -> Callable[P, R]:
    @functools.wraps(decorated)
    def autologged(*args: P.args, **kwargs: P.kwargs) -> R:
        with _Call(function, args, kwargs) as call:
            call.value = value = decorated(*args, **kwargs)
        return value

    return autologged


def _wrapped_async(decorated: Callable[P, Awaitable[R]], function: _Function) -> Callable[P, Awaitable[R]]:
    @functools.wraps(decorated)
    async def autologged(*args: P.args, **kwargs: P.kwargs) -> R:
        with _Call(function, args, kwargs) as call:
            call.value = value = await decorated(*args, **kwargs)
        return value

    return autologged
