"""What alerts can be of: rules and kinds of scopes as people name them, and which scopes are known."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from sqlalchemy import select

from flows import PROJECT_DIR
from flows.errors import AlmanacError, UsageError

if TYPE_CHECKING:
    from flows.ops_store import OpsStore
    from flows.settings import Settings

RULES_FILE = PROJECT_DIR / "models" / "alerts" / "alert_rules.csv"
# Fires while a rule cannot be asked; it has no SQL of its own.
RULE_UNKNOWN = "rule_unknown"
# By kind: where the published night names all that there are. Of the others incidents alone tell.
SCOPE_KINDS: dict[str, str | None] = {
    "platform": "select 'platform'",
    "organization": "select organization_id from dim_organizations",
    "team": "select team_id from dim_teams",
    "job_type": "select job_type from job_type_usage_daily",
    "model_group": "select model_group from model_usage_daily",
    "model": "select model from model_usage_daily",
    "component": "select component from component_uptime_daily",
    "table": "select table_name from audit_row_accounting",
    "client": None,
    "key": None,
    "admin_user": None,
    "rule": None,
}


def known_rules() -> frozenset[str]:
    """Every rule that an incident can be of."""
    with RULES_FILE.open(encoding="utf-8", newline="") as file:
        return frozenset(row["rule"] for row in csv.DictReader(file)) | {RULE_UNKNOWN}


def parse_rule(text: str) -> str:
    """A rule as people name it; UsageError that says which there are."""
    known = known_rules()
    if text not in known:
        raise UsageError(f"There is no rule {text!r}. The rules: {', '.join(sorted(known))}.")
    return text


def parse_scope(text: str) -> tuple[str, str | None]:
    """`KIND:ID`, or `KIND` for every scope of a kind (None); UsageError that says which kinds there are."""
    kind, colon, scope_id = text.partition(":")
    if kind not in SCOPE_KINDS:
        raise UsageError(f"There is no kind of scope {kind!r}. The kinds: {', '.join(SCOPE_KINDS)}.")
    if colon and not scope_id:
        raise UsageError(f"--scope {text} names no {kind}. Leave out the colon for every {kind}.")
    return kind, scope_id if colon else None


def is_known(settings: Settings, store: OpsStore, kind: str, scope_id: str) -> bool | None:
    """Whether the night or an incident knows such a scope; None when that cannot be told now."""
    if kind == "rule":
        return scope_id in known_rules()
    if _has_been_seen(store, kind, scope_id):
        return True
    query = SCOPE_KINDS[kind]
    if query is None:
        return False
    import duckdb
    import psycopg

    from flows.warehouse import open_warehouse

    try:
        reader = open_warehouse(settings)
    except AlmanacError:
        return None
    try:
        found = reader.execute(f"select 1 from ({query}) as known (scope_id) where scope_id = ?", [scope_id])
        return found.fetchone() is not None
    except (duckdb.Error, psycopg.Error):
        # a night of an earlier version has no such table
        return None
    finally:
        reader.close()


def _has_been_seen(store: OpsStore, kind: str, scope_id: str) -> bool:
    from flows.ops_store import alerting, probing

    queries = [
        select(table.c.rule).where(table.c.scope_kind == kind, table.c.scope_id == scope_id)
        for table in (alerting.states, alerting.incidents)
    ]
    if kind == "component":
        queries.append(select(probing.probes.c.component).where(probing.probes.c.component == scope_id))
    with store.transaction() as connection:
        return any(connection.execute(query.limit(1)).first() is not None for query in queries)
