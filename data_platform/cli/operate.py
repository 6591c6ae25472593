"""Setting up and examining an installation."""

from __future__ import annotations

from dataclasses import asdict

import click

from data_platform.cli.output import json_option, print_json, print_table

SOMETHING_TO_DO = 1
MARKS = {"ok": "ok  ", "todo": "TODO", "note": "note"}


@click.command()
@json_option
def deploy(as_json: bool) -> None:
    """Create the schemas and tables that are missing in the configured database.

    The embedded database deploys itself; a server is deployed by an account that owns the
    schemas, once per release.

    \b
    Example:
        DATA_PLATFORM_DATABASE__USER=owner data-platform deploy
    """
    from data_platform import face

    schemas = face.deploy()
    if as_json:
        print_json({"schemas": schemas})
    else:
        click.echo("Deployed " + ", ".join(schemas) + ".")


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say what is configured, what works, and what to do about what does not; exit 1 if anything.

    Secrets are never printed, only whether they are set.

    \b
    Example:
        data-platform doctor
    """
    from data_platform.doctor import examine

    report = examine()
    if as_json:
        print_json(asdict(report))
    else:
        print_table(("setting", "from", "value"), [(s.name, s.origin, s.value) for s in report.settings])
        click.echo()
        for finding in report.findings:
            click.echo(f"{MARKS[finding.state]} {finding.name}: {finding.detail}")
            if finding.advice:
                click.echo(f"       → {finding.advice}")
    if not report.well:
        ctx.exit(SOMETHING_TO_DO)
