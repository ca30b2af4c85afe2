"""The traps of the source (docs/source-traps.md) that no other test holds, on the tape or on made-up rows.

`test_trap_NN_…` holds trap NN. Made-up rows go through the models' own compiled SQL, as of TAPE_AS_OF.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.published import TAPE, TAPE_AS_OF, Published, Tape

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]
Build = Callable[..., "duckdb.DuckDBPyConnection"]

NOON = datetime(2026, 11, 20, 12)
DAY = date(2026, 11, 20)


@pytest.fixture(scope="session")
def build(published: Published) -> Build:
    """Build the named marts from rows: build(["fct_jobs"], jobs=[job("a")])."""
    from tests.oracle.tape import RAW_COLUMNS, frame
    from tests.warehouse import CompiledMarts

    def build_marts(marts: list[str], **rows: Any) -> duckdb.DuckDBPyConnection:
        import pandas

        tables = {
            table: frame(table, made) if table in RAW_COLUMNS else pandas.DataFrame(made, dtype=object)
            for table, made in rows.items()
        }
        return CompiledMarts(published.manifest, marts).build(
            tables, as_of=TAPE_AS_OF, reporting_timezone="UTC"
        )

    return build_marts


def job(job_id: str, **values: Any) -> Row:
    ended = values.get("status", "COMPLETED") in ("COMPLETED", "FAILED")
    return {
        "job_id": job_id,
        "team_id": "t",
        "job_type": "chat",
        "status": "COMPLETED",
        "created_at": NOON,
        "started_at": NOON,
        "completed_at": NOON + timedelta(seconds=10) if ended else None,
        "credit_applied": False,
        **values,
    }


def call(call_id: str, job_id: str, **values: Any) -> Row:
    return {
        "call_id": call_id,
        "job_id": job_id,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "cost_usd": Decimal("0.01"),
        "latency_ms": 1000,
        "created_at": NOON + timedelta(seconds=5),
        "model_group_used": "chat-fast",
        "resolved_model": "gpt-4o-mini",
        **values,
    }


def entry(number: int, kind: str, amount: int, before: int, after: int, **values: Any) -> Row:
    """The team's ledger row of a number; an hour apart."""
    return {
        "transaction_id": f"row-{number}",
        "team_id": "t",
        "transaction_type": kind,
        "credits_amount": amount,
        "credits_before": before,
        "credits_after": after,
        "created_at": NOON + timedelta(hours=number),
        **values,
    }


def team(**values: Any) -> Row:
    return {
        "team_id": "t",
        "organization_id": "org",
        "credits_allocated": 1000,
        "credits_used": 0,
        "credits_remaining": 1000,
        "created_at": datetime(2026, 1, 1),
        "updated_at": datetime(2026, 1, 1),
        "cost_markup_percentage": Decimal(0),
        "status": "active",
        **values,
    }


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    """The only row of a query; its only value when it has one."""
    (row,) = connection.execute(sql).fetchall()
    return row[0] if len(row) == 1 else row


# --- jobs


def test_trap_01_every_job_has_the_organization_of_its_team(published: Published, tape: Tape) -> None:
    assert {row["organization_id"] for row in tape["jobs"]} == {None}
    teams = {row["team_id"]: row["organization_id"] for row in tape["team_credits"]}
    found = dict(published.rows("select distinct team_id, organization_id from fct_jobs"))
    assert {name: found[name] for name in found if name in teams} == {
        name: teams[name] for name in found if name in teams
    }
    assert found.keys() - teams.keys() == {"wonka-temp"}
    assert found["wonka-temp"] == "org_wonka"  # deleted: from its ledger rows


def test_trap_02_both_spellings_of_a_status_are_one(build: Build) -> None:
    jobs = [job("a", status="FAILED"), job("b", status="failed"), job("c", status="COMPLETED")]
    built = build(["platform_usage_daily"], jobs=jobs, team_credits=[team()])
    sql = "select failed_job_count, completed_job_count, other_job_count from marts.platform_usage_daily"
    assert one(built, f"{sql} where period_start_date = '{DAY}'") == (2, 1, 0)


def test_trap_04_latency_is_the_mean_of_calls_not_of_jobs(build: Build) -> None:
    calls = [call("a1", "a", latency_ms=1000)] + [call(f"b{n}", "b", latency_ms=3000) for n in range(3)]
    built = build(
        ["platform_usage_daily"], jobs=[job("a"), job("b"), job("c")], llm_calls=calls, team_credits=[team()]
    )
    sql = f"select latency_avg_ms from marts.platform_usage_daily where period_start_date = '{DAY}'"
    assert one(built, sql) == Decimal(2500)  # of jobs: (1000 + 3000) / 2, and with the platform's 0: 1333


def test_trap_05_jobs_without_a_summary_count(published: Published, tape: Tape) -> None:
    summarised = {row["job_id"] for row in tape["job_cost_summaries"]}
    left_out = [row for row in tape["jobs"] if row["job_id"] not in summarised]
    failed = sum(row["status"] == "FAILED" for row in left_out)
    assert (len(left_out), failed) == (271, 105)
    assert published.value("select sum(job_count) from platform_usage_weekly") == len(tape["jobs"])
    all_failed = sum(row["status"] == "FAILED" for row in tape["jobs"])
    assert published.value("select sum(failed_job_count) from platform_usage_weekly") == all_failed
    assert published.value("select count(*) from warehouse.compat.job_cost_summaries") == len(tape["jobs"])


def test_trap_06_jobs_without_a_summary_cost_what_their_calls_cost(published: Published) -> None:
    without = "job_id not in (select job_id from landing.raw.job_cost_summaries)"
    of_jobs = published.value(f"select sum(client_cost_usd) from fct_jobs where {without}")
    of_calls = published.value(f"select sum(client_cost_usd) from fct_llm_calls where {without}")
    assert of_jobs == of_calls == Decimal("2.61968424")


def test_trap_07_prompt_and_completion_tokens_are_recomputed(published: Published, tape: Tape) -> None:
    landed = {row[0] for row in published.rows("describe landing.raw.job_cost_summaries")}
    assert not landed & {"total_prompt_tokens", "total_completion_tokens"}
    sums = published.rows(
        "select sum(total_prompt_tokens), sum(total_completion_tokens) "
        "from warehouse.compat.job_cost_summaries"
    )
    assert sums == [
        tuple(sum(row[name] for row in tape["llm_calls"]) for name in ("prompt_tokens", "completion_tokens"))
    ]


def test_trap_20_model_groups_come_from_calls(build: Build) -> None:
    from flows.source_schema import TABLES

    landed = {column.name for table in TABLES for column in table.columns}
    assert not landed & {"job_metadata", "model_groups_used"}
    calls = [call("a1", "a"), call("a2", "a", model_group_used="chat-smart")]
    built = build(["model_usage_daily"], jobs=[job("a")], llm_calls=calls, team_credits=[team()])
    found = built.execute("select model_group, call_count from marts.model_usage_daily order by 1").fetchall()
    assert found == [("chat-fast", 1), ("chat-smart", 1)]


def test_trap_21_abandoned_jobs_are_open_and_stuck_not_failed(published: Published, tape: Tape) -> None:
    stuck = sum(row["status"] in ("PENDING", "IN_PROGRESS") for row in tape["jobs"])
    assert published.value("select count(*) from fct_jobs where is_stuck") == stuck == 166
    assert published.value("select sum(actual) from audit_findings where rule = 'stuck_job'") == stuck
    assert published.value("select sum(open_job_count) from platform_usage_daily") == stuck
    rates = published.rows("select failure_rate from platform_usage_daily where failed_job_count = 0")
    assert {rate for (rate,) in rates} <= {Decimal(0), None}


def test_trap_22_a_failed_job_without_a_failed_call_is_a_failure(build: Build) -> None:
    """Its error text was over 1000 characters: the row of the call itself could not be stored."""
    failed = job("a", status="FAILED", error_message="Error code: 503 - overloaded")
    built = build(["error_breakdown_daily", "fct_jobs"], jobs=[failed], team_credits=[team()])
    sql = "select error_class, failed_job_count, failed_call_count from marts.error_breakdown_daily"
    assert one(built, sql) == ("provider_5xx", 1, 0)
    assert one(built, "select call_count, client_cost_usd from marts.fct_jobs") == (0, 0)


def test_trap_24_36_37_a_call_that_left_no_row_leaves_a_stuck_job(build: Build) -> None:
    """A client's disconnect, or an error text too long to store: the job stays open, without a call."""
    left = job("a", status="IN_PROGRESS")
    built = build(["fct_jobs", "audit_findings"], jobs=[left], team_credits=[team()])
    assert one(built, "select outcome, is_stuck, call_count from marts.fct_jobs") == ("open", True, 0)
    assert one(built, "select rule, actual from marts.audit_findings") == ("stuck_job", 1)


def test_trap_32_test_jobs_count_and_stand_apart(published: Published, tape: Tape) -> None:
    tests = sum(row["job_type"] == "test" for row in tape["jobs"])
    sql = "select sum(job_count) from job_type_usage_monthly where job_type = 'test'"
    assert published.value(sql) == tests == 54


def test_trap_42_a_start_before_the_creation_is_no_wait_and_no_error(
    published: Published, tape: Tape
) -> None:
    early = {
        row["job_id"] for row in tape["jobs"] if (row["started_at"] or row["created_at"]) < row["created_at"]
    }
    assert len(early) == 1163
    waits = dict(published.rows("select job_id, queue_seconds from fct_jobs"))
    assert {waits[job_id] for job_id in early} == {Decimal(0)}
    assert published.rows("select * from audit_findings where rule = 'negative_queue_time'") == []


# --- calls


def test_trap_19_a_call_counts_on_the_day_it_ended(build: Build) -> None:
    midnight = datetime(2026, 11, 21)
    jobs = [
        job("a", created_at=midnight - timedelta(seconds=9), completed_at=midnight + timedelta(seconds=9))
    ]
    calls = [call("a1", "a", created_at=midnight + timedelta(seconds=5), latency_ms=8000)]
    built = build(["platform_usage_daily"], jobs=jobs, llm_calls=calls, team_credits=[team()])
    days = built.execute(
        "select period_start_date, job_count, call_count from marts.platform_usage_daily order by 1"
    ).fetchall()
    assert days == [(DAY, 1, 0), (date(2026, 11, 21), 0, 1), (date(2026, 11, 22), 0, 0)]


def test_trap_23_failed_calls_keep_their_group_and_leave_latency(published: Published, tape: Tape) -> None:
    failed = [row for row in tape["llm_calls"] if row["error"] is not None]
    assert {(row["model_used"], row["resolved_model"], row["latency_ms"]) for row in failed} == {(None,) * 3}
    by_group = published.rows(
        "select model_group, sum(failed_call_count), sum(latency_call_count) from model_performance_monthly "
        "where model = 'unknown' group by model_group"
    )
    assert {group: count for group, count, _ in by_group} == {
        group: sum(row["model_group_used"] == group for row in failed)
        for group in {row["model_group_used"] for row in failed}
    }
    assert {timed for *_, timed in by_group} == {0}


def test_trap_25_an_alias_is_never_a_model(published: Published, tape: Tape) -> None:
    aliases = {row["model_alias"] for row in tape["model_aliases"]}
    streamed = sum(row["resolved_model"] in aliases for row in tape["llm_calls"])
    assert streamed == 374
    models = {model for (model,) in published.rows("select distinct model from model_usage_monthly")}
    assert not models & (aliases - {row["actual_model"] for row in tape["model_aliases"]})


def test_trap_34_the_broken_stream_endpoint_is_a_platform_defect(published: Published) -> None:
    found = published.rows(
        "select calls.error_class, count(*), sum(calls.client_cost_usd) from fct_llm_calls as calls "
        "join landing.raw.llm_calls as raw using (call_id) "
        "where raw.error like '%asynchronous context manager%' group by calls.error_class"
    )
    assert found == [("platform_defect", 136, 0)]


def test_trap_35_zero_tokens_are_unpriced_never_free(published: Published, tape: Tape) -> None:
    empty = {row["call_id"] for row in tape["llm_calls"] if row["error"] is None and row["total_tokens"] == 0}
    unpriced = {
        call_id
        for (call_id,) in published.rows(
            "select call_id from fct_llm_calls where is_unpriced and cost_source = 'unpriced' "
            "and provider_cost_usd is null and client_cost_usd is null"
        )
    }
    assert empty <= unpriced
    assert len(empty) == 311


SECRET = re.compile(r"key=([A-Za-z0-9_.-]{8,})")


def test_trap_38_no_key_of_the_tape_is_written_anywhere(published: Published, tape: Tape) -> None:
    texts = [row["error"] or "" for row in tape["llm_calls"]] + [
        row["error_message"] or "" for row in tape["jobs"]
    ]
    keys = {key for text in texts for key in SECRET.findall(text)}
    assert keys
    assert sum("key=" in (row["error"] or "") for row in tape["llm_calls"]) == 47
    for path in published.settings.data_dir.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [key for key in keys if key.encode() in content], path
    # a database may compress what it holds
    for table in ("landing.raw.llm_calls", "landing.raw.jobs", "fct_jobs", "fct_llm_calls"):
        columns = [name for name, kind, *_ in published.rows(f"describe {table}") if kind == "VARCHAR"]
        found = " or ".join(f"contains({name}, key)" for name in columns)
        sql = f"select count(*) from {table}, (select unnest(?) as key) where {found}"
        assert published.rows(sql, [sorted(keys)]) == [(0,)]


def test_trap_39_every_call_of_the_tape_has_a_class(published: Published, tape: Tape) -> None:
    failed = sum(row["error"] is not None for row in tape["llm_calls"])
    sql = "select sum(failed_call_count) from error_breakdown_daily where error_class <> 'unclassified'"
    assert published.value(sql) == failed == 615


def test_trap_40_one_answer_stored_twice_costs_once(published: Published, tape: Tape) -> None:
    doubled = published.rows(
        "select call_id, job_id, created_at, client_cost_usd, error_class from fct_llm_calls "
        "where is_doubled_failure"
    )
    assert len(doubled) == 13
    for call_id, job_id, created_at, cost, error_class in doubled:
        assert (cost or 0, error_class) == (0, "platform_defect")
        twins = [
            row
            for row in tape["llm_calls"]
            if row["job_id"] == job_id
            and row["error"] is None
            and timedelta(0) <= created_at - row["created_at"] < timedelta(milliseconds=2)
        ]
        assert len(twins) == 1, call_id


def test_trap_41_slow_retries_stay_in_the_latency(published: Published, tape: Tape) -> None:
    slowest = max(row["latency_ms"] or 0 for row in tape["llm_calls"])
    assert published.value("select max(latency_max_ms) from platform_usage_monthly") == slowest == 614470
    assert (
        published.rows(
            "select * from platform_usage_monthly where latency_p50_ms > latency_p99_ms or "
            "latency_p99_ms > latency_max_ms or (latency_p95_ms is null) <> (latency_max_ms is null)"
        )
        == []
    )


# --- credits


def test_trap_09_a_deduction_lowers_the_balance_whatever_its_sign(build: Build) -> None:
    rows = [entry(1, "deduction", 5, 100, 95), entry(2, "deduction", -5, 95, 90)]
    built = build(
        ["credit_usage_daily", "audit_ledger", "credit_transactions"],
        credit_transactions=rows,
        team_credits=[team(credits_remaining=90)],
    )
    assert one(built, "select credits_used, unexplained_credits from marts.credit_usage_daily") == (10, 0)
    assert built.execute("select distinct credits_amount from compat.credit_transactions").fetchall() == [
        (-5,)
    ]
    kinds = built.execute("select distinct break_type from marts.audit_ledger").fetchall()
    assert kinds == [("deduction_for_missing_job",)]


def test_trap_10_payments_are_rebased_to_the_balance(build: Build, published: Published) -> None:
    """A payment's before and after are what was ever allocated: 1000 and 1500, where the balance was 90."""
    rows = [
        entry(1, "allocation", 100, 0, 100),
        entry(2, "subscription_payment", 500, 1000, 1500, reason="Credits ($49.00 USD)"),
        entry(3, "adjustment", -20, 600, 580),
    ]
    built = build(
        ["credit_usage_daily", "audit_ledger", "credit_transactions"],
        credit_transactions=rows,
        team_credits=[team(credits_remaining=580)],
    )
    assert built.execute("from marts.audit_ledger").fetchall() == []
    chain = "select credits_before, credits_after from compat.credit_transactions order by created_at"
    assert built.execute(chain).fetchall() == [(0, 100), (100, 600), (600, 580)]
    statement = "select opening_balance, credits_purchased, unexplained_credits, closing_balance"
    assert one(built, f"{statement} from marts.credit_usage_daily") == (0, 500, 0, 580)
    on_the_tape = "select count(*) from audit_ledger where transaction_type like '%_payment'"
    assert published.value(on_the_tape) == 0


def test_trap_11_initial_credits_open_the_first_statement(build: Build) -> None:
    built = build(
        ["credit_usage_daily", "audit_balances"],
        credit_transactions=[entry(1, "adjustment", -20, 1000, 980)],
        team_credits=[team(credits_remaining=980, credits_used=20)],
    )
    statement = "select opening_balance, unexplained_credits, closing_balance from marts.credit_usage_daily"
    assert one(built, statement) == (1000, 0, 980)
    assert built.execute("from marts.audit_balances").fetchall() == []


def test_trap_11_a_balance_changed_without_a_row_is_listed(build: Build) -> None:
    built = build(
        ["audit_balances"],
        credit_transactions=[entry(1, "adjustment", -20, 1000, 980)],
        team_credits=[team(credits_remaining=1200)],
    )
    sql = "select break_type, expected, actual, difference from marts.audit_balances"
    assert one(built, sql) == ("changed_without_row", 980, 1200, 220)


def test_trap_14_a_months_credits_are_the_months(published: Published, tape: Tape) -> None:
    """credits_used of the platform is of a team's whole life; ours is of the period."""
    spent = sum(
        row["credits_amount"]
        for row in tape["credit_transactions"]
        if row["team_id"] == "wonka-bot"
        and row["transaction_type"] == "deduction"
        and row["created_at"] >= datetime(2026, 11, 1)
    )
    month = "team_id = 'wonka-bot' and period_start_date = date '2026-11-01'"
    assert published.value(f"select credits_used from credit_usage_monthly where {month}") == spent
    assert published.value("select credits_used from credit_balances where team_id = 'wonka-bot'") > spent


def test_trap_15_a_balance_below_zero_is_shown(build: Build) -> None:
    built = build(
        ["credit_balances"],
        credit_transactions=[
            entry(-24 * 9, "adjustment", 0, 100, 100),
            entry(1, "deduction", 28, 100, 72),
            entry(2, "adjustment", -79, 72, -7),
        ],
        team_credits=[team(credits_remaining=-7)],
    )
    sql = "select credits_remaining, ledger_balance, days_left < 0 from marts.credit_balances"
    assert one(built, sql) == (-7, -7, True)


def test_trap_16_the_share_used_is_no_integer_division(build: Build) -> None:
    built = build(["credit_balances"], team_credits=[team(credits_used=245, credits_remaining=755)])
    assert one(built, "select used_share from marts.credit_balances") == Decimal("0.245")


def test_trap_17_days_are_not_zero(published: Published) -> None:
    """For a day the platform's endpoint always answers 0; compat.team_usage_summaries has the day."""
    answers = json.loads((TAPE / "platform-answers" / "team-usage.json").read_text(encoding="utf-8"))
    day = "2026-10-15"
    theirs = {
        name: periods[day]["body"]["summary"]["total_jobs"]
        for name, periods in answers.items()
        if periods.get(day, {}).get("status") == 200
    }
    assert len(theirs) > 10
    assert set(theirs.values()) == {0}
    ours = "select sum(total_jobs) from warehouse.compat.team_usage_summaries"
    assert published.value(f"{ours} where period = '{day}' and period_type = 'daily'") == published.value(
        f"select job_count from platform_usage_daily where period_start_date = date '{day}'"
    )
    assert published.value(f"{ours} where period = '{day}'") > 0


def test_trap_43_a_negative_allocation_lowers(build: Build) -> None:
    rows = [entry(1, "allocation", 100, 0, 100), entry(2, "allocation", -40, 100, 60)]
    built = build(
        ["credit_usage_daily", "audit_ledger"],
        credit_transactions=rows,
        team_credits=[team(credits_remaining=60)],
    )
    assert one(built, "select credits_allocated, closing_balance from marts.credit_usage_daily") == (60, 60)
    assert built.execute("from marts.audit_ledger").fetchall() == []


def test_trap_46_a_charge_that_lost_its_job_is_listed(build: Build) -> None:
    rows = [entry(1, "deduction", 5, 100, 95, job_id=None), entry(2, "deduction", 5, 95, 90, job_id=None)]
    built = build(
        ["audit_ledger", "team_usage_daily", "job_type_usage_daily"],
        credit_transactions=rows,
        team_credits=[team(credits_remaining=90)],
    )
    found = built.execute("select break_type, actual from marts.audit_ledger").fetchall()
    assert found == [("deduction_for_missing_job", -5)] * 2  # two charges without a job are not a double one
    by_type = "select job_type, credits_used from marts.job_type_usage_daily where credits_used <> 0"
    assert one(built, by_type) == ("unassigned", 10)


# --- teams and ids


def test_trap_27_a_deleted_team_keeps_its_rows_and_its_organization(published: Published, tape: Tape) -> None:
    assert "wonka-temp" not in {row["team_id"] for row in tape["team_credits"]}
    gone = published.rows(
        "select organization_id, is_deleted, status from dim_teams where team_id = 'wonka-temp'"
    )
    assert gone == [("org_wonka", True, None)]
    jobs = sum(row["team_id"] == "wonka-temp" for row in tape["jobs"])
    sql = "select sum(job_count) from team_usage_monthly where team_id = 'wonka-temp'"
    assert published.value(sql) == jobs > 0
    # its mark-up is gone with it: what was not stored with the call is not known
    sources = published.rows(
        "select distinct cost_source from fct_llm_calls "
        "where team_id = 'wonka-temp' and client_cost_usd is null and not is_failed"
    )
    assert {source for (source,) in sources} <= {"markup_unknown", "unpriced"}


def test_trap_28_the_summaries_that_nobody_writes_are_filled(published: Published, tape: Tape) -> None:
    assert tape["team_usage_summaries"] == []
    months = "from warehouse.compat.team_usage_summaries where period_type = 'monthly'"
    assert published.value(f"select sum(total_jobs) {months}") == len(tape["jobs"])
    assert published.value(f"select count(*) {months}") == published.value(
        "select count(*) from team_usage_monthly"
    )


def test_trap_30_waiting_and_running_are_kept_apart(build: Build) -> None:
    failed = job(
        "a", status="FAILED", started_at=NOON + timedelta(seconds=2), completed_at=NOON + timedelta(seconds=9)
    )
    built = build(["fct_jobs"], jobs=[failed, job("b", status="IN_PROGRESS", completed_at=NOON)])
    seconds = built.execute(
        "select queue_seconds, run_seconds, total_seconds from marts.fct_jobs order by job_id"
    ).fetchall()
    assert seconds == [(2, 7, 9), (0, None, None)]  # an open job has not ended, whatever the column holds


def test_trap_44_a_mark_up_holds_from_its_version_on(build: Build) -> None:
    version = {
        "team_id": "t",
        "organization_id": "org",
        "cost_markup_percentage": Decimal(10),
        "valid_from": datetime(1, 1, 1),
    }
    changed = {**version, "cost_markup_percentage": Decimal(50), "valid_from": NOON + timedelta(minutes=1)}
    calls = [call("early", "a"), call("late", "a", created_at=NOON + timedelta(minutes=1))]
    built = build(
        ["fct_llm_calls"],
        jobs=[job("a")],
        llm_calls=calls,
        team_credits=[team(cost_markup_percentage=Decimal(50))],
        team_versions=[version, changed],
    )
    costs = built.execute("select call_id, client_cost_usd from marts.fct_llm_calls order by 1").fetchall()
    assert costs == [("early", Decimal("0.011")), ("late", Decimal("0.015"))]


HOSTILE_IDS = [
    *("a", "a/b", "a/../b", "a%", "a_", "a'; drop table jobs; --", '"a"', "<b>a</b>", "a\\", "  a", "顧客"),
    "x" * 190,
]


def test_trap_45_ids_are_opaque(build: Build) -> None:
    jobs = [job(f"job-{n}", team_id=name, job_type=name) for n, name in enumerate(HOSTILE_IDS)]
    teams = [team(team_id=name, organization_id=f"org {name}") for name in HOSTILE_IDS]
    built = build(
        ["team_usage_daily", "organization_usage_daily", "team_usage_summaries"],
        jobs=jobs,
        team_credits=teams,
    )
    counts = dict(built.execute("select team_id, job_count from marts.team_usage_daily").fetchall())
    assert counts == dict.fromkeys(HOSTILE_IDS, 1)
    organizations = built.execute("select organization_id from marts.organization_usage_daily").fetchall()
    assert {name for (name,) in organizations} == {f"org {name}" for name in HOSTILE_IDS}
    breakdowns = built.execute(
        "select team_id, job_type_breakdown from compat.team_usage_summaries"
    ).fetchall()
    assert all(json.loads(text)[name]["count"] == 1 for name, text in breakdowns)


# --- beyond the list: what only files can hold


def test_credits_outside_the_source_columns_range_leave_the_measures(build: Build) -> None:
    connection = build(
        ["credit_usage_daily", "credit_balances", "audit_findings", "audit_ledger"],
        team_credits=[team(credits_allocated=2**40, credits_remaining=990)],
        credit_transactions=[
            entry(0, "deduction", 10, 1000, 990),
            entry(1, "deduction", 2**40, 990, 980),
            entry(2, "adjustment", 5, 2**35, 2**35 + 5),
            entry(3, "deduction", 1, 985, 984),
            # a day of its own, with nothing that counts
            entry(30, "deduction", 2**40, 984, 984),
        ],
    )
    assert one(
        connection,
        "select credits_used, closing_balance from marts.credit_usage_daily "
        "where period_start_date = date '2026-11-21'",
    ) == (0, 984)
    used, adjusted, unexplained, closing = one(
        connection,
        "select credits_used, credits_adjusted, unexplained_credits, closing_balance "
        "from marts.credit_usage_daily where period_start_date = date '2026-11-20'",
    )
    # the row without a usable amount still states its balance, the row without a usable balance its amount
    assert (used, adjusted, unexplained, closing) == (11, 5, -10, 984)
    assert one(connection, "select credits_allocated from marts.credit_balances") is None
    found = connection.execute(
        "select table_name, actual from marts.audit_findings where rule = 'credits_out_of_range' "
        "order by table_name, finding_date"
    ).fetchall()
    assert found == [("credit_transactions", 2), ("credit_transactions", 1), ("team_credits", 1)]


def test_a_row_from_before_1970_is_held_back_and_listed(build: Build) -> None:
    connection = build(
        ["platform_usage_daily", "audit_findings", "audit_row_accounting"],
        jobs=[job("new"), job("old", created_at=datetime(1, 1, 1))],
        llm_calls=[call("c", "old")],
    )
    assert one(connection, "select sum(job_count) from marts.platform_usage_daily") == 1
    rules = connection.execute("select rule, example_row_key from marts.audit_findings").fetchall()
    assert ("row_before_1970", "old") in rules
    assert ("call_without_job", "c") in rules
    accounted = "select used_row_count, quarantined_row_count from marts.audit_row_accounting "
    assert one(connection, accounted + "where table_name = 'jobs'") == (1, 1)


def test_a_completion_in_the_year_9999_is_no_job_time(build: Build) -> None:
    connection = build(
        ["platform_usage_daily", "audit_findings"],
        jobs=[job("sound"), job("endless", completed_at=datetime(9999, 12, 31))],
    )
    average = "select avg_job_seconds from marts.platform_usage_daily where job_count = 2"
    assert one(connection, average) == Decimal("10.000")
    assert ("endless_time", "endless") in connection.execute(
        "select rule, example_row_key from marts.audit_findings"
    ).fetchall()
