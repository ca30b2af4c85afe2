"""The numbers that every peer computes, and how far two peers' are apart.

A peer leaves each table as `<table>.parquet` in a folder or as a table of a DuckDB file; a published
warehouse holds them in schema `marts`. Money is in USD, latency in milliseconds.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PERIODS = {"daily": "day", "weekly": "week", "monthly": "month"}
KEYS: dict[str, tuple[str, ...]] = {
    "team_usage": ("team_id",),
    "organization_usage": ("organization_id",),
    "platform_usage": (),
    "model_usage": ("team_id", "model_group", "model"),
    "model_performance": ("model_group", "model"),
}


class Tolerance(NamedTuple):
    """The greatest difference that two right answers have: a sum of three."""

    absolute: float = 0.0
    # of the number
    share: float = 0.0
    # for each call behind it
    per_call: float = 0.0


# Ours rounds a percentile to a hundredth of its unit, an average to a thousandth and the client cost of each
# call to a hundred-millionth of a dollar; peers add up floats.
EXACT, ROUNDED = Tolerance(), Tolerance(absolute=0.006)
PROVIDER_COST = Tolerance(absolute=1e-6, share=1e-7)
CLIENT_COST = PROVIDER_COST._replace(per_call=5e-9)
CALL_MEASURES = {
    "call_count": EXACT,
    "failed_call_count": EXACT,
    "prompt_tokens": EXACT,
    "completion_tokens": EXACT,
    "total_tokens": EXACT,
    "provider_cost_usd": PROVIDER_COST,
    "client_cost_usd": CLIENT_COST,
    "latency_avg_ms": ROUNDED,
    "latency_p50_ms": ROUNDED,
    "latency_p95_ms": ROUNDED,
    "latency_p99_ms": ROUNDED,
    "latency_max_ms": ROUNDED,
}
USAGE_MEASURES = {
    "job_count": EXACT,
    "completed_job_count": EXACT,
    "failed_job_count": EXACT,
    "active_user_count": EXACT,
    "avg_job_seconds": ROUNDED,
    "p95_job_seconds": ROUNDED,
    **CALL_MEASURES,
    "credits_used": EXACT,
    "credits_added": EXACT,
}


def measures(kind: str) -> dict[str, Tolerance]:
    """The measures of a kind of table with their tolerances."""
    return CALL_MEASURES if kind.startswith("model") else USAGE_MEASURES


def tables() -> Iterator[tuple[str, str, str]]:
    """Every table: its name, its kind, and the period as SQL names it."""
    for kind in KEYS:
        for suffix, period in PERIODS.items():
            yield f"{kind}_{suffix}", kind, period


@dataclass(frozen=True, slots=True)
class Difference:
    """The greatest distance of two answers in one measure of a table, and whether it is tolerated."""

    table: str
    measure: str
    rows: int
    greatest: float
    is_within: bool

    def __str__(self) -> str:
        return f"{self.table}.{self.measure}: {self.greatest:g} at most in {self.rows:,} rows"


def differences(
    ours: Path, theirs: Path, only: frozenset[str] = frozenset(), *, is_partial: bool = False
) -> list[Difference]:
    """Compare all tables of two places (or `only` these), row by row; a row that one lacks counts as zeros.

    With `is_partial` only the rows that both have are compared: of a peer that did not come to the end.
    Raises FileNotFoundError when a place does not exist, and duckdb.Error when it lacks a table.
    """
    import duckdb

    found: list[Difference] = []
    with closing(duckdb.connect()) as connection:
        sides = [_opened(connection, place, name) for place, name in ((ours, "ours"), (theirs, "theirs"))]
        for table, kind, _ in tables():
            if only and table not in only:
                continue
            relations = [side.format(table=table) for side in sides]
            join = "inner" if is_partial else "full"
            found.extend(_compared(connection, table, kind, relations, join))
    return found


def _opened(connection: "DuckDBPyConnection", place: Path, name: str) -> str:
    """A template of the place's tables, to be read in the connection."""
    if not place.exists():
        raise FileNotFoundError(place)
    text = str(place).replace("'", "''")
    if place.is_dir():
        return f"'{text}/{{table}}.parquet'"
    connection.execute(f"attach '{text}' as {name} (read_only)")
    row = connection.execute(
        "select count(*) > 0 from duckdb_schemas() where database_name = ? and schema_name = 'marts'", [name]
    ).fetchone()
    schema = "marts" if row and row[0] else "main"
    return f"{name}.{schema}.{{table}}"


def _compared(
    connection: "DuckDBPyConnection", table: str, kind: str, relations: list[str], join: str
) -> Iterator[Difference]:
    keys = ("period_start_date", *KEYS[kind])
    held = measures(kind)
    columns = [f"cast(coalesce({name}, 0) as double) as {name}" for name in held]
    selected = ["cast(period_start_date as date) as period_start_date", *KEYS[kind], *columns]
    query = "select {} from ({})"
    sides = [query.format(", ".join(selected), f"from {relation}") for relation in relations]
    results = []
    for name, tolerance in held.items():
        one, other = (f"coalesce({side}.{name}, 0)" for side in ("ours", "theirs"))
        apart = f"abs({one} - {other})"
        tolerated = (
            f"{tolerance.absolute} + {tolerance.share} * abs({one}) "
            f"+ {tolerance.per_call} * coalesce(ours.call_count, 0)"
        )
        results += [f"max({apart})", f"coalesce(bool_and({apart} <= {tolerated}), true)"]
    row = connection.execute(
        f"select count(*), {', '.join(results)} from ({sides[0]}) as ours "
        f"{join} join ({sides[1]}) as theirs using ({', '.join(keys)})"
    ).fetchone()
    assert row is not None
    for number, name in enumerate(held):
        greatest, is_within = row[1 + 2 * number : 3 + 2 * number]
        yield Difference(table, name, int(row[0]), float(greatest or 0), bool(is_within))
