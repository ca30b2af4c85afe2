"""The platform's recorded answers as numbers with a path, each request beside its explanation.

Owns how an answer's JSON becomes paths and exact numbers, theirs and ours alike.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path as FilePath
from typing import Any

from tests.oracle import platform_answers as usage
from tests.oracle import platform_row_answers as rows
from tests.oracle.platform_answers import Answer, Path
from tests.oracle.platform_rows import Platform

# what names a row of a list, the most particular first
ROW_NAMES = ("transaction_id", "call_id", "job_id", "date", "model", "provider", "team_id")

# figures of an answer that are nothing of ours, and why
NOT_OURS = {
    "retry_count": "the platform counts calls of the same purpose; we do not land `purpose`",
    "page": "the request",
    "page_size": "the request",
    "total_pages": "follows from `total`",
    "job_metadata": "not landed: it holds what clients put there",
    "metadata": "not landed: it holds what clients put there",
    "cost_markup_percentage": "for operators only: our API shows a tenant no mark-up",
    "modelGroups": "a table that nothing fills",
}

EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Recorded:
    """A request that the platform answered. `figures` is what it answered, `texts` its words."""

    endpoint: str
    arguments: tuple[str, ...]
    figures: dict[Path, Fraction]
    texts: dict[Path, str]
    explained: Answer


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf of an answer with its path; a row of a list of rows is found by its id."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in NOT_OURS:
                yield from leaves(part, (*path, str(name)))
    elif isinstance(value, list):
        for row in value:
            if isinstance(row, dict):
                name = next(name for name in ROW_NAMES if name in row)
                rest = {key: part for key, part in row.items() if key != name}
                yield from leaves(rest, (*path, str(row[name])))
    else:
        yield path, value


def number(path: Path, value: Any) -> Fraction | None:
    """A number exactly as printed, a moment in seconds since 1970; None for a word."""
    if isinstance(value, (bool, int, Decimal)):
        return Fraction(value)
    if isinstance(value, str) and path and path[-1].endswith("_at"):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return Fraction((naive - EPOCH) // timedelta(microseconds=1), 1_000_000)
    return None


def figures(body: Any) -> dict[Path, Fraction]:
    """The numbers of an answer. No float may be in it: one has lost digits."""
    found: dict[Path, Fraction] = {}
    for path, value in leaves(body):
        if isinstance(value, float):
            raise TypeError(f"{'.'.join(path)}: {value!r} is a float")
        amount = number(path, value)
        if amount is not None:
            found[path] = amount
    return found


def unknowns(body: Any) -> set[Path]:
    """The fields of an answer that are null."""
    return {path for path, value in leaves(body) if value is None}


def texts(body: Any) -> dict[Path, str]:
    return {
        path: value for path, value in leaves(body) if isinstance(value, str) and number(path, value) is None
    }


def load(tape: FilePath, name: str) -> Any:
    """A recorded file; numbers keep their digits."""
    path = tape / "platform-answers" / name
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return json.loads(text, parse_float=Decimal)


def field(endpoint: str, path: Path) -> str:
    """The name of a figure, with a star for the id of a row."""
    names = list(path)
    if endpoint == "teams":
        names[0] = "*"
    elif len(names) > 2:
        names[-2] = "*"
    return ".".join(names)


def requests(tape: FilePath) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Every recorded request: endpoint, arguments, and the answer with its status and body."""
    for team, periods in load(tape, "team-usage.json").items():
        for period, answer in periods.items():
            yield "team usage", (team, period), answer
    for organization, answers in load(tape, "organizations.json").items():
        for name, answer in answers.items():
            kind, _, period = name.partition("_")
            yield f"organization {kind}", (organization, period) if period else (organization,), answer
    for team, answers in load(tape, "team-credits.json.gz").items():
        yield "balance", (team,), answers["balance"]
        yield "transactions", (team,), answers["transactions"]
    for team, answers in load(tape, "team-job-lists.json.gz").items():
        yield "job list", (team, "", "20"), answers["page1"]
        yield "job list", (team, "FAILED", "5"), answers["failed"]
    for job_id, answers in load(tape, "job-details.json").items():
        yield "job", (job_id,), answers["job"]
        yield "job costs", (job_id,), answers["costs"]
        yield "job detail", (job_id,), answers["admin_detail"]
    dashboard = load(tape, "dashboard.json")
    yield "dashboard", (), dashboard["dashboard"]
    yield "teams", (), dashboard["teams"]


def refusals(tape: FilePath) -> dict[tuple[str, tuple[str, ...]], int]:
    """The requests that the platform refused, with the HTTP status."""
    return {
        (endpoint, arguments): answer["status"]
        for endpoint, arguments, answer in requests(tape)
        if answer["status"] != 200
    }


def explanation(platform: Platform, endpoint: str, arguments: tuple[str, ...]) -> Answer:
    jobs = {job.job_id: job for job in platform.jobs}
    match endpoint, arguments:
        case "team usage", (team, period):
            return usage.team_usage(platform, team, period)
        case "organization usage", (organization, period):
            return usage.organization_usage(platform, organization, period)
        case "organization stats", (organization, period):
            return usage.organization_stats(platform, organization, period)
        case "organization analytics", (organization, period):
            return usage.organization_analytics(platform, organization, period)
        case "organization teams", (organization,):
            return rows.teams_of_organization(platform, organization)
        case "balance", (team,):
            return rows.balance(platform, team)
        case "transactions", (team,):
            return rows.transactions(platform, team)
        case "job list", (team, status, page_size):
            return rows.job_list(platform, team, status or None, int(page_size))
        case "job", (job_id,):
            return rows.job(jobs[job_id])
        case "job costs", (job_id,):
            return rows.job_costs(jobs[job_id])
        case "job detail", (job_id,):
            return rows.job_detail(jobs[job_id])
        case "dashboard", ():
            return rows.dashboard(platform)
        case "teams", ():
            return rows.team_list(platform)
    raise ValueError(f"no explanation of {endpoint} {arguments}")


def recorded_answers(platform: Platform, tape: FilePath) -> Iterator[Recorded]:
    """The requests that were answered with 200."""
    for endpoint, arguments, answer in requests(tape):
        if answer["status"] == 200:
            body = answer["body"]
            if endpoint == "job list":
                body = {**body, "listed": len(body["jobs"])}
            numbers, words = figures(body), texts(body)
            yield Recorded(endpoint, arguments, numbers, words, explanation(platform, endpoint, arguments))
