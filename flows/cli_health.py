"""`almanac probe` and `almanac maintenance`: is it up, and when is it not meant to be."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_context import moment_of, progress_now, settings_now, user_name

maintenance_app = typer.Typer(
    help="Announce when a component is planned to be down: it then counts as neither up nor down.",
    no_args_is_help=True,
)


def probe(
    every: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", min=30, max=3600, help="Go on, once every so many seconds."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 unless everything that is required is up.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Ask the alerts when something is not up.")
    ] = True,
) -> None:
    """Probe every component once, all at the same time, and keep what was found.

    Exits 1 when it could not be kept, or when the alerts were to be asked and could not be.
    """
    from flows.health import configured
    from flows.probe_results import Overall
    from flows.probe_run import probe_once

    settings = settings_now()
    configured(settings)  # a mistake in the file is told at once
    if every is not None:
        from flows.probe_service import probe_on

        probe_on(settings, every_seconds=every, ask_alerts=check, now=lambda: moment_of(None))
    report = probe_once(settings, now=moment_of(None), ask_alerts=check, progress=progress_now())
    typer.echo("\n".join(report.lines()))
    if not report.is_good or (strict and report.round.overall is not Overall.healthy):
        raise typer.Exit(1)


@maintenance_app.command("plan")
def plan_window(
    hours: Annotated[float, typer.Option(help="For how long.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    component: Annotated[
        str | None, typer.Option(metavar="NAME", help="The component; every one when it is left out.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="When it begins, in UTC [now].")
    ] = None,
    who: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who answers for it [you].")] = None,
) -> None:
    """Announce maintenance: nobody is told of the component meanwhile, and its downtime is no downtime."""
    from flows.health import configured
    from flows.maintenance import plan
    from flows.ops_store import open_ops_store

    settings, now = settings_now(), moment_of(None)
    number = plan(
        open_ops_store(settings),
        component=component,
        starts_at=now if start is None else moment_of(start),
        hours=hours,
        owner=who or user_name(),
        reason=reason,
        now=now,
        components=frozenset(one.name for one in configured(settings).components),
    )
    typer.echo(f"maintenance {number}, for {hours:g} hours")


@maintenance_app.command("list")
def list_windows() -> None:
    """The maintenance that is planned or going on."""
    from flows.maintenance import planned
    from flows.ops_store import open_ops_store

    for row in planned(open_ops_store(settings_now()), moment_of(None)):
        typer.echo(
            f"{row.window_id:>4}  {row.component or 'every component'}, {row.starts_at:%Y-%m-%d %H:%M} to "
            f"{row.ends_at:%Y-%m-%d %H:%M} UTC, {row.owner}: {row.reason}"
        )


@maintenance_app.command("end")
def end_window(number: Annotated[int, typer.Argument(metavar="NUMBER")]) -> None:
    """End maintenance now, or call it off."""
    from flows.maintenance import end
    from flows.ops_store import open_ops_store

    end(open_ops_store(settings_now()), number, moment_of(None))
