"""The flows that Prefect runs: the steps of the plain commands as tasks, and the outcome where people look.

Prefect schedules, retries and shows. What is true is decided elsewhere: one run at a time by the run ledger,
what is published by the warehouse. No parameter is a secret: settings are read from the environment of the
run. No exception reaches Prefect, which keeps tracebacks: failures go as states with a redacted message.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from prefect import flow, get_run_logger, runtime, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from flows.errors import AlmanacError, Busy
from flows.nightly import Night, Step
from flows.progress import LineProgress
from flows.redaction import redact
from flows.review_scopes import Kind
from flows.scheduled_runs import (
    Ending,
    NightWish,
    Outcome,
    RecalculationWish,
    ReviewWish,
    as_markdown,
    reason,
    run_check,
    run_nightly,
    run_probe,
    run_recalculate,
    run_reviews,
)
from flows.source_postgres import SourceUnavailable

# Waits before landing is tried again when the source does not answer: as long as a database takes to restart
# or fail over, and short enough that the night is done before people read its numbers.
LAND_RETRY_SECONDS = (30, 120, 600)


def _run_name() -> str:
    return f"{runtime.flow_run.flow_name} due {_due_at():%Y-%m-%d %H:%M} UTC"


def _due_at() -> datetime:
    due_at: datetime | None = runtime.flow_run.scheduled_start_time
    return due_at or datetime.now(UTC)


@flow(name="nightly", flow_run_name=_run_name, persist_result=False)
def nightly(
    as_of: datetime | None = None, full_refresh: bool = False, accept_deletes: bool = False
) -> State[Any]:
    """Land, build, audit, publish, then issue the reviews that are due and send what waits.

    Args:
        as_of: The moment to work as of; empty for now.
        full_refresh: Build every period anew, not only those that changed.
        accept_deletes: Land although a large share of the source's rows is gone.
    """
    wish = NightWish(
        now=datetime.now(UTC),
        due_at=_due_at(),
        as_of=as_of,
        full_refresh=full_refresh,
        accept_deletes=accept_deletes,
    )
    return _shown("nightly", run_nightly(wish, progress=_progress(), perform=as_task))


@flow(name="recalculate", flow_run_name=_run_name, persist_result=False)
def recalculate(
    first_day: date, last_day: date, team_id: str | None = None, dry_run: bool = False
) -> State[Any]:
    """Rebuild days from the source and report what changed, as of the published night.

    Args:
        first_day: The first day, in the reporting time zone.
        last_day: The last day, included.
        team_id: Report this team's changes only; empty for all.
        dry_run: Report, and change nothing.
    """
    wish = RecalculationWish(
        now=datetime.now(UTC), first_day=first_day, last_day=last_day, team_id=team_id, dry_run=dry_run
    )
    return _shown("recalculate", run_recalculate(wish, progress=_progress(), perform=as_task))


@flow(name="weekly-review", flow_run_name=_run_name, persist_result=False)
def weekly_review() -> State[Any]:
    """Issue the weekly reviews when their week is published, hold them when it is not, send what waits."""
    wish = ReviewWish(now=datetime.now(UTC), kind=Kind.WEEKLY)
    return _shown("weekly-review", run_reviews(wish, progress=_progress()))


@flow(name="monthly-review", flow_run_name=_run_name, persist_result=False)
def monthly_review() -> State[Any]:
    """Issue the monthly reviews when their month is published, hold them when it is not, send what waits."""
    wish = ReviewWish(now=datetime.now(UTC), kind=Kind.MONTHLY)
    return _shown("monthly-review", run_reviews(wish, progress=_progress()))


@flow(name="alert-check", flow_run_name=_run_name, persist_result=False)
def alert_check() -> State[Any]:
    """Land the newest days, ask every rule, tell what changed."""
    return _state(run_check(datetime.now(UTC), _due_at(), progress=_progress()))


@flow(name="probe", flow_run_name=_run_name, persist_result=False)
def probe() -> State[Any]:
    """Probe every component once; ask the rules when something is not up or has just come back."""
    return _state(run_probe(datetime.now(UTC), _due_at(), progress=_progress()))


def as_task(step: Step, night: Night) -> None:
    """Run one step as a task of its name; raises what the step raised."""
    raised: list[Exception] = []

    def may_pass(*_: Any) -> bool:
        return isinstance(raised[-1], SourceUnavailable)

    @task(
        name=step.name,
        task_run_name=step.name,
        persist_result=False,
        cache_policy=NO_CACHE,
        # only landing talks to a server that is not ours; it changes nothing there and lands all or nothing
        retries=len(LAND_RETRY_SECONDS) if step.name.startswith("land") else 0,
        retry_delay_seconds=list(LAND_RETRY_SECONDS),
        retry_condition_fn=may_pass,
    )
    def run_step() -> State[Any] | None:
        raised.clear()
        try:
            step.run(night)
        except Busy as busy:
            raised.append(busy)
            return Cancelled(name=Ending.BUSY.value, message=redact(str(busy)))
        except AlmanacError as error:
            raised.append(error)
        except Exception as error:
            # its traceback is kept here, once; the run then passes on the line that names the file
            raised.append(AlmanacError(reason(error, night.settings, datetime.now(UTC))))
        else:
            return None
        return Failed(message=redact(str(raised[-1])))

    run_step(return_state=True)
    if raised:
        raise raised[-1]


def _progress() -> LineProgress:
    return LineProgress(get_run_logger().info)


def _shown(key: str, outcome: Outcome) -> State[Any]:
    """The state that Prefect keeps; a page and links are left where people look."""
    create_markdown_artifact(
        markdown=as_markdown(outcome), key=key, description="What the run did, or why it failed"
    )
    for path in outcome.review_paths:
        create_link_artifact(
            link=path.as_uri(),
            link_text=f"{path.parent.name} {path.name}",
            key=f"{path.parent.parent.name}-review-{path.suffix.removeprefix('.')}",
            description="A review of the last complete period, on the machine that made it",
        )
    return _state(outcome)


def _state(outcome: Outcome) -> State[Any]:
    return _STATES[outcome.ending](name=outcome.ending.value, message=outcome.message)


_STATES: dict[Ending, Callable[..., State[Any]]] = {
    Ending.DONE: Completed,
    Ending.ALREADY_PUBLISHED: Completed,
    Ending.SKIPPED: Completed,
    # not a failure: somebody else does the work; and not done either
    Ending.BUSY: Cancelled,
    Ending.FAILED: Failed,
}
