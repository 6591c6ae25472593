"""What the dashboard makes of texts and settings, without a server."""

from __future__ import annotations

import shlex
import stat
import tomllib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_report import published

from dashboard.display import plain
from dashboard.identity import roles_of
from dashboard.parts.asking import draft, mail_link
from dashboard.parts.figures import BEHIND, rows_behind
from dashboard.parts.file_contents import first_rows, folder_command
from data_platform.errors import SettingsError
from data_platform.oidc import sign_in_file
from data_platform.settings import load
from data_platform.settings.dashboard import DashboardSettings
from populate.adoption.report import figures_of
from populate.profile.view import ColumnView, SheetView
from populate.who.person import topics

PROVIDER = {"oidc_url": "https://login.example.org/.well-known/openid-configuration", "client_id": "dashboard"}


def shown(markdown: str) -> str:
    """Undo the escapes: what a reader sees, less what has no width."""
    seen, signs = "", iter(markdown)
    for sign in signs:
        seen += next(signs) if sign == "\\" else sign
    return seen.replace("\N{WORD JOINER}", "")


@given(st.text(max_size=60))
def test_a_label_shows_a_text_as_it_is_on_one_line(text: str) -> None:
    markdown = plain(text)
    printable = "".join(sign if sign.isprintable() else " " for sign in text)
    assert shown(markdown) == " ".join(printable.split()).replace("\N{WORD JOINER}", "")
    assert "\n" not in markdown
    for place, sign in enumerate(markdown):
        if sign in "*_`[]()<>!#$|~:":
            assert markdown[place - 1] == "\\"


@pytest.mark.parametrize("text", [":material/warning:", ":red[x]", "https://evil.example", "a@evil.example", "a --> b"])
def test_what_streamlit_makes_of_texts_afterwards_does_not_match(text: str) -> None:
    assert text not in plain(text).replace("\\", "")


def test_a_path_is_no_command_whoever_pastes_it() -> None:
    path = "/share/a'; rm -rf ~; echo '"
    assert shlex.split(folder_command(path)) == ["data-platform", "restore-files", "--folder", path, "TO"]


def test_first_rows_of_a_table_stand_under_names_that_are_all_different() -> None:
    def sheet(names: list[str], first: tuple[tuple[str, ...], ...]) -> SheetView:
        columns = tuple(ColumnView(name, "text", 0, 1, "", "", ()) for name in names)
        return SheetView("", len(first), len(names), len(first), columns, first)

    wide = first_rows(sheet([f"c{n}" for n in range(40)], (("x",) * 30,)))
    assert (wide.shape, list(wide.columns)[-1]) == ((1, 30), "c29")
    beyond = first_rows(sheet(["a", "", "a (2)", "a"], (("1", "2", "3", "4", "5"), ("1",))))
    assert list(beyond.columns) == ["a", "column 2", "a (2)", "a (3)", "column 5"]
    assert list(beyond.loc[1]) == ["1", "", "", "", ""]
    assert first_rows(sheet([], ())).empty


def test_roles_are_given_by_login_or_group_and_everybody_is_a_scientist() -> None:
    given = DashboardSettings(stewards=("Amy@lab.example",), managers=("group:G-1",), engineers=("amy",))
    assert roles_of({"amy@LAB.example", "group:g-1"}, given) == {"scientist", "steward", "manager"}
    assert roles_of({"group:amy"}, given) == {"scientist"}


def test_a_sign_in_is_complete_safe_and_of_one_organisation() -> None:
    for wrong in (
        PROVIDER,
        {**PROVIDER, "client_secret": "s", "oidc_url": "http://login.example.org/x"},
        {**PROVIDER, "client_secret": "s", "oidc_url": "https://login.microsoftonline.com/common/v2.0/x"},
        {**PROVIDER, "client_secret": "s", "cookie_key": "short"},
    ):
        with pytest.raises(SettingsError):
            load(dashboard=wrong)


def test_the_secrets_of_the_sign_in_are_in_a_file_for_as_long_as_it_takes(home: Path) -> None:
    secret = 'quote " and back\\slash'
    configured = load(home=home, dashboard={**PROVIDER, "client_secret": secret, "url": "https://data.example.org/"})
    with sign_in_file(configured) as file:
        assert file is not None
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        told = tomllib.loads(file.read_text(encoding="utf-8"))["auth"]
    assert not file.exists()
    assert told["client_secret"] == secret
    assert told["redirect_uri"] == "https://data.example.org/oauth2callback"
    assert len(told["cookie_secret"]) >= 32
    with sign_in_file(load(home=home)) as none:
        assert none is None


def test_topics_are_words_that_names_have_in_common() -> None:
    names = ["trial-7 visits.csv", "trial-9 visits.csv", "visits_2024.xlsx", "Notes.csv"]
    assert topics(names) == ["visits", "trial"]


def test_a_draft_is_one_harmless_text_in_a_link() -> None:
    subject, text = draft("Ben\nBcc: x", "Amy", "a?&body=x\r\n.csv")
    link = mail_link("ben@lab.example", subject, text)
    assert link.startswith("mailto:ben@lab.example?subject=")
    assert link.count("&body=") == 1
    assert "\r" not in subject + text
    assert "Bcc: x" not in text


def test_behind_figures_are_rows_that_may_be_shown() -> None:
    now = published(date(2026, 11, 30))
    assert {figure.label for figure in figures_of(now, None)} == {*BEHIND, "hours saved a week"}
    assert list(rows_behind(now, "people who read").columns) == ["department", "people", "readers"]
    assert list(rows_behind(now, "reads")["read_count"]) == [600, 600]
    assert rows_behind(now, "of logged reads captured").empty  # no source has a log
    assert rows_behind(now, "in duplicates").empty
