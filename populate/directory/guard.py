"""Refuses to believe that too many people have left at once."""

from __future__ import annotations

from data_platform.errors import DirectoryRefused

ALWAYS = 1
"""So many people may leave at once from however small a company."""


def refuse_sudden_drop(enabled: int, closing: int, share: float) -> None:
    """Raise if more than a share of the accounts that were in use are said to be gone.

    Parameters
    ----------
    enabled
        Accounts in use so far.
    closing
        Those of them that are said to be disabled or not there any more.
    share
        From 0 to 1.

    Raises
    ------
    DirectoryRefused
        If they are too many; nothing has been changed then.
    """
    if closing > max(ALWAYS, share * enabled):
        raise DirectoryRefused(
            f"{closing} of {enabled} accounts would be closed at once, which looks like an incomplete answer "
            "rather than people who left; nothing was changed. If it is true, run "
            "`data-platform sync people --allow-drop` once."
        )
