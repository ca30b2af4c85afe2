"""As platform_answers, of the endpoints that list rows: ledgers and balances, jobs and calls, teams."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

from tests.oracle import platform_causes as causes
from tests.oracle import platform_measures as measures
from tests.oracle.platform_answers import Answer, of_organization, with_unknown_cost
from tests.oracle.platform_causes import Explained, Measure
from tests.oracle.platform_measures import ONE
from tests.oracle.platform_rows import Call, Job, Platform

# --- GET /api/credits/teams/{id}/balance and /transactions


def moment(value: datetime, *, cut: bool) -> Explained:
    """Seconds since 1970, as cut by the platform where it is."""
    exact = Fraction((value - datetime(1970, 1, 1)) // timedelta(microseconds=1), 1_000_000)
    found = Explained(exact)
    if cut:
        lost = causes.cut_to_whole_seconds(value)
        found.theirs -= lost
        found.add("cut_to_whole_seconds", lost)
    return found


AMOUNTS_OF_BALANCE = (
    *("credits_allocated", "credits_used", "credits_remaining", "credit_limit"),
    *("auto_refill", "refill_amount"),
    *("credits_per_dollar", "tokens_per_credit"),
)


def balance(platform: Platform, team_id: str) -> Answer:
    row = platform.teams[team_id]
    amounts: Answer = {
        (name,): Explained(Fraction(row[name])) for name in AMOUNTS_OF_BALANCE if row[name] is not None
    }
    moments: Answer = {
        (name,): moment(row[name], cut=True)
        for name in ("created_at", "updated_at", "last_refill_at")
        if row[name] is not None
    }
    return amounts | moments


def transactions(platform: Platform, team_id: str) -> Answer:
    rows = [entry for entry in platform.entries if entry.team_id == team_id]
    answer: Answer = {("total",): Explained(Fraction(len(rows)))}
    running: int | None = None
    for entry in rows:
        signed = -entry.amount if entry.kind == "deduction" else entry.amount
        is_payment = entry.kind in ("subscription_payment", "one_time_payment")
        before = entry.before if not is_payment or running is None else running
        running = before + signed if is_payment else entry.after
        amount = Explained(Fraction(entry.amount))
        if entry.kind == "deduction":
            amount.add("deduction_lowers", causes.deduction_lowers(entry.amount))
        row = ("transactions", entry.transaction_id)
        answer[*row, "credits_amount"] = amount
        for name, stated, balance_then in (
            ("credits_before", entry.before, before),
            ("credits_after", entry.after, running),
        ):
            found = Explained(Fraction(stated))
            if is_payment:
                found.add(
                    "payment_states_the_allocation",
                    causes.payment_states_the_allocation(balance_then, stated),
                )
            answer[*row, name] = found
        answer[*row, "created_at"] = moment(entry.at, cut=True)
    return answer


# --- GET /api/jobs/teams/{team} and the details of a job


def job_figures(job: Job) -> Answer:
    """Of one job, whatever the period."""
    latencies = [call.latency_ms for call in job.calls if not call.is_failed and call.latency_ms is not None]
    latency = Explained(null="no_latency_known")
    if latencies:
        mean = Fraction(sum(latencies), len(latencies))
        latency = Explained(Fraction(int(mean)))
        latency.add("cut_to_whole_milliseconds", causes.cut_to_whole_milliseconds(mean))
        latency.add("ours_rounded", causes.ours_rounded(mean, 3))
    return {
        ("total_calls",): one_job(job, ONE),
        ("successful_calls",): one_job(job, measures.SUCCEEDED),
        ("failed_calls",): one_job(job, measures.FAILURES),
        ("total_tokens",): one_job(job, measures.TOKENS),
        ("total_cost_usd",): with_unknown_cost(one_job(job, measures.SPEND), job.calls),
        ("avg_latency_ms",): latency,
        ("credit_applied",): Explained(Fraction(job.is_credit_applied)),
        ("created_at",): moment(job.at, cut=False),
        **({("completed_at",): moment(job.completed_at, cut=False)} if job.completed_at else {}),
    }


def one_job(job: Job, measure: Measure) -> Explained:
    found = Explained()
    for call in job.calls:
        found.theirs += measure.theirs(call)
        for step in measure.steps:
            found.add(step.__name__, step(call))
    return found


def job_list(platform: Platform, team_id: str, status: str | None, page_size: int) -> Answer:
    jobs = [job for job in platform.jobs if job.team_id == team_id and status in (None, job.status)]
    page = sorted(jobs, key=lambda job: job.at, reverse=True)[:page_size]
    listed = Explained(Fraction(sum(bool(job.calls) for job in page)))
    listed.add("list_skips_jobs_without_calls", causes.list_skips_jobs_without_calls(page))
    answer: Answer = {("total",): Explained(Fraction(len(jobs))), ("listed",): listed}
    for job in page:
        if job.calls:
            answer |= {("jobs", job.job_id, *path): found for path, found in job_figures(job).items()}
    return answer


def job(job: Job) -> Answer:
    """GET /api/jobs/{id}"""
    moments = {"created_at": job.at, "started_at": job.started_at, "completed_at": job.completed_at}
    return {
        ("credit_applied",): Explained(Fraction(job.is_credit_applied)),
        **{(name,): moment(value, cut=True) for name, value in moments.items() if value is not None},
    }


def job_costs(job: Job) -> Answer:
    """GET /api/jobs/{id}/costs"""
    answer: Answer = {("costs", "total_cost_usd"): with_unknown_cost(one_job(job, measures.SPEND), job.calls)}
    for call in job.calls:
        row = ("costs", "breakdown", call.call_id)
        answer |= {
            (*row, "prompt_tokens"): Explained(Fraction(call.prompt_tokens)),
            (*row, "completion_tokens"): Explained(Fraction(call.completion_tokens)),
            (*row, "cost_usd"): call_cost(call),
            (*row, "created_at"): moment(call.at, cut=False),
        }
    return answer


def call_cost(call: Call) -> Explained:
    alone = Explained(call.legacy_cost)
    for step in measures.SPEND.steps:
        alone.add(step.__name__, step(call))
    return with_unknown_cost(alone, [call])


def job_detail(job: Job) -> Answer:
    """GET /api/jobs/teams/{team}/{job}"""
    answer: Answer = {("job", *path): found for path, found in job_figures(job).items()}
    for call in job.calls:
        row = ("calls", call.call_id)
        answer |= {
            (*row, "prompt_tokens"): Explained(Fraction(call.prompt_tokens)),
            (*row, "completion_tokens"): Explained(Fraction(call.completion_tokens)),
            (*row, "total_tokens"): Explained(Fraction(call.tokens)),
            (*row, "cost_usd"): call_cost(call),
            (*row, "created_at"): moment(call.at, cut=False),
        }
        if call.latency_ms is not None:
            answer[*row, "latency_ms"] = Explained(Fraction(call.latency_ms))
    return answer


# --- GET /api/stats/dashboard and /api/teams


def dashboard(platform: Platform) -> Answer:
    rows = platform.teams.values()
    return {
        ("organizations",): Explained(Fraction(len(platform.organizations))),
        ("teams",): Explained(Fraction(len(rows))),
        ("totalCredits",): Explained(Fraction(sum(row["credits_allocated"] for row in rows))),
        ("creditsRemaining",): Explained(Fraction(sum(row["credits_remaining"] for row in rows))),
        ("creditsUsed",): Explained(Fraction(sum(row["credits_used"] for row in rows))),
    }


BALANCE_LISTED = ("credits_allocated", "credits_remaining")


def team_list(platform: Platform) -> Answer:
    """GET /api/teams"""
    answer: Answer = {}
    for team_id, row in platform.teams.items():
        for name in (*BALANCE_LISTED, "credits_used", "credits_per_dollar"):
            answer[team_id, name] = Explained(Fraction(row[name]))
        answer[team_id, "created_at"] = moment(row["created_at"], cut=False)
    return answer


def teams_of_organization(platform: Platform, organization_id: str) -> Answer:
    """GET /api/organizations/{id}/teams"""
    jobs, _ = of_organization(platform, organization_id)
    current = [name for name, row in platform.teams.items() if row["organization_id"] == organization_id]
    count = Explained(Fraction(len(current)))
    gone = {job.team_id for job in jobs} - set(current)
    count.add("deleted_team_exists", causes.deleted_team_exists(len(gone)))
    balances: Answer = {
        ("teams", team_id, name): Explained(Fraction(platform.teams[team_id][name]))
        for team_id in current
        for name in BALANCE_LISTED
    }
    return {("team_count",): count, **balances}
