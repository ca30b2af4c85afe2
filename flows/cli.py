"""The command `almanac`: arguments in, answer on stdout, story on stderr, exit code out.

Every import of weight sits in the command that needs it: `--help` waits for neither dbt nor DuckDB.
"""

from __future__ import annotations

import signal
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from flows import PROJECT_DIR
from flows.cli_alerts import alerts_app
from flows.cli_context import AsOf, context, moment_of, progress_now, settings_now, writing
from flows.cli_docs import docs
from flows.cli_health import maintenance_app, probe
from flows.cli_keys import keys_app
from flows.cli_reviews import review_app
from flows.cli_serve import serve_api
from flows.errors import AlmanacError, UsageError

if TYPE_CHECKING:
    from flows.settings import Settings
    from flows.source_location import SourceLocation

DEMO_SOURCE = PROJECT_DIR / "demo" / "platform-tape"
DEMO_RECIPIENTS = PROJECT_DIR / "demo" / "recipients.yml"
DEMO_AS_OF = "2026-11-23T00:00:00"

# What the demo ends with, and the README shows.
EXAMPLE_QUERIES = {
    "What did each team cost that week?": (
        "select team_id, job_count, call_count, client_cost_usd from team_usage_weekly "
        "where period_start_date = date '2026-11-16' order by client_cost_usd desc nulls last"
    ),
    "How often did jobs fail, week by week?": (
        "select period_start_date, job_count, failed_job_count, failure_rate "
        "from platform_usage_weekly where is_complete order by period_start_date"
    ),
    "Whose credits run out first?": (
        "select team_id, credits_remaining, burn_per_day, days_left "
        "from credit_balances where days_left is not null order by days_left, team_id"
    ),
}

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

app = typer.Typer(
    name="almanac",
    help="Daily, weekly and monthly numbers of an LLM platform, and reviews made of them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(review_app, name="review")
app.add_typer(alerts_app, name="alerts")
app.command()(probe)
app.command("serve")(serve_api)
app.add_typer(maintenance_app, name="maintenance")
app.add_typer(keys_app, name="keys")
app.command()(docs)


class QueryFormat(StrEnum):
    table = "table"
    csv = "csv"
    json = "json"


class StatusFormat(StrEnum):
    text = "text"
    json = "json"


Source = Annotated[
    str | None,
    typer.Option(
        metavar="URL|DIR",
        help="The platform's PostgreSQL (postgresql://...), or a folder with its tables as CSV or Parquet "
        "[ALMANAC_SOURCE].",
    ),
]
AcceptDeletes = Annotated[
    bool,
    typer.Option(
        "--accept-deletes", help="Land although more than 30 % of a table's compared rows are gone."
    ),
]


@app.callback()
def _options(
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the data lies [ALMANAC_DATA_DIR, ./data].")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")] = False,
) -> None:
    context.data_dir = data_dir
    context.quiet = quiet


@app.command()
def demo() -> None:
    """Run everything on the recorded demo platform."""
    from flows.nightly import nightly as run_nightly
    from flows.periods import parse_as_of

    settings = settings_now().model_copy(update={"recipients": DEMO_RECIPIENTS})
    as_of = parse_as_of(DEMO_AS_OF)
    with writing(settings, "demo", as_of) as run:
        run_nightly(run, settings, as_of=as_of, source=DEMO_SOURCE, progress=progress_now())
    _tell_what_the_demo_made(settings)


@app.command()
def nightly(
    as_of: AsOf = None,
    source: Source = None,
    accept_deletes: AcceptDeletes = False,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Build every period anew, not only those that changed.")
    ] = False,
) -> None:
    """Land, build, audit, publish; then issue the reviews that are due, and send what waits."""
    moment = moment_of(as_of)
    settings = settings_now()
    location = _source(settings, source)
    from flows.nightly import nightly as run_nightly

    with writing(settings, "nightly", moment) as run:
        report = run_nightly(
            run,
            settings,
            as_of=moment,
            source=location,
            progress=progress_now(),
            full_refresh=full_refresh,
            accept_deletes=accept_deletes,
        )
    typer.echo(report)


@app.command()
def recalculate(
    period: Annotated[
        str | None,
        typer.Argument(
            metavar="[PERIOD]", help="A month (2025-10), a week (2025-W40) or a day (2025-10-05)."
        ),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="PERIOD", help="Instead: from here on.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="PERIOD", help="Up to here, included.")] = None,
    team: Annotated[str | None, typer.Option(metavar="ID", help="Report this team's changes only.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, and change nothing.")] = False,
    source: Source = None,
    accept_deletes: AcceptDeletes = False,
) -> None:
    """Rebuild a period's days from the source and report what changed.

    As of the published night; nothing is rendered or sent.
    """
    from flows.periods import parse_days

    if (period is None) == (first is None) or (first is None) != (last is None):
        raise UsageError("Give one period, such as 2025-10, or both --from and --to.")
    days = parse_days(period or first or "", last)
    settings = settings_now()
    location = _source(settings, source)
    from flows.nightly import Night
    from flows.recalculate import last_published
    from flows.recalculate import recalculate as run_recalculation

    moment = last_published(settings)
    with writing(settings, "recalculate", moment) as run:
        night = Night(run, settings, moment, location, progress_now(), accept_deletes=accept_deletes)
        report = run_recalculation(night, days, team_id=team, dry_run=dry_run)
    typer.echo(report)


@app.command()
def land(as_of: AsOf = None, source: Source = None, accept_deletes: AcceptDeletes = False) -> None:
    """Copy what has changed in the source's tables, all or nothing."""
    moment = moment_of(as_of)
    settings = settings_now()
    location = _source(settings, source)
    from flows.land import land as run_land
    from flows.preflight import require_room

    with writing(settings, "land", moment) as run:
        require_room(settings, location if isinstance(location, Path) else None)
        report = run_land(
            location,
            settings.landing_path,
            as_of=moment,
            progress=progress_now(),
            accept_deletes=accept_deletes,
            retention_days=settings.source_retention_days,
            lookback_days=settings.lookback_days,
            before_commit=run.require_current,
            ops_store=run.store,
            access_log=settings.access_log,
            memory_mb=settings.build_memory_mb,
        )
    typer.echo(f"{settings.landing_path}: {report}")


@app.command()
def build(as_of: AsOf = None) -> None:
    """Build the marts aside and audit them.

    Without --as-of, as of the last landing.
    """
    from flows.periods import parse_as_of

    moment = parse_as_of(as_of) if as_of is not None else None
    settings = settings_now()
    from flows.audit import audit
    from flows.build import build as run_build
    from flows.built import mark_audited
    from flows.preflight import require_room

    with writing(settings, "build", moment) as run:
        require_room(settings)
        landed = _last_landing(settings)
        if landed is None:
            raise AlmanacError(f"Nothing has landed in {settings.data_dir} yet. Run `almanac land` first.")
        moment = moment or landed
        built = run_build(settings, as_of=moment, progress=progress_now(), run=run)
        run.phase("audit")
        audit(built, settings, moment, progress=progress_now(), run_id=run.run_id)
        run.require_current()
        mark_audited(settings, built)
    typer.echo(built if isinstance(built, Path) else f"generation {built.name}")


@app.command()
def publish() -> None:
    """Publish the newest build that passed its audit."""
    settings = settings_now()
    from flows.built import newest_audited
    from flows.publish import publish as run_publish

    with writing(settings, "publish") as run:
        published = run_publish(newest_audited(settings), settings, run=run)
    typer.echo(published)


# an SQL text may begin with a comment, which looks like an option
@app.command(context_settings={"ignore_unknown_options": True})
def query(
    sql: Annotated[str, typer.Argument(help="One SQL statement; - reads it from stdin.")],
    output_format: Annotated[QueryFormat, typer.Option("--format")] = QueryFormat.table,
) -> None:
    """Ask the published marts in SQL, read-only.

    Tables are found by their bare names: the marts first, then those of the schema compat.
    """
    from flows.query import run_query

    text = sys.stdin.read() if sql == "-" else sql
    run_query(text, settings_now(), output_format=output_format.value, out=sys.stdout, story=sys.stderr)


@app.command()
def status(
    as_of: AsOf = None,
    output_format: Annotated[StatusFormat, typer.Option("--format")] = StatusFormat.text,
) -> None:
    """Is it fresh: what is published, how old it is, and whether probes and alert checks still run.

    Exits 1 when nothing is published, when the last good night is older than 26 hours, when a configured
    component has no fresh probe, or when checks between nights have stopped: a dead man's switch, to be run
    by something else than what runs the nights.
    """
    now = moment_of(as_of)
    from flows.status import as_json, as_text, read_status

    result = read_status(settings_now(), now=now)
    typer.echo(as_json(result) if output_format is StatusFormat.json else as_text(result))
    if result.problems:
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Is this machine set up, and with which settings.

    Exits 1 when something is wrong, and says what to do.
    """
    settings = settings_now()
    from flows.doctor import effective_settings, examine

    for name, value in effective_settings(settings).items():
        typer.echo(f"{name:<28} {value}")
    typer.echo()
    checks = examine(settings)
    for check in checks:
        typer.echo(f"{'ok   ' if check.is_ok else 'WRONG'}  {check.name:<14} {check.detail}")
    if not all(check.is_ok for check in checks):
        raise typer.Exit(1)


@app.command()
def schedule(
    with_server: Annotated[
        bool,
        typer.Option("--with-server", help="Start a Prefect server on 127.0.0.1, and end it too."),
    ] = False,
) -> None:
    """Run the nightly and the reviews by schedule [ALMANAC_NIGHTLY_CRON, 02:30 UTC], shown in Prefect.

    Serves the deployments to the Prefect server at PREFECT_API_URL until it is stopped.
    """
    settings = settings_now()
    _source(settings, None)  # a night without one fails; better told now
    from flows.deployments import schedule as serve_deployments

    serve_deployments(settings, with_server=with_server)


def _source(settings: Settings, source: str | None) -> SourceLocation:
    from flows.nightly import source_of

    return source_of(settings, source)


def _last_landing(settings: Settings) -> datetime | None:
    """The moment of the last landing; None when nothing has landed yet."""
    import duckdb

    if not settings.landing_path.is_file():
        return None
    try:
        with duckdb.connect(str(settings.landing_path), read_only=True) as connection:
            row = connection.execute(
                "select as_of from raw.landings order by landing_number desc limit 1"
            ).fetchone()
    except duckdb.CatalogException:
        return None
    except duckdb.Error as error:
        raise AlmanacError(
            f"{settings.landing_path} cannot be read: {error}\nRestore it from a backup, or move it away."
        ) from error
    return None if row is None else row[0]


def _tell_what_the_demo_made(settings: Settings) -> None:
    command = "almanac" if context.data_dir is None else f"almanac --data-dir {settings.data_dir}"
    typer.echo(f"Warehouse   {settings.warehouse_path}")
    for path in sorted(settings.dashboard_dir.glob("index.html")):
        typer.echo(f"Dashboard   {path}")
    for path in sorted(settings.reviews_dir.rglob("*.pdf")):
        typer.echo(f"Review      {path} (.html)")
    for path in sorted(settings.outbox_dir.rglob("*.eml")):
        typer.echo(f"Mail        {path}")
    for title, sql in EXAMPLE_QUERIES.items():
        typer.echo(f'\n{title}\n  .venv/bin/{command} query "{sql}"')


def main() -> NoReturn:
    """Run the command; every way out has its exit code and at most a few lines on stderr."""
    # as an exception, so that dbt's process is ended and the lock is let go in that order
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    try:
        app()
    except AlmanacError as error:
        typer.echo(f"almanac: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say_interrupted()
    except SystemExit as end:
        # Typer turns Ctrl-C inside a command into this exit.
        if end.code == EXIT_INTERRUPTED:
            _say_interrupted()
        raise
    except Exception as error:
        typer.echo(f"almanac: {_keep_traceback(error)}", err=True)
        sys.exit(1)
    sys.exit(0)


def _say_interrupted() -> NoReturn:
    typer.echo("almanac: interrupted. Run the same command again.", err=True)
    sys.exit(EXIT_INTERRUPTED)


def _keep_traceback(error: Exception) -> str:
    """Write the traceback, secrets redacted, to a log file; return the line that names it."""
    from flows.crash_log import keep_traceback

    try:
        logs_dir = settings_now().logs_dir
    except AlmanacError:
        logs_dir = None
    return keep_traceback(error, logs_dir, at=moment_of(None))


if __name__ == "__main__":
    main()
