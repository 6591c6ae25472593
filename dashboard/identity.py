"""Who looks: by sign-in where that is set up, else whoever runs the dashboard on this machine.

Each page begins with `require`. What a page asks on somebody's behalf goes through `Viewer.ask`,
so that it is answered as this person may know it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

import streamlit as st

from dashboard.catalogue import catalogue
from dashboard.entering import entering
from data_platform.errors import SettingsError
from data_platform.settings import Settings, settings
from data_platform.settings.dashboard import DashboardSettings
from populate.who.asker import Asker, asker, asker_of, oneself
from populate.who.standing import Standing, standing_of
from readers.event import consumer
from schemas.binding import Binding
from schemas.identity import account_id, normal_login

ROLES = ("scientist", "steward", "manager", "engineer")
FRESH_SECONDS = 20.0
"""After this long it is asked again who somebody is and what they may see."""

GROUP = "group:"
KEPT, PERSONA = "viewer", "persona"  # in the state of a session

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever looks at a page.

    Attributes
    ----------
    asker
        As whom the catalogue answers. It speaks over the one connection: use it inside of `ask` only.
    roles
        Of `ROLES`. Everybody is a scientist.
    name
        For people to read; data, never Markdown.
    login
        That they signed in with, or that reads on this machine are recorded for.
    """

    asker: Asker
    roles: frozenset[str]
    name: str
    login: str

    @property
    def known(self) -> bool:
        """Whether the catalogue knows this person."""
        return bool(self.asker.person_id)

    def may(self, role: str) -> bool:
        """Tell whether this person has a role."""
        return role in self.roles

    def ask(self, query: Callable[Concatenate[Asker, P], T], *args: P.args, **values: P.kwargs) -> T:
        """Return ``query(asker, *args, **values)``, while nobody else uses the connection."""
        return catalogue().ask(lambda _: query(self.asker, *args, **values))

    def enter(self, act: Callable[Concatenate[Asker, P], T], *args: P.args, **values: P.kwargs) -> T:
        """Return ``act(asker, *args, **values)``, which adds rows, as of this moment.

        Raises
        ------
        DatabaseError
            If the dashboard's login may not add them.
        """
        now = datetime.now(UTC).replace(tzinfo=None)
        with entering(catalogue()):
            return act(replace(self.asker, now=now, _colleagues={}, _sizes={}), *args, **values)


def viewer() -> Viewer:
    """Return who looks; whoever still has to sign in is asked to, and the page ends here.

    Raises
    ------
    DatabaseUnavailable
        If the catalogue does not answer.
    """
    configured = settings()
    claims = _claims(configured.dashboard)
    who = str(claims) if claims is not None else st.session_state.get(PERSONA, "")
    kept = st.session_state.get(KEPT)
    if kept and kept[0] == who and time.monotonic() - kept[1] < FRESH_SECONDS and kept[2] is catalogue():
        found: Viewer = kept[3]
        return found
    if claims is None:
        found = catalogue().ask(_here, configured, who)
    else:
        found = catalogue().ask(_signed_in, configured, claims) or _turned_away()
    st.session_state[KEPT] = (who, time.monotonic(), catalogue(), found)
    return found


def require(role: str = "scientist") -> Viewer:
    """Return who looks if they have this role; the page ends for anybody else.

    Raises
    ------
    DatabaseUnavailable
        If the catalogue does not answer.
    """
    if role not in ROLES:
        raise SettingsError(f"{role!r} is no role. Use one of {', '.join(ROLES)}.")
    found = viewer()
    if not found.may(role):
        st.title("Not for your role")
        st.info(
            f"This page is for people with the role {role}. Whoever runs the data platform gives it to you: "
            f"setting `dashboard.{role}s`.",
            icon=":material/lock:",
        )
        st.stop()
    return found


def roles_of(names: Collection[str], configured: DashboardSettings) -> frozenset[str]:
    """Return the roles of somebody with these logins, and groups written as ``group:ID``."""
    mine = {normal_login(name) for name in names}
    given = {"steward": configured.stewards, "manager": configured.managers, "engineer": configured.engineers}
    return frozenset({"scientist"} | {role for role, who in given.items() if mine & {normal_login(n) for n in who}})


def _claims(configured: DashboardSettings) -> dict[str, Any] | None:
    """Return what the provider says of whoever looks, or None where nobody signs in."""
    if not configured.signs_in:
        return None
    claims = st.user.to_dict()
    # Browsers keep a sign-in for 30 days, which is long for somebody who may have left.
    since = float(str(claims.get("iat") or 0))
    if not claims.get("is_logged_in") or time.time() - since > configured.sign_in_hours * 3600:
        _ask_to_sign_in()
    # Some providers let people write any address into their profile.
    unproven = configured.claim == "email" and claims.get("email_verified") is False
    if not str(claims.get(configured.claim) or "") or unproven:
        st.title("You cannot be told from others")
        st.error(f"Your sign-in says nothing reliable as `{configured.claim}`. Tell whoever runs the data platform.")
        st.button("Sign out", on_click=st.logout)
        st.stop()
    return dict(claims)


def _ask_to_sign_in() -> NoReturn:
    st.title("Data platform")
    st.text("Which data there are, where they come from, who uses them, and whom to ask.")
    st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login)
    st.stop()


def _turned_away() -> NoReturn:
    st.title("This account is closed")
    st.info("The directory says that you left. If you came back, tell your data steward.", icon=":material/lock:")
    st.button("Sign out", on_click=st.logout)
    st.stop()


def _signed_in(binding: Binding, configured: Settings, claims: dict[str, Any]) -> Viewer | None:
    login = str(claims[configured.dashboard.claim])
    account = account_id(configured.dashboard.realm or configured.realm, login)
    here = asker_of(binding, account)
    standing = standing_of(here, account)
    if standing.closed:
        return None
    name = _name(here, standing) or str(claims.get("name") or login)
    # What somebody calls themselves never stands for a group.
    logins = {one for one in (login, standing.login) if one and not normal_login(one).startswith(GROUP)}
    names = logins | {f"{GROUP}{key}" for key in standing.groups}
    return Viewer(here, roles_of(names, configured.dashboard), name, standing.login or login)


def _here(binding: Binding, configured: Settings, persona: str) -> Viewer:
    """Return whoever runs this: all of it is theirs already. `persona` is an account to look as instead."""
    login = consumer(configured, None).login.name
    here = asker_of(binding, persona) if persona else asker(binding, configured)
    return Viewer(here, frozenset(ROLES), _name(here) or login, login)


def _name(here: Asker, standing: Standing | None = None) -> str:
    return oneself(here).name if here.person_id else (standing.name if standing else "")
