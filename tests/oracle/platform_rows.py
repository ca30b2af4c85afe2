"""The tape's rows as the platform's endpoints see them: jobs with their calls, summaries and teams.

Owns what one row is worth: what a call costs by our rules, read from the raw rows alone. No mart is used.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.oracle.tape import read_tape

PRICE_PLACES = Decimal("1e-8")
COMPLETED, FAILED, IN_PROGRESS, PENDING = "COMPLETED", "FAILED", "IN_PROGRESS", "PENDING"


@dataclass(frozen=True)
class Summary:
    """A row of job_cost_summaries: US dollars with 6 places."""

    cost: Fraction
    tokens: int


@dataclass
class Job:
    job_id: str
    team_id: str
    organization_id: str | None
    job_type: str
    status: str
    at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    is_credit_applied: bool
    is_of_deleted_team: bool
    summary: Summary | None
    calls: list[Call] = field(default_factory=list)

    @property
    def job(self) -> Job:
        return self


@dataclass(frozen=True)
class Call:
    """Costs are US dollars; `at` is when it ended."""

    call_id: str
    job: Job
    at: datetime
    is_failed: bool
    model_used: str | None
    model_group: str | None
    prompt_tokens: int
    completion_tokens: int
    tokens: int
    latency_ms: int | None
    stored_client_cost: Fraction | None
    legacy_cost: Fraction
    provider_cost: Fraction | None
    client_cost: Fraction | None

    @property
    def priced(self) -> Fraction:
        """What it adds to a sum of client cost."""
        return self.client_cost or Fraction(0)

    @property
    def has_summary_seen_it(self) -> bool:
        """A summary is made when its job completes, from the calls that have ended by then."""
        completed_at = self.job.completed_at
        return self.job.summary is not None and completed_at is not None and self.at <= completed_at


@dataclass(frozen=True)
class Entry:
    """A row of credit_transactions, in whole credits as stored."""

    transaction_id: str
    team_id: str
    organization_id: str
    kind: str
    amount: int
    before: int
    after: int
    at: datetime


@dataclass(frozen=True)
class Platform:
    jobs: list[Job]
    entries: list[Entry]  # in the order of their clock
    teams: dict[str, dict[str, Any]]  # rows of team_credits
    organizations: dict[str, dict[str, Any]]
    providers: dict[str, str]  # alias: provider
    balance_edits: dict[str, tuple[datetime, int]]  # team: when an operator set credits_used, and to what

    @property
    def calls(self) -> list[Call]:
        return [call for job in self.jobs for call in job.calls]

    def organization_of(self, team_id: str) -> str | None:
        """The organization of a team; of a deleted one, that of its ledger rows."""
        if team_id in self.teams:
            return str(self.teams[team_id]["organization_id"])
        return next((entry.organization_id for entry in self.entries if entry.team_id == team_id), None)


def known_provider_cost(call: dict[str, Any]) -> Decimal | None:
    """The first positive of the two stored costs; a failed call that stores none cost 0."""
    for stored in (call["provider_cost_usd"], call["cost_usd"]):
        if stored is not None and stored > 0:
            return Decimal(stored)
    return Decimal(0) if call["error"] is not None else None


def client_cost(call: dict[str, Any], provider: Decimal | None, markup: Decimal | None) -> Decimal | None:
    """As stored, else the provider's cost marked up, to 8 places, halves away from zero."""
    stored: Decimal | None = call["client_cost_usd"]
    if stored is not None and (stored > 0 or provider is not None):
        return stored
    if provider is None or markup is None:
        return None
    return (provider * (1 + markup / 100)).quantize(PRICE_PLACES, ROUND_HALF_UP)


def fraction(value: Decimal | None) -> Fraction | None:
    return None if value is None else Fraction(value)


def balance_edits(tape: Path) -> dict[str, tuple[datetime, int]]:
    """What the recording says was set by hand: `PUT /api/teams/{id}` writes no ledger row."""
    labels = json.loads((tape / "labels.json").read_text(encoding="utf-8"))
    return {
        label["team"]: (
            datetime.fromisoformat(label["start"]).replace(tzinfo=None),
            label["body"]["credits_used"],
        )
        for label in labels["labels"]
        if label["kind"] == "put_team"
    }


def read_platform(tape: Path) -> Platform:
    """The rows of the tape in that folder."""
    rows: dict[str, list[dict[str, Any]]] = {
        name: [{str(key): cell for key, cell in row.items()} for row in frame.to_dict("records")]
        for name, frame in read_tape(tape).items()
    }
    teams = {row["team_id"]: row for row in rows["team_credits"]}
    entries = [
        Entry(
            row["transaction_id"],
            row["team_id"],
            row["organization_id"],
            row["transaction_type"],
            row["credits_amount"],
            row["credits_before"],
            row["credits_after"],
            row["created_at"],
        )
        for row in sorted(rows["credit_transactions"], key=lambda row: row["created_at"])
    ]
    summaries = {
        row["job_id"]: Summary(Fraction(row["total_cost_usd"]), row["total_tokens"])
        for row in rows["job_cost_summaries"]
    }
    organizations = {row["organization_id"]: row for row in rows["organizations"]}
    providers = {row["model_alias"]: row["provider"] for row in rows["model_aliases"]}
    platform = Platform([], entries, teams, organizations, providers, balance_edits(tape))
    organization_of = {row["team_id"]: platform.organization_of(row["team_id"]) for row in rows["jobs"]}
    calls_of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for call in rows["llm_calls"]:
        calls_of[call["job_id"]].append(call)
    for row in rows["jobs"]:
        team = teams.get(row["team_id"])
        job = Job(
            job_id=row["job_id"],
            team_id=row["team_id"],
            organization_id=organization_of[row["team_id"]],
            job_type=row["job_type"],
            status=row["status"],
            at=row["created_at"],
            started_at=row["started_at"],
            completed_at=row["completed_at"],
            is_credit_applied=row["credit_applied"],
            is_of_deleted_team=team is None,
            summary=summaries.get(row["job_id"]),
        )
        markup = team["cost_markup_percentage"] if team else None
        job.calls.extend(read_call(call, job, markup) for call in calls_of[job.job_id])
        platform.jobs.append(job)
    return platform


def read_call(row: dict[str, Any], job: Job, markup: Decimal | None) -> Call:
    provider = known_provider_cost(row)
    return Call(
        call_id=row["call_id"],
        job=job,
        at=row["created_at"],
        is_failed=row["error"] is not None,
        model_used=row["model_used"],
        model_group=row["model_group_used"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        tokens=row["total_tokens"],
        latency_ms=row["latency_ms"],
        stored_client_cost=fraction(row["client_cost_usd"]),
        legacy_cost=Fraction(row["cost_usd"]),
        provider_cost=fraction(provider),
        client_cost=fraction(client_cost(row, provider, markup)),
    )
