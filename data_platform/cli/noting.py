"""Tags, notes and collections of files."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import click

from data_platform.cli.output import json_option, print_json, print_table, printable


@click.command()
@click.argument("file")
@click.argument("words", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Take them away: yours, and of your own file any.")
def tag(file: str, words: tuple[str, ...], remove: bool) -> None:
    """Give a file tags, by which others find it, or take them away.

    FILE is a link or path that you can open or have read. Each of WORDS is one tag: quote what has blanks.

    \b
    Example:
        data-platform tag plate_12.csv screening "ITX 47213"
        data-platform tag plate_12.csv screening --remove
    """
    from data_platform import face

    spelt = face.tag(file, *words, remove=remove)
    click.echo(f"{'Removed' if remove else 'Tagged'}: {', '.join(spelt)}")


@click.command()
@click.argument("file", required=False, default="")
@click.option("--having", metavar="TAG", default="", help="Show the files that have this tag.")
@json_option
def tags(file: str, having: str, as_json: bool) -> None:
    """Show the tags of a file, or all tags and how many files have each.

    FILE is a link or path. Only files that you may know count.

    \b
    Example:
        data-platform tags
        data-platform tags plate_12.csv
        data-platform tags --having screening --json
    """
    from data_platform import face

    found = face.tags(file, having=having)
    if as_json:
        print_json([asdict(row) for row in found])
    elif not found:
        click.echo("No tags. `data-platform tag FILE WORD` adds one.")
    elif file or having:
        print_table(("tag", "file", "by", "on"), [(row.tag, row.name, row.by, f"{row.at:%Y-%m-%d}") for row in found])
    else:
        counts = sorted(Counter(row.tag for row in found).items(), key=lambda pair: (-pair[1], pair[0]))
        print_table(("tag", "files"), [(word, str(count)) for word, count in counts])


@click.command()
@click.argument("file", required=False, default="")
@click.argument("text", required=False, default="")
@click.option("--replaces", metavar="ID", default="", help="A note that does not hold any more from now on.")
@click.option("--withdraw", metavar="ID", default="", help="Let this note hold no more, and add none.")
def note(file: str, text: str, replaces: str, withdraw: str) -> None:
    """Note something down about your file, for all who may know it. Stewards may about any.

    FILE is a link or path, TEXT what there is to say. Nothing is overwritten: what was said stays on record.

    \b
    Example:
        data-platform note plate_12.csv "Column 7 was measured twice; use the second one."
        data-platform note --withdraw 4f2a2d3bcd4d44b09f2a2d3bcd4d44b0
    """
    from data_platform import face

    if withdraw:
        face.withdraw_note(withdraw)
        click.echo("Withdrawn.")
    elif file and text:
        click.echo(face.note(file, text, replaces=replaces))
    else:
        raise click.UsageError("Give FILE and TEXT, or --withdraw with the id of a note.")


@click.command()
@click.argument("file")
@json_option
def notes(file: str, as_json: bool) -> None:
    """Show what the owner of a file and stewards say about it, the latest first.

    FILE is a link or path.

    \b
    Example:
        data-platform notes plate_12.csv
        data-platform notes plate_12.csv --json
    """
    from data_platform import face

    found = face.notes(file)
    if as_json:
        print_json([asdict(row) for row in found])
        return
    if not found:
        click.echo("No notes.")
    for row in found:
        by = f", {printable(row.by)}" if row.by else ""
        click.echo(f"{row.note_id}  {row.at:%Y-%m-%d}  {row.said_as}{by}")
        for line in row.text.splitlines():
            click.echo(f"    {printable(line)}")


@click.command()
@click.argument("name")
@click.argument("files", nargs=-1)
@click.option("--remove", is_flag=True, help="Take FILES out instead.")
@click.option("--about", metavar="TEXT", default=None, help="What the collection is for.")
@click.option("--share/--private", "shared", default=None, help="Whether colleagues find it. Default: as it is.")
@click.option("--end", is_flag=True, help="Keep the collection no longer; its files stay what they are.")
def collect(
    name: str, files: tuple[str, ...], *, remove: bool, about: str | None, shared: bool | None, end: bool
) -> None:
    """Put files into a collection of yours, which is made if need be.

    FILES are links or paths. Whoever finds a collection sees of its files those that they may know anyway.

    \b
    Example:
        data-platform collect "Trial 7" lung.csv s3://screening/plate_12.csv --about "Sent to the agency"
        data-platform collect "Trial 7" --share
        data-platform collect "Trial 7" lung.csv --remove
    """
    from data_platform import face

    if end:
        face.end_collection(name)
        click.echo("It is kept no longer.")
        return
    kept = face.collect(name, *files, remove=remove, about=about, shared=shared)
    count = "1 file" if len(kept.files) == 1 else f"{len(kept.files)} files"
    click.echo(f"{printable(kept.name)}: {count}, {'shared' if kept.shared else 'private'}")


@click.command()
@click.argument("name", required=False, default="")
@json_option
def collections(name: str, as_json: bool) -> None:
    """Show your collections and those that colleagues share, or the files of one.

    NAME is that of a collection, or its id.

    \b
    Example:
        data-platform collections
        data-platform collections "Trial 7" --json
    """
    from data_platform import face

    found = [view for view in face.collections() if name in ("", view.name, view.collection_id)]
    if as_json:
        print_json([asdict(view) for view in found])
    elif not found:
        click.echo("No such collection." if name else "No collections. `data-platform collect NAME FILE` makes one.")
    elif not name:
        rows = [
            (
                view.name,
                str(len(view.files)),
                "you" if view.mine else view.keeper,
                "shared" if view.shared else "private",
            )
            for view in found
        ]
        print_table(("collection", "files", "kept by", "found by colleagues"), rows)
    for view in found if name and not as_json else []:
        click.echo(printable(view.name) + (f": {printable(' '.join(view.about.split()))}" if view.about else ""))
        print_table(("file", "path", "source"), [(file.name, file.path, file.source_system) for file in view.files])
