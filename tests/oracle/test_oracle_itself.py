"""Pins the oracle to figures worked out by hand, so that it cannot drift with the SQL."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas
import pytest

from tests.oracle.compare import mart_differences, same
from tests.oracle.marts import (
    Clock,
    Entry,
    build_marts,
    continuous_percentile,
    costs_of,
    job_seconds,
    known_sum,
    period_of,
    plain,
    ratio,
    rounded,
    tokens_of,
    walk_ledger,
)
from tests.oracle.tape import find_tape, frame, read_tape

NOON = datetime(2026, 11, 10, 12)
Row = dict[str, Any]


# --- rounding, percentiles, sums ---


@pytest.mark.parametrize(
    ("top", "bottom", "nearest"), [(1, 2, 1), (-1, 2, -1), (3, 2, 2), (-3, 2, -2), (1, 3, 0), (2, 3, 1)]
)
def test_a_half_is_rounded_away_from_zero(top: int, bottom: int, nearest: int) -> None:
    assert rounded(top, bottom) == nearest
    assert rounded(-top, -bottom) == nearest


def test_a_ratio_without_a_denominator_or_numerator_is_null() -> None:
    assert ratio(1, 0, 6) is None
    assert ratio(None, 3, 6) is None
    assert ratio(2, 3, 6) == Decimal("0.666667")


def test_a_percentile_is_interpolated_and_rounded_once() -> None:
    assert continuous_percentile([10, 20, 30, 40], 50, 1, 3) == Decimal("25.000")
    assert continuous_percentile([40, 10, 30, 20], 95, 1, 3) == Decimal("38.500")
    assert continuous_percentile([7], 99, 1, 3) == Decimal("7.000")
    assert continuous_percentile([], 50, 1, 3) is None
    assert continuous_percentile([500, 501], 50, 1_000_000, 3) == Decimal("0.001")  # 500.5 microseconds


def test_a_sum_of_unknowns_is_null_and_a_sum_of_nothing_is_zero() -> None:
    assert known_sum([]) == 0
    assert known_sum([None, None]) is None
    assert known_sum([None, 5]) == 5


def test_a_float_in_the_input_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        plain(0.1)


# --- clock ---


@pytest.mark.parametrize(
    ("zone", "day", "minutes"),
    [
        ("UTC", date(2027, 3, 14), 1440),
        ("Europe/Berlin", date(2027, 3, 28), 1380),
        ("Europe/Berlin", date(2026, 10, 25), 1500),
        ("America/New_York", date(2027, 3, 14), 1380),
        ("Australia/Lord_Howe", date(2026, 10, 4), 1410),
        ("Australia/Lord_Howe", date(2027, 4, 4), 1470),
        ("America/Havana", date(2027, 3, 14), 1380),  # its midnight does not exist
        ("America/Havana", date(2026, 11, 1), 1500),  # its midnight comes twice
    ],
)
def test_a_local_day_has_the_minutes_of_its_clock_change(zone: str, day: date, minutes: int) -> None:
    clock = Clock(datetime(2028, 1, 1), zone)
    assert clock.elapsed(period_of("daily", day)) == minutes * 60_000_000
    assert clock.local_day(clock.begin_of(day)) == day
    assert clock.local_day(clock.begin_of(day) - timedelta(microseconds=1)) == day - timedelta(days=1)


@pytest.mark.parametrize(
    ("grain", "day", "start", "end"),
    [
        ("weekly", "2027-01-03", "2026-12-28", "2027-01-04"),  # ISO week 53 of 2026
        ("weekly", "2027-01-04", "2027-01-04", "2027-01-11"),
        ("monthly", "2028-02-29", "2028-02-01", "2028-03-01"),
        ("monthly", "2026-12-31", "2026-12-01", "2027-01-01"),
        ("daily", "2028-02-29", "2028-02-29", "2028-03-01"),
    ],
)
def test_periods(grain: str, day: str, start: str, end: str) -> None:
    period = period_of(grain, date.fromisoformat(day))
    assert (period.start_date, period.end_date) == (date.fromisoformat(start), date.fromisoformat(end))


def test_a_period_is_complete_from_its_last_instant_on() -> None:
    period = period_of("daily", date(2026, 11, 9))
    assert Clock(datetime(2026, 11, 9, 23), "Europe/Berlin").is_complete(period)
    assert not Clock(datetime(2026, 11, 9, 22, 59, 59, 999999), "Europe/Berlin").is_complete(period)


# --- single rows ---


def call(**values: Any) -> Row:
    empty = dict.fromkeys(("provider_cost_usd", "cost_usd", "client_cost_usd", "unusable_columns"))
    decimals = {
        name: Decimal(value) if name.endswith("_usd") and value is not None else value
        for name, value in values.items()
    }
    return {**empty, **decimals}


@pytest.mark.parametrize(
    ("stored", "failed", "markup", "provider", "client", "source"),
    [
        (call(client_cost_usd="3", provider_cost_usd="2"), False, None, "2", "3", "stored"),
        (call(provider_cost_usd="0.00000001"), False, "50", "0.00000001", "0.00000002", "marked_up"),
        (call(provider_cost_usd="0.00000001"), False, "-150", "0.00000001", "-0.00000001", "marked_up"),
        (
            call(provider_cost_usd="0", cost_usd="0.001209"),
            False,
            "33.33",
            "0.001209",
            "0.00161196",
            "legacy",
        ),
        (call(provider_cost_usd="-1", cost_usd="2"), False, "0", "2", "2", "legacy"),
        (call(provider_cost_usd="2", cost_usd="1"), False, None, "2", None, "markup_unknown"),
        (call(cost_usd="0"), False, "0", None, None, "unpriced"),
        (call(cost_usd="0"), True, "0", "0", "0", "legacy"),
        (call(), True, None, "0", None, "markup_unknown"),
        (call(provider_cost_usd="100", cost_usd="1"), False, "0", None, None, "unpriced"),
        (call(cost_usd="10000"), True, "0", None, None, "unpriced"),
        (call(cost_usd="9999.9999995"), False, "0", None, None, "unpriced"),
        (call(cost_usd="9999.999999"), False, "0", "9999.999999", "9999.999999", "legacy"),
        (call(unusable_columns="provider_cost_usd", cost_usd="1"), False, "0", None, None, "unpriced"),
        (call(unusable_columns="cost_usd", provider_cost_usd="1"), False, "0", "1", "1", "marked_up"),
        (call(unusable_columns="cost_usd"), True, "0", None, None, "unpriced"),
        (call(unusable_columns="input_cost_usd", cost_usd="1"), False, "0", "1", "1", "legacy"),
        (call(unusable_columns="client_cost_usd", provider_cost_usd="1"), False, "0", "1", None, "unpriced"),
        (call(client_cost_usd="-0.00000001", provider_cost_usd="1"), False, "0", "1", None, "unpriced"),
        (call(client_cost_usd="100", provider_cost_usd="1"), False, "0", "1", None, "unpriced"),
        (call(client_cost_usd="0"), False, "0", None, None, "unpriced"),
        (call(client_cost_usd="0", provider_cost_usd="1"), False, "50", "1", "0", "stored"),
        (call(client_cost_usd="0.5"), False, "0", None, "0.5", "stored"),
    ],
)
def test_costs(
    stored: Row, failed: bool, markup: str | None, provider: str | None, client: str | None, source: str
) -> None:
    def units(text: str | None) -> int | None:
        return None if text is None else int(Decimal(text) * 10**8)

    assert costs_of(stored, failed, units(markup)) == (units(provider), units(client), source)


@pytest.mark.parametrize(
    ("stored", "counted"),
    [
        ((1, 2, 5), (1, 2, 5)),
        ((1, 2, None), (1, 2, 3)),
        ((None, 2, None), (0, 2, 2)),
        ((None, None, None), (0, 0, 0)),
        ((-1, 2, 3), (None, None, None)),
        ((1, 2, 2**31), (None, None, None)),
        ((2**31 - 1, 0, 2**31 - 1), (2**31 - 1, 0, 2**31 - 1)),
    ],
)
def test_tokens(stored: tuple[int | None, ...], counted: tuple[int | None, ...]) -> None:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert tokens_of(dict(zip(names, stored, strict=True))) == counted


@pytest.mark.parametrize(
    ("outcome", "started", "completed", "expected"),
    [
        ("completed", 1_000, 5_000, (5_000, 1_000, 4_000)),
        ("completed", -999_999, 0, (0, 0, 999_999)),
        ("failed", -1_000_000, 5, (5, None, 1_000_005)),
        ("cancelled", 10, 5, (5, 10, None)),
        ("completed", 0, -1, (None, 0, None)),
        ("completed", None, 7, (7, None, None)),
        ("open", 3, 7, (None, 3, None)),
    ],
)
def test_job_seconds(
    outcome: str, started: int | None, completed: int | None, expected: tuple[int | None, ...]
) -> None:
    def after(shift: int | None) -> datetime | None:
        return None if shift is None else NOON + timedelta(microseconds=shift)

    row = {"created_at": NOON, "started_at": after(started), "completed_at": after(completed)}
    assert job_seconds(row, outcome) == expected


# --- the ledger ---


def entry(
    name: str, kind: str, amount: int, before: int, after: int, created_at: datetime = NOON, **more: Any
) -> Entry:
    fields: Row = {
        "team_id": "t",
        "own_organization_id": None,
        "job_id": None,
        "reason": None,
        "day": created_at.date(),
    }
    return Entry(
        transaction_id=name,
        kind=kind,
        amount=amount,
        before=before,
        after=after,
        created_at=created_at,
        **{**fields, **more},
    )


def walked(*entries: Entry) -> list[tuple[str, int | None, int | None]]:
    return [(row.transaction_id, row.before, row.after) for row in walk_ledger(entries)]


def test_ties_are_linked_by_the_running_balance_not_by_id() -> None:
    rows = [
        entry("a", "deduction", 1, 8, 7),
        entry("b", "deduction", 1, 10, 9),
        entry("c", "deduction", 1, 9, 8),
    ]
    assert walked(*rows) == [("b", 10, 9), ("c", 9, 8), ("a", 8, 7)]


def test_a_tied_payment_waits_for_the_rows_that_link_and_is_rebased() -> None:
    first = entry("z", "deduction", 1, 11, 10, NOON - timedelta(seconds=1))
    rows = [
        entry("a", "subscription_payment", 5, 900, 905),
        entry("b", "deduction", 1, 10, 9),
        entry("c", "deduction", 1, 14, 13),
    ]
    assert walked(first, *rows) == [("z", 11, 10), ("b", 10, 9), ("a", 9, 14), ("c", 14, 13)]


def test_a_first_payment_keeps_its_stored_before_and_a_negative_amount_still_adds() -> None:
    rows = [entry("a", "one_time_payment", -5, 100, 95)]
    assert walked(*rows) == [("a", 100, 105)]


def test_a_fork_takes_the_smallest_id_and_the_broken_row_comes_last() -> None:
    rows = [
        entry("b", "deduction", 1, 10, 9),
        entry("a", "deduction", 2, 10, 8),
        entry("c", "deduction", 1, 9, 8),
    ]
    assert walked(*rows) == [("a", 10, 8), ("b", 10, 9), ("c", 9, 8)]


def test_an_unknown_type_carries_the_balance_but_no_measure() -> None:
    rows = walk_ledger(
        [entry("a", "expiry", 4, 10, 6), entry("b", "deduction", -2, 6, 4, NOON + timedelta(seconds=1))]
    )
    assert [(row.used, row.added, row.after) for row in rows] == [(0, 0, 6), (2, 0, 4)]


@pytest.mark.parametrize(
    ("reason", "dollars"),
    [
        ("Invoice ($1,299.00 USD)", "1299"),
        ("Credit replenishment from subscription payment ($149.00 USD)", "149"),
        ("(paid $0.05 USD by card)", "0.05"),
        ("Paid $49.00 USD", None),
        ("(49.00 EUR)", None),
        (None, None),
    ],
)
def test_dollars_of_a_payment(reason: str | None, dollars: str | None) -> None:
    paid = entry("a", "one_time_payment", 1, 0, 1, reason=reason).dollars
    assert paid == (None if dollars is None else int(Decimal(dollars) * 10**8))


# --- whole platforms ---


def job_input(job_id: str, team_id: str, created_at: datetime, **more: Any) -> Row:
    return {
        "job_id": job_id,
        "team_id": team_id,
        "job_type": "chat",
        "status": "COMPLETED",
        "created_at": created_at,
        **more,
    }


def ledger_input(
    name: str, kind: str, amount: int, before: int, after: int, created_at: datetime, **more: Any
) -> Row:
    return {
        "transaction_id": name,
        "team_id": "t1",
        "transaction_type": kind,
        "credits_amount": amount,
        "credits_before": before,
        "credits_after": after,
        "created_at": created_at,
        **more,
    }


def only(mart: pandas.DataFrame) -> Row:
    assert len(mart) == 1
    return {str(name): value for name, value in mart.to_dict("records")[0].items()}


def test_one_day_of_a_platform() -> None:
    midnight = datetime(2026, 11, 10)
    tables = {
        "jobs": frame(
            "jobs",
            [
                job_input("j1", "t1", midnight, user_id="u1", completed_at=midnight + timedelta(seconds=1)),
                job_input(
                    "j2", "t2", NOON, user_id="u1", status="failed", completed_at=NOON + timedelta(seconds=4)
                ),
                job_input("j3", "t2", NOON, status="PENDING"),
                job_input("j4", "t2", NOON + timedelta(hours=1), status="COMPLETED"),  # at as_of: waits
            ],
        ),
        "llm_calls": frame(
            "llm_calls",
            [
                {
                    "call_id": "c1",
                    "job_id": "j1",
                    "created_at": NOON,
                    "provider_cost_usd": Decimal("0.10"),
                    "prompt_tokens": 3,
                    "latency_ms": 100,
                    "resolved_model": "fast",
                },
                {"call_id": "c2", "job_id": "j2", "created_at": NOON, "error": "", "latency_ms": 9},
                {
                    "call_id": "c3",
                    "job_id": "gone",
                    "created_at": NOON,
                    "total_tokens": -1,
                    "latency_ms": 200,
                },
            ],
        ),
        "team_credits": frame(
            "team_credits",
            [{"team_id": "t1", "organization_id": "o1", "cost_markup_percentage": Decimal("20.00")}],
        ),
        "model_aliases": frame("model_aliases", [{"model_alias": "fast", "actual_model": "gpt"}]),
    }
    marts = build_marts(tables, as_of=NOON + timedelta(hours=1), reporting_timezone="UTC")
    day = only(marts["platform_usage_daily"])
    assert day == {
        "period_start_date": date(2026, 11, 10),
        "period_end_date": date(2026, 11, 11),
        "is_complete": False,
        "built_at_as_of": datetime(2026, 11, 10, 13),
        "job_count": 3,
        "completed_job_count": 1,
        "failed_job_count": 1,
        "cancelled_job_count": 0,
        "open_job_count": 1,
        "other_job_count": 0,
        "failure_rate": Decimal("0.500000"),
        "success_rate": Decimal("0.500000"),
        "avg_job_seconds": Decimal("2.500"),
        "p95_job_seconds": Decimal("3.850"),
        "call_count": 3,
        "failed_call_count": 1,
        "call_failure_rate": Decimal("0.333333"),
        "prompt_tokens": 3,
        "completion_tokens": 0,
        "total_tokens": 3,
        "provider_cost_usd": Decimal("0.10000000"),
        "client_cost_usd": Decimal("0.12000000"),
        "margin_usd": Decimal("0.02000000"),
        "unpriced_call_count": 1,
        "latency_avg_ms": Decimal("150.000"),
        "latency_p50_ms": Decimal("150.000"),
        "latency_p95_ms": Decimal("195.000"),
        "latency_p99_ms": Decimal("199.000"),
        "latency_max_ms": Decimal("200.000"),
        "latency_call_count": 2,
        "calls_per_minute": Decimal("0.003846"),  # 3 in the 780 minutes up to as_of
        "avg_cost_per_job_usd": Decimal("0.04000000"),
        "credits_used": 0,
        "credits_added": 0,
        "active_team_count": 2,
        "active_user_count": 2,
    }
    assert marts["organization_usage_daily"]["organization_id"].tolist() == ["o1", "unassigned"]
    assert marts["team_usage_daily"]["team_id"].tolist() == ["t1", "t2", "unassigned"]
    models = marts["model_performance_daily"]
    assert models["model"].tolist() == ["gpt", "unknown"]
    assert models["provider_cost_usd"].tolist() == [Decimal("0.1"), Decimal(0)]
    nobody = marts["model_usage_daily"].set_index("team_id").loc["unassigned"]
    assert nobody["provider_cost_usd"] is None
    assert nobody["total_tokens"] is None


def test_credits_over_two_months() -> None:
    november, december = datetime(2026, 11, 10), datetime(2026, 12, 2)
    rows = [
        ledger_input("a", "deduction", -3, 10, 7, november, organization_id="o2"),
        ledger_input("b", "subscription_payment", 100, 900, 1000, december, reason="($1,299.00 USD)"),
        ledger_input(
            "c", "one_time_payment", 5, 1000, 1005, december + timedelta(seconds=1), reason="by card"
        ),
        ledger_input("d", "refund", 1, 112, 113, december + timedelta(seconds=2)),
        ledger_input("e", "allocation", -40, 113, 73, december + timedelta(seconds=3)),
        ledger_input("f", "adjustment", -2, 70, 68, december + timedelta(seconds=4)),  # 3 credits missing
    ]
    tables = {
        "credit_transactions": frame("credit_transactions", rows),
        "team_credits": frame(
            "team_credits",
            [{"team_id": "t1", "credits_allocated": 30, "credits_used": 10, "credits_remaining": 70}],
        ),
    }
    marts = build_marts(tables, as_of=datetime(2026, 12, 3), reporting_timezone="UTC")
    months = marts["credit_usage_monthly"].drop(columns=["period_end_date", "is_complete", "built_at_as_of"])
    assert months.to_dict("records") == [
        {
            "period_start_date": date(2026, 11, 1),
            "team_id": "t1",
            "opening_balance": 10,
            "credits_allocated": 0,
            "credits_purchased": 0,
            "credits_refunded": 0,
            "credits_adjusted": 0,
            "credits_used": 3,
            "unexplained_credits": 0,
            "closing_balance": 7,
        },
        {
            "period_start_date": date(2026, 12, 1),
            "team_id": "t1",
            "opening_balance": 7,
            "credits_allocated": -40,
            "credits_purchased": 105,
            "credits_refunded": 1,
            "credits_adjusted": -2,
            "credits_used": -1,
            "unexplained_credits": -3,
            "closing_balance": 68,
        },
    ]
    revenue = only(marts["revenue_monthly"])
    assert (revenue["organization_id"], revenue["payment_count"]) == ("o2", 2)
    assert (revenue["payments_usd"], revenue["unreadable_payment_count"]) == (Decimal(1299), 1)
    assert revenue["margin_usd"] == 0
    balance = only(marts["credit_balances"])
    assert balance["used_share"] == Decimal("0.333333")
    assert (balance["ledger_balance"], balance["balance_difference"]) == (68, 2)
    # 14 complete days before 3 December begin on 19 November: only the refund counts, so there is no burn
    assert (balance["burn_per_day"], balance["days_left"]) == (Decimal("-0.071429"), None)


@pytest.mark.parametrize(
    ("first_day", "burn", "left"),
    [
        (datetime(2026, 11, 1), "0.214286", "32.666667"),  # 3 credits in 14 days, 7 remain
        (datetime(2026, 11, 17, 23), "0.428571", "16.333333"),  # 3 credits in 7 days
        (datetime(2026, 11, 18), "0.500000", None),  # only 6 days of history
    ],
)
def test_burn_and_days_left(first_day: datetime, burn: str, left: str | None) -> None:
    rows = [
        ledger_input("a", "adjustment", 0, 10, 10, first_day),
        ledger_input("b", "deduction", 3, 10, 7, datetime(2026, 11, 20)),
        ledger_input("c", "deduction", 4, 7, 3, datetime(2026, 11, 24)),  # today is not complete
    ]
    tables = {
        "credit_transactions": frame("credit_transactions", rows),
        "team_credits": frame("team_credits", [{"team_id": "t1", "credits_remaining": 7}]),
    }
    marts = build_marts(tables, as_of=datetime(2026, 11, 24, 12), reporting_timezone="UTC")
    balance = only(marts["credit_balances"])
    assert balance["burn_per_day"] == Decimal(burn)
    assert balance["days_left"] == (None if left is None else Decimal(left))


def test_the_organization_of_a_job() -> None:
    early, late = NOON, NOON + timedelta(days=2)
    versions = pandas.DataFrame(
        [
            {"team_id": "seen", "organization_id": "o1", "cost_markup_percentage": None, "valid_from": NOON},
            {"team_id": "seen", "organization_id": "o2", "cost_markup_percentage": None, "valid_from": late},
        ],
        dtype=object,
    )
    tables = {
        "jobs": frame(
            "jobs",
            [
                job_input("own", "seen", early, organization_id="o9"),
                job_input("ever", "seen", early - timedelta(days=300)),
                job_input("changed", "seen", late),
                job_input("before", "t1", early - timedelta(seconds=1)),
                job_input("then", "t1", early),
                job_input("after", "t1", late + timedelta(days=1)),
                job_input("nobody", "t2", early),
            ],
        ),
        "credit_transactions": frame(
            "credit_transactions",
            [
                ledger_input("a", "deduction", 1, 9, 8, early, organization_id="o3"),
                ledger_input("b", "deduction", 1, 8, 7, late, organization_id="o4"),
                ledger_input("c", "deduction", 1, 7, 6, late + timedelta(hours=1)),
            ],
        ),
    }
    marts = build_marts(tables, as_of=datetime(2027, 1, 1), reporting_timezone="UTC", team_versions=versions)
    owners = marts["fct_jobs"].set_index("job_id")["organization_id"].to_dict()
    assert owners == {
        "own": "o9",
        "ever": "o1",
        "changed": "o2",
        "before": "o3",
        "then": "o3",
        "after": "o4",
        "nobody": "unassigned",
    }


def test_an_empty_platform_has_no_rows_but_its_columns() -> None:
    marts = build_marts({}, as_of=NOON, reporting_timezone="UTC")
    assert all(mart.empty for mart in marts.values())
    assert "job_count" in marts["platform_usage_daily"].columns


# --- the comparison, and the tape ---


def test_equality_of_cells_is_exact_and_within_a_kind() -> None:
    assert same(Decimal("5.000000"), 5)
    assert same(None, None)
    assert not same(None, 0)
    assert not same(Decimal("0.5"), 0.5)
    assert not same(True, 1)
    assert not same(date(2026, 11, 10), datetime(2026, 11, 10))


def test_every_kind_of_difference_is_named() -> None:
    import duckdb

    connection = duckdb.connect()
    connection.execute("create schema marts")
    connection.execute(
        "create table marts.fct_jobs as select * from"
        " (values ('a', 1.5, null), ('b', null, true), ('d', 0, false), ('d', 0, false))"
        " as rows (job_id, total_seconds, is_stuck)"
    )
    rows = [
        ("a", "done", Decimal("1.500"), False),
        ("b", "done", Decimal(2), True),
        ("c", "done", None, False),
    ]
    columns = ["job_id", "outcome", "total_seconds", "is_stuck"]
    expected = pandas.DataFrame(rows, columns=columns, dtype=object)
    lines = mart_differences(
        connection, "fct_jobs", expected, {"job_id", "total_seconds", "is_stuck", "extra"}
    )
    assert lines == [
        "marts.fct_jobs: has no column outcome",
        "marts.fct_jobs [job_id='d']: twice in the SQL mart",
        "marts.fct_jobs [job_id='c']: only in the oracle",
        "marts.fct_jobs [job_id='d']: only in the SQL mart",
        "marts.fct_jobs [job_id='a'] is_stuck: oracle False, SQL None",
        "marts.fct_jobs [job_id='b'] total_seconds: oracle 2, SQL None",
    ]


def test_the_tape_has_the_figures_it_was_recorded_with() -> None:
    """figures.json of the tape; the sums were computed by its recorder, not by this project."""
    marts = build_marts(read_tape(find_tape()), as_of=datetime(2026, 11, 23), reporting_timezone="UTC")
    for family in ("platform", "organization", "team", "job_type"):
        for grain in ("daily", "weekly", "monthly"):
            mart = marts[f"{family}_usage_{grain}"]
            assert mart["job_count"].sum() == 4072
            assert mart["failed_job_count"].sum() == 265
            assert mart["call_count"].sum() == 17781
            assert mart["failed_call_count"].sum() == 615
            assert round(mart["provider_cost_usd"].dropna().sum(), 4) == Decimal("102.5545")
    assert len(marts["platform_usage_daily"]) == 120
    assert marts["revenue_monthly"]["payment_count"].sum() == 35
