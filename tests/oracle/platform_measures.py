"""What a row adds to a figure of the platform and to ours, and the causes in between."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from tests.oracle.platform_causes import (
    Measure,
    Row,
    Step,
    Value,
    call_after_its_job_completed,
    cost_stored_with_6_places,
    job_without_summary,
    no_client_cost_stored,
    pending_is_open,
    provider_cost_without_mark_up,
    tokens_of_call_after_its_job_completed,
    tokens_of_job_without_summary,
)
from tests.oracle.platform_rows import COMPLETED, FAILED, IN_PROGRESS, PENDING, Call

ONE = Measure(lambda row: Fraction(1), lambda row: Fraction(1))


def jobs_with(*statuses: str, theirs: tuple[str, ...] | None = None, steps: tuple[Step, ...] = ()) -> Measure:
    """Counts jobs of these statuses; the platform those of `theirs`."""
    of_platform = statuses if theirs is None else theirs
    return Measure(
        lambda row: Fraction(row.job.status in of_platform),
        lambda row: Fraction(row.job.status in statuses),
        steps,
    )


COMPLETED_JOBS, FAILED_JOBS = jobs_with(COMPLETED), jobs_with(FAILED)
OPEN_JOBS = jobs_with(IN_PROGRESS, PENDING, theirs=(IN_PROGRESS,), steps=(pending_is_open,))


def of_calls(value: Callable[[Call], Fraction | int]) -> Value:
    """A value of calls as a value of rows."""

    def of_row(row: Row) -> Fraction:
        assert isinstance(row, Call)
        return Fraction(value(row))

    return of_row


def same(value: Callable[[Call], Fraction | int]) -> Measure:
    return Measure(of_calls(value), of_calls(value))


SUCCEEDED, FAILURES = same(lambda call: not call.is_failed), same(lambda call: call.is_failed)
TOKENS = same(lambda call: call.tokens)
SPEND = Measure(
    of_calls(lambda call: call.legacy_cost),
    of_calls(lambda call: call.priced),
    (cost_stored_with_6_places, provider_cost_without_mark_up),
)
SUMMARY_COST = Measure(
    of_calls(lambda call: (call.stored_client_cost or 0) if call.has_summary_seen_it else 0),
    of_calls(lambda call: call.priced),
    (job_without_summary, call_after_its_job_completed, no_client_cost_stored),
)
SUMMARY_TOKENS = Measure(
    of_calls(lambda call: call.tokens if call.has_summary_seen_it else 0),
    of_calls(lambda call: call.tokens),
    (tokens_of_job_without_summary, tokens_of_call_after_its_job_completed),
)
