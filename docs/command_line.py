"""The reference page of the command line, from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

INTRODUCTION = """\
Each verb is a function of the Python API, too. What is listed can be had as JSON with `--json`.

Exit codes: 0 all went well; 1 something failed, or `check` or `doctor` found something; 2 the command
was not understood. A failure is one sentence on standard error; `data-platform --debug …` or
`DATA_PLATFORM_DEBUG=1` shows where it happened. Secrets are taken out of every message.
"""


def command_line_page() -> str:
    """Every command with its help, arguments, options and examples."""
    from data_platform.cli import main

    sections = [text for command in _shown(main) for text in _sections(command, f"data-platform {command.name}", 2)]
    return "\n".join(["# Command line", "", INTRODUCTION, *sections])


def _shown(group: click.Group) -> list[click.Command]:
    context = click.Context(group)
    found = (group.get_command(context, name) for name in group.list_commands(context))
    return [command for command in found if command and not command.hidden]


def _sections(command: click.Command, call: str, level: int) -> Iterator[str]:
    """Yield the section of a command, and of those in it."""
    yield _section(command, call, level)
    for inner in _shown(command) if isinstance(command, click.Group) else []:
        yield from _sections(inner, f"{call} {inner.name}", level + 1)


def _section(command: click.Command, call: str, level: int) -> str:
    text, _, example = inspect.cleandoc(command.help or "").partition("\b\n")
    context = click.Context(command, info_name=call)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"{'#' * level} {call.removeprefix('data-platform ')}", "", f"`{call} {usage}`", "", text.strip(), ""]
    lines += [*_options(command, context), ""]
    lines += ["```", inspect.cleandoc(example.removeprefix("Example:\n")), "```", ""]
    return "\n".join(lines)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    yield "| option | meaning |"
    yield "|---|---|"
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and parameter in command.params:
            names, meaning = parameter.get_help_record(context) or ("", "")
            yield f"| `{names}` | {meaning} |"
