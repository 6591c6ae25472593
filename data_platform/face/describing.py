"""What a run or a file is about."""

from __future__ import annotations

from os import fspath
from typing import TYPE_CHECKING

from data_platform.errors import RestrictionError, SettingsError
from data_platform.links import Link
from data_platform.settings import settings

if TYPE_CHECKING:
    from populate.describe.generating import Done
    from populate.describe.view import FileAbout, RunAbout


def describe(about: Link) -> RunAbout | FileAbout:
    """Return what a run or a file is about: in words of its own code or structure, and if set up in a model's.

    Parameters
    ----------
    about
        ``execution_id`` of a run, a link or path, or the id of a file.

    Raises
    ------
    RestrictionError
        If there is no such run or file, or the caller may not know it.
    """
    from populate.describe.view import RUN, describe_file, describe_run
    from populate.notes.about import file_about
    from populate.pipeline import bind_all
    from populate.who.asker import asker

    here, question = asker(bind_all(settings()), settings()), fspath(about)
    if RUN.fullmatch(question):
        try:
            return describe_run(here, question)
        except RestrictionError:  # then it may be a file
            pass
    return describe_file(here, file_about(here, question, settings()))


def generate_descriptions() -> Done:
    """Have the language model of the settings describe what it has not yet, as the scheduler does each minute.

    Raises
    ------
    SettingsError
        If no model is set.
    UnsafeLink
        If its endpoint must not be asked.
    """
    from populate.describe.generating import generate_due
    from populate.pipeline import bind_all

    if not settings().descriptions.url:
        raise SettingsError("No language model is set. Set descriptions.url and descriptions.model.")
    return generate_due(bind_all(settings()))
