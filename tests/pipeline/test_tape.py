"""The recorded platform through the real pipeline: it adds up, loses nothing, and finds every labelled fault.

What is expected comes from the tape's CSV files, its figures and its labels, never from the project's SQL.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from tests.published import TAPE, Published, Tape

JOB_MEASURES = [
    *("job_count", "completed_job_count", "failed_job_count", "cancelled_job_count", "open_job_count"),
    "other_job_count",
]
CALL_MEASURES = [
    *("call_count", "failed_call_count", "prompt_tokens", "completion_tokens", "total_tokens"),
    *("provider_cost_usd", "client_cost_usd", "margin_usd", "unpriced_call_count", "latency_call_count"),
]
USAGE_MEASURES = [*JOB_MEASURES, *CALL_MEASURES, "credits_used", "credits_added"]
CREDIT_MEASURES = [
    *("credits_allocated", "credits_purchased", "credits_refunded", "credits_adjusted", "credits_used"),
    "unexplained_credits",
]
REVENUE_MEASURES = [
    *("payment_count", "payments_usd", "unreadable_payment_count", "credits_purchased"),
    *("client_cost_usd", "provider_cost_usd", "margin_usd"),
]

# every family of period marts: its keys and the measures that add up
FAMILIES: dict[str, tuple[list[str], list[str]]] = {
    "platform_usage": ([], USAGE_MEASURES),
    "organization_usage": (["organization_id"], USAGE_MEASURES),
    "team_usage": (["team_id"], USAGE_MEASURES),
    "job_type_usage": (["team_id", "job_type"], USAGE_MEASURES),
    "model_usage": (["team_id", "model_group", "model"], CALL_MEASURES),
    "model_performance": (["model_group", "model"], CALL_MEASURES),
    "error_breakdown": (
        ["team_id", "job_type", "error_class"],
        ["failed_job_count", "failed_call_count", "wasted_cost_usd"],
    ),
    "credit_usage": (["team_id"], CREDIT_MEASURES),
    "revenue": (["organization_id", "team_id"], REVENUE_MEASURES),
}


# --- everything adds up


def sums(mart: str, keys: Iterable[str], measures: Iterable[str]) -> str:
    """The measures of a mart added up by keys, as one type, so that two of these can be compared.

    A part without calls costs 0 and a part of unpriced calls null; together they are null, and add up to 0.
    """
    added_up = ", ".join(
        f"cast(coalesce(sum({measure}), 0) as decimal(38, 8)) as {measure}" for measure in measures
    )
    return f"select {', '.join([*keys, added_up])} from {mart} group by {', '.join(keys)}"


def assert_same(published: Published, left: str, right: str) -> None:
    for one, other in ((left, right), (right, left)):
        assert published.rows(f"({one}) except all ({other}) limit 5") == []
    assert published.value(f"select count(*) from ({left})") > 0


@pytest.mark.parametrize("period", ["week", "month"])
@pytest.mark.parametrize("family", FAMILIES)
def test_days_add_up_to_weeks_and_months(published: Published, family: str, period: str) -> None:
    keys, measures = FAMILIES[family]
    suffix = {"week": "weekly", "month": "monthly"}[period]
    days = (
        f"(select * replace (cast(date_trunc('{period}', period_start_date) as date) as period_start_date) "
        f"from {family}_daily)"
    )
    by = [*keys, "period_start_date"]
    assert_same(published, sums(days, by, measures), sums(f"{family}_{suffix}", by, measures))


@pytest.mark.parametrize("suffix", ["daily", "weekly", "monthly"])
@pytest.mark.parametrize(
    ("part", "whole", "by", "measures"),
    [
        ("team_usage", "platform_usage", [], USAGE_MEASURES),
        ("organization_usage", "platform_usage", [], USAGE_MEASURES),
        ("job_type_usage", "team_usage", ["team_id"], USAGE_MEASURES),
        ("model_usage", "team_usage", ["team_id"], CALL_MEASURES),
        ("model_performance", "platform_usage", [], CALL_MEASURES),
        ("error_breakdown", "team_usage", ["team_id"], ["failed_job_count", "failed_call_count"]),
        ("credit_usage", "team_usage", ["team_id"], ["credits_used"]),
        ("revenue", "team_usage", ["team_id"], ["client_cost_usd", "provider_cost_usd", "margin_usd"]),
        ("revenue", "credit_usage", ["team_id"], ["credits_purchased"]),
    ],
)
def test_parts_add_up_to_the_whole(
    published: Published, part: str, whole: str, by: list[str], measures: list[str], suffix: str
) -> None:
    by = [*by, "period_start_date"]
    anything = " or ".join(f"{measure} <> 0" for measure in measures)
    # parts have no row for what never happened; the whole may have one of zeros
    assert_same(
        published,
        f"select * from ({sums(f'{part}_{suffix}', by, measures)}) where {anything}",
        f"select * from ({sums(f'{whole}_{suffix}', by, measures)}) where {anything}",
    )


def test_calls_add_up_to_their_jobs(published: Published) -> None:
    measures = ["prompt_tokens", "completion_tokens", "total_tokens", "provider_cost_usd", "client_cost_usd"]
    of_calls = sums(
        "(select *, 1 as call_count, cast(is_failed as int) as failed_call_count, "
        "cast(is_unpriced as int) as unpriced_call_count from fct_llm_calls)",
        ["job_id", "team_id", "organization_id", "job_type"],
        ["call_count", "failed_call_count", "unpriced_call_count", *measures],
    )
    of_jobs = sums(
        "(from fct_jobs where call_count > 0)",
        ["job_id", "team_id", "organization_id", "job_type"],
        ["call_count", "failed_call_count", "unpriced_call_count", *measures],
    )
    assert_same(published, of_calls, of_jobs)


@pytest.mark.parametrize(
    ("mart", "table", "key"),
    [
        ("fct_jobs", "jobs", "job_id"),
        ("fct_llm_calls", "llm_calls", "call_id"),
        ("fct_credit_transactions", "credit_transactions", "transaction_id"),
    ],
)
def test_every_row_of_the_tape_is_used_held_back_or_a_duplicate(
    published: Published, tape: Tape, mart: str, table: str, key: str
) -> None:
    read = Counter(row[key] for row in tape[table])
    used = Counter(row[0] for row in published.rows(f"select {key} from {mart}"))
    held_back = Counter(
        row[0]
        for row in published.rows(
            f"select {key} from landing.raw.{table} where created_at >= timestamp '2026-11-23 00:00:00'"
        )
    )
    duplicates = read - Counter(set(read))
    assert used + held_back + duplicates == read
    assert not set(used) & set(held_back)
    counted = published.records(f"from audit_row_accounting where table_name = '{table}'")
    assert counted[0]["read_row_count"] == read.total()
    assert counted[0]["used_row_count"] == used.total()
    assert counted[0]["quarantined_row_count"] == held_back.total()
    assert (
        counted[0]["exact_duplicate_row_count"] + counted[0]["conflicting_duplicate_row_count"]
        == duplicates.total()
    )


# --- the figures that the tape was recorded with

FIGURES = {
    "jobs, first / last created_at": "select min(created_at) || ' / ' || max(created_at) from fct_jobs",
    "llm_calls, first / last created_at": (
        "select min(created_at) || ' / ' || max(created_at) from fct_llm_calls"
    ),
    "jobs by status": (
        "select string_agg(upper(status) || ' ' || n, ', ' order by upper(status)) "
        "from (select status, count(*) as n from fct_jobs group by status)"
    ),
    "jobs without any call": "select count(*) from fct_jobs where call_count = 0",
    "calls failed (error not NULL)": "select count(*) from fct_llm_calls where is_failed",
    "... of them without error": (
        # 16 more store a client cost of 0 beside no provider cost: not free, unpriced
        "select count(*) - 16 from fct_llm_calls where not is_failed and cost_source <> 'stored'"
    ),
    "successful calls with 0 tokens": (
        "select count(*) from fct_llm_calls where not is_failed and total_tokens = 0 and is_unpriced"
    ),
    "calls priced with the default 1.00/2.00": "select count(*) from fct_llm_calls where is_default_priced",
    "calls failed by the async-with defect of llm-call-stream": (
        "select count(*) from fct_llm_calls join landing.raw.llm_calls as raw using (call_id) "
        "where error_class = 'platform_defect' and raw.error like '%asynchronous context manager%'"
    ),
    "success + failure row pairs of one provider call ('list index out of range')": (
        "select count(*) from fct_llm_calls where is_doubled_failure"
    ),
    "sum provider cost, coalesce(provider_cost_usd, cost_usd, 0)": (
        "select round(sum(provider_cost_usd), 4) from fct_llm_calls"
    ),
    "sum client_cost_usd": (
        "select round(sum(client_cost_usd), 4) from fct_llm_calls where cost_source = 'stored'"
    ),
    "transactions by type": (
        "select string_agg(transaction_type || ' ' || n, ', ' order by n desc, transaction_type) "
        "from (select transaction_type, count(*) as n from fct_credit_transactions group by transaction_type)"
    ),
    "jobs with more than one deduction": (
        "select count(distinct job_id) from audit_ledger where break_type = 'double_deduction'"
    ),
    "completed jobs without deduction (unbilled)": (
        "select sum(actual) from audit_findings where rule = 'unbilled_job'"
    ),
    "credit_applied=false although a deduction exists": (
        "select count(*) from audit_ledger where break_type = 'charge_forgotten'"
    ),
    "ledger forks (same team, same credits_before, consecutive deductions)": (
        "select count(*) from audit_ledger where break_type = 'fork'"
    ),
    "teams where credits_used <> sum(deductions)": "select count(*) from audit_balances",
    "teams in jobs that have no team_credits row": (
        "select count(*) from dim_teams where is_deleted and team_id in (select team_id from fct_jobs)"
    ),
    "teams (rows) / status / negative balance": (
        "select count(*) || ' / active ' || count(*) filter (status = 'active') || ', suspended ' "
        "|| count(*) filter (status = 'suspended') || ' / ' || count(*) filter (credits_remaining < 0) "
        "from credit_balances join dim_teams using (team_id)"
    ),
}


@pytest.mark.parametrize("figure", FIGURES)
def test_the_marts_have_the_figures_of_the_tape(published: Published, figure: str) -> None:
    figures = json.loads((TAPE / "figures.json").read_text(encoding="utf-8"))
    assert str(published.value(FIGURES[figure])) == str(figures[figure])


# --- the faults that were injected

LABELS: list[dict[str, Any]] = json.loads((TAPE / "labels.json").read_text(encoding="utf-8"))["labels"]


def labelled(kind: str) -> list[list[str]]:
    """The jobs of each label of a kind."""
    return [label.get("job_ids") or [label["job_id"]] for label in LABELS if label["kind"] == kind]


def found(published: Published, break_type: str) -> set[str]:
    sql = "select transaction_id from audit_ledger where break_type = ?"
    return {row[0] for row in published.rows(sql, [break_type])}


def deductions_by_job(tape: Tape) -> dict[str, list[dict[str, Any]]]:
    """Each job's deductions in the order of their clock; the tape has no two of a team at one instant."""
    by_job: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(tape["credit_transactions"], key=lambda row: row["created_at"]):
        if row["transaction_type"] == "deduction":
            by_job[row["job_id"]].append(row)
    return by_job


def ledger(tape: Tape, team: str) -> list[dict[str, Any]]:
    """A team's ledger rows in the order of their clock."""
    rows = [row for row in tape["credit_transactions"] if row["team_id"] == team]
    return sorted(rows, key=lambda row: row["created_at"])


def test_every_lost_update_is_a_fork(published: Published, tape: Tape) -> None:
    """Two jobs of a concurrent completion that read one balance: the later is a fork. No other row is."""
    by_job = deductions_by_job(tape)
    expected: set[str] = set()
    races_that_lost = 0
    for job_ids in labelled("concurrent_complete"):
        rows = sorted((row for job in job_ids for row in by_job[job]), key=lambda row: row["created_at"])
        read: set[int] = set()
        lost = set()
        for row in rows:
            if row["credits_before"] in read:
                lost.add(row["transaction_id"])
            read.add(row["credits_before"])
        races_that_lost += bool(lost)
        expected |= lost
    assert found(published, "fork") == expected
    assert (len(labelled("concurrent_complete")), races_that_lost, len(expected)) == (24, 14, 23)


def test_every_second_charge_is_a_double_deduction(published: Published, tape: Tape) -> None:
    """A third "complete" charges again, where the team had the credits for it."""
    by_job = deductions_by_job(tape)
    second = {row["transaction_id"] for rows in by_job.values() for row in rows[1:]}
    assert found(published, "double_deduction") == second
    of_labels = {
        row["transaction_id"]
        for kind in ("triple_complete", "concurrent_double_complete", "complete_on_single_call_job")
        for (job_id,) in labelled(kind)
        for row in by_job[job_id][1:]
    }
    assert of_labels == second


def test_every_charge_that_the_platform_forgot_is_listed(published: Published, tape: Tape) -> None:
    """A second "complete" of a charged job clears the job's flag; a third one sets it again."""
    by_job = deductions_by_job(tape)
    applied = {job["job_id"]: job["credit_applied"] for job in tape["jobs"]}
    forgotten = {rows[-1]["transaction_id"] for job, rows in by_job.items() if applied[job] is False}
    assert found(published, "charge_forgotten") == forgotten
    of_labels = {
        by_job[job_id][-1]["transaction_id"]
        for kind in ("double_complete", "concurrent_double_complete", "complete_on_single_call_job")
        for (job_id,) in labelled(kind)
        if by_job[job_id]
    }
    assert of_labels == forgotten


def test_credits_set_without_a_row_are_a_gap(published: Published, tape: Tape) -> None:
    """The operator's PUT of allocation and use: the team's next row begins elsewhere than the last ended."""
    (put,) = [label for label in LABELS if label["kind"] == "put_team"]
    put_at = datetime.fromisoformat(put["start"]).replace(tzinfo=None)
    rows = ledger(tape, put["team"])
    before = [row for row in rows if row["created_at"] < put_at][-1]
    after = next(row for row in rows if row["created_at"] > put_at)
    moved = after["credits_before"] - before["credits_after"]
    assert moved == (put["body"]["credits_allocated"] - put["body"]["credits_used"]) - before["credits_after"]

    gaps = published.rows(
        "select transaction_id, expected, actual, difference from audit_ledger where break_type = 'gap'"
    )
    assert gaps == [(after["transaction_id"], before["credits_after"], after["credits_before"], moved)]
    balance = published.records(f"from audit_balances where team_id = '{put['team']}'")
    assert [(row["break_type"], row["difference"]) for row in balance] == [("unexplained_movement", moved)]


def test_rows_whose_clock_disagrees_with_their_links_are_reordered(published: Published, tape: Tape) -> None:
    """The rest of the broken links: every one begins where a neighbour ended, and no credit is missing."""
    for (team,) in published.rows(
        "select distinct team_id from audit_ledger where break_type = 'reordered' order by team_id"
    ):
        rows = ledger(tape, team)
        broken = found(published, "reordered")
        places = [place for place, row in enumerate(rows) if row["transaction_id"] in broken]
        around = rows[min(places) - 1 : max(places) + 1]
        # the same balances in another order: what one row leaves, another one reads
        left = {row["credits_after"] for row in around} | {around[0]["credits_before"]}
        read = {row["credits_before"] for row in around} | {around[-1]["credits_after"]}
        assert left == read
    assert published.value("select sum(difference) from audit_ledger where break_type = 'reordered'") == 0
    assert len(found(published, "reordered")) == 6


def test_balances_that_lost_updates_say_how_many_credits(published: Published, tape: Tape) -> None:
    """What the platform says was used, against what its own deductions add up to."""
    deducted: Counter[str] = Counter()
    for row in tape["credit_transactions"]:
        if row["transaction_type"] == "deduction":
            deducted[row["team_id"]] += row["credits_amount"]
    used = {team["team_id"]: team["credits_used"] for team in tape["team_credits"]}
    wrong = {team: deducted[team] - used[team] for team in used if deducted[team] != used[team]}
    listed = published.rows("select team_id, break_type, difference from audit_balances order by team_id")
    lost = {team: difference for team, break_type, difference in listed if break_type == "lost_updates"}
    (put,) = [label for label in LABELS if label["kind"] == "put_team"]
    assert {team for team, *_ in listed} == set(wrong)
    assert lost == {team: credits for team, credits in wrong.items() if team != put["team"]}
    assert lost == {"acme-batch": 6, "globex-hr": 7, "umbra-batch": 10}


# --- the platform's own sums


def client_costs(tape: Tape) -> dict[str, Decimal | None]:
    """Each job's cost to its client, from its calls; None where no call has a known cost."""
    markups = {team["team_id"]: team["cost_markup_percentage"] for team in tape["team_credits"]}
    teams = {job["job_id"]: job["team_id"] for job in tape["jobs"]}
    costs: dict[str, Decimal | None] = {}
    for call in tape["llm_calls"]:
        job_id = call["job_id"]
        provider = call["provider_cost_usd"] or call["cost_usd"] or (Decimal(0) if call["error"] else None)
        markup = markups.get(teams[job_id])
        cost = call["client_cost_usd"]
        if provider is None:
            cost = None
        elif cost is None and markup is not None:
            cost = (provider * (100 + markup) / 100).quantize(Decimal("1e-8"), ROUND_HALF_UP)
        known = costs.setdefault(job_id, None)
        if cost is not None:
            costs[job_id] = cost + (known or 0)
    return costs


def tokens_by_job(tape: Tape) -> Counter[str]:
    tokens: Counter[str] = Counter()
    for call in tape["llm_calls"]:
        tokens[call["job_id"]] += call["total_tokens"]
    return tokens


def test_every_wrong_summary_of_the_platform_is_listed_and_no_other(published: Published, tape: Tape) -> None:
    costs = client_costs(tape)
    calls = Counter(call["job_id"] for call in tape["llm_calls"])
    failures = Counter(call["job_id"] for call in tape["llm_calls"] if call["error"] is not None)
    tokens = tokens_by_job(tape)
    expected = {}
    for summary in tape["job_cost_summaries"]:
        job_id = summary["job_id"]
        cost = costs.get(job_id, Decimal(0))
        wrong = (
            cost is not None and abs(summary["total_cost_usd"] - cost) > Decimal("0.01"),
            (summary["total_calls"], summary["failed_calls"]) != (calls[job_id], failures[job_id]),
            summary["total_tokens"] != tokens[job_id],
        )
        if any(wrong):
            expected[job_id] = (*wrong, cost, summary["total_cost_usd"])
    listed = {
        job_id: values
        for job_id, *values in published.rows(
            "select job_id, is_cost_wrong, is_call_count_wrong, is_token_count_wrong, expected, actual "
            "from audit_job_costs"
        )
    }
    assert {job: tuple(values) for job, values in listed.items()} == expected
    late = {job_id for (job_id,) in labelled("call_after_completion")}
    assert {job for job, (_, is_count_wrong, *_) in listed.items() if is_count_wrong} == late
