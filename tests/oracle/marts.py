"""The marts of architecture sections 5 and 6 in plain Python: owns the second opinion on each digit.

Written from the specification only, for reading rather than for speed. Inside, money is a whole number of
1e-8 dollars, time one of microseconds, and a ratio stays a pair of whole numbers until it is rounded once,
half away from zero. No float takes part: one in the input is refused, it has already lost digits.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy
import pandas

GRAINS = ("daily", "weekly", "monthly")
UNASSIGNED = "unassigned"
UNKNOWN = "unknown"

MONEY_PLACES = 8  # numeric(28, 8)
RATE_PLACES = 6  # numeric(18, 6), calls per minute too
TIME_PLACES = 3  # numeric(18, 3): milliseconds of latency, seconds of jobs
CENT = 10**8  # units of 1e-8 in one dollar, and in one percent point of markup

INT4_MAX = 2**31 - 1  # llm_calls.*_tokens and latency_ms are int4 at the source
MAX_SPLIT_COST = 99_99999999  # numeric(10, 8): provider_cost_usd, client_cost_usd; in 1e-8 dollars
MAX_MARKUP = 999_99000000  # numeric(5, 2), in 1e-8 percent points
MAX_LEGACY_COST = 9999_99999900  # numeric(10, 6): cost_usd; in 1e-8 dollars, 9999.999999

STUCK_AFTER = timedelta(hours=24)
BURN_DAYS = 14
BURN_DAYS_MIN = 7
MICROSECOND = timedelta(microseconds=1)
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US

FINISHED = ("completed", "failed", "cancelled")
OPEN = ("pending", "in_progress")
PAYMENTS = ("subscription_payment", "one_time_payment")
DOLLARS = re.compile(r"\([^()]*\$([0-9][0-9,]*(?:\.[0-9]+)?) USD[^()]*\)")

Row = dict[str, Any]


# --- exact numbers ---


def rounded(numerator: int, denominator: int) -> int:
    """The quotient as the nearest whole number; a half goes away from zero."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude


def decimal_of(units: int, places: int) -> Decimal:
    """`units` of 10^-places as a Decimal. From text, because Decimal arithmetic would round to 28 digits."""
    return Decimal(f"{units}E-{places}")


def ratio(numerator: int | None, denominator: int, places: int) -> Decimal | None:
    """The quotient rounded once; null when the numerator is unknown or there is nothing to divide by."""
    if numerator is None or denominator == 0:
        return None
    return decimal_of(rounded(numerator * 10**places, denominator), places)


def money(units: int | None) -> Decimal | None:
    """Units of 1e-8 dollars as published."""
    return None if units is None else decimal_of(units, MONEY_PLACES)


def continuous_percentile(values: Sequence[int], percent: int, unit: int, places: int) -> Decimal | None:
    """The interpolated percentile (SQL's percentile_cont) of `values` divided by `unit`, rounded once."""
    if not values:
        return None
    ordered = sorted(values)
    whole, rest = divmod((len(ordered) - 1) * percent, 100)
    low = ordered[whole]
    high = ordered[min(whole + 1, len(ordered) - 1)]
    return ratio(low * 100 + (high - low) * rest, 100 * unit, places)


def average(values: Sequence[int], unit: int, places: int) -> Decimal | None:
    """The mean of `values` divided by `unit`, rounded once."""
    return ratio(sum(values), len(values) * unit, places)


def known_sum(values: Iterable[int | None]) -> int | None:
    """Section 5: a sum over rows of which none is known is null, a sum over no rows is 0."""
    present = list(values)
    known = [value for value in present if value is not None]
    return None if present and not known else sum(known)


def microseconds(span: timedelta) -> int:
    return span // MICROSECOND


# --- input ---


def plain(value: Any) -> Any:
    """A cell as str, int, Decimal, bool, naive datetime or None."""
    if value is None or value is pandas.NA or value is pandas.NaT:
        return None
    if isinstance(value, float):
        if value != value:
            return None
        raise TypeError(f"{value!r} is a float and has lost digits: build the frame with dtype=object")
    if isinstance(value, pandas.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, numpy.generic):
        return plain(value.item())
    return value


def records(tables: Mapping[str, pandas.DataFrame], name: str) -> list[Row]:
    """The rows of one raw table; a table that is not there is empty."""
    frame = tables.get(name)
    if frame is None or frame.empty:
        return []
    columns = [str(column) for column in frame.columns]
    cells = [[plain(value) for value in frame[column].tolist()] for column in frame.columns]
    return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]


def in_units(value: Decimal | int | None) -> int | None:
    """A DECIMAL(28, 8) as a whole number of 1e-8."""
    if value is None:
        return None
    scaled = Fraction(value) * CENT
    if scaled.denominator != 1:
        raise ValueError(f"{value} has more than 8 decimal places, which raw cannot hold")
    return scaled.numerator


# --- clock ---


@dataclass(frozen=True, order=True)
class Period:
    """A half-open run of local days."""

    start_date: date
    end_date: date


def period_of(grain: str, day: date) -> Period:
    """The day, ISO week or calendar month that holds a local day."""
    if grain == "daily":
        return Period(day, day + timedelta(days=1))
    if grain == "weekly":
        monday = day - timedelta(days=day.weekday())
        return Period(monday, monday + timedelta(days=7))
    first = day.replace(day=1)
    return Period(first, (first + timedelta(days=31)).replace(day=1))


class Clock:
    """`as_of` and the reporting time zone: the local day of an instant, and the UTC begin of a local day."""

    def __init__(self, as_of: datetime, reporting_timezone: str) -> None:
        zone = ZoneInfo(reporting_timezone)
        self.as_of = as_of

        @cache
        def local_day(instant: datetime) -> date:
            return instant.replace(tzinfo=UTC).astimezone(zone).date()

        @cache
        def begin_of(day: date) -> datetime:
            # fold=0 takes the first of two midnights, and for a midnight that a clock change skips (Havana in
            # March) the instant of the change: both are the first instant of the local day.
            midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
            begin = midnight.astimezone(UTC).replace(tzinfo=None)
            if local_day(begin) < day or local_day(begin - MICROSECOND) >= day:
                raise ValueError(f"{reporting_timezone}: {day} has no plain begin, so it cannot be judged")
            return begin

        self.local_day: Callable[[datetime], date] = local_day
        self.begin_of: Callable[[date], datetime] = begin_of
        self.today = local_day(as_of - MICROSECOND)

    def exists(self, created_at: datetime) -> bool:
        return created_at < self.as_of

    def is_complete(self, period: Period) -> bool:
        return self.begin_of(period.end_date) <= self.as_of

    def elapsed(self, period: Period) -> int:
        """Microseconds of the period, of an open one up to `as_of`."""
        end = min(self.begin_of(period.end_date), self.as_of)
        return microseconds(end - self.begin_of(period.start_date))


# --- teams as they were ---


@dataclass(frozen=True)
class TeamVersion:
    valid_from: datetime | None  # None: since ever
    organization_id: str | None
    markup: int | None  # in 1e-8 percent points


class Teams:
    """The versions of each team; the first holds since ever, the last for ever, also of a deleted team."""

    def __init__(
        self, tables: Mapping[str, pandas.DataFrame], team_versions: pandas.DataFrame | None
    ) -> None:
        if team_versions is not None:
            rows = records({"team_versions": team_versions}, "team_versions")
            rows.sort(key=lambda row: row["valid_from"] or datetime.min)
        else:
            rows = [{**row, "valid_from": None} for row in records(tables, "team_credits")]
        self._versions: dict[str, list[TeamVersion]] = defaultdict(list)
        for row in rows:
            # a platform without the column predates mark-ups (0); a null in the column is not known
            markup = in_units(row.get("cost_markup_percentage", 0))
            if markup is not None and not -100 * CENT <= markup <= MAX_MARKUP:
                markup = None  # outside numeric(5, 2), or below giving everything away: not known
            version = TeamVersion(row["valid_from"], row["organization_id"], markup)
            self._versions[row["team_id"]].append(version)

    def at(self, team_id: str | None, instant: datetime) -> TeamVersion | None:
        versions = self._versions.get(team_id or "", [])
        in_force = [v for v in versions if v.valid_from is None or v.valid_from <= instant]
        return (in_force or versions[:1] or [None])[-1]  # type: ignore[list-item]


# --- the ledger ---


@dataclass
class Entry:
    """One ledger row; `before` and `after` are rebased when the team's ledger is walked."""

    transaction_id: str
    team_id: str
    own_organization_id: str | None
    job_id: str | None
    kind: str
    amount: int | None  # null when the source's column could not hold it, like before and after
    before: int | None
    after: int | None
    reason: str | None
    created_at: datetime
    day: date
    organization_id: str = UNASSIGNED
    job_type: str = UNASSIGNED

    @property
    def is_payment(self) -> bool:
        return self.kind in PAYMENTS

    def of_kind(self, *kinds: str) -> int:
        """The credits of a row of one of these kinds, else 0; what a deduction takes is positive here."""
        if self.kind not in kinds or self.amount is None:
            return 0
        return self.amount if self.kind in ("allocation", "adjustment") else abs(self.amount)

    @property
    def states_no_balance(self) -> bool:
        return self.is_payment or self.after is None

    @property
    def moved(self) -> int:
        """What the row does to the balance; nothing when its type or its amount is not known."""
        return self.added + self.of_kind("adjustment") - self.used

    @property
    def used(self) -> int:
        return self.of_kind("deduction") - self.of_kind("refund")

    @property
    def added(self) -> int:
        return self.of_kind("allocation", *PAYMENTS)

    @property
    def dollars(self) -> int | None:
        """What a payment's reason says was paid, in 1e-8 dollars; null when it cannot be read."""
        found = DOLLARS.search(self.reason or "")
        if found is None:
            return None
        exact = Fraction(found.group(1).replace(",", "")) * CENT
        return rounded(exact.numerator, exact.denominator)


def in_range(credits: int | None) -> int | None:
    """The credits, unless the source's 32-bit column could not hold them."""
    return credits if credits is not None and -(2**31) <= credits < 2**31 else None


def states_possible_balances(row: Row) -> bool:
    return in_range(row["credits_before"]) is not None and in_range(row["credits_after"]) is not None


def next_entry(tied: list[Entry], running: int | None) -> Entry:
    """Which of the rows of one instant comes next; `tied` is sorted by transaction id."""
    if running is None:
        for entry in tied:
            follows = (other for other in tied if other is not entry and other.after is not None)
            if all(entry.before != other.after for other in follows):
                return entry
        return tied[0]
    for entry in tied:
        if not entry.states_no_balance and entry.before == running:
            return entry
    for entry in tied:
        if entry.states_no_balance:
            return entry
    return tied[0]


def walk_ledger(entries: Iterable[Entry]) -> list[Entry]:
    """One team's rows in ledger order, payment rows rebased on the running balance."""
    walked: list[Entry] = []
    running: int | None = None
    ordered = sorted(entries, key=lambda entry: (entry.created_at, entry.transaction_id))
    for _, group in itertools.groupby(ordered, key=lambda entry: entry.created_at):
        tied = list(group)
        while tied:
            entry = next_entry(tied, running)
            tied = [other for other in tied if other is not entry]
            if entry.states_no_balance:
                entry.before = (entry.before or 0) if running is None else running
                entry.after = entry.before + entry.moved
            running = entry.after
            walked.append(entry)
    return walked


# --- jobs and calls ---


@dataclass(frozen=True)
class Job:
    job_id: str
    team_id: str
    user_id: str | None
    job_type: str
    organization_id: str
    outcome: str
    created_at: datetime
    day: date
    total: int | None  # microseconds, like queue and run
    queue: int | None
    run: int | None
    is_stuck: bool


@dataclass(frozen=True)
class Call:
    call_id: str
    team_id: str
    organization_id: str
    job_type: str
    model_group: str
    model: str
    day: date
    is_failed: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    provider_cost: int | None  # 1e-8 dollars, like client_cost
    client_cost: int | None
    cost_source: str
    latency_ms: int | None  # null when the call is not behind the latency measures

    @property
    def margin(self) -> int | None:
        if self.client_cost is None or self.provider_cost is None:
            return None
        return self.client_cost - self.provider_cost

    @property
    def is_unpriced(self) -> bool:
        return not self.is_failed and (self.client_cost is None or self.provider_cost is None)


def outcome_of(status: str) -> str:
    lowered = status.lower()
    if lowered in FINISHED:
        return lowered
    return "open" if lowered in OPEN else "other"


def job_seconds(row: Row, outcome: str) -> tuple[int | None, int | None, int | None]:
    """Total, queue and run time of a job in microseconds; an impossible one is null."""
    created, started, completed = row["created_at"], row["started_at"], row["completed_at"]
    total = queue = run = None
    if started is not None:
        waited = microseconds(started - created)
        queue = max(waited, 0) if waited > -SECOND_US else None
    if outcome in FINISHED and completed is not None:
        total = microseconds(completed - created)
        if started is not None:
            run = microseconds(completed - started)
    return (
        None if total is not None and total < 0 else total,
        queue,
        None if run is not None and run < 0 else run,
    )


def tokens_of(row: Row) -> tuple[int | None, int | None, int | None]:
    """Prompt, completion and total tokens; one impossible count voids all three."""
    stored = (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"])
    if any(count is not None and not 0 <= count <= INT4_MAX for count in stored):
        return None, None, None
    prompt, completion = stored[0] or 0, stored[1] or 0
    return prompt, completion, prompt + completion if stored[2] is None else stored[2]


def provider_cost_of(row: Row, unusable: frozenset[str], is_failed: bool) -> tuple[int | None, str]:
    """The provider's cost in 1e-8 dollars, and the column it came from ('' when it came from none)."""
    split = in_units(row["provider_cost_usd"])
    legacy = in_units(row["cost_usd"])
    if "provider_cost_usd" in unusable or (split is not None and abs(split) > MAX_SPLIT_COST):
        return None, ""
    if split is not None and split > 0:
        return split, "provider_cost_usd"
    if "cost_usd" in unusable or (legacy is not None and abs(legacy) > MAX_LEGACY_COST):
        return None, ""
    if legacy is not None and legacy > 0:
        return legacy, "cost_usd"
    return (0, "") if is_failed else (None, "")


def costs_of(row: Row, is_failed: bool, markup: int | None) -> tuple[int | None, int | None, str]:
    """Provider cost, client cost and where the client cost comes from."""
    unusable = frozenset(filter(None, (row.get("unusable_columns") or "").split(",")))
    provider, origin = provider_cost_of(row, unusable, is_failed)
    stored = in_units(row["client_cost_usd"])
    if "client_cost_usd" in unusable or (stored is not None and not 0 <= stored <= MAX_SPLIT_COST):
        return provider, None, "unpriced"
    if stored is not None and not (stored == 0 and provider is None):
        return provider, stored, "stored"
    if provider is None:
        return None, None, "unpriced"
    if markup is None:
        return provider, None, "markup_unknown"
    client = rounded(provider * (100 * CENT + markup), 100 * CENT)
    return provider, client, "marked_up" if origin == "provider_cost_usd" else "legacy"


# --- the platform, read once ---


class Platform:
    """Everything that exists at `as_of`, each row with its owner, its local day and its exact measures."""

    def __init__(
        self, tables: Mapping[str, pandas.DataFrame], clock: Clock, team_versions: pandas.DataFrame | None
    ) -> None:
        self._tables = tables
        self.clock = clock
        self.teams = Teams(tables, team_versions)
        self.ledgers = self._read_ledgers()
        self._ledger_owners = {
            team_id: [
                (x.created_at, x.own_organization_id) for x in ledger if x.own_organization_id is not None
            ]
            for team_id, ledger in self.ledgers.items()
        }
        self.jobs = {row["job_id"]: self._read_job(row) for row in self._existing("jobs")}
        self.entries = [entry for ledger in self.ledgers.values() for entry in ledger]
        for entry in self.entries:
            own = entry.own_organization_id
            entry.organization_id = self._organization(own, entry.team_id, entry.created_at)
            job = self.jobs.get(entry.job_id or "")
            entry.job_type = job.job_type if job else UNASSIGNED
        self._aliases = {row["model_alias"]: row["actual_model"] for row in records(tables, "model_aliases")}
        self.calls = [self._read_call(row) for row in self._existing("llm_calls")]

    def _existing(self, name: str) -> Iterator[Row]:
        return (row for row in records(self._tables, name) if self.clock.exists(row["created_at"]))

    def _read_ledgers(self) -> dict[str, list[Entry]]:
        by_team: dict[str, list[Entry]] = defaultdict(list)
        for row in self._existing("credit_transactions"):
            entry = Entry(
                transaction_id=row["transaction_id"],
                team_id=row["team_id"],
                own_organization_id=row["organization_id"],
                job_id=row["job_id"],
                kind=row["transaction_type"],
                amount=in_range(row["credits_amount"]),
                before=row["credits_before"] if states_possible_balances(row) else None,
                after=row["credits_after"] if states_possible_balances(row) else None,
                reason=row["reason"],
                created_at=row["created_at"],
                day=self.clock.local_day(row["created_at"]),
            )
            by_team[entry.team_id].append(entry)
        return {team_id: walk_ledger(entries) for team_id, entries in by_team.items()}

    def _organization(self, own: str | None, team_id: str, instant: datetime) -> str:
        """Its own, else its team's at the time, else the ledger's latest up to then, else the first later."""
        if own is not None:
            return own
        version = self.teams.at(team_id, instant)
        if version is not None and version.organization_id is not None:
            return version.organization_id
        owners = self._ledger_owners.get(team_id, [])
        if not owners:
            return UNASSIGNED
        up_to_then = bisect_right([created_at for created_at, _ in owners], instant)
        found = owners[max(up_to_then - 1, 0)][1]
        assert found is not None
        return found

    def _read_job(self, row: Row) -> Job:
        outcome = outcome_of(row["status"])
        total, queue, run = job_seconds(row, outcome)
        created_at = row["created_at"]
        return Job(
            job_id=row["job_id"],
            team_id=row["team_id"],
            user_id=row["user_id"],
            job_type=row["job_type"],
            organization_id=self._organization(row.get("organization_id"), row["team_id"], created_at),
            outcome=outcome,
            created_at=created_at,
            day=self.clock.local_day(created_at),
            total=total,
            queue=queue,
            run=run,
            is_stuck=outcome == "open" and created_at < self.clock.as_of - STUCK_AFTER,
        )

    def _read_call(self, row: Row) -> Call:
        job = self.jobs.get(row["job_id"] or "")
        is_failed = row["error"] is not None  # also an empty text: a time-out of the proxy era
        version = self.teams.at(job.team_id, row["created_at"]) if job else None
        prompt, completion, total = tokens_of(row)
        provider, client, source = costs_of(row, is_failed, version.markup if version else None)
        resolved = row["resolved_model"]
        latency = row["latency_ms"]
        counts = not is_failed and latency is not None and 0 <= latency <= INT4_MAX
        return Call(
            call_id=row["call_id"],
            team_id=job.team_id if job else UNASSIGNED,
            organization_id=job.organization_id if job else UNASSIGNED,
            job_type=job.job_type if job else UNASSIGNED,
            model_group=row["model_group_used"] if row["model_group_used"] is not None else UNKNOWN,
            model=self._aliases.get(resolved) or resolved if resolved is not None else UNKNOWN,
            day=self.clock.local_day(row["created_at"]),
            is_failed=is_failed,
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=total,
            provider_cost=provider,
            client_cost=client,
            cost_source=source,
            latency_ms=latency if counts else None,
        )


# --- measures of a group of rows ---


@dataclass
class Group:
    """The rows behind one mart row."""

    jobs: list[Job] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def add(self, row: Job | Call | Entry) -> None:
        if isinstance(row, Job):
            self.jobs.append(row)
        elif isinstance(row, Call):
            self.calls.append(row)
        else:
            self.entries.append(row)


def call_measures(calls: Sequence[Call], elapsed: int) -> Row:
    failed = sum(call.is_failed for call in calls)
    latencies = [call.latency_ms for call in calls if call.latency_ms is not None]
    return {
        "call_count": len(calls),
        "failed_call_count": failed,
        "call_failure_rate": ratio(failed, len(calls), RATE_PLACES),
        "prompt_tokens": known_sum(call.prompt_tokens for call in calls),
        "completion_tokens": known_sum(call.completion_tokens for call in calls),
        "total_tokens": known_sum(call.total_tokens for call in calls),
        **cost_measures(calls),
        "unpriced_call_count": sum(call.is_unpriced for call in calls),
        "latency_avg_ms": average(latencies, 1, TIME_PLACES),
        "latency_p50_ms": continuous_percentile(latencies, 50, 1, TIME_PLACES),
        "latency_p95_ms": continuous_percentile(latencies, 95, 1, TIME_PLACES),
        "latency_p99_ms": continuous_percentile(latencies, 99, 1, TIME_PLACES),
        "latency_max_ms": decimal_of(max(latencies) * 10**TIME_PLACES, TIME_PLACES) if latencies else None,
        "latency_call_count": len(latencies),
        "calls_per_minute": ratio(len(calls) * MINUTE_US, elapsed, RATE_PLACES),
    }


def cost_measures(calls: Sequence[Call]) -> Row:
    return {
        "provider_cost_usd": money(known_sum(call.provider_cost for call in calls)),
        "client_cost_usd": money(known_sum(call.client_cost for call in calls)),
        "margin_usd": money(known_sum(call.margin for call in calls)),
    }


def job_measures(jobs: Sequence[Job]) -> Row:
    def count(outcome: str) -> int:
        return sum(job.outcome == outcome for job in jobs)

    finished = sum(job.outcome in FINISHED for job in jobs)
    totals = [job.total for job in jobs if job.total is not None]
    return {
        "job_count": len(jobs),
        **{f"{outcome}_job_count": count(outcome) for outcome in (*FINISHED, "open", "other")},
        "failure_rate": ratio(count("failed"), finished, RATE_PLACES),
        "success_rate": ratio(count("completed"), finished, RATE_PLACES),
        "avg_job_seconds": average(totals, SECOND_US, TIME_PLACES),
        "p95_job_seconds": continuous_percentile(totals, 95, SECOND_US, TIME_PLACES),
    }


def common_measures(group: Group, elapsed: int) -> Row:
    client_cost = known_sum(call.client_cost for call in group.calls)
    return {
        **job_measures(group.jobs),
        **call_measures(group.calls, elapsed),
        "avg_cost_per_job_usd": ratio(client_cost, len(group.jobs) * CENT, MONEY_PLACES),
        "credits_used": sum(entry.used for entry in group.entries),
        "credits_added": sum(entry.added for entry in group.entries),
    }


def usage_measures(group: Group, elapsed: int) -> Row:
    """The common measures and the distinct counts; two teams' "u1" are two people."""
    people = {(job.team_id, job.user_id) for job in group.jobs if job.user_id is not None}
    return {
        **common_measures(group, elapsed),
        "active_team_count": len({job.team_id for job in group.jobs}),
        "active_user_count": len(people),
    }


def model_measures(group: Group, elapsed: int) -> Row:
    return call_measures(group.calls, elapsed)


def revenue_measures(group: Group, elapsed: int) -> Row:
    payments = [entry for entry in group.entries if entry.is_payment]
    dollars = [entry.dollars for entry in payments]
    return {
        "payment_count": len(payments),
        "payments_usd": money(known_sum(dollars)),
        "unreadable_payment_count": sum(paid is None for paid in dollars),
        "credits_purchased": sum(entry.of_kind(*PAYMENTS) for entry in payments),
        **cost_measures(group.calls),
    }


# --- period marts ---

Key = tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """One family of period marts: jobs, calls and ledger rows all carry the attributes that are its keys."""

    name: str
    keys: tuple[str, ...]
    measures: Callable[[Group, int], Row]
    calls_only: bool = False

    def key_of(self, row: Job | Call | Entry) -> Key:
        return tuple(getattr(row, name) for name in self.keys)

    def rows_of(self, platform: Platform) -> Iterator[Job | Call | Entry]:
        """The rows that make a mart row exist and fill it."""
        yield from platform.calls
        if self.calls_only:
            return
        if self.name == "revenue":
            yield from (entry for entry in platform.entries if entry.is_payment)
        else:
            yield from platform.jobs.values()
            yield from platform.entries


FAMILIES = (
    Family("platform_usage", (), usage_measures),
    Family("organization_usage", ("organization_id",), usage_measures),
    Family("team_usage", ("team_id",), usage_measures),
    Family("job_type_usage", ("team_id", "job_type"), common_measures),
    Family("model_usage", ("team_id", "model_group", "model"), model_measures, calls_only=True),
    Family("model_performance", ("model_group", "model"), model_measures, calls_only=True),
    Family("revenue", ("organization_id", "team_id"), revenue_measures),
)

MART_KEYS: dict[str, tuple[str, ...]] = {
    **{f"{it.name}_{grain}": ("period_start_date", *it.keys) for grain in GRAINS for it in FAMILIES},
    **{f"credit_usage_{grain}": ("period_start_date", "team_id") for grain in GRAINS},
    "credit_balances": ("team_id",),
    "fct_jobs": ("job_id",),
    "fct_llm_calls": ("call_id",),
}


def spine(platform: Platform) -> list[date]:
    """Every local day from the first with a row to the one of `as_of` - 1 microsecond."""
    days = {job.day for job in platform.jobs.values()}
    days |= {call.day for call in platform.calls} | {entry.day for entry in platform.entries}
    if not days:
        return []
    first = min(days)
    return [first + timedelta(days=n) for n in range((platform.clock.today - first).days + 1)]


def period_columns(clock: Clock, period: Period) -> Row:
    return {
        "period_start_date": period.start_date,
        "period_end_date": period.end_date,
        "is_complete": clock.is_complete(period),
        "built_at_as_of": clock.as_of,
    }


def family_rows(platform: Platform, family: Family, grain: str) -> list[Row]:
    groups: dict[tuple[Period, Key], Group] = defaultdict(Group)
    if family.name == "platform_usage":
        for day in spine(platform):
            groups[period_of(grain, day), ()] = Group()
    for row in family.rows_of(platform):
        groups[period_of(grain, row.day), family.key_of(row)].add(row)
    return [
        {
            **period_columns(platform.clock, period),
            **dict(zip(family.keys, key, strict=True)),
            **family.measures(group, platform.clock.elapsed(period)),
        }
        for (period, key), group in sorted(groups.items(), key=lambda item: item[0])
    ]


def credit_usage_rows(platform: Platform, grain: str) -> list[Row]:
    rows: list[Row] = []
    for team_id, ledger in sorted(platform.ledgers.items()):
        opening = ledger[0].before
        for period, group in itertools.groupby(ledger, key=lambda entry: period_of(grain, entry.day)):
            entries = list(group)
            moved = {
                "credits_allocated": sum(entry.of_kind("allocation") for entry in entries),
                "credits_purchased": sum(entry.of_kind(*PAYMENTS) for entry in entries),
                "credits_refunded": sum(entry.of_kind("refund") for entry in entries),
                "credits_adjusted": sum(entry.of_kind("adjustment") for entry in entries),
                "credits_used": sum(entry.used for entry in entries),
            }
            closing = entries[-1].after or 0  # the walk has given every row a balance
            opening = opening or 0
            explained = moved["credits_allocated"] + moved["credits_purchased"] + moved["credits_adjusted"]
            rows.append(
                {
                    **period_columns(platform.clock, period),
                    "team_id": team_id,
                    "opening_balance": opening,
                    **moved,
                    "unexplained_credits": closing - (opening + explained - moved["credits_used"]),
                    "closing_balance": closing,
                }
            )
            opening = closing
    return rows


# --- marts without a period ---


def credit_balance_row(platform: Platform, row: Row) -> Row:
    ledger = platform.ledgers.get(row["team_id"], [])
    allocated, remaining = in_range(row["credits_allocated"]), in_range(row["credits_remaining"])
    credits_used = in_range(row["credits_used"])
    balance = ledger[-1].after if ledger else None
    today = platform.clock.local_day(
        platform.clock.as_of
    )  # as_of at midnight: the day that is just beginning
    complete_days = [today - timedelta(days=n) for n in range(1, BURN_DAYS + 1)]
    days = sum(day >= ledger[0].day for day in complete_days) if ledger else 0
    used = sum(entry.used for entry in ledger if entry.day in complete_days)
    lasts = used > 0 and days >= BURN_DAYS_MIN and remaining is not None
    return {
        "team_id": row["team_id"],
        "credits_allocated": allocated,
        "credits_used": credits_used,
        "credits_remaining": remaining,
        "credit_limit": in_range(row.get("credit_limit")),
        "used_share": ratio(credits_used, allocated or 0, RATE_PLACES),
        "ledger_balance": balance,
        "balance_difference": None if remaining is None or balance is None else remaining - balance,
        "burn_per_day": ratio(used, days, RATE_PLACES),
        "days_left": ratio((remaining or 0) * days, used, RATE_PLACES) if lasts else None,
    }


def job_row(job: Job) -> Row:
    return {
        "job_id": job.job_id,
        "organization_id": job.organization_id,
        "outcome": job.outcome,
        "total_seconds": ratio(job.total, SECOND_US, TIME_PLACES),
        "queue_seconds": ratio(job.queue, SECOND_US, TIME_PLACES),
        "run_seconds": ratio(job.run, SECOND_US, TIME_PLACES),
        "is_stuck": job.is_stuck,
    }


def call_row(call: Call) -> Row:
    return {
        "call_id": call.call_id,
        "provider_cost_usd": money(call.provider_cost),
        "client_cost_usd": money(call.client_cost),
        "cost_source": call.cost_source,
        "model": call.model,
        "model_group": call.model_group,
    }


def family_columns(family: Family) -> list[str]:
    return [*PERIOD_COLUMNS, *family.keys, *family.measures(Group(), 1)]


PERIOD_COLUMNS = ("period_start_date", "period_end_date", "is_complete", "built_at_as_of")
CREDIT_USAGE_COLUMNS = (
    *PERIOD_COLUMNS,
    "team_id",
    "opening_balance",
    "credits_allocated",
    "credits_purchased",
    "credits_refunded",
    "credits_adjusted",
    "credits_used",
    "unexplained_credits",
    "closing_balance",
)
CREDIT_BALANCE_COLUMNS = (
    "team_id",
    "credits_allocated",
    "credits_used",
    "credits_remaining",
    "credit_limit",
    "used_share",
    "ledger_balance",
    "balance_difference",
    "burn_per_day",
    "days_left",
)
JOB_COLUMNS = (
    "job_id",
    "organization_id",
    "outcome",
    "total_seconds",
    "queue_seconds",
    "run_seconds",
    "is_stuck",
)
CALL_COLUMNS = ("call_id", "provider_cost_usd", "client_cost_usd", "cost_source", "model", "model_group")


def build_marts(
    tables: Mapping[str, pandas.DataFrame],
    *,
    as_of: datetime,
    reporting_timezone: str,
    team_versions: pandas.DataFrame | None = None,
) -> dict[str, pandas.DataFrame]:
    """Every mart that this oracle judges, ordered by its key (`MART_KEYS`), columns of plain Python objects.

    `team_versions` is the history of the teams (raw.team_versions); without it each row of team_credits holds
    since ever.
    """
    if as_of.tzinfo is not None:
        raise ValueError(f"as_of must be naive UTC, got {as_of!r}")
    platform = Platform(tables, Clock(as_of, reporting_timezone), team_versions)

    marts: dict[str, tuple[Iterable[str], list[Row]]] = {
        f"{family.name}_{grain}": (family_columns(family), family_rows(platform, family, grain))
        for family in FAMILIES
        for grain in GRAINS
    }
    for grain in GRAINS:
        marts[f"credit_usage_{grain}"] = (CREDIT_USAGE_COLUMNS, credit_usage_rows(platform, grain))
    balances = [credit_balance_row(platform, row) for row in records(tables, "team_credits")]
    marts["credit_balances"] = (CREDIT_BALANCE_COLUMNS, balances)
    marts["fct_jobs"] = (JOB_COLUMNS, [job_row(job) for job in platform.jobs.values()])
    marts["fct_llm_calls"] = (CALL_COLUMNS, [call_row(call) for call in platform.calls])

    frames: dict[str, pandas.DataFrame] = {}
    for name, (columns, rows) in marts.items():
        ordered = sorted(rows, key=lambda row: tuple(row[key] for key in MART_KEYS[name]))
        frames[name] = pandas.DataFrame(ordered, columns=list(columns), dtype=object)
    return frames
