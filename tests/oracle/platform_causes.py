"""Why the platform's answers differ from ours: owns the causes, each a function of raw rows with its reason.

A cause says what one row adds to (ours − theirs). For every figure the causes of its rows add up to the whole
difference: there is no cause "the rest".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import ParamSpec, Protocol

from tests.oracle.platform_rows import PENDING, Call, Job

P = ParamSpec("P")

NOTHING = Fraction(0)
DAY = timedelta(days=1)


class Row(Protocol):
    """A job, with the moment it was created; or a call, with the moment it ended."""

    @property
    def job(self) -> Job: ...
    @property
    def at(self) -> datetime: ...


@dataclass(frozen=True)
class Question:
    """The period asked for, half-open; of an organization the platform takes the day `end` too."""

    start: datetime
    end: datetime
    includes_end_date: bool = False

    def holds(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def platform_takes(self, job: Job) -> bool:
        """Whether the platform's answer is of this job."""
        end = self.end + DAY if self.includes_end_date else self.end
        return self.start <= job.at < end and not job.is_of_deleted_team


REASONS: dict[str, str] = {}


def cause(function: Callable[P, Fraction]) -> Callable[P, Fraction]:
    """Registers a cause under its name, with the first paragraph of its docstring as the reason."""
    text = (function.__doc__ or "").strip().split("\n\n")[0]
    REASONS[function.__name__] = " ".join(line.strip() for line in text.splitlines())
    return function


Value = Callable[[Row], Fraction]
Step = Callable[[Row], Fraction]


@dataclass(frozen=True)
class Measure:
    """What a row adds to their figure and to ours; `steps` are the causes that lead from one to the other."""

    theirs: Value
    ours: Value
    steps: tuple[Step, ...] = ()


@dataclass
class Explained:
    """What the platform must have answered by its own rules, and what leads from there to ours.

    `null` is the reason why ours is null, which counts as 0 in the sum; `row_counts` is how many rows each
    cause is of.
    """

    theirs: Fraction = NOTHING
    causes: dict[str, Fraction] = field(default_factory=dict)
    null: str = ""
    row_counts: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, amount: Fraction) -> None:
        if amount:
            self.causes[name] = self.causes.get(name, NOTHING) + amount
            self.row_counts[name] += 1
            if not self.causes[name]:
                del self.causes[name]

    @property
    def ours(self) -> Fraction:
        return self.theirs + sum(self.causes.values(), NOTHING)


# --- which rows count


@cause
def end_date_is_included(question: Question, row: Row, measure: Measure) -> Fraction:
    """The platform takes the jobs of the whole day `end_date` too; our periods end before it."""
    is_of_end_date = question.platform_takes(row.job) and not question.holds(row.job.at)
    return -measure.theirs(row) if is_of_end_date else NOTHING


@cause
def deleted_team(question: Question, row: Row, measure: Measure) -> Fraction:
    """The platform finds an organization's jobs through `team_credits`, from where a deleted team is gone;
    we keep what it did."""
    return measure.ours(row) if row.job.is_of_deleted_team and question.holds(row.job.at) else NOTHING


@cause
def organization_id_is_never_set(question: Question, row: Row, measure: Measure) -> Fraction:
    """The platform looks for `jobs.organization_id`, which nothing ever sets, and answers 0; we know a job's
    organization by its team (trap 1)."""
    return measure.ours(row) if question.holds(row.at) else NOTHING


@cause
def a_day_matches_nothing(question: Question, row: Row, measure: Measure) -> Fraction:
    """The platform compares the month of a job with the day asked for, which never matches, and answers 0
    (trap 17)."""
    return measure.ours(row) if question.holds(row.at) else NOTHING


# --- what a row is worth


@cause
def job_without_summary(row: Row) -> Fraction:
    """The platform adds up `job_cost_summaries`; an open job and a failed single call have none (traps 5
    and 6)."""
    assert isinstance(row, Call)
    return row.priced if row.job.summary is None else NOTHING


@cause
def call_after_its_job_completed(row: Row) -> Fraction:
    """The platform accepts calls of a job that is completed already, and the job's summary does not hold
    them."""
    assert isinstance(row, Call)
    return row.priced if row.job.summary is not None and not row.has_summary_seen_it else NOTHING


@cause
def no_client_cost_stored(row: Row) -> Fraction:
    """The platform's summary counts a call without `client_cost_usd` as 0; we mark up its provider cost
    (trap 8)."""
    assert isinstance(row, Call)
    return row.priced - (row.stored_client_cost or 0) if row.has_summary_seen_it else NOTHING


@cause
def tokens_of_job_without_summary(row: Row) -> Fraction:
    """As `job_without_summary`, of tokens."""
    assert isinstance(row, Call)
    return Fraction(row.tokens) if row.job.summary is None else NOTHING


@cause
def tokens_of_call_after_its_job_completed(row: Row) -> Fraction:
    """As `call_after_its_job_completed`, of tokens."""
    assert isinstance(row, Call)
    return Fraction(row.tokens) if row.job.summary is not None and not row.has_summary_seen_it else NOTHING


@cause
def cost_stored_with_6_places(row: Row) -> Fraction:
    """The platform adds up `llm_calls.cost_usd`, which has 6 places; we take `provider_cost_usd`, which
    has 8, where there is one."""
    assert isinstance(row, Call)
    return (row.provider_cost or NOTHING) - row.legacy_cost


@cause
def provider_cost_without_mark_up(row: Row) -> Fraction:
    """The platform's figure is what the provider charged; ours is what the client is charged."""
    assert isinstance(row, Call)
    return row.priced - (row.provider_cost or NOTHING)


@cause
def pending_is_open(row: Row) -> Fraction:
    """The platform counts jobs in progress; open jobs of ours are pending ones too."""
    return Fraction(row.job.status == PENDING)


# --- in which line of a list a call stands


@cause
def failed_call_has_a_model(call: Call, line: str, theirs: str, ours: str) -> Fraction:
    """The platform puts failed calls under `unknown`, because they have no model; we put them under the
    alias that was asked for (trap 23)."""
    return Fraction((ours == line) - (theirs == line)) if call.is_failed else NOTHING


@cause
def provider_guessed_from_the_alias(call: Call, line: str, theirs: str, ours: str) -> Fraction:
    """The platform guesses the provider from the alias's name: `llama-70b` is `meta`, `chat-fast` is
    `other`.
    We look it up in `model_aliases`."""
    return Fraction((ours == line) - (theirs == line)) if not call.is_failed else NOTHING


# --- how a sum is rounded


@cause
def summary_stored_with_6_places(job: Job) -> Fraction:
    """A summary's cost has 6 places; the costs of its calls have 8."""
    if job.summary is None:
        return NOTHING
    exact = sum(
        (call.stored_client_cost or NOTHING for call in job.calls if call.has_summary_seen_it), NOTHING
    )
    lost = exact - job.summary.cost
    if abs(lost) > Fraction(1, 2_000_000):
        raise AssertionError(
            f"job {job.job_id}: its summary is {lost} away from its calls, more than rounding"
        )
    return lost


@cause
def rounded_to_cents(exact: Fraction) -> Fraction:
    """The platform rounds to 2 places."""
    return exact - rounded_float(exact, 2)


@cause
def rounded_to_4_places(exact: Fraction) -> Fraction:
    """The platform rounds the average to 4 places."""
    return exact - rounded_float(exact, 4)


@cause
def cut_to_whole_milliseconds(exact: Fraction) -> Fraction:
    """The platform cuts the mean latency down to whole milliseconds."""
    return exact - int(exact)


@cause
def cut_to_whole_seconds(moment: datetime) -> Fraction:
    """The platform cuts moments down to whole seconds here; we keep the microseconds."""
    return Fraction(moment.microsecond, 1_000_000)


@cause
def ours_rounded(exact: Fraction, places: int) -> Fraction:
    """Ours is a quotient and rounded too: an average to 8 places, milliseconds to 3."""
    unit = Decimal(1).scaleb(-places)
    scaled = Decimal(exact.numerator) / Decimal(exact.denominator)
    return Fraction(scaled.quantize(unit, ROUND_HALF_UP)) - exact


@cause
def added_up_in_binary(expected: Fraction, answered: Fraction) -> Fraction:
    """The platform adds dollars up as binary floats and prints what comes out, such as
    0.005451999999999999. Rounded to the 6 places of its columns, it is exact."""
    noise = expected - answered
    if abs(noise) > Fraction(1, 10**12):
        raise AssertionError(f"the platform answered {float(answered)!r}, its rows give {float(expected)!r}")
    return noise


def rounded_float(exact: Fraction, places: int) -> Fraction:
    """What Python's round() of the float makes of it, as printed."""
    return Fraction(repr(round(float(exact), places)))


# --- credits


@cause
def lost_update(credits: int) -> Fraction:
    """Two jobs completed at once and the platform lost one deduction from the balance; its ledger, which we
    add up, has both (trap 12)."""
    return Fraction(credits)


@cause
def balance_set_by_hand(credits: int) -> Fraction:
    """An operator set `credits_used`, which writes no ledger row (trap 11)."""
    return Fraction(credits)


@cause
def credits_of_the_whole_life(credits: int) -> Fraction:
    """The platform's figure is of the teams' whole life, whatever period is asked for (trap 14)."""
    return Fraction(-credits)


@cause
def credits_of_deleted_team(credits: int) -> Fraction:
    """As `deleted_team`: its balance is gone, its ledger is not."""
    return Fraction(credits)


@cause
def organization_has_no_credits(credits: int) -> Fraction:
    """As `organization_id_is_never_set`. It would count charged jobs, not credits."""
    return Fraction(credits)


@cause
def deduction_lowers(credits: int) -> Fraction:
    """The platform stores a deduction as a positive amount; ours is negative (trap 9)."""
    return Fraction(-2 * credits)


@cause
def payment_states_the_allocation(balance: int, stated: int) -> Fraction:
    """A payment's row states `credits_allocated` before and after; ours is the balance (trap 10)."""
    return Fraction(balance - stated)


# --- rows that are not there


@cause
def list_skips_jobs_without_calls(jobs: Iterable[Job]) -> Fraction:
    """The platform leaves jobs without a call out of the page, and counts them in `total`."""
    return Fraction(sum(not job.calls for job in jobs))


@cause
def deleted_team_exists(count: int) -> Fraction:
    """The platform has forgotten a deleted team; we know that it existed."""
    return Fraction(count)


# why ours is null where the platform answers 0
NULLS = {
    "no_jobs_no_average": "There were no jobs: an average of nothing is not known.",
    "no_latency_known": "No call has a latency.",
    "no_cost_known": "There were calls, and the cost of none of them is known.",
}
