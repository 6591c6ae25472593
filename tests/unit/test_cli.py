"""The command line without a server: help, errors, output, and that nothing is undocumented."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dashboard.display import backup_state, human_bytes
from data_platform import face
from data_platform.cli import main
from data_platform.cli.failure import Sentences, sentence
from data_platform.cli.output import print_pairs, print_table
from data_platform.errors import SourceNotFound

DOCS = Path(__file__).parents[2] / "docs"
CONTEXT = click.Context(main)
VERBS = {
    name: command
    for name in main.list_commands(CONTEXT)
    if (command := main.get_command(CONTEXT, name)) and not command.hidden
}
NOT_OF_THE_API = {"doctor", "dashboard", "demo"}  # they print and serve, which a function cannot


@click.group(cls=Sentences)
@click.option("--debug", is_flag=True)
def faulty(debug: bool) -> None:
    """A group whose commands fail."""


@faulty.command()
def ours() -> None:
    raise SourceNotFound("There is nothing at https://host/x?sig=SECRETSIG.\nCheck the link.")


@faulty.command()
def foreign() -> None:
    raise RuntimeError("the server said token=SECRETTOKEN123")


@faulty.command()
def chatty() -> None:
    logging.getLogger("some.library").warning("calling %s", "https://user:SECRETPW@host/")
    warnings.warn("a warning", RuntimeWarning, stacklevel=1)


@pytest.mark.parametrize("name", sorted(VERBS))
def test_each_verb_has_help_and_an_example(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert f"data-platform {name}" in result.output.split("Example:")[1]


def test_each_verb_is_a_function_of_the_face() -> None:
    functions = {name for name, value in vars(face).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert {name.replace("-", "_") for name in set(VERBS) - NOT_OF_THE_API} <= functions


@pytest.mark.parametrize("name", sorted(VERBS))
def test_each_verb_and_option_is_documented(name: str) -> None:
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    for parameter in VERBS[name].params:
        for text in (
            parameter.opts if isinstance(parameter, click.Option) else [parameter.make_metavar(click.Context(main))]
        ):
            assert text.strip("[]") in section


def test_the_reference_is_what_the_commands_say() -> None:
    from docs.command_line import command_line_page

    assert (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8") == command_line_page()


def test_an_error_of_ours_is_one_sentence_without_secrets_and_exit_code_1() -> None:
    result = CliRunner().invoke(faulty, ["ours"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: There is nothing at https://host/x")
    assert result.stderr.count("\n") == 1
    assert "SECRETSIG" not in result.stderr


def test_a_foreign_error_is_one_sentence_too_and_says_how_to_see_more() -> None:
    result = CliRunner().invoke(faulty, ["foreign"])
    assert result.exit_code == 1
    assert "RuntimeError" in result.stderr
    assert "--debug" in result.stderr
    assert "Traceback" not in result.stderr
    assert "SECRETTOKEN123" not in result.stderr


def test_debug_shows_where_it_happened() -> None:
    result = CliRunner().invoke(faulty, ["--debug", "foreign"])
    assert isinstance(result.exception, RuntimeError)


def test_a_wrong_command_is_exit_code_2() -> None:
    assert CliRunner().invoke(main, ["raed"]).exit_code == 2
    assert CliRunner().invoke(main, ["restore"]).exit_code == 2
    assert CliRunner().invoke(main, ["worker", "--processes", "0"]).exit_code == 2


def test_messages_and_warnings_are_plain_redacted_lines_and_nothing_stays_behind() -> None:
    root = logging.getLogger()
    before = (list(root.handlers), list(root.filters), root.level, warnings.showwarning)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = CliRunner().invoke(faulty, ["chatty"])
        assert "WARNING: calling https://" in result.stderr
        assert "Warning: a warning\n" in result.stderr
        assert "SECRETPW" not in result.stderr
    assert (list(root.handlers), list(root.filters), root.level, warnings.showwarning) == before


def test_sentence_of_an_error_without_text() -> None:
    assert sentence(ValueError()).startswith("ValueError: no message.")


def test_names_of_files_do_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "plate\x1b]0;owned\x07\r\n\u202efdp.csv"
    print_table(("file", "bytes"), [(name, "1")])
    print_pairs({"file": name})
    told = capsys.readouterr().out
    assert told.count("plate\N{REPLACEMENT CHARACTER}]0;owned") == 2
    assert told.count("\n") == 3
    assert all(line.isprintable() for line in told.splitlines())


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (5 * 10**15, "5.0 PB"),
        (10**19, "10,000.0 PB"),
    ],
)
def test_human_bytes(count: int, text: str) -> None:
    assert human_bytes(count) == text


def test_a_failed_backup_says_why_and_no_state_needs_colour() -> None:
    assert backup_state("failed", "gone") == "✗ failed: gone"
    assert backup_state("backed up", "old reason") == "✓ backed up"
    assert len({backup_state(state)[0] for state in ("failed", "waiting", "backed up")}) == 3


def test_tables_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("a", "name"), [("longer", "x"), ("y", "z")])
    assert capsys.readouterr().out == "a       name\nlonger  x\ny       z\n"
    print_pairs({"share_edges": 1234, "size": "1 kB"})
    assert capsys.readouterr().out == "share edges  1,234\nsize          1 kB\n"
    print_pairs({})
    assert capsys.readouterr().out == ""


def test_only_the_module_of_the_command_that_is_run_is_imported() -> None:
    program = """
import sys
from data_platform.cli import main
main(["adopt", "--help"], standalone_mode=False)
modules = {name.rpartition(".")[2] for name in sys.modules if name.startswith("data_platform.cli.")}
print(sorted(modules & {"adopting", "serving", "retaining", "searching"}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['adopting']"


def test_each_command_is_called_as_it_is_looked_for() -> None:
    assert {name: command.name for name, command in VERBS.items()} == {name: name for name in VERBS}
