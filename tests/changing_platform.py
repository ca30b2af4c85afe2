"""A tiny platform that changes from night to night, as a folder of files or as a database."""

from __future__ import annotations

import csv
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import psycopg
from psycopg import sql

from flows.source_schema import DAY_TABLES, NO_DAY, TABLES

DAY0 = date(2026, 11, 1)

Row = dict[str, Any]
Raw = dict[str, list[Row]]


def at(day: float, hour: float = 12) -> datetime:
    """A moment of the platform's day `day`."""
    return datetime.combine(DAY0, time()) + timedelta(days=day, hours=hour)


def day_of(number: int) -> date:
    return DAY0 + timedelta(days=number)


def key(kind: str, number: int) -> str:
    return str(UUID(int=(ord(kind) << 64) + number))


class ChangingPlatform:
    """The rows of every table by key; a method per table adds one or replaces it."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Row]] = {table.name: {} for table in TABLES}

    def job(self, number: int, created_at: datetime, **changed: Any) -> None:
        self._put(
            "jobs",
            {
                "job_id": key("j", number),
                "team_id": "team-a",
                "job_type": "chat",
                "status": "COMPLETED",
                "created_at": created_at,
            }
            | changed,
        )

    def call(self, number: int, job: int, created_at: datetime, **changed: Any) -> None:
        self._put(
            "llm_calls",
            {
                "call_id": key("c", number),
                "job_id": key("j", job),
                "prompt_tokens": 5,
                "cost_usd": Decimal("0.5"),
                "model_group_used": "chat-fast",
                "resolved_model": "gpt-4o-mini",
                "created_at": created_at,
            }
            | changed,
        )

    def summary(self, job: int, calculated_at: datetime, **changed: Any) -> None:
        self._put(
            "job_cost_summaries",
            {"job_id": key("j", job), "total_calls": 1, "calculated_at": calculated_at} | changed,
        )

    def charge(self, number: int, job: int | None, created_at: datetime, **changed: Any) -> None:
        self._put(
            "credit_transactions",
            {
                "transaction_id": key("t", number),
                "team_id": "team-a",
                "organization_id": "org-a",
                "job_id": None if job is None else key("j", job),
                "transaction_type": "deduction",
                "credits_amount": 1,
                "credits_before": 9,
                "credits_after": 8,
                "created_at": created_at,
            }
            | changed,
        )

    def team(self, name: str, **changed: Any) -> None:
        self._put(
            "team_credits",
            {
                "team_id": name,
                "organization_id": "org-a",
                "credits_allocated": 60,
                "credits_used": 2,
                "cost_markup_percentage": Decimal(25),
                "status": "active",
                "created_at": at(-30),
                "updated_at": at(-30),
            }
            | changed,
        )

    def organization(self, organization_id: str, **changed: Any) -> None:
        row = {"organization_id": organization_id, "name": "Acme", "status": "active"}
        self._put("organizations", row | {"created_at": at(-40), "updated_at": at(-40)} | changed)

    def alias(self, name: str, **changed: Any) -> None:
        self._put(
            "model_aliases",
            {"model_alias": name, "provider": "openai", "actual_model": "gpt-4o-mini"} | changed,
        )

    def _put(self, table: str, row: Row) -> None:
        self.rows[table][next(iter(row.values()))] = row

    def drop(self, table: str, row_key: str) -> None:
        self.rows[table].pop(row_key, None)

    # --- as a source ---------------------------------------------------------------------------------------

    def write_folder(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for table in TABLES:
            names = [column.name for column in table.columns]
            with (folder / f"{table.name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(names)
                writer.writerows([row.get(name) for name in names] for row in self.rows[table.name].values())
        return folder

    def write_database(self, url: str) -> None:
        """Make the database hold exactly these rows; its foreign keys are not asked."""
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("set session_replication_role = replica")
            for table in TABLES:
                cursor.execute(sql.SQL("delete from public.{}").format(sql.Identifier(table.name)))
                generated = {"credits_remaining"}
                rows = list(self.rows[table.name].values())
                if not rows:
                    continue
                names = sorted({name for row in rows for name in row} - generated)
                query = sql.SQL("insert into public.{} ({}) values ({})").format(
                    sql.Identifier(table.name),
                    sql.SQL(", ").join(map(sql.Identifier, names)),
                    sql.SQL(", ").join([sql.Placeholder()] * len(names)),
                )
                cursor.executemany(query, [[row.get(name) for name in names] for row in rows])


# --- what is landed ----------------------------------------------------------------------------------------


def landed(path: Path) -> Raw:
    """Every table of schema raw, its rows in one order."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'raw'"
        ).fetchall()
        found: Raw = {}
        for (name,) in names:
            rows = connection.execute(f"from raw.{name} order by all")
            columns = [column[0] for column in rows.description]
            found[name] = [dict(zip(columns, row, strict=True)) for row in rows.fetchall()]
        return found


def source_rows(raw: Raw) -> Raw:
    """Of what is landed, what does not depend on how it was landed."""
    return {table.name: raw[table.name] for table in TABLES}


# --- what a landing must touch, row by row -----------------------------------------------------------------


def expected_days(before: Raw, after: Raw) -> set[date]:
    """The contract's closure, in loops."""
    changed = {table.name: _changed(before[table.name], after[table.name], table.key) for table in TABLES}
    days: set[date] = set()
    for name in ("jobs", "llm_calls", "credit_transactions"):
        days |= {row["created_at"].date() for row in changed[name]}
    days |= {(row["created_at"] + timedelta(seconds=1)).date() for row in changed["llm_calls"]}
    named = {
        row["job_id"]
        for name in ("llm_calls", "credit_transactions", "job_cost_summaries")
        for row in changed[name]
    } & {row["job_id"] for row in after["jobs"]}
    days |= {row["created_at"].date() for row in after["jobs"] if row["job_id"] in named}
    jobs = named | {row["job_id"] for row in changed["jobs"]}
    for name in ("llm_calls", "credit_transactions"):
        days |= {row["created_at"].date() for row in after[name] if row["job_id"] in jobs}
    for team, since in _changed_teams(before, after, changed["credit_transactions"]).items():
        days |= _days_of_team(after, team, since)
    old, new = (
        [_only(row, "model_alias", "provider", "actual_model") for row in raw["model_aliases"]]
        for raw in (before, after)
    )
    aliases = {row["model_alias"] for row in _changed(old, new, "model_alias")}
    days |= {
        row["created_at"].date()
        for row in after["llm_calls"]
        if row["resolved_model"] in aliases or row["model_group_used"] in aliases
    }
    return days


def _changed(before: list[Row], after: list[Row], key_column: str) -> list[Row]:
    """The old and new rows of every key that differs."""
    old, new = ({row[key_column]: row for row in rows} for rows in (before, after))
    keys = [one for one in {*old, *new} if old.get(one) != new.get(one)]
    return [row for one in keys for row in (old.get(one), new.get(one)) if row is not None]


def _only(row: Row, *names: str) -> Row:
    return {name: row[name] for name in names}


def _versions(raw: Raw) -> set[tuple[Any, ...]]:
    return {
        tuple(value for name, value in row.items() if name != "missing_since")
        for row in raw.get("team_versions", [])
    }


def _changed_teams(before: Raw, after: Raw, changed_charges: list[Row]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    old, new = _versions(before), _versions(after)
    for version in old ^ new:
        team, valid_from = version[0], version[-1]
        found[team] = min(found.get(team, valid_from), valid_from)
    for team in {row["team_id"] for row in changed_charges}:
        organizations = [version[1] for version in old | new if version[0] == team]
        if organizations and None not in organizations:
            continue
        charges = [row for row in changed_charges if row["team_id"] == team]
        if any(row["organization_id"] for row in charges) or _names_two_at_once(after, team):
            found[team] = datetime.min
    return found


def _names_two_at_once(raw: Raw, team: str) -> bool:
    named: dict[datetime, set[str]] = {}
    for row in raw["credit_transactions"]:
        if row["team_id"] == team and row["organization_id"]:
            named.setdefault(row["created_at"], set()).add(row["organization_id"])
    return any(len(organizations) > 1 for organizations in named.values())


def _days_of_team(raw: Raw, team: str, since: datetime) -> set[date]:
    jobs = {row["job_id"]: row["created_at"] for row in raw["jobs"] if row["team_id"] == team}
    clocks = list(jobs.values())
    clocks += [row["created_at"] for row in raw["credit_transactions"] if row["team_id"] == team]
    days = {clock.date() for clock in clocks if clock.date() >= since.date()}
    return days | {
        row["created_at"].date()
        for row in raw["llm_calls"]
        if row["job_id"] in jobs and max(row["created_at"], jobs[row["job_id"]]).date() >= since.date()
    }


def expected_related(raw: Raw) -> set[tuple[date, date]]:
    jobs = {row["job_id"]: row["created_at"].date() for row in raw["jobs"]}
    return {
        (jobs[row["job_id"]], row["created_at"].date())
        for name in ("llm_calls", "credit_transactions")
        for row in raw[name]
        if row["job_id"] in jobs
    }


def expected_counts(raw: Raw) -> dict[tuple[str, date], int]:
    jobs = {row["job_id"]: row["created_at"] for row in raw["jobs"]}
    counts: dict[tuple[str, date], int] = {}
    for table in DAY_TABLES:
        for row in raw[table.name]:
            clock = row.get("created_at") or jobs.get(row["job_id"]) or row["calculated_at"]
            place = (table.name, clock.date() if clock else NO_DAY)
            counts[place] = counts.get(place, 0) + 1
    return counts
