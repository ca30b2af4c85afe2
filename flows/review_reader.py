"""The figures of reviews, out of schema `reviews` of the published warehouse.

Moves figures from rows into the report's own objects; decides nothing about them. Many scopes of one period
are read with one query for each table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from flows.errors import AlmanacError
from flows.review_scopes import PLATFORM, Kind, Period, Scope
from flows.warehouse import Reader
from reports import review as figures

if TYPE_CHECKING:
    from flows.alert_recap import Recap
    from reports.review import Provenance, Review

Row = TypeVar("Row")

# Periods that an error names; it says how many more there are.
_SHOWN_PERIODS = 5

# Each list of a review: its table, what a row becomes, and an order that leaves none open.
_LISTS: tuple[tuple[str, str, type[Any], str], ...] = (
    ("kpis", "review_kpis", figures.Kpi, "metric_position"),
    ("trends", "review_trends", figures.TrendPoint, "metric, panel, position"),
    (
        "drivers",
        "review_drivers",
        figures.Driver,
        "case dimension when 'model' then 1 when 'team' then 2 else 3 end, list_position",
    ),
    ("bridge", "review_bridge", figures.BridgeStep, "step_position"),
    ("models", "review_models", figures.ModelRow, "list_position"),
    ("parts", "review_parts", figures.PartRow, "dimension desc, list_position"),
    (
        "part_rows",
        "review_part_rows",
        figures.PartTotal,
        "dimension, client_cost_usd desc nulls last, part_name",
    ),
    ("errors", "review_errors", figures.ErrorRow, "list_position"),
    ("failed_jobs", "review_failed_jobs", figures.FailedJob, "list_position"),
    ("slow_calls", "review_slow_calls", figures.SlowCall, "list_position"),
    ("latency", "review_latency", figures.LatencyRow, "list_position"),
    ("uptime", "review_uptime", figures.UptimeRow, "list_position"),
    ("statement", "review_statements", figures.StatementLine, "line_position"),
    ("balances", "review_balances", figures.BalanceRow, "list_position"),
    ("restatements", "review_restatements", figures.Restatement, "list_position"),
    ("decisions", "review_decisions", figures.Decision, "list_position"),
    ("cohorts", "review_cohorts", figures.CohortRow, "list_position"),
    ("model_shares", "review_model_shares", figures.ModelShare, "month_start_date, list_position"),
    ("forecasts", "review_forecasts", figures.Forecast, "metric"),
    ("findings", "review_findings", figures.Finding, "affected_row_count desc, rule, table_name"),
)
# Columns of a dataclass that come from another table.
_FROM_ELSEWHERE = {"points"}


@dataclass(frozen=True, slots=True)
class Source:
    """What is the same for every review of one published night."""

    models_hash: str
    program_version: str


def complete_periods(connection: Reader, kind: Kind) -> list[Period]:
    """The periods of the platform that can be reviewed, newest first."""
    rows = query(
        connection,
        "select period_start_date from warehouse.reviews.review_verdicts "
        "where review_kind = ? and scope_kind = 'platform' and is_complete order by period_start_date desc",
        [kind.value],
    )
    return [kind.containing(start_date) for (start_date,) in rows]


def scopes_of(connection: Reader, kind: Kind, period: Period) -> list[Scope]:
    """Whose reviews there are of a complete period: the platform, then organizations, then teams."""
    rows = query(
        connection,
        "select scope_kind, scope_id from warehouse.reviews.review_verdicts "
        "where review_kind = ? and period_start_date = ? and is_complete",
        [kind.value, period.start_date],
    )
    order = {"platform": 0, "organization": 1, "team": 2}
    return sorted((Scope(*row) for row in rows), key=lambda scope: (order[scope.kind], scope.id))


def read_reviews(
    connection: Reader,
    kind: Kind,
    period: Period,
    scopes: Sequence[Scope],
    source: Source,
    recap: Recap | None = None,
) -> Iterator[Review]:
    """The reviews of some scopes in one period, in their order; `recap` has the period's alerts.

    Raises AlmanacError, which names the periods there are, for a scope without a review of it.
    """
    of_scope = _only(scopes)
    rows: dict[str, dict[Scope, list[Any]]] = {}
    for name, table, row_type, order in (
        ("verdict", "review_verdicts", figures.Verdict, "scope_id"),
        *_LISTS,
    ):
        rows[name] = _rows(connection, table, row_type, order, kind, period, of_scope)
    rows["freshness"] = _rows(
        connection, "review_freshness", figures.Freshness, "scope_id", kind, period, of_scope
    )
    points = _points(connection, kind, period, of_scope)
    credits = _credits(connection, of_scope)
    for scope in scopes:
        verdicts = rows["verdict"].get(scope, [])
        if not verdicts or not verdicts[0].is_complete:
            raise AlmanacError(_no_review(connection, kind, period, scope, is_open=bool(verdicts)))
        kpis = tuple(
            replace(kpi, points=tuple(points.get((scope, kpi.metric), ())))
            for kpi in rows["kpis"].get(scope, [])
        )
        review = figures.Review(
            verdict=verdicts[0],
            kpis=kpis,
            credits=tuple(credits.get(scope, ())),
            freshness=rows["freshness"][scope][0],
            provenance=_provenance(kpis, source),
            alerts=recap.of(scope) if recap else None,
            **{name: tuple(rows[name].get(scope, ())) for name, *_ in _LISTS if name != "kpis"},  # type: ignore[arg-type]
        )
        yield review


def read_lists(
    connection: Reader, kind: Kind, period: Period, scope: Scope, names: Sequence[str]
) -> dict[str, tuple[Any, ...]]:
    """Some lists of one scope's review, by the names of Review's fields; empty where there is no review."""
    only = _only([scope])
    tables: dict[str, tuple[str, type[Any], str]] = {
        "verdict": ("review_verdicts", figures.Verdict, "scope_id"),
        **{name: (table, row_type, order) for name, table, row_type, order in _LISTS},
    }
    lists: dict[str, tuple[Any, ...]] = {
        name: tuple(_rows(connection, *tables[name], kind, period, only).get(scope, ())) for name in names
    }
    if "kpis" in lists:
        points = _points(connection, kind, period, only)
        lists["kpis"] = tuple(
            replace(kpi, points=tuple(points.get((scope, kpi.metric), ()))) for kpi in lists["kpis"]
        )
    return lists


def read_credits(connection: Reader, scope: Scope) -> tuple[figures.CreditRow, ...]:
    """The scope's teams closest to running out of credits, as of the published night."""
    return tuple(_credits(connection, _only([scope])).get(scope, ()))


def printed_figures(kpis: Sequence[Any], statement: Sequence[Any]) -> list[list[str | None]]:
    """What makes one edition of a review another one: the judged figures, and the statement's lines."""
    rows: list[list[str | None]] = [
        [kpi.metric, kpi.label, kpi.unit, _text(kpi.value), kpi.status] for kpi in kpis
    ]
    return rows + [
        [f"statement.{line.line}", line.line, "credits", str(line.credits), ""] for line in statement
    ]


def figures_json(rows: list[list[str | None]]) -> bytes:
    """The printed figures as the archive keeps them; equal figures, equal bytes."""
    return json.dumps(rows, ensure_ascii=True, separators=(",", ":")).encode()


def query(connection: Reader, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """The rows of one of our own queries on schema `reviews`."""
    import duckdb  # 0.1 s to import; only readers pay

    try:
        return connection.execute(sql, parameters or []).fetchall()
    except duckdb.Error as error:
        raise AlmanacError(
            f"The published warehouse has no usable schema `reviews` ({str(error).splitlines()[0]}). "
            "Run `almanac nightly` again; it replaces the warehouse."
        ) from error


def _provenance(kpis: tuple[Any, ...], source: Source) -> Provenance:
    digest = hashlib.sha256(figures_json(printed_figures(kpis, ()))).hexdigest()
    return figures.Provenance(
        run_id=digest[:8],
        program_version=source.program_version,
        models_hash=source.models_hash,
        check_count=None,
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _only(scopes: Sequence[Scope]) -> tuple[str, list[Any]]:
    """A condition that few scopes are read alone; many are filtered here."""
    if len(scopes) == 1:
        return "and scope_kind = ? and scope_id = ?", [scopes[0].kind, scopes[0].id]
    return "", []


def _rows(
    connection: Reader,
    table: str,
    row_type: type[Row],
    order: str,
    kind: Kind,
    period: Period,
    only: tuple[str, list[Any]],
) -> dict[Scope, list[Row]]:
    names = [field.name for field in fields(row_type) if field.name not in _FROM_ELSEWHERE]  # type: ignore[arg-type]
    found: dict[Scope, list[Row]] = {}
    for scope_kind, scope_id, *values in query(
        connection,
        f"select scope_kind, scope_id, {', '.join(names)} from warehouse.reviews.{table} "
        f"where review_kind = ? and period_start_date = ? {only[0]} order by {order}",
        [kind.value, period.start_date, *only[1]],
    ):
        row = row_type(**dict(zip(names, values, strict=True)))
        found.setdefault(Scope(scope_kind, scope_id), []).append(row)
    return found


def _points(
    connection: Reader, kind: Kind, period: Period, only: tuple[str, list[Any]]
) -> dict[tuple[Scope, str], list[Any]]:
    found: dict[tuple[Scope, str], list[Any]] = {}
    for scope_kind, scope_id, metric, *values in query(
        connection,
        "select scope_kind, scope_id, metric, position, point_start_date, value "
        f"from warehouse.reviews.review_points where review_kind = ? and period_start_date = ? {only[0]} "
        "order by position",
        [kind.value, period.start_date, *only[1]],
    ):
        found.setdefault((Scope(scope_kind, scope_id), metric), []).append(figures.Point(*values))
    return found


def _credits(connection: Reader, only: tuple[str, list[Any]]) -> dict[Scope, list[Any]]:
    names = [field.name for field in fields(figures.CreditRow)]
    found: dict[Scope, list[Any]] = {}
    for scope_kind, scope_id, *values in query(
        connection,
        f"select scope_kind, scope_id, {', '.join(names)} from warehouse.reviews.review_credits "
        f"where true {only[0]} order by list_position",
        list(only[1]),
    ):
        found.setdefault(Scope(scope_kind, scope_id), []).append(
            figures.CreditRow(**dict(zip(names, values, strict=True)))
        )
    return found


def _no_review(connection: Reader, kind: Kind, period: Period, scope: Scope, *, is_open: bool) -> str:
    name = f"{kind.noun.capitalize()} {period.label}"
    periods = complete_periods(connection, kind)
    if scope != PLATFORM and period in periods:
        return (
            f"There is no {kind.value} review of {scope} for {period.label}: it did nothing in that "
            f"{kind.noun} and the one before, or the {kind.noun} is further back than tenants' reviews go. "
            f"`almanac review list {kind.value} {period.label}` names whose there are."
        )
    reason = "is not over yet in the published data" if is_open else "is not in the published data"
    if not periods:
        return f"{name} {reason}; no {kind.noun} is complete. Run `almanac nightly` when one has ended."
    listed = ", ".join(there.label for there in periods[:_SHOWN_PERIODS])
    more = f" and {len(periods) - _SHOWN_PERIODS} earlier ones" if len(periods) > _SHOWN_PERIODS else ""
    return (
        f"{name} {reason}. Complete {kind.noun}s are {listed}{more}; "
        "name one of them, or run `almanac nightly`."
    )
