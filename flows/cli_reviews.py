"""`almanac review`: render, send, look up what was sent, let people leave."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_context import progress_now, settings_now, writing
from flows.errors import AlmanacError, UsageError
from flows.review_scopes import PLATFORM, Kind, parse_scope

if TYPE_CHECKING:
    from flows.archive import Edition
    from flows.review_scopes import Period, Scope
    from flows.settings import Settings

review_app = typer.Typer(
    help="Render, send and look up the performance reviews.", no_args_is_help=True, rich_markup_mode=None
)

ScopeOption = Annotated[
    str,
    typer.Option(metavar="SCOPE", help="Whose review: platform, organization:ID, team:ID, or all."),
]
Send = Annotated[
    bool, typer.Option("--send", help="Issue it as well: keep it, and send it to its recipients, once.")
]


@review_app.command("weekly")
def weekly(
    week: Annotated[
        str | None, typer.Argument(metavar="[WEEK]", help="An ISO week, such as 2026-W47.")
    ] = None,
    scope: ScopeOption = "platform",
    send: Send = False,
) -> None:
    """Render reviews of one week; without WEEK, of the last complete one that is published."""
    _render(Kind.WEEKLY, week, scope, send)


@review_app.command("monthly")
def monthly(
    month: Annotated[str | None, typer.Argument(metavar="[MONTH]", help="A month, such as 2026-10.")] = None,
    scope: ScopeOption = "platform",
    send: Send = False,
) -> None:
    """Render reviews of one month; without MONTH, of the last complete one that is published."""
    _render(Kind.MONTHLY, month, scope, send)


@review_app.command("list")
def list_reviews(
    kind: Annotated[Kind, typer.Argument(help="weekly or monthly.")],
    period: Annotated[str, typer.Argument(metavar="PERIOD", help="2026-W47 or 2026-10.")],
) -> None:
    """Whose reviews there are of a period, and which editions were issued."""
    from flows.archive import find_editions
    from flows.ops_store import open_ops_store
    from flows.review_reader import scopes_of
    from flows.warehouse import open_warehouse

    settings = settings_now()
    chosen = kind.parse(period)
    with closing(open_warehouse(settings)) as connection:
        scopes = scopes_of(connection, kind, chosen)
    with open_ops_store(settings).transaction() as store:
        issued = find_editions(store, kind=kind.value, period=chosen.label)
    for scope in scopes:
        numbers = [str(edition.edition) for edition in issued if edition.scope == str(scope)]
        typer.echo(f"{scope}\t{'issued: ' + ', '.join(numbers) if numbers else 'not issued'}")


@review_app.command("show")
def show(
    kind: Annotated[Kind, typer.Argument(help="weekly or monthly.")],
    period: Annotated[str, typer.Argument(metavar="PERIOD", help="2026-W47 or 2026-10.")],
    scope: ScopeOption = "platform",
    edition: Annotated[int | None, typer.Option(metavar="N", help="Which edition; the last one.")] = None,
    document: Annotated[
        str | None, typer.Option(metavar="NAME", help="Write this document of it to stdout, byte for byte.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write all its documents there.")
    ] = None,
    dates: Annotated[
        str, typer.Option(metavar="LOCALE", help="Of the document: en-GB, en-US, iso.")
    ] = "en-GB",
) -> None:
    """What was issued, as it was: its editions, documents and who got it."""
    from flows.archive import documents_of, find_editions, read_document
    from flows.ops_store import open_ops_store
    from flows.outbox import deliveries_of

    store = open_ops_store(settings_now())
    with store.transaction() as connection:
        found = find_editions(connection, kind.value, str(parse_scope(scope)), kind.parse(period).label)
        chosen = _edition(found, kind, period, scope, edition)
        kept = documents_of(connection, chosen)
        if document is not None:
            wanted = [one for one in kept if one.name == document and one.dates in (dates, "")]
            if not wanted:
                names = ", ".join(sorted({one.name for one in kept}))
                raise UsageError(f"The edition has no {document!r} with dates {dates}. It has {names}.")
            sys.stdout.buffer.write(read_document(connection, wanted[0].sha256))
            return
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            for one in kept:
                name = one.name if one.dates in ("", "en-GB") else f"{one.dates}-{one.name}"
                (output / name).write_bytes(read_document(connection, one.sha256))
                typer.echo(output / name)
            return
        sent = deliveries_of(connection, chosen)
    for one_edition in found:
        mark = "*" if one_edition == chosen else " "
        reason = f"  {one_edition.reason}" if one_edition.reason else ""
        typer.echo(
            f"{mark} edition {one_edition.edition}  as of {one_edition.as_of} UTC  "
            f"made {one_edition.made_at:%Y-%m-%d %H:%M} UTC{reason}"
        )
    for one in kept:
        typer.echo(f"  {one.name:<14} {one.dates:<6} {one.sha256}")
    for row in sent:
        when = f" {row.sent_at:%Y-%m-%d %H:%M} UTC" if row.sent_at else ""
        trouble = f" ({row.last_error})" if row.last_error else ""
        typer.echo(
            f"  {row.channel:<5} {row.state:<8}{when} {row.recipient}{trouble} {row.message_sha256[:12]}"
        )


@review_app.command("send")
def send_waiting() -> None:
    """Send what waits in the outbox. Exits 1 when something could not be sent."""
    from flows.review_run import send_outbox

    report = send_outbox(settings_now())
    typer.echo(report)
    if not report.is_good:
        raise typer.Exit(1)


@review_app.command("outbox")
def outbox(
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="Only pending, sending, sent, dead or unknown.")
    ] = None,
) -> None:
    """What was sent to whom, and what was not, newest first."""
    from flows.ops_store import open_ops_store
    from flows.outbox import STATES, entries, waiting

    if state is not None and state not in STATES:
        raise UsageError(f"{state!r} is no state. Write one of {', '.join(STATES)}.")
    with open_ops_store(settings_now()).transaction() as connection:
        counts = waiting(connection)
        rows = entries(connection, state=state)
    typer.echo(", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing")
    for row in rows:
        trouble = f"  {row.last_error}" if row.last_error else ""
        typer.echo(
            f"{row.state:<8} {row.kind} {row.period} {row.scope} edition {row.edition} "
            f"{row.channel} {row.recipient}{trouble}"
        )


@review_app.command("unsubscribe")
def unsubscribe_address(
    address: Annotated[str, typer.Argument(help="A mail address, or the token of an unsubscribe link.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help="weekly, monthly or all.")] = "all",
    undo: Annotated[bool, typer.Option("--undo", help="Let the address get reviews again.")] = False,
) -> None:
    """Send no more reviews to an address."""
    from flows.ops_store import open_ops_store
    from flows.unsubscribes import parse_token, resubscribe, unsubscribe

    settings = settings_now()
    source = "operator"
    if "@" not in address:
        if settings.link_secret is None:
            raise UsageError("ALMANAC_LINK_SECRET is not set, so no token can be read. Give the address.")
        address, kind = parse_token(address, settings.link_secret)
        source = "link"
    store = open_ops_store(settings)
    with store.transaction() as connection:
        if undo:
            typer.echo(
                f"{address} had left {resubscribe(connection, address)} kinds, and gets reviews again."
            )
            return
        unsubscribe(connection, address, kind, store.now(connection), source)
    typer.echo(f"{address} gets no {'more' if kind == 'all' else kind} reviews.")


def _render(kind: Kind, text: str | None, scope_text: str, send: bool) -> None:
    chosen = kind.parse(text) if text is not None else None
    one_scope = None if scope_text == "all" else parse_scope(scope_text)
    settings = settings_now()
    from flows.reviews import render

    with writing(settings, "review"):
        period = chosen or _last_complete(settings, kind)
        scopes = [one_scope] if one_scope else _all_scopes(settings, kind, period)
        if not send:
            for rendered in render(settings, kind, period, scopes, progress=progress_now()):
                typer.echo(rendered.html_path)
                typer.echo(rendered.pdf_path)
            return
        from flows.review_issue import require_all
        from flows.review_run import issue_chosen, send_outbox

        report = issue_chosen(settings, kind, period, scopes, progress_now())
        report.delivered = send_outbox(settings)
        for line in report.lines():
            typer.echo(line)
        require_all(report.issued)
        if not report.delivered.is_good:
            raise typer.Exit(1)


def _last_complete(settings: Settings, kind: Kind) -> Period:
    from flows.review_reader import complete_periods
    from flows.warehouse import open_warehouse

    with closing(open_warehouse(settings)) as connection:
        periods = complete_periods(connection, kind)
    if not periods:
        raise AlmanacError(
            f"No {kind.noun} is complete in the published data. Run `almanac nightly` after one has ended."
        )
    return periods[0]


def _all_scopes(settings: Settings, kind: Kind, period: Period) -> list[Scope]:
    from flows.review_reader import scopes_of
    from flows.warehouse import open_warehouse

    with closing(open_warehouse(settings)) as connection:
        return scopes_of(connection, kind, period) or [PLATFORM]


def _edition(found: list[Edition], kind: Kind, period: str, scope: str, number: int | None) -> Edition:
    if not found:
        raise AlmanacError(
            f"No {kind} review {period} of {scope} was ever issued. `almanac review {kind} {period} "
            f"--scope {scope}` renders it from what is published now."
        )
    if number is None:
        return found[-1]
    for edition in found:
        if edition.edition == number:
            return edition
    numbers = ", ".join(str(edition.edition) for edition in found)
    raise UsageError(f"There is no edition {number}; there are {numbers}.")
