"""`almanac alerts`: check, see, explain, keep quiet, and look at what would have been."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_context import AsOf, moment_of, progress_now, settings_now, user_name

if TYPE_CHECKING:
    from flows.settings import Settings
    from flows.source_location import SourceLocation

alerts_app = typer.Typer(
    help="Check the alerts, see what fires and why, keep some quiet for a while.", no_args_is_help=True
)

Who = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who says so [you].")]
Incident = Annotated[str, typer.Argument(metavar="ID", help="The incident, or how its id begins.")]


@alerts_app.command()
def check(
    as_of: AsOf = None,
    source: Annotated[
        str | None, typer.Option(metavar="URL|DIR", help="What to land from first [ALMANAC_SOURCE].")
    ] = None,
    land: Annotated[
        bool, typer.Option("--land/--no-land", help="Land what is new of the source first.")
    ] = True,
) -> None:
    """Land the newest days and health probes, ask every rule, tell what changed.

    Exits 1 when a rule could not be asked or a notice could not be sent.
    """
    moment = moment_of(as_of)
    settings = settings_now()
    location = _source(settings, source) if land and (source or settings.source) else None
    from flows.alert_check import check as run_check
    from flows.alert_rules import Occasion

    occasion = Occasion.check if land else Occasion.probe
    report = run_check(settings, location, as_of=moment, progress=progress_now(), occasion=occasion)
    typer.echo("\n".join(report.lines()))
    if not report.is_good:
        raise typer.Exit(1)


@alerts_app.command("list")
def list_incidents(
    all_incidents: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """The open incidents, the most severe first, and which sources of security there are."""
    from flows.incidents import as_table, incidents
    from flows.security_sources import security_sources

    settings = settings_now()
    typer.echo(as_table(incidents(settings, also_resolved=all_incidents, limit=limit)))
    sources = security_sources(settings.landing_path)
    if sources:
        typer.echo("\nSources of the rules on security")
        typer.echo("\n".join(f"  {source}" for source in sources))


@alerts_app.command()
def explain(incident: Incident) -> None:
    """Everything known of an incident: values, rows, SQL, what happened; and what its SQL says now."""
    from flows.incidents import explain as explained

    typer.echo(explained(settings_now(), incident))


@alerts_app.command()
def silence(
    reason: Annotated[str, typer.Option(help="Why.")],
    hours: Annotated[float, typer.Option(help="For how long.")],
    rule: Annotated[str | None, typer.Option(help="The rule; any when it is left out.")] = None,
    scope: Annotated[
        str | None, typer.Option(metavar="KIND[:ID]", help="Such as team:acme-docs, or team for all.")
    ] = None,
    who: Who = None,
) -> None:
    """Tell nobody of some alerts for a while. What still fires when it ends is told then."""
    from flows.alert_scopes import is_known, parse_rule, parse_scope
    from flows.alert_silences import silence as add_silence
    from flows.ops_store import open_ops_store

    chosen_rule = parse_rule(rule) if rule is not None else None
    kind, scope_id = parse_scope(scope) if scope is not None else (None, None)
    settings = settings_now()
    store = open_ops_store(settings)
    number = add_silence(
        store,
        rule=chosen_rule,
        scope_kind=kind,
        scope_id=scope_id,
        owner=who or user_name(),
        reason=reason,
        hours=hours,
        now=moment_of(None),
    )
    typer.echo(f"silence {number}, for {hours:g} hours")
    if kind is not None and scope_id is not None and is_known(settings, store, kind, scope_id) is False:
        typer.echo(
            f"almanac: no {kind} {scope_id!r} is known here; the silence is kept for when there is. "
            f"`almanac alerts silences --end {number}` ends it.",
            err=True,
        )


@alerts_app.command()
def silences(
    end: Annotated[int | None, typer.Option(metavar="NUMBER", help="End this one now.")] = None,
) -> None:
    """The silences at work."""
    from flows.alert_silences import active_silences, end_silence
    from flows.ops_store import open_ops_store

    store, now = open_ops_store(settings_now()), moment_of(None)
    if end is not None:
        end_silence(store, end, now)
    for row in active_silences(store, now):
        what = " ".join(str(part) for part in (row.rule, row.scope_kind, row.scope_id) if part is not None)
        typer.echo(
            f"{row.silence_id:>4}  {what}, until {row.ends_at:%Y-%m-%d %H:%M} UTC, {row.owner}: {row.reason}"
        )


@alerts_app.command()
def ack(incident: Incident, who: Who = None) -> None:
    """Say that somebody looks after an incident: no more reminders."""
    from flows.alert_silences import acknowledge
    from flows.ops_store import open_ops_store

    acknowledge(open_ops_store(settings_now()), incident, who or user_name(), moment_of(None))


@alerts_app.command()
def close(incident: Incident, why: Annotated[str, typer.Option(help="Why.")], who: Who = None) -> None:
    """Close an incident by hand, as one of a scope that is gone."""
    from flows.alert_silences import close as close_incident
    from flows.ops_store import open_ops_store

    close_incident(open_ops_store(settings_now()), incident, who or user_name(), why, moment_of(None))


@alerts_app.command()
def backtest(
    last: Annotated[str, typer.Option(metavar="Nw|Nd", help="How far back, in weeks or days.")] = "8w",
    every: Annotated[int, typer.Option(metavar="HOURS", min=1, max=24, help="Hours between checks.")] = 3,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="What is known to have happened (JSON) [labels.json of the source folder]."
        ),
    ] = None,
    label_rules: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Rules that cover other kinds of labels (JSON, YAML: kind: [rules])."
        ),
    ] = None,
) -> None:
    """What would have fired on the published history, and with labels: recall and false alarms per rule."""
    from pathlib import Path

    from flows.alert_backtest import backtest as run_backtest
    from flows.alert_backtest import parse_span
    from flows.alert_labels import find_labels

    settings = settings_now()
    span = parse_span(last)
    path, why = (Path(labels), "") if labels else find_labels(settings)
    report = run_backtest(
        settings,
        span,
        every_hours=every,
        labels=path,
        without_labels=why,
        label_rules=Path(label_rules) if label_rules else None,
        progress=progress_now(),
    )
    typer.echo(report)


@alerts_app.command("test-send")
def send_tests(
    channel: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only through this channel of the alerts file.")
    ] = None,
) -> None:
    """Send a notice that says it is a test through every channel, now. Exits 1 when one does not take it."""
    from flows.alert_test_send import send_tests as send

    tried = send(settings_now(), only=channel)
    for one in tried:
        to = "" if one.recipient == one.channel else f" to {one.recipient}"
        typer.echo(f"{one.channel}{to}: {'sent' if one.trouble is None else f'not sent: {one.trouble}'}")
    if any(one.trouble is not None for one in tried):
        raise typer.Exit(1)


def _source(settings: Settings, option: str | None) -> SourceLocation:
    from flows.nightly import source_of

    return source_of(settings, option)
