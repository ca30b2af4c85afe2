"""Each endpoint says what the facts and the marts hold, to the last digit, for anyone and any period."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from flows.alert_check import evaluate_night
from flows.review_scopes import PLATFORM, Scope
from tests import api_oracle
from tests.api_oracle import Facts, Row, Span
from tests.api_service import NOW, Service, make_keys, own_copy, path_of, scopes_of, segment, with_query
from tests.published import TAPE_AS_OF, Published

# The first and an open month, a first and an open week, days of the first, the last and a silent one between.
MONTHS = ("2026-07", "2026-09", "2026-10", "2026-11")
WEEKS = ("2026-W30", "2026-W41", "2026-W43", "2026-W47", "2026-W48")
DAYS = ("2026-07-26", "2026-08-16", "2026-10-05", "2026-11-22")
PERIODS = [Span.of(label) for label in (*MONTHS, *WEEKS[:4], *DAYS)]
# 2026-11-22 is the last local day before as_of: the week that begins after it has no day yet.
NOT_PUBLISHED = ("2026-06", WEEKS[4], "2026-07-25", "2026-11-23", "1999-W01")


@pytest.fixture(scope="module")
def service(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = own_copy(published, tmp_path_factory.mktemp("api-exact") / "data")
    evaluate_night(settings, TAPE_AS_OF, [TAPE_AS_OF.date() - timedelta(days=1)])
    with Service(settings, make_keys(settings, scopes_of(published.connection))) as service:
        yield service


@pytest.fixture(scope="module")
def facts(published: Published) -> Facts:
    return Facts(published.connection, TAPE_AS_OF)


def scopes(service: Service, *kinds: str) -> list[Scope]:
    return [scope for scope in service.keys if scope.kind in kinds]


def without(answer: Row, *names: str) -> Row:
    return {name: value for name, value in answer.items() if name not in names}


def is_from_the_night(answer: Row, *, is_complete: bool) -> bool:
    return (
        answer["as_of"] == "2026-11-23T00:00:00Z"
        and answer["is_complete"] is is_complete
        and answer["night"].startswith("20261123T000000Z-")
    )


def some_of_everything(service: Service) -> Iterator[tuple[Scope, Span]]:
    """The platform and each organization with every period, each team with every third one in turn."""
    for number, scope in enumerate(service.keys):
        periods = PERIODS[number % 3 :: 3] if scope.kind == "team" else PERIODS
        yield from ((scope, span) for span in periods)


ORIGIN = ("as_of", "is_complete", "night")


# --- usage


def test_a_teams_usage_is_its_jobs_calls_and_ledger(service: Service, facts: Facts) -> None:
    jobs = 0
    for team in scopes(service, "team"):
        for span in PERIODS:
            answer = service.exact(with_query(path_of(team, "usage"), period=span.label), team)
            assert without(answer, *ORIGIN) == api_oracle.team_usage(facts, team.id, span)
            assert is_from_the_night(answer, is_complete=facts.is_complete(span))
            jobs += answer["summary"]["total_jobs"]
    assert jobs > 4_000


def test_a_teams_usage_is_its_mart(service: Service, published: Published) -> None:
    columns = {
        "total_jobs": "job_count",
        "successful_jobs": "completed_job_count",
        "failed_jobs": "failed_job_count",
        "total_cost_usd": "client_cost_usd",
        "total_tokens": "total_tokens",
        "avg_cost_per_job": "avg_cost_per_job_usd",
        "failure_rate": "failure_rate",
        "credits_used": "credits_used",
        "unpriced_calls": "unpriced_call_count",
    }
    rows = published.records("select * from team_usage_monthly")
    assert len(rows) > 60
    for row in rows:
        path = path_of(Scope("team", row["team_id"]), "usage")
        label = f"{row['period_start_date']:%Y-%m}"
        response = service.ask(with_query(path, period=label), PLATFORM)
        summary = service.exact(with_query(path, period=label))["summary"]
        assert {name: summary[name] for name in columns} == {
            name: row[column] for name, column in columns.items()
        }
        # the digits as the mart has them: eight places, and no exponent
        assert f'"total_cost_usd": {digits(row["client_cost_usd"])},' in response.text


def digits(value: Decimal | None) -> str:
    return "null" if value is None else format(value, "f")


def test_an_organizations_usage_is_its_jobs_calls_and_ledger(service: Service, facts: Facts) -> None:
    for organization in scopes(service, "organization"):
        for span in PERIODS:
            answer = service.exact(
                with_query(path_of(organization, "usage"), period=span.label), organization
            )
            assert without(answer, *ORIGIN) == api_oracle.organization_usage(facts, organization.id, span)
            assert is_from_the_night(answer, is_complete=facts.is_complete(span))


def test_teams_add_up_to_organizations_and_they_to_the_platform(service: Service) -> None:
    for span in PERIODS:
        platform = service.exact(with_query("/api/analytics/usage", period=span.label))
        jobs = credits = cost = 0
        for organization in scopes(service, "organization"):
            usage = service.exact(with_query(path_of(organization, "usage"), period=span.label))
            summary, parts = usage["summary"], usage["teams"].values()
            assert sum(part["jobs"] for part in parts) == summary["total_jobs"]
            assert sum(part["credits_used"] for part in parts) == summary["credits_used"]
            outcomes = ("completed_jobs", "failed_jobs", "cancelled_jobs", "open_jobs", "other_jobs")
            assert sum(summary[name] for name in outcomes) == summary["total_jobs"]
            analytics = service.exact(
                with_query("/api/analytics/usage", period=span.label, organization_id=organization.id)
            )
            assert analytics["total_cost"] == summary["total_cost_usd"]
            for rows, cost_name, job_name in (
                ("teams", "cost_usd", "jobs"),
                ("job_types", "cost_usd", "count"),
            ):
                assert sum(row[job_name] for row in analytics[rows]) == summary["total_jobs"]
                assert sum(row[cost_name] or 0 for row in analytics[rows]) == (summary["total_cost_usd"] or 0)
            jobs += summary["total_jobs"]
            credits += summary["credits_used"]
            cost += summary["total_cost_usd"] or 0
        assert (jobs, credits, cost) == (
            platform["total_jobs"],
            platform["credits_used"],
            platform["total_cost"] or 0,
        )


def test_days_add_up_to_their_period(service: Service) -> None:
    for scope in (PLATFORM, *scopes(service, "organization")):
        for label in ("2026-07", "2026-11", "2026-W43"):
            answer = service.exact(with_query("/api/analytics/usage", period=label), scope)
            days = answer["daily_usage"]
            assert sum(day["jobs"] for day in days) == answer["total_jobs"]
            assert sum(day["calls"] for day in days) == answer["total_calls"]
            assert sum(day["total_tokens"] or 0 for day in days) == (answer["total_tokens"] or 0)
            assert sum(day["cost_usd"] or 0 for day in days) == (answer["total_cost"] or 0)
            for day in days[::10]:
                alone = service.exact(with_query("/api/analytics/usage", period=day["date"]), scope)
                assert alone["daily_usage"] == [day]
                assert (alone["total_jobs"], alone["total_cost"]) == (day["jobs"], day["cost_usd"])


# --- analytics


def test_usage_analytics_are_the_facts(service: Service, facts: Facts) -> None:
    trends = 0
    for scope, span in some_of_everything(service):
        answer = service.exact(with_query("/api/analytics/usage", period=span.label), scope)
        expected = api_oracle.usage_analytics(facts, scope, span)
        teams = [without(row, "organization_id") for row in answer["teams"]]
        assert without(answer, *ORIGIN, "teams") == without(expected, "teams"), (scope, span)
        assert teams == expected["teams"], (scope, span)
        assert is_from_the_night(answer, is_complete=facts.is_complete(span))
        trends += answer["jobs_trend"] is not None
    assert trends > 60


def test_performance_analytics_are_the_facts(service: Service, facts: Facts) -> None:
    for scope, span in some_of_everything(service):
        answer = service.exact(with_query("/api/analytics/performance", period=span.label), scope)
        expected = api_oracle.performance_analytics(facts, scope, span)
        assert without(answer, *ORIGIN, "models") == expected, (scope, span)
        assert answer["models"] == api_oracle.models(facts, scope, span), (scope, span)


def test_an_operator_and_a_tenant_are_answered_alike(service: Service) -> None:
    for scope in scopes(service, "organization", "team"):
        for part in ("usage", "performance", "slow-calls"):
            period = None if part == "slow-calls" else "2026-10"
            own = service.exact(with_query(f"/api/analytics/{part}", period=period), scope)
            asked = service.exact(
                with_query(f"/api/analytics/{part}", period=period, **{f"{scope.kind}_id": scope.id})
            )
            assert own == asked


def test_trends_compare_whole_periods_alone(service: Service) -> None:
    trends = ("jobs_trend", "success_trend", "cost_trend", "latency_trend")
    for label, previous in (
        ("2026-11", None),  # not over
        ("2026-08", None),  # July began before the platform did
        ("2026-07", None),
        ("2026-W31", None),
        ("2026-07-26", None),
        ("2026-07-27", "2026-07-26"),
        ("2026-09", "2026-08"),
        ("2026-W47", "2026-W46"),
        ("2026-11-22", "2026-11-21"),
    ):
        answer = service.exact(with_query("/api/analytics/usage", period=label))
        assert answer["previous_period"] == previous, label
        assert [answer[name] is None for name in trends] == [previous is None] * 4


def test_the_slow_calls_are_all_there_the_slowest_first(service: Service, facts: Facts) -> None:
    since = TAPE_AS_OF - timedelta(days=7)
    for scope in service.keys:
        _, calls, _ = facts.of(scope, Span("week", since.date(), TAPE_AS_OF.date()))
        slow = [
            call
            for call in calls
            if not call["is_failed"] and (call["latency_ms"] or 0) > 5000 and call["created_at"] >= since
        ]
        slow.sort(key=lambda call: (-call["latency_ms"], call["call_id"].encode()))
        expected = [
            {
                **{name: call[name] for name in ("call_id", "job_id", "resolved_model", "latency_ms")},
                **{name: call[name] for name in ("total_tokens", "team_id", "model")},
                "model_group_used": call["model_group"],
                "created_at": f"{call['created_at'].isoformat()}Z",
            }
            for call in slow
        ]
        assert service.exact("/api/analytics/slow-calls?limit=10000", scope)["calls"] == expected
        assert service.exact("/api/analytics/slow-calls?limit=3", scope)["calls"] == expected[:3]


# --- credits


def test_a_balance_is_the_platforms_own_and_the_ledgers(service: Service, published: Published) -> None:
    stored = {row["team_id"]: row for row in published.records("select * from landing.raw.team_credits")}
    ledger = {row["team_id"]: row for row in published.records("select * from credit_balances")}
    teams = scopes(service, "team")
    assert len(stored) > 15
    for team in teams:
        answer = service.exact(f"/api/credits/teams/{segment(team.id)}/balance", team)
        assert is_from_the_night(answer, is_complete=True)
        for name in ("used_share", "ledger_balance", "balance_difference", "burn_per_day", "days_left"):
            assert answer[name] == ledger.get(team.id, {}).get(name)
        row = stored.get(team.id)
        if row is None:
            assert answer["credits_allocated"] is None
            assert answer["credit_limit"] is None
            continue
        same = (
            *("team_id", "organization_id", "credits_allocated", "credits_used", "credits_remaining"),
            *("credit_limit", "auto_refill", "refill_amount", "refill_period", "budget_mode"),
            *("credits_per_dollar", "tokens_per_credit", "status"),
        )
        assert {name: answer[name] for name in same} == {name: row[name] for name in same}
        for name in ("created_at", "updated_at", "last_refill_at"):
            assert answer[name] == (None if row[name] is None else f"{row[name].isoformat()}Z")


def ledger_of(published: Published, team_id: str) -> list[Row]:
    """The newest first; of one moment, the one that the balance went through last."""
    rows = [
        row for row in published.records("select * from fct_credit_transactions") if row["team_id"] == team_id
    ]
    rows.sort(key=lambda row: row["transaction_id"].encode())
    rows.sort(key=lambda row: (row["created_at"], row["ledger_position"] or 0), reverse=True)
    return [
        {
            **{name: row[name] for name in ("transaction_id", "team_id", "organization_id", "job_id")},
            "transaction_type": row["transaction_type"],
            "credits_amount": row["credits_signed"],
            **{name: row[name] for name in ("credits_before", "credits_after", "reason", "ledger_status")},
            "created_at": f"{row['created_at'].isoformat()}Z",
        }
        for row in rows
    ]


@pytest.mark.parametrize("limit", [1, 29, 10_000])
def test_the_pages_of_a_ledger_are_the_whole_ledger(
    service: Service, published: Published, limit: int
) -> None:
    expected = {team: ledger_of(published, team.id) for team in scopes(service, "team")}
    longest = max(map(len, expected.values()))
    assert longest > 200
    for team, rows in expected.items():
        if limit == 1 and len(rows) > 60:
            continue
        path = f"/api/credits/teams/{segment(team.id)}/transactions"
        joined, cursor, pages = [], None, 0
        while pages == 0 or cursor is not None:
            answer = service.exact(with_query(path, limit=limit, cursor=cursor), team)
            assert answer["total"] == len(rows)
            assert len(answer["transactions"]) <= limit
            joined += answer["transactions"]
            cursor, pages = answer["next_cursor"], pages + 1
        assert joined == rows
        assert pages == max(1, -(-len(rows) // limit))


# --- alerts


def test_the_alerts_are_the_incidents_of_the_ops_store(service: Service) -> None:
    with closing(sqlite3.connect(service.settings.ops_path)) as ops:
        ops.row_factory = sqlite3.Row
        stored = {row["incident_id"]: row for row in ops.execute("select * from incidents")}
    assert len(stored) > 3
    found = service.exact("/api/alerts?state=all&limit=1000")["alerts"]
    assert {alert["incident_id"] for alert in found} == set(stored)
    for alert in found:
        row = stored[alert["incident_id"]]
        assert (alert["type"], alert["severity"]) == (row["rule"], row["severity"])
        assert (alert["scope_kind"], alert["scope_id"]) == (row["scope_kind"], row["scope_id"])
        assert datetime.fromisoformat(alert["timestamp"].removesuffix("Z")) == moment_of(row["opened_at"])
    loudness = ["critical", "error", "warning", "info"]
    severities = [loudness.index(alert["severity"]) for alert in service.exact("/api/alerts")["alerts"]]
    assert severities == sorted(severities)


def moment_of(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored)


# --- tables


TABLES: list[tuple[str, str, dict[str, Any]]] = [
    ("/api/analytics/usage", "teams", {"period": "2026-10", "table": "teams"}),
    ("/api/analytics/usage", "job_types", {"period": "2026-10", "table": "job_types"}),
    ("/api/analytics/usage", "daily_usage", {"period": "2026-11", "table": "daily_usage"}),
    ("/api/analytics/performance", "models", {"period": "2026-10", "table": "models"}),
    ("/api/analytics/performance", "job_types", {"period": "2026-W43", "table": "job_types"}),
    ("/api/analytics/performance", "errors", {"period": "2026-10", "table": "errors"}),
    ("/api/analytics/slow-calls", "calls", {"limit": 10_000}),
    ("/api/credits/teams/acme-batch/transactions", "transactions", {"limit": 10_000}),
    ("/api/alerts", "alerts", {"state": "all"}),
]


@pytest.mark.parametrize(("path", "name", "parameters"), TABLES, ids=lambda value: str(value))
def test_a_table_says_what_the_answer_says(
    service: Service, path: str, name: str, parameters: dict[str, Any]
) -> None:
    rows = service.exact(with_query(path, **parameters))[name]
    response = service.ask(with_query(path, **parameters, format="csv"), PLATFORM)
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
    header, *lines = csv.reader(io.StringIO(response.text, newline=""))
    assert rows
    assert len(lines) == len(rows)
    for row, line in zip(rows, lines, strict=True):
        assert sorted(header) == sorted(row)
        assert dict(zip(header, line, strict=True)) == {
            column: as_cell(value) for column, value in row.items()
        }


def as_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    text = str(value)
    if len(text) > 11 and text.endswith("Z") and text[10] == "T":
        return text.removesuffix("Z").replace("T", " ")
    return f"'{text}" if isinstance(value, str) and text[:1] in ("=", "+", "-", "@") else text


# --- what is not there


@pytest.mark.parametrize("label", NOT_PUBLISHED)
def test_a_period_that_is_not_published_is_not_zeros(service: Service, label: str) -> None:
    for path in (
        "/api/teams/acme-batch/usage",
        "/api/organizations/org_acme/usage",
        "/api/analytics/usage",
        "/api/analytics/performance",
    ):
        response = service.ask(with_query(path, period=label), PLATFORM)
        assert response.status_code == 404
        assert "2026-07-26 to 2026-11-22" in response.json()["detail"]


def test_nothing_done_in_a_published_period_is_zeros_and_no_rates(service: Service, facts: Facts) -> None:
    silent = [
        (team, span) for team in scopes(service, "team") for span in PERIODS if not any(facts.of(team, span))
    ]
    assert silent
    for team, span in silent:
        summary = service.exact(with_query(path_of(team, "usage"), period=span.label), team)["summary"]
        unknown = {name for name, value in summary.items() if value is None}
        assert unknown == {"avg_cost_per_job", "failure_rate"}
        assert {value for value in summary.values() if value is not None} == {0}


def test_the_service_knows_the_night_it_answers_from(service: Service, facts: Facts) -> None:
    assert facts.published == Span("all", date(2026, 7, 26), date(2026, 11, 23))
    assert facts.as_of < NOW
