"""Refuses to believe that too many people have left, or have left their groups, at once."""

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


def refuse_sudden_exodus(memberships: int, ending: int, share: float) -> None:
    """Raise if more than a share of the memberships of groups would end because nobody speaks of them any more.

    Whoever may not see groups, or their members, is answered as if there were none.

    Parameters
    ----------
    memberships
        Those so far, of accounts that are still in use.
    ending
        Those of them that are not told of any more.
    share
        From 0 to 1.

    Raises
    ------
    DirectoryRefused
        If they are too many; nothing has been changed then.
    """
    if ending > max(ALWAYS, share * memberships):
        raise DirectoryRefused(
            f"{ending} of {memberships} memberships of groups would end at once, which looks like an account that "
            "may not see them any more rather than people who left; nothing was changed. If it is true, run "
            "`data-platform sync people --allow-drop` once."
        )
