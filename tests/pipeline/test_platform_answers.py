"""Each number that the platform itself answered, beside ours: the difference is its causes, digit by digit.

`tests/oracle/platform_answers.py` says from the raw rows what the platform must answer and what leads from
there to ours. Here both ends are held: the recorded answer on the one side, the published marts on the other.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from flows.key_records import create_key
from flows.ops_store import open_ops_store
from flows.review_scopes import PLATFORM
from tests.oracle.answers_page import PAGE, with_tables
from tests.oracle.platform_answers import Path
from tests.oracle.platform_causes import NULLS, REASONS, Explained, added_up_in_binary
from tests.oracle.platform_rows import Platform, read_platform
from tests.oracle.recorded_answers import (
    NOT_OURS,
    Recorded,
    field,
    figures,
    load,
    recorded_answers,
    refusals,
    requests,
    texts,
    unknowns,
)
from tests.our_answers import READERS, api_paths
from tests.published import TAPE, TAPE_AS_OF, Published

# words that we have otherwise, or not at all
STATUS_IS_LOWER_CASE = "status"
WORDS_NOT_OURS = {
    "organization_name": "an attribute of the organization, in dim_organizations",
    "model_used": "on the platform always the alias, which is model_group_used",
    "model": "as model_used",
    "purpose": "not landed",
    "error": "landed redacted; our answers have its class",
    "error_message": "as error",
    "period": "the request",
}


@pytest.fixture(scope="module")
def platform() -> Platform:
    return read_platform(TAPE)


@pytest.fixture(scope="module")
def recorded(platform: Platform) -> list[Recorded]:
    return list(recorded_answers(platform, TAPE))


@pytest.fixture(scope="module")
def from_api(
    published: Published, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Any]]:
    """The body that our API answers, with an operator's key."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(published.settings.warehouse_path, folder)
    settings = published.settings.model_copy(
        update={"data_dir": folder, "api_requests_per_minute": 1_000_000}
    )
    key = create_key(
        open_ops_store(settings),
        scope=PLATFORM,
        name="answers",
        created_by="test",
        expires_at=None,
        now=TAPE_AS_OF,
    )
    with TestClient(create_app(settings, now=lambda: TAPE_AS_OF)) as client:

        def get(path: str) -> Any:
            response = client.get(path, headers={"Authorization": f"Bearer {key}"})
            assert response.status_code == 200, f"{path}: {response.text}"
            return json.loads(response.text, parse_float=Decimal)

        yield get


@pytest.fixture(params=["marts", "api"])
def ours(request: pytest.FixtureRequest, published: Published) -> Callable[[Recorded], Any]:
    """Our answer to a request: read from the marts, and what the API says where it has the endpoint."""
    get = request.getfixturevalue("from_api") if request.param == "api" else None

    def answer_of(answer: Recorded) -> Any:
        path = api_paths(answer.endpoint, answer.arguments) if get else None
        return get(path) if get and path else READERS[answer.endpoint](published, *answer.arguments)

    return answer_of


def shown(amount: Fraction) -> str:
    return f"{Decimal(amount.numerator) / Decimal(amount.denominator):f}"


def difference(path: Path, theirs: Fraction | None, mine: Fraction | None, found: Explained | None) -> str:
    """What is wrong with one figure; empty when its causes explain it. None: not in that answer."""
    if found is None:
        return "no explanation"
    if theirs is None and found.theirs:
        return f"the platform does not answer it, its rows give {shown(found.theirs)}"
    noise = Fraction(0)
    if theirs is not None and theirs != found.theirs:
        noise = added_up_in_binary(found.theirs, theirs)
    gap = (mine or Fraction(0)) - (theirs or Fraction(0)) - noise - sum(found.causes.values())
    causes = ", ".join(f"{name} {shown(amount)}" for name, amount in found.causes.items())
    return f"{shown(gap)} is left after {causes or 'no cause'}" if gap else ""


def test_the_causes_explain_each_number_that_differs(
    ours: Callable[[Recorded], Any], recorded: list[Recorded]
) -> None:
    """ours − theirs = the sum of the causes, exactly, for every number of every recorded answer."""
    wrong = []
    compared: Counter[str] = Counter()
    months_of_payments = 0
    fields: dict[str, set[str]] = defaultdict(set)
    for answer in recorded:
        fields[answer.endpoint] |= {field(answer.endpoint, path) for path in answer.explained}
    for answer in recorded:
        body = ours(answer)
        mine, null = figures(body), unknowns(body)
        explained = {path for path, found in answer.explained.items() if found.theirs or found.ours}
        for path in answer.figures.keys() | explained | mine.keys():
            if path not in answer.figures and field(answer.endpoint, path) not in fields[answer.endpoint]:
                continue  # a field that only we have
            if answer.endpoint == "job list" and path[:1] == ("jobs",) and path not in answer.explained:
                continue  # a job without calls, which their list skips: `listed` counts it
            if path[:2] == ("job_types", "unassigned") and mine[path] == 0:
                months_of_payments += path[2] == "count"
                continue  # payments are of no job
            compared[answer.endpoint] += 1
            found = answer.explained.get(path)
            text = difference(path, answer.figures.get(path), mine.get(path), found)
            if found and path in answer.figures and bool(found.null) != (path in null):
                text = f"ours is {mine.get(path)}, which should be {found.null or 'known'}"
            if text:
                wrong.append(f"{answer.endpoint} {answer.arguments} {'.'.join(path)}: {text}")
    assert wrong == []
    assert compared.keys() == READERS.keys()
    assert sum(compared.values()) > 20_000
    assert months_of_payments == 35


def test_words_are_equal(ours: Callable[[Recorded], Any], recorded: list[Recorded]) -> None:
    """Ids, types and reasons are as the platform has them; a status is in lower case (trap 2)."""
    compared: Counter[str] = Counter()
    wrong = []
    for answer in recorded:
        mine = texts(ours(answer))
        for path, word in answer.texts.items():
            name = path[-1]
            if name in WORDS_NOT_OURS or path[0] in ("access_groups", "model_groups_used"):
                continue
            if path == ("organization_id",) and answer.endpoint.startswith("organization"):
                continue  # the request
            if path == ("team_id",) and answer.endpoint in ("team usage", "transactions"):
                continue
            compared[name] += 1
            expected = word.lower() if name == STATUS_IS_LOWER_CASE else word
            if mine.get(path) != expected:
                wrong.append(f"{answer.endpoint} {answer.arguments} {'.'.join(path)}: {mine.get(path)!r}")
    assert wrong == []
    assert {"status", "reason", "job_type", "budget_mode"} <= compared.keys()


def test_every_cause_is_needed(recorded: list[Recorded]) -> None:
    """A cause that is nowhere on the tape explains nothing and has no place here."""
    found = [explained for answer in recorded for explained in answer.explained.values()]
    used = {name for explained in found for name, amount in explained.causes.items() if amount}
    noise = {
        "added_up_in_binary"
        for answer in recorded
        for path, theirs in answer.figures.items()
        if theirs != answer.explained[path].theirs
    }
    assert used | noise == set(REASONS)
    assert {explained.null for explained in found} - {""} == set(NULLS)


def test_no_figure_is_left_out(recorded: list[Recorded]) -> None:
    """Every number that the platform answered has an explanation; what is left out exists and says why."""
    without = [
        (answer.endpoint, path)
        for answer in recorded
        for path in answer.figures
        if path not in answer.explained
    ]
    assert without == []
    names: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            names.update(value)
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            collect(part)

    for _, _, request in requests(TAPE):
        collect(request["body"])
    assert set(NOT_OURS) <= names


def test_a_wrong_number_is_found(ours: Callable[[Recorded], Any], recorded: list[Recorded]) -> None:
    """A digit more or less on either side, or in a cause, is never explained away."""
    (answer,) = [
        answer for answer in recorded if (answer.endpoint, answer.arguments) == ("team usage", EXAMPLE)
    ]
    path = ("summary", "total_cost_usd")
    theirs, mine, found = answer.figures[path], figures(ours(answer))[path], answer.explained[path]
    assert len(found.causes) == 5
    assert difference(path, theirs, mine, found) == ""
    digit = Fraction(1, 10**8)
    assert "is left after" in difference(path, theirs, mine + digit, found)
    with pytest.raises(AssertionError, match="the platform answered"):
        difference(path, theirs + digit, mine, found)
    for name, amount in found.causes.items():
        one_wrong = Explained(found.theirs, found.causes | {name: amount + digit})
        assert "is left after" in difference(path, theirs, mine, one_wrong)


EXAMPLE = ("umbra-live", "2026-09")


def test_only_suspended_and_deleted_teams_are_refused(published: Published) -> None:
    """Suspended: 403, deleted: 401, or 404 of an administrator. We answer for both."""
    by_team: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for (endpoint, arguments), status in refusals(TAPE).items():
        team = arguments[0]
        if endpoint in ("job", "job costs"):
            team = published.rows("select team_id from fct_jobs where job_id = ?", [team])[0][0]
        by_team[team].add((endpoint, status))
    asked_by_team = ("team usage", "balance", "transactions")
    assert by_team == {
        "hooli-old": {(name, 403) for name in (*asked_by_team, "job", "job costs")},
        "wonka-temp": {(name, 401) for name in asked_by_team} | {("job list", 404)},
    }
    teams = published.rows(
        "select team_id, status, is_deleted from dim_teams where team_id in (?, ?) order by 1",
        sorted(by_team),
    )
    assert teams == [("hooli-old", "suspended", False), ("wonka-temp", None, True)]
    for team in by_team:
        assert (
            published.rows("select sum(job_count) from team_usage_monthly where team_id = ?", [team])[0][0]
            > 0
        )


def test_the_total_of_the_ledger_is_the_number_of_rows_returned(published: Published) -> None:
    """With the default limit the platform's `total` stops at 50; ours is the number of rows."""
    capped = 0
    for team, answers in load(TAPE, "team-credits.json.gz").items():
        if answers["transactions"]["status"] == 200:
            total = READERS["transactions"](published, team)["total"]
            assert answers["transactions_default_limit_rows"] == min(50, total)
            capped += total > 50
    assert capped == 15


def test_no_call_of_the_tape_ends_in_another_month(platform: Platform) -> None:
    """The platform counts a call by its job's clock, we by its own: on the tape no month differs by that."""
    elsewhere = [call for call in platform.calls if f"{call.at:%Y-%m}" != f"{call.job.at:%Y-%m}"]
    assert elsewhere == []
    assert sum(call.at.date() != call.job.at.date() for call in platform.calls) == 26


def test_the_page_says_what_the_tests_find(recorded: list[Recorded]) -> None:
    """`python -m tests.oracle.answers_page` writes the tables of the page anew."""
    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text, recorded) == text
    path = ("summary", "total_cost_usd")
    months = [a for a in recorded if a.endpoint == "team usage" and len(a.arguments[1]) == len("2026-10")]
    theirs = sum(answer.figures[path] for answer in months)
    mine = sum(answer.explained[path].ours for answer in months)
    assert f"{float(theirs):.2f} of\n{float(mine):.2f} USD in all" in text
