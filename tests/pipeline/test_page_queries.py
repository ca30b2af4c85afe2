"""Every SQL query of the platform's monitoring page runs as printed on the published demo, and answers right.

The text is docs/page-queries.sql, byte by byte the page's. It runs through the project's own reader, on a day
of the tape; the answers are recomputed here in Python from the tape's CSV files, with the meanings that
schema `compat` documents.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any

import psycopg
import pytest

from flows.publish_postgres import publish_generation
from flows.settings import Settings
from flows.warehouse import open_published
from flows.warehouse_postgres import connect, prepare_generation
from tests.engines import build_on_postgres, create_database_of_another_language
from tests.oracle.platforms import Platform
from tests.oracle.tape import read_tape
from tests.postgres_server import PostgresServer
from tests.published import ROOT, TAPE, TAPE_AS_OF, Published, Tape

Row = dict[str, Any]
Key = tuple[Any, ...]

TODAY = datetime(2026, 11, 22)
PAGE = ROOT.parent / "shared" / "spec" / "monitoring-and-analytics.txt"


def printed_queries() -> dict[str, str]:
    """The page's queries by the comment that each begins with."""
    text = (ROOT / "docs" / "page-queries.sql").read_text(encoding="utf-8")
    queries = text.removesuffix("\n").split("\n\n")
    return {query.split("\n")[0].removeprefix("-- "): query for query in queries}


QUERIES = printed_queries()


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def reader(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The published tape in each engine, on a day of the tape instead of the real one."""
    if request.param == "duckdb":
        published: Published = request.getfixturevalue("published")
        with closing(open_published(published.settings.warehouse_path)) as connection:
            connection.execute(f"create macro memory.main.current_date() as date '{TODAY:%Y-%m-%d}'")
            yield connection
    else:
        with published_in_postgres(request.getfixturevalue("postgres_server")) as warehouse:
            yield PostgresReader(warehouse)


@contextmanager
def published_in_postgres(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """The tape's marts built and published in a database."""
    settings = Settings(
        target="postgres", warehouse_url=create_database_of_another_language(server, "page"), source=None
    )
    with closing(connect(settings)) as warehouse:
        generation = prepare_generation(warehouse)
        build_on_postgres(warehouse, Platform(read_tape(TAPE), TAPE_AS_OF, "UTC"), generation.prefix)
        publish_generation(warehouse, settings, generation)
        yield warehouse


class PostgresReader:
    """PostgreSQL, where today cannot be set: a query is run as printed, and then as of a day of the tape."""

    def __init__(self, warehouse: psycopg.Connection[Any]) -> None:
        self._warehouse = warehouse

    def execute(self, sql: str, *, search_path: str = "compat") -> psycopg.Cursor[Any]:
        self._warehouse.execute(f"set search_path = {search_path}".encode())
        if "CURRENT_DATE" in sql and "CREATE VIEW" not in sql:
            self._warehouse.execute(sql.encode())
        return self._warehouse.execute(sql.replace("CURRENT_DATE", f"date '{TODAY:%Y-%m-%d}'").encode())


def answer(reader: Any, sql: str, **search_path: str) -> list[Row]:
    """The rows; a search path other than compat is for PostgreSQL, DuckDB's reader finds marts and compat."""
    options = search_path if isinstance(reader, PostgresReader) else {}
    cursor = reader.execute(sql, **options)
    if cursor.description is None:
        return []
    names = [str(column[0]) for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


# --- what the tape says, in the meanings of schema compat


def jobs_of(tape: Tape) -> list[Row]:
    """Jobs with their status in lower case and the organization of their team."""
    organizations = {row["team_id"]: row["organization_id"] for row in tape["credit_transactions"]}
    organizations |= {row["team_id"]: row["organization_id"] for row in tape["team_credits"]}
    return [
        {**job, "status": job["status"].lower(), "organization_id": organizations[job["team_id"]]}
        for job in tape["jobs"]
    ]


def calls_of(tape: Tape) -> list[Row]:
    """Calls with what is known of their cost: provider cost as cost_usd, and the client's."""
    teams = {job["job_id"]: job["team_id"] for job in tape["jobs"]}
    markups = {team["team_id"]: team["cost_markup_percentage"] for team in tape["team_credits"]}
    calls = []
    for call in tape["llm_calls"]:
        cost = call["provider_cost_usd"] or call["cost_usd"] or (Decimal(0) if call["error"] else None)
        client_cost, markup = call["client_cost_usd"], markups.get(teams[call["job_id"]])
        if cost is None:
            client_cost = None
        elif client_cost is None and markup is not None:
            client_cost = (cost * (100 + markup) / 100).quantize(Decimal("1e-8"), ROUND_HALF_UP)
        calls.append({**call, "cost_usd": cost, "client_cost_usd": client_cost})
    return calls


def summaries_of(tape: Tape) -> dict[str, Row]:
    """One summary per job, from its calls; mean latency of the successful ones, to the microsecond."""
    calls: dict[str, list[Row]] = {job["job_id"]: [] for job in tape["jobs"]}
    for call in calls_of(tape):
        calls[call["job_id"]].append(call)
    return {
        job_id: {
            "total_calls": len(rows),
            "total_tokens": sum(row["total_tokens"] for row in rows),
            "total_cost_usd": total([row["client_cost_usd"] for row in rows]) if rows else Decimal(0),
            "avg_latency_ms": rounded_mean([row["latency_ms"] for row in rows if row["error"] is None]),
        }
        for job_id, rows in calls.items()
    }


def total(values: list[Any]) -> Any:
    """SQL's sum: of the known values, None when there is none."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def mean(values: list[Any]) -> float | None:
    """SQL's avg, as people's engines give it: a double."""
    known = [float(value) for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def rounded_mean(values: list[int | None]) -> Decimal | None:
    known = [Decimal(value) for value in values if value is not None]
    if not known:
        return None
    return (sum(known, Decimal(0)) / len(known)).quantize(Decimal("0.001"), ROUND_HALF_UP)


def percentile(values: list[int], fraction: float) -> float:
    """The continuous percentile: linear between the two rows around its place."""
    ordered = sorted(values)
    place = fraction * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def grouped(rows: list[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def since(rows: list[Row], start: datetime) -> list[Row]:
    return [row for row in rows if row["created_at"] >= start]


def same(found: list[Row], keys: list[str], expected: dict[Key, Row], **tolerance: float) -> None:
    """The same rows, whatever their order; doubles up to their precision, everything else exactly."""
    by_key = {tuple(row[key] for key in keys): row for row in found}
    assert len(by_key) == len(found)
    assert by_key.keys() == expected.keys()
    for key, row in expected.items():
        for name, value in row.items():
            if isinstance(value, float):
                allowed = tolerance.get(name, 0)
                # PostgreSQL's averages of whole numbers and decimals are decimals
                assert float(by_key[key][name]) == pytest.approx(value, rel=1e-9, abs=allowed), (key, name)
            else:
                assert by_key[key][name] == value, (key, name)


def assert_descends(rows: list[Row], *names: str) -> None:
    values = [tuple(row[name] for name in names) for row in rows]
    assert values == sorted(values, reverse=True)


# --- the queries


def test_the_text_is_the_pages(published: Published) -> None:
    assert len(QUERIES) == 11
    if not PAGE.is_file():
        pytest.skip("the page is not beside this tree; it was compared when the copy was made")
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name, query in QUERIES.items() if query + "\n" not in page] == []
    assert page.count("\n-- ") == len(QUERIES)


def test_the_pages_names_are_the_compat_tables(reader: Any) -> None:
    for table in (
        *("jobs", "llm_calls", "credit_transactions", "team_credits", "organizations"),
        *("job_cost_summaries", "team_usage_summaries"),
    ):
        # where a bare name leads
        found = answer(reader, f"select * from {table}")
        assert len(found) == len(answer(reader, f"select * from compat.{table}")) > 0


def test_job_statistics_of_the_current_month(reader: Any, tape: Tape) -> None:
    found = answer(reader, QUERIES["Get job statistics for the current month"])
    jobs = since(jobs_of(tape), datetime(2026, 11, 1))
    expected = {
        key: {
            "job_count": len(rows),
            "avg_duration_seconds": mean(
                [
                    (row["completed_at"] - row["created_at"]) / timedelta(seconds=1)
                    for row in rows
                    if row["completed_at"]
                ]
            ),
        }
        for key, rows in grouped(jobs, lambda row: (row["job_type"], row["status"])).items()
    }
    same(found, ["job_type", "status"], expected, avg_duration_seconds=1e-6)
    assert_descends(found, "job_count")


def test_model_usage_statistics(reader: Any, tape: Tape) -> None:
    found = answer(reader, QUERIES["Get model usage statistics"])
    calls = since(calls_of(tape), TODAY - timedelta(days=7))
    expected = {
        key: {
            "call_count": len(rows),
            "total_tokens": sum(row["total_tokens"] for row in rows),
            "total_cost_usd": total([row["cost_usd"] for row in rows]),
            "avg_latency_ms": mean([row["latency_ms"] for row in rows]),
        }
        for key, rows in grouped(calls, lambda row: (row["model_group_used"], row["resolved_model"])).items()
    }
    same(found, ["model_group_used", "resolved_model"], expected)
    assert_descends(found, "call_count")


def test_cost_summary_of_all_jobs(reader: Any, tape: Tape) -> None:
    found = answer(reader, QUERIES["Get cost summary for all jobs"])
    summaries = summaries_of(tape)
    jobs = since(jobs_of(tape), TODAY - timedelta(days=30))
    expected = {
        key: {
            "total_jobs": len(rows),
            "total_api_calls": sum(summaries[row["job_id"]]["total_calls"] for row in rows),
            "total_tokens": sum(summaries[row["job_id"]]["total_tokens"] for row in rows),
            "total_cost_usd": total([summaries[row["job_id"]]["total_cost_usd"] for row in rows]),
            "avg_latency_ms": mean([summaries[row["job_id"]]["avg_latency_ms"] for row in rows]),
        }
        for key, rows in grouped(jobs, lambda row: (row["team_id"], row["organization_id"])).items()
    }
    same(found, ["team_id", "organization_id"], expected)


def test_monthly_usage_summaries(reader: Any, tape: Tape) -> None:
    found = answer(reader, QUERIES["Get monthly usage summaries for all teams"])
    jobs = {job["job_id"]: job for job in jobs_of(tape)}
    by_month: dict[Key, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs.values():
        by_month[job["team_id"], f"{job['created_at']:%Y-%m}"]["jobs"].append(job)
    for call in calls_of(tape):
        team = jobs[call["job_id"]]["team_id"]
        by_month[team, f"{call['created_at']:%Y-%m}"]["calls"].append(call)
    for row in tape["credit_transactions"]:
        by_month[row["team_id"], f"{row['created_at']:%Y-%m}"]["credits"].append(row)
    expected, breakdowns = {}, {}
    for key, rows in by_month.items():
        calls = rows["calls"]
        statuses = Counter(job["status"] for job in rows["jobs"])
        expected[key] = {
            "period_type": "monthly",
            "total_jobs": len(rows["jobs"]),
            "successful_jobs": statuses["completed"],
            "failed_jobs": statuses["failed"],
            "total_cost_usd": total([call["client_cost_usd"] for call in calls]) if calls else Decimal(0),
            "total_tokens": sum(call["total_tokens"] for call in calls),
        }
        costs: dict[str, list[Any]] = defaultdict(list)
        for call in calls:
            costs[jobs[call["job_id"]]["job_type"]].append(call["client_cost_usd"])
        counts = Counter(job["job_type"] for job in rows["jobs"])
        breakdowns[key] = {
            job_type: {
                "count": counts[job_type],
                "cost_usd": total(costs[job_type]) if job_type in costs else 0,
            }
            for job_type in {*counts, *costs}
        }
    same(found, ["team_id", "period"], expected)
    for row in found:
        printed = json.loads(row["job_type_breakdown"], parse_float=Decimal)
        unassigned = printed.pop("unassigned", {"count": 0, "cost_usd": 0})
        assert unassigned == {"count": 0, "cost_usd": 0}  # payments and other rows without a job
        wanted = breakdowns[row["team_id"], row["period"]]
        # a month may hold only the charge of a job made before it
        assert {name: value for name, value in printed.items() if name in wanted} == wanted
        assert all(printed[name] == {"count": 0, "cost_usd": 0} for name in printed.keys() - wanted.keys())
    assert [row["period"] for row in found] == sorted((row["period"] for row in found), reverse=True)


@pytest.mark.parametrize("team", ["team_abc123", "acme-docs", "globex-rnd"])
def test_daily_credit_consumption(reader: Any, tape: Tape, team: str) -> None:
    query = QUERIES["Daily credit consumption trend"]
    assert query.count("team_abc123") == 1
    found = answer(reader, query.replace("team_abc123", team))
    rows = [row for row in tape["credit_transactions"] if row["team_id"] == team]
    expected = {
        key: {
            "credits_used": sum(
                abs(row["credits_amount"]) for row in day if row["transaction_type"] == "deduction"
            ),
            "credits_added": sum(
                row["credits_amount"] for row in day if row["transaction_type"] == "allocation"
            ),
        }
        for key, day in grouped(
            since(rows, TODAY - timedelta(days=30)), lambda row: (row["created_at"].date(),)
        ).items()
    }
    assert bool(expected) == (team != "team_abc123")
    same(found, ["date"], expected)
    assert_descends(found, "date")


def test_top_teams_by_credit_consumption(reader: Any, tape: Tape) -> None:
    found = answer(reader, QUERIES["Top teams by credit consumption"])
    teams = {team["team_id"]: team for team in tape["team_credits"] if team["credits_allocated"] > 0}
    shares = {
        team_id: round(team["credits_used"] / team["credits_allocated"] * 100, 2)
        for team_id, team in teams.items()
    }
    # ::float has 24 bits on DuckDB
    printed = [row["usage_percentage"] for row in found]
    assert printed == pytest.approx(sorted(shares.values(), reverse=True)[:20], rel=1e-6)
    for row in found:
        team = teams[row["team_id"]]
        assert row["usage_percentage"] == pytest.approx(shares[row["team_id"]], rel=1e-6)
        assert {name: row[name] for name in row if name != "usage_percentage"} == {
            name: team[name] for name in row if name != "usage_percentage"
        }


def test_latency_by_model_group(reader: Any, tape: Tape) -> None:
    found = answer(reader, QUERIES["Average latency by model group"])
    calls = [
        call for call in since(calls_of(tape), TODAY - timedelta(hours=24)) if call["latency_ms"] is not None
    ]
    expected = {}
    for key, rows in grouped(calls, lambda row: (row["model_group_used"],)).items():
        latencies = [row["latency_ms"] for row in rows]
        expected[key] = {
            "call_count": len(rows),
            "avg_latency_ms": mean(latencies),
            "min_latency_ms": min(latencies),
            "max_latency_ms": max(latencies),
            "p50_latency_ms": percentile(latencies, 0.5),
            "p95_latency_ms": percentile(latencies, 0.95),
            "p99_latency_ms": percentile(latencies, 0.99),
        }
    same(found, ["model_group_used"], expected)
    assert_descends(found, "avg_latency_ms")


def test_error_rates_by_job_type(reader: Any, tape: Tape) -> None:
    found = answer(reader, QUERIES["Error rates by job type"])
    jobs = since(jobs_of(tape), TODAY - timedelta(days=7))
    expected = {}
    for key, rows in grouped(jobs, lambda row: (row["job_type"],)).items():
        failed = sum(row["status"] == "failed" for row in rows)
        expected[key] = {
            "total_jobs": len(rows),
            "failed_jobs": failed,
            "error_rate": round(failed / len(rows) * 100, 2),
        }
    assert sum(row["failed_jobs"] for row in expected.values()) > 0
    same(found, ["job_type"], expected, error_rate=1e-5)
    assert_descends(found, "error_rate")


def test_the_dashboard_view(reader: Any, tape: Tape) -> None:
    query = QUERIES["Create a view for quick dashboard queries"]
    assert "\nCREATE VIEW monitoring_dashboard AS\n" in query
    # compat has a monitoring_dashboard of its own, so people's goes into their own schema before it
    answer_in_own = partial(answer, reader, search_path="own, compat")
    if isinstance(reader, PostgresReader):
        reader.execute("create schema own")
    answer_in_own(query)
    (found,) = answer_in_own("SELECT * FROM monitoring_dashboard")
    answer_in_own("drop view monitoring_dashboard")
    summaries = summaries_of(tape)
    jobs = since(jobs_of(tape), TODAY)
    of_jobs = [summaries[job["job_id"]] for job in jobs]
    expected = {
        "active_teams": len({job["team_id"] for job in jobs}),
        "total_jobs_today": len(jobs),
        "successful_jobs_today": sum(job["status"] == "completed" for job in jobs),
        "failed_jobs_today": sum(job["status"] == "failed" for job in jobs),
        "total_cost_today": total([summary["total_cost_usd"] for summary in of_jobs]),
        "avg_latency_today": mean([summary["avg_latency_ms"] for summary in of_jobs]),
    }
    same([{"dashboard": 1, **found}], ["dashboard"], {(1,): expected})


def test_weekly_performance_report(reader: Any, tape: Tape) -> None:
    found = answer(reader, QUERIES["Weekly performance report"])
    summaries = summaries_of(tape)
    jobs = since(jobs_of(tape), TODAY - timedelta(weeks=12))
    expected = {}
    for key, rows in grouped(jobs, lambda row: (monday(row["created_at"]),)).items():
        of_jobs = [summaries[row["job_id"]] for row in rows]
        expected[key] = {
            "total_jobs": len(rows),
            "avg_cost_per_job": mean([summary["total_cost_usd"] for summary in of_jobs]),
            "avg_latency": mean([summary["avg_latency_ms"] for summary in of_jobs]),
            "error_rate": sum(row["status"] == "failed" for row in rows) / len(rows) * 100,
        }
    same([{**row, "week": as_date(row["week"])} for row in found], ["week"], expected, error_rate=1e-5)
    assert_descends(found, "week")


def monday(instant: datetime) -> date:
    return (instant - timedelta(days=instant.weekday())).date()


def as_date(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def test_slow_calls(reader: Any, tape: Tape) -> None:
    found = answer(reader, QUERIES["Find slow API calls"])
    calls = since(calls_of(tape), TODAY - timedelta(hours=24))
    slow = {call["call_id"]: call for call in calls if (call["latency_ms"] or 0) > 5000}
    assert 0 < len(slow) <= 50
    names = ["job_id", "model_group_used", "resolved_model", "latency_ms", "total_tokens", "created_at"]
    expected = {(call_id,): {name: call[name] for name in names} for call_id, call in slow.items()}
    same(found, ["call_id"], expected)
    assert_descends(found, "latency_ms")


# --- docs/page-queries.md: what misleads, and what to ask instead


def document() -> str:
    return (ROOT / "docs" / "page-queries.md").read_text(encoding="utf-8")


def instead_queries() -> dict[str, str]:
    """The queries that the document gives, by the heading that they stand under."""
    queries = {}
    for section in document().split("\n## ")[1:]:
        heading = section.split("\n")[0]
        for number, block in enumerate(section.split("```sql\n")[1:], start=1):
            queries[f"{heading} {number}"] = block.split("\n```")[0]
    return queries


def test_every_query_has_its_section() -> None:
    headings = [section.split("\n")[0] for section in document().split("\n## ")[1:]]
    assert headings == list(QUERIES)


@pytest.mark.parametrize("name", instead_queries())
def test_the_query_to_use_instead_answers(reader: Any, name: str) -> None:
    assert answer(reader, instead_queries()[name], search_path="marts, compat")


RAW_JOBS = "landing.raw.jobs as jobs join landing.raw.job_cost_summaries as summaries using (job_id)"


@pytest.mark.parametrize(
    ("quoted", "sql"),
    [
        (
            "$6.650716 over the week",
            "select '$' || cast(sum(cost_usd) as decimal(9, 6)) || ' over the week' "
            "from landing.raw.llm_calls where created_at >= date '2026-11-15'",
        ),
        (
            "cost $6.65061808, and",
            "select 'cost $' || sum(provider_cost_usd) || ', and' "
            "from fct_llm_calls where call_date >= date '2026-11-15'",
        ),
        (
            "what clients pay, $9.75885474. 29 successful calls",
            "select 'what clients pay, $' || sum(client_cost_usd) || '. ' || "
            "count(*) filter (is_unpriced) || ' successful calls' "
            "from fct_llm_calls where call_date >= date '2026-11-15'",
        ),
        (
            "the 122 of 1,268 jobs",
            "select 'the ' || count(*) filter (job_id not in "
            "(select job_id from landing.raw.job_cost_summaries)) || ' of ' "
            "|| format('{:,}', count(*)) || ' jobs' "
            "from fct_jobs where job_date >= date '2026-10-23'",
        ),
        (
            "$33.59 is left of",
            f"select '$' || round(sum(total_cost_usd), 2)::decimal(9, 2) || ' is left of' from {RAW_JOBS} "
            "where jobs.created_at >= date '2026-10-23'",
        ),
        (
            "left of $34.56.",
            "select 'left of $' || round(sum(client_cost_usd), 2)::decimal(9, 2) || '.' from fct_jobs "
            "where job_date >= date '2026-10-23'",
        ),
        (
            "0.01 instead of $0.06 for `hooli-mail`",
            "select round(sum(total_cost_usd), 2)::decimal(9, 2) || ' instead of $' || "
            "(select round(client_cost_usd, 2)::decimal(9, 2) from team_usage_monthly "
            "where team_id = 'hooli-mail' and period_start_date = date '2026-11-01') || ' for `hooli-mail`' "
            f"from {RAW_JOBS} where team_id = 'hooli-mail' and jobs.created_at >= date '2026-11-01'",
        ),
        (
            "it reports 252 jobs and 6.7 % errors",
            "select 'it reports ' || count(*) || ' jobs and ' || "
            "round(100 * avg(cast(status = 'FAILED' as int)), 1) || ' % errors' "
            f"from {RAW_JOBS} where date_trunc('week', jobs.created_at) = date '2026-10-26'",
        ),
        (
            "there were 309 jobs, 51 of them failed, 17.8 %",
            "select 'there were ' || job_count || ' jobs, ' || failed_job_count || ' of them failed, ' || "
            "round(100 * failure_rate, 1)::decimal(9, 1) || ' %' "
            "from platform_usage_weekly where period_start_date = date '2026-10-26'",
        ),
        (
            "has 3.5 days left against 2.1",
            "select 'has ' || round(max(days_left) filter (team_id = 'hooli-mail'), 1)::decimal(9, 1) || "
            "' days left against ' || round(max(days_left) filter (team_id = 'wonka-bot'), 1)::decimal(9, 1) "
            "from credit_balances",
        ),
    ],
)
def test_the_numbers_quoted_are_those_of_the_tape(published: Published, quoted: str, sql: str) -> None:
    assert " ".join(quoted.split()) in " ".join(document().split())
    assert published.value(sql) == quoted
