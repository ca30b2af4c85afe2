"""A platform in which every tenant's every value is marked, published as a night: owns what no other may see.

Ids hold whatever an id may hold; one team went from one organization to another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas
from sqlalchemy import insert

from flows.ops_store import alerting, open_ops_store, probing
from flows.review_scopes import PLATFORM, Scope
from tests.engines import compiled_project
from tests.oracle.platforms import Platform
from tests.oracle.tape import frame
from tests.published import TAPE_AS_OF

if TYPE_CHECKING:
    from flows.settings import Settings

Row = dict[str, Any]

MOVED_AT = datetime(2026, 10, 15)
# Of an operator's probe: a host that tenants do not hear of.
REASON = "HOSTMARKQ 10.0.0.7 refused"
# Every successful call's, and nobody's but the operators'.
PROVIDER_COST = Decimal("0.31313131")


@dataclass(frozen=True)
class Tenant:
    """A team or an organization, and the mark that each of its values holds."""

    scope: Scope
    mark: str


ORGANIZATIONS = tuple(
    Tenant(Scope("organization", ident), ident[:4])
    for ident in ("OM0Q/a b", 'OM1Q it\'s "q" 100%', "OM2Q\nline 組織", "OM3Q<b>&amp;?x=1#y")
)
# the team, and the place of its organization
_HOMES = {
    "TM0Q": 0,
    "TM1Q/usage": 0,
    "TM2Q/../x": 1,
    'TM3Q it\'s "q"; drop table': 1,
    "TM4Q 100%25": 2,
    "TM5Q\nline\r\n": 2,
    "TM6Q 団队 ﬁ": 2,
    "TM7Q\\?x=1&y#z" + "é" * 170: 3,
    "..": 3,
}
_MARKS = {"..": "TMDQ"}
TEAMS = tuple(Tenant(Scope("team", ident), _MARKS.get(ident, ident[:4])) for ident in _HOMES)
HOME = {Scope("team", ident): ORGANIZATIONS[home].scope for ident, home in _HOMES.items()}
MOVED = Tenant(Scope("team", "TM8Q moved"), "TM8Q")
# its rows of the two organizations
MOVED_ROWS = ("TMAQ", "TMBQ")
MOVED_BETWEEN = (ORGANIZATIONS[0].scope, ORGANIZATIONS[1].scope)
# Ids that a careless reading of a URL, or of a key of kept answers, takes for one.
ALIKE = (
    "alike ab",
    "alike a\tb",
    "alike a\nb",
    "alike a\rb",
    "alike a%62",
    "alike a?b",
    "alike a%3Fb",
    "alike a b",
)
ALIKE_HOME = Tenant(Scope("organization", "OM4Q alike"), "OM4Q")

SCOPES = (
    PLATFORM,
    *(one.scope for one in (*ORGANIZATIONS, ALIKE_HOME, *TEAMS, MOVED)),
    *(Scope("team", ident) for ident in ALIKE),
)


def marks_of(scope: Scope) -> set[str]:
    """The marks that a scope's answers may hold; of the platform all."""
    if scope == PLATFORM:
        return all_marks()
    if scope == MOVED.scope:
        return {MOVED.mark, *MOVED_ROWS, *(one.mark for one in ORGANIZATIONS if one.scope in MOVED_BETWEEN)}
    if scope.kind == "team":
        home = {one.mark for one in ORGANIZATIONS if HOME.get(scope) == one.scope}
        if scope.id in ALIKE:
            return {ALIKE_HOME.mark, alike_mark(scope.id)}
        return {one.mark for one in TEAMS if one.scope == scope} | home
    own = {one.mark for one in (*ORGANIZATIONS, ALIKE_HOME) if one.scope == scope}
    own |= {one.mark for one in TEAMS if HOME[one.scope] == scope}
    if scope in MOVED_BETWEEN:
        # the rows of its time here name the team
        own |= {MOVED.mark, MOVED_ROWS[MOVED_BETWEEN.index(scope)]}
    if scope == ALIKE_HOME.scope:
        own |= {alike_mark(ident) for ident in ALIKE}
    return own


def alike_mark(ident: str) -> str:
    return f"AL{ALIKE.index(ident)}Q"


def all_marks() -> set[str]:
    return {
        *(one.mark for one in (*ORGANIZATIONS, ALIKE_HOME, *TEAMS, MOVED)),
        *MOVED_ROWS,
        *map(alike_mark, ALIKE),
        "HOSTMARKQ",
    }


def marked_platform() -> Platform:
    """Three jobs, five calls and four ledger rows of each team in October and in November."""
    rows: dict[str, list[Row]] = {
        name: []
        for name in (
            *("jobs", "llm_calls", "job_cost_summaries", "credit_transactions", "team_credits"),
            *("organizations", "model_aliases", "team_usage_summaries"),
        )
    }
    for one in (*ORGANIZATIONS, ALIKE_HOME):
        rows["organizations"].append(
            {"organization_id": one.scope.id, "name": f"{one.mark} & Söhne", "status": "active"}
            | dict.fromkeys(("created_at", "updated_at"), datetime(2026, 1, 1))
        )
    teams = [(one.scope.id, one.mark, HOME[one.scope].id) for one in TEAMS]
    teams += [(ident, alike_mark(ident), ALIKE_HOME.scope.id) for ident in ALIKE]
    for number, (team, mark, home_id) in enumerate(teams):
        rows["team_credits"].append(_team(team, home_id, number))
        for month in (10, 11):
            _add_month(rows, team, mark, home_id, month)
    rows["team_credits"].append(_team(MOVED.scope.id, MOVED_BETWEEN[1].id, 99))
    for mark, home, month in zip(MOVED_ROWS, MOVED_BETWEEN, (10, 11), strict=True):
        _add_month(rows, MOVED.scope.id, mark, home.id, month)
    tables = {name: frame(name, table) for name, table in rows.items()}
    tables["team_versions"] = pandas.DataFrame(_versions(rows["team_credits"]), dtype=object)
    return Platform(tables, TAPE_AS_OF, "UTC")


def _team(team: str, home: str, number: int) -> Row:
    return {
        **{"team_id": team, "organization_id": home, "status": "active", "budget_mode": "job_based"},
        **{"credits_allocated": 1000 + number, "credits_used": 6, "credits_remaining": 994 + number},
        **{"credit_limit": 1000, "auto_refill": False, "refill_amount": None, "refill_period": None},
        **{"credits_per_dollar": Decimal(10), "cost_markup_percentage": Decimal("27.27")},
        **{
            "tokens_per_credit": 10_000,
            "created_at": datetime(2026, 1, 1),
            "updated_at": datetime(2026, 1, 1),
        },
    }


def _versions(teams: list[Row]) -> Iterator[Row]:
    same = ("team_id", "budget_mode", "cost_markup_percentage", "credits_per_dollar", "tokens_per_credit")
    for team in teams:
        version = {name: team[name] for name in (*same, "organization_id", "credit_limit", "status")}
        since_ever = datetime(1, 1, 1)
        if team["team_id"] == MOVED.scope.id:
            first, second = (home.id for home in MOVED_BETWEEN)
            yield version | {"organization_id": first, "valid_from": since_ever, "missing_since": None}
            yield version | {"organization_id": second, "valid_from": MOVED_AT, "missing_since": None}
        else:
            yield version | {"valid_from": since_ever, "missing_since": None}


def _add_month(rows: dict[str, list[Row]], team: str, mark: str, home: str, month: int) -> None:
    # of October before MOVED_AT, of November in the days that slow_calls covers
    began = datetime(2026, month, 5 if month == 10 else 19, 12)
    for number, status in enumerate(("completed", "failed", "in_progress")):
        at = began + timedelta(hours=number)
        job = f"job {mark} {month}-{number}"
        rows["jobs"].append(
            {
                **{"job_id": job, "team_id": team, "user_id": f"user {mark}", "job_type": f"type {mark}"},
                # without its own organization it is its team's of that time
                **{"organization_id": None, "status": status, "created_at": at, "started_at": at},
                "completed_at": None if status == "in_progress" else at + timedelta(seconds=9),
                "error_message": f"Timeout: {mark} timed out" if status == "failed" else None,
            }
        )
        for part in range(2 if number < 2 else 1):
            failed = part == 1
            rows["llm_calls"].append(
                {
                    **{"call_id": f"call {mark} {month}-{number}-{part}", "job_id": job},
                    **{"model_group_used": f"group {mark}", "resolved_model": f"=model {mark}"},
                    **{"prompt_tokens": 10, "completion_tokens": 1 + number, "total_tokens": 11 + number},
                    **{
                        "latency_ms": None if failed else 9000 + number,
                        "created_at": at + timedelta(seconds=5),
                    },
                    "provider_cost_usd": None if failed else PROVIDER_COST,
                    "client_cost_usd": None if failed else Decimal(f"1.{month}00000{number}"),
                    "error": f"Timeout: {mark}" if failed else None,
                }
            )
        rows["credit_transactions"].append(
            {
                **{"transaction_id": f"tx {mark} {month}-{number}", "team_id": team, "job_id": job},
                **{"organization_id": home, "transaction_type": "deduction", "credits_amount": 1},
                **{"credits_before": 1000 - number, "credits_after": 999 - number, "created_at": at},
                "reason": f'=HYPERLINK("{mark}")',
            }
        )


def publish_platform(platform: Platform, settings: Settings) -> None:
    """Build the platform and publish it, as a night of its own moment, where the settings say."""
    with closing(
        compiled_project("duckdb").build(
            platform.tables, as_of=platform.as_of, reporting_timezone=platform.reporting_timezone
        )
    ) as built:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        built.execute(f"attach '{settings.warehouse_path}' as night")
        tables = built.execute(
            "select distinct table_schema, table_name from information_schema.tables "
            "where table_catalog = 'warehouse' and table_schema in ('marts', 'compat', 'reviews', 'alerts')"
        ).fetchall()
        for schema in sorted({schema for schema, _ in tables}):
            built.execute(f"create schema night.{schema}")
        for schema, name in tables:
            built.execute(f"create table night.{schema}.{name} as select * from warehouse.{schema}.{name}")
        built.execute("create schema night.kept")
        built.execute(
            "create table night.kept.coverage as select 1 as landing_number, cast(? as timestamp) as as_of, "
            "? as reporting_timezone, 'marked' as models_fingerprint",
            [platform.as_of, platform.reporting_timezone],
        )
        built.execute("detach night")


def add_incidents(settings: Settings) -> None:
    """An incident of each tenant by a rule that tenants read of, and by one that they do not; and a probe."""
    values = []
    tenants = [(one, None) for one in ORGANIZATIONS] + [(one, HOME[one.scope]) for one in TEAMS]
    for number, (one, home) in enumerate(tenants):
        for rule in ("error_rate_high", "latency_high"):
            values.append(
                {
                    **{"incident_id": f"incident {one.mark} {rule}", "rule": rule, "rule_version": "1"},
                    **{"family": "system", "scope_kind": one.scope.kind, "scope_id": one.scope.id},
                    "scope_name": f"{one.mark} name",
                    "organization_id": one.scope.id if home is None else home.id,
                    **{"severity": "warning", "opened_at": TAPE_AS_OF, "opened_as_of": TAPE_AS_OF},
                    "last_breach_at": TAPE_AS_OF,
                    "resolved_at": TAPE_AS_OF if number % 2 else None,
                    "evidence": '{"candidate": {"measure": "failure_rate", "observed_value": "0.5", '
                    '"threshold": "0.1", "unit": "share"}, "evidence": {"rows": [["HOSTMARKQ"]]}}',
                }
            )
    probe = {
        **{"component": "database", "checked_at": TAPE_AS_OF + timedelta(minutes=59), "verdict": "down"},
        **{"latency_ms": 3.5, "reason": REASON, "is_required": True, "interval_seconds": 60},
    }
    with open_ops_store(settings).transaction() as connection:
        connection.execute(insert(alerting.incidents), values)
        connection.execute(insert(probing.probes), [probe])
