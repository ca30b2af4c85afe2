"""Every key against every endpoint and every tenant: nothing foreign, and what is missing looks the same."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from flows.api_keys import create_key, revoke_key
from flows.ops_store import open_ops_store
from flows.review_scopes import PLATFORM, Scope
from flows.settings import Settings
from tests.api_platform import (
    ALIKE,
    ALIKE_HOME,
    HOME,
    MOVED,
    MOVED_BETWEEN,
    PROVIDER_COST,
    REASON,
    SCOPES,
    add_incidents,
    alike_mark,
    all_marks,
    marked_platform,
    marks_of,
    publish_platform,
)
from tests.api_service import MANY_REQUESTS, NOW, Service, make_keys, path_of, segment, with_query

TENANTS = tuple(scope for scope in SCOPES if scope != PLATFORM)
MISSING = tuple(
    Scope(kind, ident) for kind in ("team", "organization") for ident in ("nobody", "TM", "%", "*")
)
PERIODS = ("2026-10", "2026-W47")
USAGE_TABLES = ("teams", "job_types", "daily_usage")
PERFORMANCE_TABLES = ("models", "job_types", "errors")


@dataclass(frozen=True)
class Question:
    """A path, and whose figures it asks for; None: the caller's own. `kind` is the same whomever it is of."""

    kind: str
    path: str
    of: Scope | None = None
    for_operators: bool = False


def questions(targets: tuple[Scope, ...]) -> Iterator[Question]:
    """Every endpoint, about every target that it can be asked about."""
    for of in targets:
        for period in PERIODS:
            yield Question(f"{of.kind} usage {period}", with_query(path_of(of, "usage"), period=period), of)
        if of.kind == "team":
            for rest in ("balance", "transactions", "transactions?format=csv"):
                yield Question(rest, f"/api/credits/teams/{segment(of.id)}/{rest}", of)
    for choice in (None, *targets):
        chosen = {} if choice is None else {f"{choice.kind}_id": choice.id}
        asked: tuple[tuple[str, dict[str, Any]], ...] = (
            ("/api/analytics/usage", {"period": "2026-10"}),
            ("/api/analytics/performance", {"period": "2026-W47"}),
            ("/api/analytics/slow-calls", {}),
            ("/api/alerts", {"state": "all", "limit": 1000}),
        )
        for path, parameters in asked:
            kind = f"{path} of a {choice.kind}" if choice else path
            yield Question(kind, with_query(path, **parameters, **chosen), choice)
    own = [f"/api/analytics/usage?period=2026-11&format=csv&table={name}" for name in USAGE_TABLES]
    own += [
        f"/api/analytics/performance?period=2026-10&format=csv&table={name}" for name in PERFORMANCE_TABLES
    ]
    for path in (*own, "/api/alerts?format=csv", "/api/health-check"):
        yield Question(path, path)
    yield Question("/metrics", "/metrics", for_operators=True)


QUESTIONS = tuple(questions((*TENANTS, *MISSING)))


def may_see(scope: Scope, of: Scope) -> bool:
    if of in MISSING:
        return False
    if scope in (PLATFORM, of):
        return True
    if of.kind == "organization" or scope.kind == "team":
        return False
    home = ALIKE_HOME.scope if of.id in ALIKE else HOME.get(of)
    return home == scope


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("api-isolation") / "data",
        source=None,
        target="duckdb",
        api_requests_per_minute=MANY_REQUESTS,
    )
    publish_platform(marked_platform(), settings)
    add_incidents(settings)
    with Service(settings, make_keys(settings, SCOPES)) as service:
        yield service


@pytest.fixture(scope="module")
def answers(service: Service) -> dict[tuple[Scope, Question], httpx.Response]:
    """The whole matrix."""
    return {
        (scope, question): service.ask(question.path, scope) for scope in SCOPES for question in QUESTIONS
    }


def lines(problems: list[Any]) -> str:
    return "\n".join(map(str, problems[:20]))


def test_everybody_is_answered_as_they_may_be(answers: dict[tuple[Scope, Question], httpx.Response]) -> None:
    problems = []
    for (scope, question), response in answers.items():
        is_seen = may_see(scope, question.of) if question.of else not question.for_operators
        expected = 200 if is_seen or (scope == PLATFORM and question.of is None) else 404
        if response.status_code != expected:
            problems.append((scope, question.path, response.status_code, response.text[:200]))
    assert not problems, lines(problems)
    counts = Counter(response.status_code for response in answers.values())
    assert counts[200] > 500
    assert counts[404] > 2000


def test_no_answer_holds_a_mark_of_anybody_else(
    answers: dict[tuple[Scope, Question], httpx.Response],
) -> None:
    problems = []
    for (scope, question), response in answers.items():
        whole = response.content + str(response.headers.raw).encode()
        foreign = {mark for mark in all_marks() - marks_of(scope) if mark.encode() in whole}
        if foreign:
            problems.append((scope, question.path, sorted(foreign)))
    assert not problems, lines(problems)


def test_every_mark_is_found_where_it_belongs(answers: dict[tuple[Scope, Question], httpx.Response]) -> None:
    """Else the test before would find nothing whatever leaked."""
    for scope in SCOPES:
        bodies = b"".join(
            answer.content for (asker, _), answer in answers.items() if asker == scope and answer.is_success
        )
        own = marks_of(scope) - {"HOSTMARKQ"}
        assert {mark for mark in own if mark.encode() not in bodies} == set(), scope
        if scope == MOVED.scope:
            assert own >= {"TMAQ", "TMBQ", "OM0Q", "OM1Q"}
    about = [answer.text for (scope, question), answer in answers.items() if scope == PLATFORM]
    assert any(REASON in text for text in about)


def test_foreign_and_missing_are_answered_with_the_same_bytes(
    answers: dict[tuple[Scope, Question], httpx.Response],
) -> None:
    said: dict[tuple[Scope, str], set[bytes]] = {}
    asked: Counter[tuple[Scope, str]] = Counter()
    for (scope, question), response in answers.items():
        if response.status_code == 404 and question.of is not None:
            headers = sorted((name, value) for name, value in response.headers.items() if name != "date")
            said.setdefault((scope, question.kind), set()).add(response.content + repr(headers).encode())
            asked[scope, question.kind] += 1
    assert {key: found for key, found in said.items() if len(found) != 1} == {}
    # of every tenant, each endpoint that names somebody; four names are missing of each kind
    assert len(said) == len(SCOPES) * 15
    assert min(asked[key] for key in asked if key[0] != PLATFORM) > 4


def names_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from names_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from names_in(item)


def test_no_answer_says_what_the_platform_pays(
    service: Service, answers: dict[tuple[Scope, Question], httpx.Response]
) -> None:
    cost = str(PROVIDER_COST).removeprefix("0.")
    for (scope, question), response in answers.items():
        if scope == PLATFORM or response.status_code != 200:
            continue
        assert cost not in response.text, (scope, question.path)
        if "json" in response.headers["content-type"]:
            names = set(names_in(response.json()))
        else:
            names = set(response.text.partition("\r\n")[0].split(","))
        # of a model, its name may say who made it
        secret = {name for name in names if any(word in name for word in ("provider", "margin", "markup"))}
        assert secret == set(), (scope, question.path)


def test_a_team_that_moved_is_neither_organizations(service: Service) -> None:
    path = with_query(path_of(MOVED.scope, "usage"), period="2026-10")
    assert service.ask(path, MOVED.scope).status_code == 200
    for home, mark in zip(MOVED_BETWEEN, ("TMAQ", "TMBQ"), strict=True):
        assert service.ask(path, home).status_code == 404
        # what it did for each is still that one's own
        calls = service.exact("/api/analytics/slow-calls?limit=1000", home)["calls"]
        assert any(mark in call["call_id"] for call in calls) is (mark == "TMBQ")
        usages = [
            service.exact(with_query(path_of(home, "usage"), period=period), home)
            for period in ("2026-10", "2026-11")
        ]
        jobs = [usage["teams"].get(MOVED.scope.id, {}).get("jobs") for usage in usages]
        assert jobs == ([3, None] if mark == "TMAQ" else [None, 3])


def test_ids_that_look_alike_are_told_apart(service: Service) -> None:
    for _ in range(2):  # the second answers are kept ones
        for scope in (PLATFORM, ALIKE_HOME.scope):
            for ident in ALIKE:
                answer = service.exact(
                    with_query(path_of(Scope("team", ident), "usage"), period="2026-10"), scope
                )
                assert answer["team_id"] == ident
                assert list(answer["job_types"]) == [f"type {alike_mark(ident)}"]
                ledger = service.exact(f"/api/credits/teams/{segment(ident)}/transactions", scope)
                assert {row["team_id"] for row in ledger["transactions"]} == {ident}


def test_a_foreign_cursor_is_like_none_that_there_is(service: Service) -> None:
    path = "/api/credits/teams/TM0Q/transactions"
    answers = [
        service.ask(with_query(path, cursor=cursor), Scope("team", "TM0Q"))
        for cursor in ("tx TM1Q 10-0", "tx TMAQ 10-0", "nothing", "'", "tx TM0Q 10-")
    ]
    assert {answer.status_code for answer in answers} == {422}
    assert len({answer.content for answer in answers}) == 1
    assert service.ask(with_query(path, cursor="tx TM0Q 10-1"), Scope("team", "TM0Q")).status_code == 200


# --- keys that are none


def bad_keys(service: Service) -> dict[str, list[tuple[str, str]]]:
    """Headers that open nothing, each by what is wrong with it."""
    good = service.keys[PLATFORM]
    store = open_ops_store(service.settings)
    revoked = _made(service, None)
    revoke_key(store, revoked.split("_")[1], by="a test", now=NOW - timedelta(days=1))
    expired = _made(service, NOW - timedelta(seconds=1))
    other_end = good[:-1] + ("A" if good[-1] != "A" else "E")
    prefix = good.split("_")[1]
    return {
        "none": [],
        "revoked": [("Authorization", f"Bearer {revoked}")],
        "expired": [("Authorization", f"Bearer {expired}")],
        "garbage": [("Authorization", "Bearer garbage")],
        "of the form": [("Authorization", f"Bearer alm_{'x' * 10}_{'y' * 43}")],
        "the last letter": [("Authorization", f"Bearer {other_end}")],
        "cut": [("Authorization", f"Bearer {good[:-1]}")],
        "longer": [("Authorization", f"Bearer {good}A")],
        "the prefix": [("Authorization", f"Bearer alm_{prefix}_")],
        "upper case": [("Authorization", f"Bearer {good.upper()}")],
        "no text": [("Authorization", "Bearer")],
        "blanks": [("Authorization", "Bearer    ")],
        "empty": [("Authorization", "")],
        "no scheme": [("Authorization", good)],
        "another scheme": [("Authorization", f"Basic {good}")],
        "token scheme": [("Authorization", f"Token {good}")],
        "two words": [("Authorization", f"Bearer {good} {good}")],
        "quoted": [("Authorization", f'Bearer "{good}"')],
        "not ascii": [("Authorization", "Bearer \u00e9\u00ff")],
        "another header": [("X-Admin-Key", good)],
        "cookie garbage": [("Cookie", "almanac_session=garbage")],
        "cookie with a key": [("Cookie", f"almanac_session={good}")],
        "cookie of the form": [("Cookie", f"__Host-almanac_session={'z' * 43}")],
        "broken cookie": [("Cookie", 'almanac_session="; ;=;;=\\"')],
        # who shows a key means that key
        "garbage beside a cookie": [("Authorization", "Bearer garbage"), ("Cookie", "a=b")],
    }


def _made(service: Service, expires_at: datetime | None) -> str:
    return create_key(
        open_ops_store(service.settings),
        scope=PLATFORM,
        name="bad",
        created_by="a test",
        expires_at=expires_at,
        now=NOW - timedelta(days=2),
    )


def test_keys_that_are_none_open_nothing(service: Service) -> None:
    paths = [
        question.path for question in questions((Scope("team", "TM0Q"), Scope("organization", "OM0Q/a b")))
    ]
    bad = bad_keys(service)
    for number, (name, headers) in enumerate(bad.items()):
        for place, path in enumerate(paths):
            # an address each: too many of one are refused otherwise
            response = service.ask(path, headers=headers, address=f"10.{number}.{place // 250}.{place % 250}")
            assert response.status_code == 401, (name, path, response.text)
            assert response.headers["www-authenticate"] == 'Bearer realm="almanac"'
            assert not any(mark.encode() in response.content for mark in all_marks()), (name, path)
    assert service.ask("/api/alerts", PLATFORM).status_code == 200


def test_a_key_in_the_address_opens_nothing(service: Service) -> None:
    good = service.keys[PLATFORM]
    for name in ("key", "api_key", "token", "access_token", "authorization", "almanac_session"):
        assert service.ask(with_query("/api/alerts", **{name: good}), address="10.99.0.1").status_code == 401


def test_a_session_sees_what_its_key_sees(service: Service) -> None:
    scope = Scope("team", "TM0Q")
    ring = service.app.state.keys
    known = ring.find(service.keys[scope])
    cookie = [("Cookie", f"almanac_session={ring.start_session(known)}")]
    path = with_query(path_of(scope, "usage"), period="2026-10")
    by_cookie, by_key = service.ask(path, headers=cookie), service.ask(path, scope)
    assert (by_cookie.status_code, by_cookie.content) == (200, by_key.content)
    foreign = with_query(path_of(Scope("team", "TM1Q/usage"), "usage"), period="2026-10")
    assert service.ask(foreign, headers=cookie).status_code == 404
    # a key that is shown counts, not the session beside it
    both = [*cookie, ("Authorization", "Bearer garbage")]
    assert service.ask(path, headers=both, address="10.99.0.2").status_code == 401


def test_a_revoked_key_is_shut_within_two_seconds(service: Service) -> None:
    key = make_keys(service.settings, [Scope("team", "TM0Q")])[Scope("team", "TM0Q")]
    time.sleep(1.1)  # keys made elsewhere are seen within a second
    assert service.ask("/api/alerts", key=key).status_code == 200
    ring = service.app.state.keys
    cookie = [("Cookie", f"almanac_session={ring.start_session(ring.find(key))}")]
    assert service.ask("/api/alerts", headers=cookie).status_code == 200
    revoke_key(open_ops_store(service.settings), key.split("_")[1], by="a test", now=NOW)
    time.sleep(1.1)
    assert service.ask("/api/alerts", key=key).status_code == 401
    assert service.ask("/api/alerts", headers=cookie).status_code == 401


# --- what is published to everybody


def test_without_a_key_there_is_health_and_the_description_alone(service: Service) -> None:
    for path in ("/health", "/openapi.json"):
        response = service.ask(path)
        assert response.status_code == 200
        assert not any(mark in response.text for mark in all_marks())
    assert service.ask("/health").json() == {"status": "healthy", "service": "llm-almanac"}
    described = json.loads(service.ask("/openapi.json").text)
    for path in described["paths"]:
        if path.startswith("/api/") or path == "/metrics":
            asked = path.replace("{team_id}", "TM0Q").replace("{organization_id}", "OM0Q")
            assert service.ask(asked, address="10.99.0.3").status_code == 401, path


def test_what_a_spreadsheet_would_run_stays_text(service: Service) -> None:
    """Reasons and models of this platform are formulas."""
    for path in (
        "/api/credits/teams/TM0Q/transactions?format=csv",
        "/api/analytics/slow-calls?format=csv",
        "/api/analytics/performance?period=2026-10&format=csv",
    ):
        rows = list(csv.reader(io.StringIO(service.ask(path, PLATFORM).text, newline="")))
        cells = [cell for row in rows for cell in row]
        assert not [cell for cell in cells if cell[:1] in ("=", "+", "@", "\t", "\r")], path
        assert not [cell for cell in cells if cell[:1] == "-" and not cell[1:].replace(".", "").isdigit()]
        assert any(cell.startswith("'=") for cell in cells), path
    ledger = service.exact("/api/credits/teams/TM0Q/transactions")["transactions"]
    assert ledger[0]["reason"] == '=HYPERLINK("TM0Q")'


def without_nonce(response: httpx.Response) -> str:
    """The page without its random nonce, which holds a mark of four letters now and then."""
    policy = response.headers.get("content-security-policy", "")
    nonces = set(re.findall(r"'nonce-([^']+)'", policy))
    assert len(nonces) == 1, policy
    return response.text.replace(f'nonce="{nonces.pop()}"', "")


def test_the_pages_hold_nothing_of_anybody_else(service: Service) -> None:
    problems: list[Any] = []
    for scope in SCOPES:
        for of in (None, *TENANTS, *MISSING):
            path = (
                "/monitoring"
                if of is None
                else with_query(f"/monitoring/{of.kind}", id=of.id, period="2026-10")
            )
            response = service.ask(path, scope)
            while response.is_redirect:
                response = service.ask(response.headers["location"], scope)
            is_seen = of is None or may_see(scope, of)
            if (response.status_code == 200) != is_seen:
                problems.append((scope, path, response.status_code))
            # what was asked for may be said again
            said = marks_of(scope) | ({mark for mark in all_marks() if of is not None and mark in of.id})
            text = without_nonce(response)
            foreign = [mark for mark in all_marks() - said if mark in text]
            cost = str(PROVIDER_COST) in text and scope != PLATFORM
            if foreign or cost:
                problems.append((scope, path, foreign, cost))
    assert not problems, lines(problems)
