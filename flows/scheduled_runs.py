"""Runs that a scheduler asks for: what each came to, in words for people who did not sit and watch.

Knows nothing of Prefect. A scheduler may start a night twice, late, or many at once after an outage; such a
night ends here without doing anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from flows.crash_log import keep_traceback
from flows.errors import AlmanacError, Busy, UsageError
from flows.locking import only_writer
from flows.nightly import Night, Step, run_night, source_of
from flows.periods import Days, parse_as_of
from flows.progress import Progress
from flows.recalculate import last_published
from flows.recalculate import recalculate as run_recalculation
from flows.redaction import redact
from flows.review_issue import require_all
from flows.review_run import issue_due, send_outbox
from flows.review_scopes import Kind
from flows.settings import Settings, load_settings

# A check that comes later than this after it was due is left to the next one.
LATEST_CHECK = timedelta(minutes=15)

Perform = Callable[[Step, Night], None]


class Ending(StrEnum):
    """How a run ended; the words that a scheduler shows."""

    DONE = "Completed"
    ALREADY_PUBLISHED = "AlreadyPublished"
    # due long ago: the one that is due now does it
    SKIPPED = "Skipped"
    BUSY = "Busy"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended and why (`message`), with what it says of itself (`report`) and what it got to do."""

    ending: Ending
    message: str
    report: str = ""
    night: Night | None = None

    @property
    def review_paths(self) -> tuple[Path, ...]:
        rendered = self.night.reviews.issued.rendered if self.night else []
        return tuple(path for review in rendered for path in (review.html_path, review.pdf_path))


@dataclass(frozen=True, slots=True)
class NightWish:
    """A night as the scheduler asks for it.

    `now` is the moment the run started, `due_at` the one it was due, `as_of` what a person asked for, if
    anybody did. A moment without a time zone is UTC.
    """

    now: datetime
    due_at: datetime
    as_of: datetime | None = None
    full_refresh: bool = False
    accept_deletes: bool = False


@dataclass(frozen=True, slots=True)
class RecalculationWish:
    """A recalculation as somebody asks for it, from the first local day to the last, both included."""

    now: datetime
    first_day: date
    last_day: date
    team_id: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ReviewWish:
    """Reviews of a kind as the scheduler asks for them."""

    now: datetime
    kind: Kind


@dataclass(slots=True)
class _Attempt:
    """What is known of a run when it fails."""

    settings: Settings | None = None
    night: Night | None = None


def run_nightly(wish: NightWish, *, progress: Progress, perform: Perform) -> Outcome:
    """Run the night that is wished for, if it is still to do. Raises no Exception."""

    def work(attempt: _Attempt) -> Outcome:
        settings = attempt.settings = load_settings()
        as_of = _utc(wish.as_of or wish.now).replace(microsecond=0)
        source = source_of(settings)
        with only_writer(settings, kind="nightly", as_of=as_of) as run:
            if why := _already_published(wish, settings):
                return Outcome(Ending.ALREADY_PUBLISHED, why)
            night = attempt.night = Night(
                run, settings, as_of, source, progress, wish.full_refresh, wish.accept_deletes
            )
            report = run_night(night, perform)
        message = (
            f"Published as of {as_of} UTC: {report.landed.rows_landed:,} rows, "
            f"{len(report.landed.touched_days):,} days touched, {report.audited.check_count} checks hold."
        )
        return Outcome(Ending.DONE, message, str(report), night)

    return _ended(work, wish.now)


def run_recalculate(wish: RecalculationWish, *, progress: Progress, perform: Perform) -> Outcome:
    """Recalculate the days that are wished for. Raises no Exception."""

    def work(attempt: _Attempt) -> Outcome:
        days = _days(wish.first_day, wish.last_day)
        settings = attempt.settings = load_settings()
        source = source_of(settings)
        as_of = last_published(settings)
        with only_writer(settings, kind="recalculate", as_of=as_of) as run:
            night = attempt.night = Night(run, settings, as_of, source, progress)
            report = run_recalculation(
                night, days, team_id=wish.team_id, dry_run=wish.dry_run, perform=perform
            )
        verb = "would change" if wish.dry_run else "changed"
        return Outcome(Ending.DONE, f"{days}: {len(report.changes):,} values {verb}.", str(report), night)

    return _ended(work, wish.now)


def run_reviews(wish: ReviewWish, *, progress: Progress) -> Outcome:
    """Issue the reviews of a kind that are due and ready, hold those that are not, send what waits.

    Raises no Exception.
    """

    def work(attempt: _Attempt) -> Outcome:
        settings = attempt.settings = load_settings()
        now = _utc(wish.now).replace(microsecond=0)
        with only_writer(settings, kind="review", as_of=now):
            report = issue_due(settings, now, progress, kinds=(wish.kind,))
            report.delivered = send_outbox(settings)
        require_all(report.issued)
        held = f", {len(report.held)} held" if report.held else ""
        message = f"{len(report.issued.editions)} {wish.kind} reviews issued{held}; {report.delivered}"
        return Outcome(Ending.DONE, message.splitlines()[0], "\n".join(report.lines()))

    return _ended(work, wish.now)


def run_check(now: datetime, due_at: datetime, *, progress: Progress) -> Outcome:
    """Land the newest days, ask the rules of the alerts, tell what changed. Raises no Exception."""
    from flows.alert_check import check

    def work(attempt: _Attempt) -> Outcome:
        settings = attempt.settings = load_settings()
        if late := _late(now, due_at, LATEST_CHECK):
            return late
        as_of = _utc(now).replace(microsecond=0)
        report = check(settings, source_of(settings), as_of=as_of, progress=progress)
        return _told(report.lines(), is_good=report.is_good)

    return _ended(work, now)


def run_probe(now: datetime, due_at: datetime, *, progress: Progress) -> Outcome:
    """Probe every component once. Raises no Exception; a component that is down is no failure of the run."""
    from flows.health import configured
    from flows.probe_run import probe_once

    def work(attempt: _Attempt) -> Outcome:
        settings = attempt.settings = load_settings()
        interval = timedelta(seconds=configured(settings).interval_seconds)
        if late := _late(now, due_at, interval):
            return late
        as_of = _utc(now).replace(microsecond=0)
        report = probe_once(settings, now=as_of, ask_alerts=True, progress=progress)
        return _told(report.lines(), is_good=report.is_good)

    return _ended(work, now)


def _late(now: datetime, due_at: datetime, longest: timedelta) -> Outcome | None:
    """After an outage everything that it missed comes at once: only what is of now is done."""
    if _utc(now) - _utc(due_at) <= longest:
        return None
    return Outcome(
        Ending.SKIPPED, f"Due at {_utc(due_at):%Y-%m-%d %H:%M:%S} UTC, too long ago. Nothing was done."
    )


def _told(lines: list[str], *, is_good: bool) -> Outcome:
    told = [redact(" ".join(line.split())) for line in lines]
    return Outcome(Ending.DONE if is_good else Ending.FAILED, "; ".join(told), "\n".join(told))


def _ended(work: Callable[[_Attempt], Outcome], now: datetime) -> Outcome:
    attempt = _Attempt()
    try:
        return work(attempt)
    except Busy as busy:
        return Outcome(Ending.BUSY, redact(str(busy)), night=attempt.night)
    except Exception as error:
        return Outcome(Ending.FAILED, reason(error, attempt.settings, now), night=attempt.night)


def reason(error: Exception, settings: Settings | None, now: datetime) -> str:
    """Why something failed, as a person may read it anywhere: no secret, no traceback."""
    if isinstance(error, AlmanacError):
        return redact(str(error))
    return keep_traceback(error, settings.logs_dir if settings else None, at=_utc(now))


def _already_published(wish: NightWish, settings: Settings) -> str:
    """Why there is nothing left to do; empty when there is."""
    if wish.full_refresh or wish.accept_deletes:
        return ""
    try:
        published = last_published(settings)
    except AlmanacError:
        return ""
    if wish.as_of is not None:
        asked = _utc(wish.as_of).replace(microsecond=0)
        if published == asked:
            return f"The night as of {asked} UTC is published already. Nothing was done."
    elif published >= _utc(wish.due_at):
        return (
            f"Due at {_utc(wish.due_at):%Y-%m-%d %H:%M:%S} UTC; a night as of {published} UTC "
            "is published already. Nothing was done."
        )
    return ""


def _days(first: date, last: date) -> Days:
    try:
        return Days(first, last + timedelta(days=1))
    except (ValueError, OverflowError):
        raise UsageError(f"{first} to {last} are no days. Give the earlier day first.") from None


def _utc(moment: datetime) -> datetime:
    """Naive UTC. Raises UsageError for impossible years."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return parse_as_of(aware.isoformat())


# --- for people -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Page:
    """Markdown in the making, of which no text that it is given can become a part."""

    lines: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        self.lines += [f"## {_escaped(text)}", ""]

    def paragraph(self, text: str) -> None:
        self.lines += [_escaped(text), ""]

    def as_it_is(self, text: str) -> None:
        self.lines += [*(f"    {line}" for line in text.splitlines()), ""]

    def items(self, texts: list[str]) -> None:
        self.lines += [*(f"- {_escaped(text)}" for text in texts), ""]


_TITLES = {
    Ending.DONE: "Done",
    Ending.ALREADY_PUBLISHED: "Published already",
    Ending.SKIPPED: "Skipped",
    Ending.BUSY: "Another run is at work",
    Ending.FAILED: "Failed",
}


def as_markdown(outcome: Outcome) -> str:
    """The run on one page: how it ended, what landed, what was touched, checked, found, published."""
    page, night = _Page(), outcome.night
    page.heading(_TITLES[outcome.ending])
    if outcome.ending is Ending.FAILED:
        page.as_it_is(outcome.message)
        page.paragraph(
            "The data is published; run the night again for what was to come after."
            if night and night.published
            else "The last good night is still published. Correct the reason, then run this again."
        )
    else:
        page.paragraph(outcome.message)
    if outcome.report:
        page.as_it_is(outcome.report)
    if night and (landed := night.landed):
        page.heading("Landed")
        page.as_it_is(str(landed))
        if landed.touched_days:
            first, last = min(landed.touched_days), max(landed.touched_days)
            page.paragraph(f"{len(landed.touched_days):,} days touched, from {first} to {last} (UTC).")
    if night and night.audited and night.audited.warnings:
        page.heading("Checks that warn")
        page.items(list(night.audited.warnings))
    return "\n".join(page.lines)


def _escaped(text: str) -> str:
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]<>()#+-!|~&" else sign for sign in " ".join(text.split()))
