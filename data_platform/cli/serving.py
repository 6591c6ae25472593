"""Things to look at: the dashboard and the demo."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 = the first free one from 8501 on.")
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="A name that browsers may reach it under.")
@click.option(
    "--without-sign-in", is_flag=True, help="Listen beyond loopback: whoever gets there may see and do all, unasked."
)
@click.option("--answers-only", is_flag=True, help="Serve the page of questions about duplicates and no other.")
def dashboard(port: int, address: str, names: tuple[str, ...], without_sign_in: bool, answers_only: bool) -> None:
    """Serve the dashboard on this machine (127.0.0.1 only) until Ctrl-C, and print its address.

    It listens elsewhere if people sign in (dashboard.oidc_url): each then sees what they may know.
    Else only with --without-sign-in, which is for containers whose port is published on loopback,
    and for proxies that ask: whoever gets there has every role.

    With --answers-only there is one page: a question about a duplicate, for whoever has the signed
    link of a mail. Nothing else of the catalogue can be reached there.

    \b
    Example:
        data-platform dashboard --port 8600
        data-platform dashboard --address 0.0.0.0 --name catalogue.example.org --without-sign-in
        data-platform dashboard --address 0.0.0.0 --name questions.example.org --answers-only
    """
    from data_platform.serve import serve
    from data_platform.settings import settings

    settings()  # what is wrong with them is told now, and not to who looks at the first page
    serve(port, address, names, without_sign_in, answers_only)


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
