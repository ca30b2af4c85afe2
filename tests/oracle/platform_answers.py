"""What leads from the platform's usage of teams and organizations to ours: which causes are in which figure.

One function for each endpoint. Its result has a key for every number of the answer, as the path of names in
its JSON; the rows of a list are found by their id. Written from the raw rows; no mart is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from fractions import Fraction

from tests.oracle import platform_causes as causes
from tests.oracle import platform_measures as measures
from tests.oracle.platform_causes import NOTHING, Explained, Measure, Question, Row
from tests.oracle.platform_measures import ONE
from tests.oracle.platform_rows import Call, Entry, Job, Platform

Path = tuple[str, ...]
Answer = dict[Path, Explained]

EVER = Question(datetime(1, 1, 1), datetime(9999, 1, 1))
UNKNOWN = "unknown"
FORK_WINDOW = timedelta(minutes=1)


def question(period: str, *, includes_end_date: bool = False) -> Question:
    """Of 'YYYY-MM', 'YYYY-MM-DD' or 'all'."""
    if period == "all":
        return EVER
    if len(period) > len("2026-10"):
        start = datetime.fromisoformat(period)
        return Question(start, start + timedelta(days=1), includes_end_date)
    start = datetime.fromisoformat(f"{period}-01")
    end = datetime(start.year + start.month // 12, start.month % 12 + 1, 1)
    return Question(start, end, includes_end_date)


def counted(asked: Question, rows: Iterable[Row], measure: Measure) -> Explained:
    """A sum over rows: theirs, and each cause in it."""
    found = Explained()
    for row in rows:
        if asked.platform_takes(row.job):
            found.theirs += measure.theirs(row)
            if asked.holds(row.job.at):
                for step in measure.steps:
                    found.add(step.__name__, step(row))
        found.add("end_date_is_included", causes.end_date_is_included(asked, row, measure))
        found.add("deleted_team", causes.deleted_team(asked, row, measure))
    return found


def cost(asked: Question, calls: Iterable[Call], measure: Measure) -> Explained:
    """As `counted`, of dollars: ours is null when there are calls and no cost of them is known."""
    calls = list(calls)
    found = counted(asked, calls, measure)
    return with_unknown_cost(found, [call for call in calls if asked.holds(call.at)])


def with_unknown_cost(found: Explained, calls: list[Call]) -> Explained:
    if calls and all(call.client_cost is None for call in calls):
        found.null = "no_cost_known"
    return found


def nothing_answered(
    name: Callable[[Question, Row, Measure], Fraction], asked: Question, rows: Iterable[Row], measure: Measure
) -> Explained:
    """The platform answers 0 and one cause is all of ours."""
    found = Explained()
    for row in rows:
        found.add(name.__name__, name(asked, row, measure))
    return found


def average(dollars: Explained, rounded_causes: Mapping[str, Fraction], job_count: int) -> Explained:
    """Cost per job: each cause of the cost, shared out among the jobs, and two roundings."""
    if job_count == 0:
        return Explained(null="no_jobs_no_average")
    found = Explained()
    of_summaries = dollars.theirs + dollars.causes.get("rounded_to_cents", NOTHING)
    if of_summaries:
        found.add("rounded_to_4_places", causes.rounded_to_4_places(of_summaries / job_count))
        found.theirs = of_summaries / job_count - found.causes.get("rounded_to_4_places", NOTHING)
    for name, amount in rounded_causes.items():
        found.add(name, amount / job_count)
    found.add("ours_rounded", causes.ours_rounded(dollars.ours / job_count, 8))
    return found


# --- GET /api/teams/{team_id}/usage?period=


def summaries_cost(asked: Question, jobs: list[Job]) -> Explained:
    """The cost of a team's jobs as the summaries have it, and what leads to the cost of its calls."""
    found = cost(asked, [call for job in jobs for call in job.calls], measures.SUMMARY_COST)
    for job in jobs:
        if asked.holds(job.at):
            lost = causes.summary_stored_with_6_places(job)
            found.theirs -= lost
            found.add("summary_stored_with_6_places", lost)
    return found


def team_usage(platform: Platform, team_id: str, period: str) -> Answer:
    asked = question(period)
    jobs = [job for job in platform.jobs if job.team_id == team_id]
    by_type: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        by_type[job.job_type].append(job)
    if len(period) > len("2026-10"):
        return team_day(asked, jobs, by_type)
    calls = [call for job in jobs for call in job.calls]
    job_count = counted(asked, jobs, ONE)
    dollars = summaries_cost(asked, jobs)
    unrounded = dict(dollars.causes)
    cents = causes.rounded_to_cents(dollars.theirs)
    dollars.theirs -= cents
    dollars.add("rounded_to_cents", cents)
    return {
        ("summary", "total_jobs"): job_count,
        ("summary", "successful_jobs"): counted(asked, jobs, measures.COMPLETED_JOBS),
        ("summary", "failed_jobs"): counted(asked, jobs, measures.FAILED_JOBS),
        ("summary", "total_cost_usd"): dollars,
        ("summary", "total_tokens"): counted(asked, calls, measures.SUMMARY_TOKENS),
        ("summary", "avg_cost_per_job"): average(dollars, unrounded, int(job_count.ours)),
        **{("job_types", name, "count"): counted(asked, of_type, ONE) for name, of_type in by_type.items()},
        **{
            ("job_types", name, "cost_usd"): summaries_cost(asked, of_type)
            for name, of_type in by_type.items()
        },
    }


def team_day(asked: Question, jobs: list[Job], by_type: Mapping[str, list[Job]]) -> Answer:
    calls = [call for job in jobs for call in job.calls]

    def none(rows: Iterable[Row], measure: Measure) -> Explained:
        return nothing_answered(causes.a_day_matches_nothing, asked, rows, measure)

    def dollars(of_jobs: list[Job]) -> Explained:
        of_calls = [call for job in of_jobs for call in job.calls]
        known = [call for call in of_calls if asked.holds(call.at)]
        return with_unknown_cost(none(of_calls, measures.SUMMARY_COST), known)

    job_count, total = none(jobs, ONE), dollars(jobs)
    return {
        ("summary", "total_jobs"): job_count,
        ("summary", "successful_jobs"): none(jobs, measures.COMPLETED_JOBS),
        ("summary", "failed_jobs"): none(jobs, measures.FAILED_JOBS),
        ("summary", "total_cost_usd"): total,
        ("summary", "total_tokens"): none(calls, measures.SUMMARY_TOKENS),
        ("summary", "avg_cost_per_job"): average(total, total.causes, int(job_count.ours)),
        **{("job_types", name, "count"): none(of_type, ONE) for name, of_type in by_type.items()},
        **{("job_types", name, "cost_usd"): dollars(of_type) for name, of_type in by_type.items()},
    }


# --- GET /api/organizations/{id}/usage?period=, and the administrators' stats and analytics


def of_organization(platform: Platform, organization_id: str) -> tuple[list[Job], list[Call]]:
    jobs = [job for job in platform.jobs if job.organization_id == organization_id]
    return jobs, [call for job in jobs for call in job.calls]


def deductions(platform: Platform, team_id: str) -> list[Entry]:
    return [entry for entry in platform.entries if entry.team_id == team_id and entry.kind == "deduction"]


def organization_usage(platform: Platform, organization_id: str, period: str) -> Answer:
    asked = question(period)
    jobs, calls = of_organization(platform, organization_id)

    def none(rows: Iterable[Row], measure: Measure) -> Explained:
        return nothing_answered(causes.organization_id_is_never_set, asked, rows, measure)

    def credits(teams: Iterable[str]) -> Explained:
        found = Explained()
        for team_id in teams:
            used = sum(e.amount for e in deductions(platform, team_id) if asked.holds(e.at))
            found.add("organization_has_no_credits", causes.organization_has_no_credits(used))
        return found

    teams = sorted({job.team_id for job in jobs})
    known = [call for call in calls if asked.holds(call.at)]
    answer: Answer = {
        ("summary", "total_jobs"): none(jobs, ONE),
        ("summary", "completed_jobs"): none(jobs, measures.COMPLETED_JOBS),
        ("summary", "failed_jobs"): none(jobs, measures.FAILED_JOBS),
        ("summary", "credits_used"): credits(teams),
        ("summary", "total_cost_usd"): with_unknown_cost(none(calls, measures.SPEND), known),
        ("summary", "total_tokens"): none(calls, measures.TOKENS),
    }
    for team_id in teams:
        answer["teams", team_id, "jobs"] = none([job for job in jobs if job.team_id == team_id], ONE)
        answer["teams", team_id, "credits_used"] = credits([team_id])
    return answer


def lost_credits(platform: Platform, team_id: str) -> int:
    """Of deductions that read the balance which another one had read within the minute before, and that
    no later edit of the balance covers."""
    since = platform.balance_edits.get(team_id, (datetime(1, 1, 1), 0))[0]
    rows = [entry for entry in deductions(platform, team_id) if entry.at >= since]
    return sum(
        entry.amount
        for place, entry in enumerate(rows)
        if any(
            earlier.before == entry.before and entry.at - earlier.at < FORK_WINDOW for earlier in rows[:place]
        )
    )


def lifetime_credits(platform: Platform, team_id: str, asked: Question) -> Explained:
    """credits_used of a team's balance, and what leads to its deductions of the period."""
    rows = deductions(platform, team_id)
    if team_id not in platform.teams:
        used = sum(entry.amount for entry in rows if asked.holds(entry.at))
        return Explained(causes={"credits_of_deleted_team": causes.credits_of_deleted_team(used)})
    found = Explained(theirs=Fraction(sum(entry.amount for entry in rows)))
    corrections = {"lost_update": causes.lost_update(lost_credits(platform, team_id))}
    if team_id in platform.balance_edits:
        moment, value = platform.balance_edits[team_id]
        before = sum(entry.amount for entry in rows if entry.at < moment)
        corrections["balance_set_by_hand"] = causes.balance_set_by_hand(before - value)
    for name, amount in corrections.items():
        found.theirs -= amount
        found.add(name, amount)
    elsewhere = sum(entry.amount for entry in rows if not asked.holds(entry.at))
    found.add("credits_of_the_whole_life", causes.credits_of_the_whole_life(elsewhere))
    return found


def total(parts: Iterable[Explained]) -> Explained:
    found = Explained()
    for part in parts:
        found.theirs += part.theirs
        for name, amount in part.causes.items():
            found.add(name, amount)
    return found


def organization_stats(platform: Platform, organization_id: str, period: str) -> Answer:
    asked = question(period, includes_end_date=True)
    jobs, calls = of_organization(platform, organization_id)
    worked = {job.team_id for job in jobs}
    current = {name for name, row in platform.teams.items() if row["organization_id"] == organization_id}
    gone = worked - current
    teams = Explained(Fraction(len(current)))
    teams.add("deleted_team_exists", causes.deleted_team_exists(len(gone)))
    answer: Answer = {
        ("total_jobs",): counted(asked, jobs, ONE),
        ("completed_jobs",): counted(asked, jobs, measures.COMPLETED_JOBS),
        ("failed_jobs",): counted(asked, jobs, measures.FAILED_JOBS),
        ("in_progress_jobs",): counted(asked, jobs, measures.OPEN_JOBS),
        ("total_teams",): teams,
        ("total_llm_calls",): counted(asked, calls, ONE),
        ("successful_calls",): counted(asked, calls, measures.SUCCEEDED),
        ("failed_calls",): counted(asked, calls, measures.FAILURES),
        ("total_tokens",): counted(asked, calls, measures.TOKENS),
        ("total_cost_usd",): cost(asked, calls, measures.SPEND),
        ("total_credits_used",): total(lifetime_credits(platform, name, asked) for name in current | gone),
    }
    for team_id in sorted(worked):
        of_team = [job for job in jobs if job.team_id == team_id]
        if any(asked.platform_takes(job) or asked.holds(job.at) for job in of_team):
            answer["top_teams", team_id, "job_count"] = counted(asked, of_team, ONE)
            answer["top_teams", team_id, "credits_used"] = lifetime_credits(platform, team_id, asked)
    return answer


def guessed_provider(call: Call) -> str:
    """What the platform makes of an alias's name."""
    words = {"claude": "anthropic", "gpt": "openai", "gemini": "google", "llama": "meta"}
    if call.model_used is None:
        return UNKNOWN
    return next((provider for word, provider in words.items() if word in call.model_used), "other")


def lines(
    asked: Question,
    calls: list[Call],
    measure: Measure,
    theirs: Callable[[Call], str],
    ours: Callable[[Call], str],
) -> dict[str, Explained]:
    """A sum for each line of a list, where the two may put a call into different lines."""
    found = {}
    moved = [call for call in calls if asked.holds(call.at) and theirs(call) != ours(call)]
    for line in sorted({theirs(call) for call in calls} | {ours(call) for call in calls}):
        found[line] = counted(asked, (call for call in calls if theirs(call) == line), measure)
        for call in moved:
            for why in (causes.failed_call_has_a_model, causes.provider_guessed_from_the_alias):
                amount = why(call, line, theirs(call), ours(call)) * measure.ours(call)
                found[line].add(why.__name__, amount)
        if measure is measures.SPEND:
            with_unknown_cost(found[line], [c for c in calls if asked.holds(c.at) and ours(c) == line])
    return found


def organization_analytics(platform: Platform, organization_id: str, period: str) -> Answer:
    asked = question(period, includes_end_date=True)
    jobs, calls = of_organization(platform, organization_id)
    answer: Answer = {
        ("total_spend",): cost(asked, calls, measures.SPEND),
        ("total_requests",): counted(asked, calls, ONE),
        ("successful_requests",): counted(asked, calls, measures.SUCCEEDED),
        ("failed_requests",): counted(asked, calls, measures.FAILURES),
        ("total_tokens",): counted(asked, calls, measures.TOKENS),
    }
    by_day: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_day[f"{call.at:%Y-%m-%d}"].append(call)
    for day, of_day in by_day.items():
        answer["daily_spend", day, "spend"] = cost(asked, of_day, measures.SPEND)
    for team_id in sorted({job.team_id for job in jobs}):
        of_team = [call for call in calls if call.job.team_id == team_id]
        answer |= {
            ("spend_per_team", team_id, "spend"): cost(asked, of_team, measures.SPEND),
            ("spend_per_team", team_id, "successful"): counted(asked, of_team, measures.SUCCEEDED),
            ("spend_per_team", team_id, "failed"): counted(asked, of_team, measures.FAILURES),
            ("spend_per_team", team_id, "tokens"): counted(asked, of_team, measures.TOKENS),
        }
    by_model = (lambda call: call.model_used or UNKNOWN, lambda call: call.model_group or UNKNOWN)
    by_provider = (guessed_provider, lambda call: platform.providers.get(call.model_group or "", UNKNOWN))
    asked_lines: list[tuple[str, str, Measure, tuple[Callable[[Call], str], Callable[[Call], str]]]] = [
        ("top_models", "spend", measures.SPEND, by_model),
        ("top_models", "count", ONE, by_model),
        ("provider_usage", "spend", measures.SPEND, by_provider),
        ("provider_usage", "successful", measures.SUCCEEDED, by_provider),
        ("provider_usage", "failed", measures.FAILURES, by_provider),
        ("provider_usage", "tokens", measures.TOKENS, by_provider),
    ]
    for name, figure, measure, sides in asked_lines:
        for line, explained in lines(asked, calls, measure, *sides).items():
            answer[name, line, figure] = explained
    return answer
