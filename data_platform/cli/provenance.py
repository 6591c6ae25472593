"""Where results come from, and what became of data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from data_platform.cli.output import print_json, printable

if TYPE_CHECKING:
    from populate.provenance.graph import Provenance

FORMATS = {
    "json": "Print nodes and edges as JSON.",
    "svg": "Print a drawing.",
    "dot": "Print the graph in the language of Graphviz.",
    "openlineage": "Print OpenLineage events as a JSON list.",
    "prov": "Print a document of W3C PROV, as PROV-JSON.",
}


def _options(function: Callable[..., object]) -> Callable[..., object]:
    """Add what both commands take."""
    for name, text in reversed(FORMATS.items()):
        function = click.option(f"--{name}", "form", flag_value=name, help=text)(function)
    depth = click.option(
        "--depth", default=10, show_default=True, type=click.IntRange(1), help="Runs one after the other, at most."
    )
    return click.argument("about")(depth(function))


@click.command()
@_options
def whence(about: str, depth: int, form: str | None) -> None:
    """Tell where a result comes from: the runs that wrote it, their code, what they read, and who shared that.

    ABOUT is a link or path, or the SHA-256 of the bytes (or its first 8 digits and more). Each step is told with
    its time and how it is known: declared (log_output), met (the same bytes were found again), read, shared,
    recorded. Only what you may know is told.

    \b
    Example:
        data-platform whence results/table_2.csv
        data-platform whence results/table_2.csv --svg > table_2.svg
    """
    from data_platform import face

    _show(face.whence(about, depth=depth), form)


@click.command()
@_options
def whither(about: str, depth: int, form: str | None) -> None:
    """Tell what became of data: the runs that read them, what these wrote, and who read that.

    ABOUT is a link or path, of which all versions count, or the SHA-256 of the bytes. The mirror of `whence`.

    \b
    Example:
        data-platform whither /shares/screening/plate_12.csv
        data-platform whither sha256:9f86d081884c7d65 --json
    """
    from data_platform import face

    _show(face.whither(about, depth=depth), form)


def _show(found: Provenance, form: str | None) -> None:
    if form == "json":
        print_json(found.to_dict())
    elif form == "openlineage":
        from populate.provenance.openlineage import events

        print_json(events(found))
    elif form == "prov":
        from populate.provenance.prov import document

        print_json(document(found))
    elif form:
        from populate.provenance.dot import dot
        from populate.provenance.drawing import svg

        click.echo(svg(found) if form == "svg" else dot(found), nl=False)
    else:
        _tell(found)


def _tell(found: Provenance) -> None:
    """Print a line for each step, in the order of their times."""
    names = {node.node_id: f"{node.name} [{node.detail}]" if node.detail else node.name for node in found.nodes}
    if not found.edges:
        click.echo(f"{names[found.about[0]]}: nothing more is known, or you may not know it.")
    for edge in found.edges:
        when = f"{edge.at:%Y-%m-%d %H:%M}" if edge.at else ""
        detail = f" {edge.detail}" if edge.detail else ""
        line = f"{when:16}  {edge.evidence:8}  {names[edge.source]} -> {edge.relation}{detail} -> {names[edge.target]}"
        click.echo(printable(line))
    if found.cut:
        click.echo("There is more than is shown here. Ask about what is in it, or with another --depth.")
