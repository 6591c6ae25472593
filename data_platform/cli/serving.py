"""Things to look at: the dashboard and the demo."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 = the first free one from 8501 on.")
def dashboard(port: int) -> None:
    """Serve the dashboard on this machine (127.0.0.1 only) until Ctrl-C, and print its address.

    \b
    Example:
        data-platform dashboard --port 8600
    """
    from data_platform.serve import serve

    serve(port)


@click.command()
@click.argument("path", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--no-serve", is_flag=True, help="End after the summary, without the dashboard.")
@click.option("--home", type=click.Path(path_type=Path), help="Folder of the demo's own catalogue.")
def demo(path: Path | None, no_serve: bool, home: Path | None) -> None:
    """Watch a small biotech at work, then look at its catalogue in the dashboard.

    The people are invented; the data are public data sets of published clinical studies. With
    PATH the same people read your own folder instead. Nothing touches your own catalogue.

    \b
    Example:
        data-platform demo
        data-platform demo ~/projects/trial-7 --no-serve
    """
    from data_platform.demo import start

    start(home=home, folder=path, serve=not no_serve)


@click.command("demo-story", hidden=True)
@click.option("--folder", type=click.Path(path_type=Path))
@click.option("--serve", is_flag=True)
def demo_story(folder: Path | None, serve: bool) -> None:
    """Play the demo in a process that sees no configuration but the demo's own."""
    from data_platform.demo.performance import perform

    perform(folder, serve)
