"""How pages add rows: by a login that may add what people enter, while the dashboard's own writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from dashboard.catalogue import Catalogue
from data_platform.errors import DatabaseError, DatabaseUnavailable
from schemas.binding import Binding
from schemas.drivers import DRIVER_ERRORS, target
from schemas.engine import dj

P = ParamSpec("P")
T = TypeVar("T")
_ADVICE = (
    "See that the settings dashboard.user and dashboard.password are those of a login with the role `entries` "
    "(docs/how-to/entry-forms.md), and try again."
)


def enter(known: Catalogue, act: Callable[Concatenate[Binding, P], T], /, *args: P.args, **values: P.kwargs) -> T:
    """Return ``act(binding, *args, **values)``, which may add rows; `Catalogue.ask` is for what only looks.

    Raises
    ------
    DatabaseError
        If the login may not add them.
    """
    with entering(known) as binding:
        return act(binding, *args, **values)


@contextmanager
def entering(known: Catalogue) -> Iterator[Binding]:
    """Yield the catalogue's binding while its statements go through the login of ``dashboard.user``.

    It is the same binding, so an `Asker` made before works within the block, and there only it adds
    rows. Without such a login, and with the embedded database, it is the process's own.

    Raises
    ------
    DatabaseError
        If the login gets no session, or may not do what the block does.
    """
    with known.alone() as binding:
        settings = binding.settings
        if settings.database.backend == "embedded" or not settings.dashboard.user:
            yield binding
            return
        login = {"user": settings.dashboard.user, "password": settings.dashboard.password}
        database = settings.database.model_copy(update=login)
        try:
            with binding.connection.acting(lambda: target(database)):
                yield binding
        except (DatabaseUnavailable, dj.errors.AccessError, *DRIVER_ERRORS) as error:
            raise DatabaseError(f"Nothing was added ({type(error).__name__}). {_ADVICE}") from None
