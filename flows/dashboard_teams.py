"""The table of teams on a dashboard: searched, sorted and cut into pages by the warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.organization_parts import organization_parts
from flows.own_teams import UNASSIGNED
from flows.review_scopes import PLATFORM, Kind, Period, Scope
from reports.dashboard_figures import TEAM_COLUMNS, TeamRow, TeamTable

if TYPE_CHECKING:
    from flows.warehouse import Reader

PAGE_SIZE = 50
_LONGEST_SEARCH = 200
_LAST_PAGE = 1_000_000
# In which direction a column is sorted when nothing is said of it.
_ASCENDING = ("team_id", "organization_name")
_FIRST_SORT = "client_cost_usd"

_TEAMS = """
    select
        coalesce(teams.team_id, usage.team_id) as team_id,
        {organization} as organization_id,
        organizations.organization_name,
        coalesce(usage.job_count, 0) as job_count,
        coalesce(usage.failed_job_count, 0) as failed_job_count,
        usage.failure_rate,
        coalesce(usage.call_count, 0) as call_count,
        -- a team without a row used and cost nothing; a row without tokens or a cost is not known
        case when usage.team_id is null then 0 else usage.total_tokens end as total_tokens,
        case when usage.team_id is null then 0 else usage.client_cost_usd end as client_cost_usd,
        usage.latency_p95_ms,
        coalesce(usage.credits_used, 0) as credits_used,
        balances.credits_remaining
    from ({teams}) as teams
    full join ({usage}) as usage
        on teams.team_id = usage.team_id
    left join warehouse.marts.dim_organizations as organizations
        on {organization} = organizations.organization_id
    left join warehouse.marts.credit_balances as balances
        on teams.team_id = balances.team_id
    where (usage.team_id is not null or not teams.is_deleted)
"""


@dataclass(frozen=True, slots=True)
class TeamQuery:
    """What of the table is wanted, as it came from a person: nothing of it is trusted."""

    search: str = ""
    sort: str = ""
    order: str = ""
    page: str = ""
    page_size: int = PAGE_SIZE


def read_teams(reader: Reader, scope: Scope, kind: Kind, period: Period, wanted: TeamQuery) -> TeamTable:
    """One page of the platform's or an organization's teams; what makes no sense is as if it was not said."""
    search = wanted.search.strip()[:_LONGEST_SEARCH]
    sort = wanted.sort if wanted.sort in TEAM_COLUMNS else _FIRST_SORT
    is_descending = wanted.order == "desc" or (wanted.order != "asc" and sort not in _ASCENDING)
    sql, parameters = _rows_of(scope, kind, period)
    if search:
        sql += (
            " and (strpos(lower(coalesce(teams.team_id, usage.team_id)), lower(cast(? as varchar))) > 0"
            " or strpos(lower(coalesce(organizations.organization_name, '')), lower(cast(? as varchar))) > 0)"
        )
        parameters += [search, search]
    page = _page(wanted.page)
    order = f"{sort} {'desc' if is_descending else 'asc'} nulls last, team_id"
    columns, rows = _asked(reader, sql, parameters, order, page, wanted.page_size)
    if not rows and page > 1:
        # behind the last one
        (row_count,) = reader.execute(f"select count(*) from ({sql}) as teams", parameters).fetchone()
        page = _pages(row_count, wanted.page_size)
        columns, rows = _asked(reader, sql, parameters, order, page, wanted.page_size)
    row_count = rows[0][-1] if rows else 0
    return TeamTable(
        rows=tuple(TeamRow(**dict(zip(columns, row[:-1], strict=True))) for row in rows),
        row_count=row_count,
        search=search,
        sort=sort,
        is_descending=is_descending,
        page=page,
        page_count=_pages(row_count, wanted.page_size),
        page_size=wanted.page_size,
    )


def _rows_of(scope: Scope, kind: Kind, period: Period) -> tuple[str, list[Any]]:
    """The table in SQL, with its parameters: the teams that there are, and those that did something."""
    if scope == PLATFORM:
        # what has no team is a row when it did something
        teams = (
            "select team_id, organization_id, is_deleted or team_id = ? as is_deleted "
            "from warehouse.marts.dim_teams"
        )
        usage = f"select * from warehouse.marts.team_usage_{kind.value} where period_start_date = ?"
        sql = _TEAMS.format(teams=teams, usage=usage, organization="teams.organization_id")
        return sql, [UNASSIGNED, period.start_date]
    usage, parameters = organization_parts("team_id", scope.id, period.start_date, period.end_date)
    teams = (
        "select team_id, organization_id, is_deleted from warehouse.marts.dim_teams where organization_id = ?"
    )
    sql = _TEAMS.format(teams=teams, usage=usage, organization="cast(? as varchar)")
    return sql, [scope.id, scope.id, *parameters, scope.id]


def _asked(
    reader: Reader, sql: str, parameters: list[Any], order: str, page: int, page_size: int
) -> tuple[list[str], list[Any]]:
    """The columns of the table and one page of its rows, each with the number of all rows behind it."""
    asked = reader.execute(
        f"select *, count(*) over () as row_count from ({sql}) as teams "
        f"order by {order} limit {page_size} offset {(page - 1) * page_size}",
        parameters,
    )
    names = [column[0] for column in asked.description or ()]
    return names[:-1], asked.fetchall()


def _pages(row_count: int, page_size: int) -> int:
    """How many pages these rows fill; one without any."""
    return max(-(-row_count // page_size), 1)


def _page(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(_LAST_PAGE))
    return min(max(int(text), 1), _LAST_PAGE) if is_number else 1
