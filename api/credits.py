"""A team's credits: the balance as of the night, and the ledger, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from api.access import SignedIn, may_be_stored, require_team
from api.answers import (
    CSV_TOO,
    NOT_CHANGED,
    Format,
    FromNight,
    Moment,
    Number,
    Table,
    from_night,
    origin,
)
from api.ids import TeamId
from api.nights import Night
from api.problems import OF_ONE, Wrong

router = APIRouter(tags=["credits"])


class Balance(FromNight):
    """The page's fields first. Null is not known, as of a team that the platform has deleted."""

    team_id: str
    organization_id: str | None
    credits_allocated: int | None
    credits_used: int | None
    credits_remaining: int | None
    credit_limit: int | None
    auto_refill: bool | None
    refill_amount: int | None
    refill_period: str | None
    created_at: Moment | None
    updated_at: Moment | None
    last_refill_at: Moment | None
    budget_mode: str | None
    credits_per_dollar: Number | None
    tokens_per_credit: int | None
    status: str | None
    used_share: Number | None
    ledger_balance: int | None
    balance_difference: int | None
    burn_per_day: Number | None
    days_left: Number | None


class Transaction(BaseModel):
    """A row of the ledger. `credits_amount` has its sign: what is taken is negative, unknown is null."""

    transaction_id: str
    team_id: str
    organization_id: str | None
    job_id: str | None
    transaction_type: str | None
    credits_amount: int | None
    credits_before: int | None
    credits_after: int | None
    reason: str | None
    created_at: Moment
    ledger_status: str | None


class Transactions(FromNight):
    """`total` counts all rows of the team, not those of this page; `next_cursor` is null on the last page."""

    team_id: str
    total: int
    transactions: list[Transaction]
    next_cursor: str | None


@router.get("/api/credits/teams/{team_id:id}/balance", response_model=Balance, responses=OF_ONE | NOT_CHANGED)
def balance(request: Request, caller: SignedIn, team_id: TeamId) -> Response:
    """What a team has left, how fast it goes, and whether the ledger says the same."""

    def make(night: Night) -> Mapping[str, Any]:
        require_team(night, caller, team_id)
        row = night.row(
            """
            select
                teams.team_id,
                teams.organization_id,
                balances.credits_allocated,
                balances.credits_used,
                balances.credits_remaining,
                balances.credit_limit,
                settings.auto_refill,
                settings.refill_amount,
                settings.refill_period,
                settings.created_at,
                settings.updated_at,
                settings.last_refill_at,
                teams.budget_mode,
                teams.credits_per_dollar,
                teams.tokens_per_credit,
                teams.status,
                balances.used_share,
                balances.ledger_balance,
                balances.balance_difference,
                balances.burn_per_day,
                balances.days_left
            from warehouse.marts.dim_teams as teams
            left join warehouse.marts.credit_balances as balances on balances.team_id = teams.team_id
            left join warehouse.compat.team_credits as settings on settings.team_id = teams.team_id
            where teams.team_id = ?
            """,
            [team_id],
        )
        assert row is not None, "require_team found it"
        return row | origin(night, is_complete=True)

    return from_night(request, caller, make)


_ROWS = """
select
    transaction_id,
    team_id,
    organization_id,
    job_id,
    transaction_type,
    credits_signed as credits_amount,
    credits_before,
    credits_after,
    reason,
    created_at,
    ledger_status
from warehouse.marts.fct_credit_transactions
"""
_POSITION = "coalesce(ledger_position, 0)"


@router.get(
    "/api/credits/teams/{team_id:id}/transactions", response_model=Transactions, responses=OF_ONE | CSV_TOO
)
def transactions(
    request: Request,
    caller: SignedIn,
    team_id: TeamId,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Rows of a page.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=255, description="`next_cursor` of the page before.")
    ] = None,
    output: Format = "json",
) -> Response:
    """A team's ledger, the newest row first; rows of the same moment in the order of their balances."""

    def make(night: Night) -> Mapping[str, Any]:
        require_team(night, caller, team_id)
        condition, parameters = "team_id = ?", list[Any]([team_id])
        if cursor is not None:
            last = may_be_stored(cursor) and night.row(
                f"select created_at, {_POSITION} as position from warehouse.marts.fct_credit_transactions "
                "where team_id = ? and transaction_id = ?",
                [team_id, cursor],
            )
            if not last:
                raise Wrong("This team's ledger has no such cursor. Begin again without one.")
            at, position = last["created_at"], last["position"]
            condition += f"""
                and (
                    created_at < ?
                    or (created_at = ? and {_POSITION} < ?)
                    or (created_at = ? and {_POSITION} = ? and transaction_id > ?)
                )
            """
            parameters += [at, at, position, at, position, cursor]
        rows = night.rows(
            f"{_ROWS} where {condition} order by created_at desc, {_POSITION} desc, transaction_id "
            f"limit {limit + 1}",
            parameters,
        )
        total = night.row(
            "select count(*) as total from warehouse.marts.fct_credit_transactions where team_id = ?",
            [team_id],
        )
        assert total is not None
        return {
            "team_id": team_id,
            "total": total["total"],
            "transactions": rows[:limit],
            "next_cursor": rows[limit - 1]["transaction_id"] if len(rows) > limit else None,
            **origin(night, is_complete=True),
        }

    return from_night(request, caller, make, table=Table.of("transactions", Transaction), output=output)
