"""Setting up and examining an installation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from data_platform.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from populate.roles import Grant

SOMETHING_TO_DO = 1
MARKS = {"ok": "ok  ", "todo": "TODO", "note": "note"}


@click.command()
@click.option("--roles/--no-roles", default=True, help="Make the roles on a server; without, somebody else grants.")
@json_option
def deploy(roles: bool, as_json: bool) -> None:
    """Create what is missing of schemas, tables and roles in the configured database.

    Running it again changes nothing. It prints the grants that it made to the roles reader,
    worker, dashboard, steward and answers; an administrator gives them to logins. The embedded
    database deploys itself and has no roles; a server is deployed by an account that owns the
    schemas, once per release.

    \b
    Example:
        DATA_PLATFORM_DATABASE__USER=owner data-platform deploy
    """
    from data_platform import face

    schemas = face.deploy()
    grants = _make_roles() if roles else []
    if as_json:
        print_json({"schemas": schemas, "grants": [grant._asdict() for grant in grants]})
    else:
        click.echo("Deployed " + ", ".join(schemas) + ".")
        for line in _lines(grants):
            click.echo(line)


def _make_roles() -> list[Grant]:
    from data_platform.settings import settings
    from populate.pipeline import bind_all

    if settings().database.backend == "embedded":
        return []
    from populate.roles import deploy_roles

    return deploy_roles(bind_all(settings()))


def _lines(grants: Sequence[Grant]) -> Iterator[str]:
    """Yield a line for each role and what it may do, with the tables."""
    tables: dict[tuple[str, str], list[str]] = {}
    for grant in grants:
        for verb in grant.verbs:
            tables.setdefault((grant.role, verb), []).append(f"{grant.schema}.{grant.table}")
    everything = {f"{grant.schema}.{grant.table}" for grant in grants}
    for (role, verb), names in sorted(tables.items()):
        where = f"all {len(names)} tables" if everything <= set(names) else ", ".join(names)
        yield f"  {role}: {verb} on {where}"


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
