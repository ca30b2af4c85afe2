"""What a team or an organization used in a period: the page's two summaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from api.access import SignedIn, require_organization, require_team
from api.answers import NOT_CHANGED, FromNight, Number, from_night, origin
from api.ids import OrganizationId, TeamId
from api.nights import Night
from api.parts import parts_of_organization
from api.periods import AskedPeriod, PeriodText, parse_period, require_published
from api.problems import OF_ONE
from flows.review_scopes import Scope

router = APIRouter(tags=["usage"])


class TeamSummary(BaseModel):
    """The page's fields first; `successful` is completed. Costs are the client's; unknown is null."""

    total_jobs: int
    successful_jobs: int
    failed_jobs: int
    total_cost_usd: Number | None
    total_tokens: int | None
    avg_cost_per_job: Number | None
    cancelled_jobs: int
    open_jobs: int
    other_jobs: int
    failure_rate: Number | None
    total_calls: int
    failed_calls: int
    unpriced_calls: int
    credits_used: int


class JobTypeUsage(BaseModel):
    count: int
    cost_usd: Number | None


class TeamUsage(FromNight):
    team_id: str
    period: str
    summary: TeamSummary
    job_types: dict[str, JobTypeUsage]


class OrganizationSummary(BaseModel):
    total_jobs: int
    completed_jobs: int
    failed_jobs: int
    credits_used: int
    total_cost_usd: Number | None
    total_tokens: int | None
    cancelled_jobs: int
    open_jobs: int
    other_jobs: int
    failure_rate: Number | None
    total_calls: int
    failed_calls: int
    unpriced_calls: int


class OrganizationTeam(BaseModel):
    jobs: int
    credits_used: int


class OrganizationUsage(FromNight):
    organization_id: str
    period: str
    summary: OrganizationSummary
    teams: dict[str, OrganizationTeam]


# Names of the answers, and of the marts.
_COUNTS = {
    "cancelled_jobs": "cancelled_job_count",
    "open_jobs": "open_job_count",
    "other_jobs": "other_job_count",
    "failure_rate": "failure_rate",
    "total_calls": "call_count",
    "failed_calls": "failed_call_count",
    "unpriced_calls": "unpriced_call_count",
}
_TEAM = {
    "total_jobs": "job_count",
    "successful_jobs": "completed_job_count",
    "failed_jobs": "failed_job_count",
    "total_cost_usd": "client_cost_usd",
    "total_tokens": "total_tokens",
    "avg_cost_per_job": "avg_cost_per_job_usd",
    **_COUNTS,
    "credits_used": "credits_used",
}
_ORGANIZATION = {
    "total_jobs": "job_count",
    "completed_jobs": "completed_job_count",
    "failed_jobs": "failed_job_count",
    "credits_used": "credits_used",
    "total_cost_usd": "client_cost_usd",
    "total_tokens": "total_tokens",
    **_COUNTS,
}
# What nothing at all comes to; a rate or a cost per job of nothing is not known.
_UNKNOWN_OF_NOTHING = {"failure_rate", "avg_cost_per_job"}


@router.get("/api/teams/{team_id:id}/usage", response_model=TeamUsage, responses=OF_ONE | NOT_CHANGED)
def team_usage(
    request: Request,
    caller: SignedIn,
    team_id: TeamId,
    period: PeriodText,
) -> Response:
    """A team's jobs, tokens and client cost in a period, and the same by job type."""
    asked = parse_period(period)

    def make(night: Night) -> Mapping[str, Any]:
        require_team(night, caller, team_id)
        platform = require_published(night, asked)
        return {
            "team_id": team_id,
            "period": asked.label,
            "summary": _summary(night, "team", team_id, asked, _TEAM),
            "job_types": {
                row["job_type"]: {"count": row["job_count"], "cost_usd": row["client_cost_usd"]}
                for row in night.rows(
                    "select job_type, job_count, client_cost_usd "
                    f"from warehouse.marts.job_type_usage_{asked.grain} "
                    "where team_id = ? and period_start_date = ? order by job_count desc, job_type",
                    [team_id, asked.start_date],
                )
            },
            **origin(night, is_complete=platform["is_complete"]),
        }

    return from_night(request, caller, make)


@router.get(
    "/api/organizations/{organization_id:id}/usage",
    response_model=OrganizationUsage,
    responses=OF_ONE | NOT_CHANGED,
)
def organization_usage(
    request: Request,
    caller: SignedIn,
    organization_id: OrganizationId,
    period: PeriodText,
) -> Response:
    """An organization's jobs, credits, tokens and client cost in a period, and what each team did for it."""
    asked, scope = parse_period(period), Scope("organization", organization_id)

    def make(night: Night) -> Mapping[str, Any]:
        require_organization(night, caller, organization_id)
        platform = require_published(night, asked)
        return {
            "organization_id": organization_id,
            "period": asked.label,
            "summary": _summary(night, "organization", organization_id, asked, _ORGANIZATION),
            "teams": {
                row["team_id"]: {"jobs": row["job_count"], "credits_used": row["credits_used"]}
                for row in parts_of_organization(night, scope, asked, "team_id")
            },
            **origin(night, is_complete=platform["is_complete"]),
        }

    return from_night(request, caller, make)


def _summary(
    night: Night, kind: str, ident: str, asked: AskedPeriod, columns: Mapping[str, str]
) -> dict[str, Any]:
    row = night.row(
        f"select {', '.join(columns.values())} from warehouse.marts.{kind}_usage_{asked.grain} "
        f"where {kind}_id = ? and period_start_date = ?",
        [ident, asked.start_date],
    )
    if row is None:
        # the period is published, so no row means that nothing was done in it
        return {name: None if name in _UNKNOWN_OF_NOTHING else 0 for name in columns}
    return {name: row[column] for name, column in columns.items()}
