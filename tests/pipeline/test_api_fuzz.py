"""Questions that nobody would think of: no answer is a 5xx, and every answer is as its description says."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from flows.review_scopes import PLATFORM, Scope
from flows.settings import Settings
from tests import api_oracle
from tests.api_oracle import Facts, Span
from tests.api_service import (
    Service,
    exact,
    make_keys,
    now,
    own_copy,
    path_of,
    scopes_of,
    segment,
    served,
    with_query,
)
from tests.published import TAPE_AS_OF, Published

TEAM = Scope("team", "acme-batch")
# Questions of each endpoint, with each key; and of each text.
EXAMPLES = 25
TEXTS = 500
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# It never ends; what it says is looked at in tests of its own.
ENDLESS = "/api/live"

deterministic = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.fixture(scope="module")
def service(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = own_copy(published, tmp_path_factory.mktemp("api-fuzz") / "data")
    with Service(settings, make_keys(settings, scopes_of(published.connection))) as service:
        yield service


@pytest.fixture(scope="module")
def facts(published: Published) -> Facts:
    return Facts(published.connection, TAPE_AS_OF)


@pytest.fixture(scope="module")
def address(service: Service) -> Iterator[str]:
    """The same service behind uvicorn, which unquotes paths and refuses what is no HTTP."""
    with served(create_app(service.settings, now=now)) as url:
        yield url


def described() -> dict[str, Any]:
    """The OpenAPI document of any service."""
    document: dict[str, Any] = create_app(Settings(source=None), now=now).openapi()
    return document


# Nothing can be wrong with a question that has no parameters.
OPERATIONS = [
    (path, method, mode)
    for path, methods in sorted(described()["paths"].items())
    for method, operation in methods.items()
    for mode in GenerationMode
    if path != ENDLESS and (mode is GenerationMode.POSITIVE or "parameters" in operation)
]


@pytest.mark.parametrize("scope", [PLATFORM, TEAM], ids=str)
@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS, ids=lambda one: getattr(one, "value", one))
def test_every_answer_is_as_described(
    service: Service, address: str, path: str, method: str, mode: GenerationMode, scope: Scope
) -> None:
    operation = schemathesis.openapi.from_dict(described())[path][method.upper()]
    headers = {"Authorization": f"Bearer {service.keys[scope]}"}
    statuses: Counter[int] = Counter()

    @seed(1)
    @given(case=operation.as_strategy(generation_mode=mode), is_there=st.booleans())
    @deterministic
    def ask(case: Any, is_there: bool) -> None:
        if is_there:
            name_what_is_there(case)
        response = case.call(base_url=address, headers=headers)
        case.validate_response(response, checks=CHECKS)
        statuses[response.status_code] += 1

    ask()
    assert statuses.total() > 0
    is_for_operators = path == "/metrics" or "organization_id" in path
    if mode is GenerationMode.POSITIVE and (scope == PLATFORM or not is_for_operators):
        assert statuses[200] > 0, statuses


def name_what_is_there(case: Any) -> None:
    """Ids and periods out of nothing never are."""
    there = {"team_id": TEAM.id, "organization_id": "org_acme"}
    case.path_parameters = {
        name: there.get(name, value) for name, value in (case.path_parameters or {}).items()
    }
    case.query = {
        name: "2026-10" if name == "period" else value
        for name, value in (case.query or {}).items()
        if name not in ("team_id", "organization_id", "cursor")
    }


# --- texts as one parameter each

QUOTES = (
    *("", " ", "\x00", "a\x00b", "'", '"', ";", "--", "%", "%%", "%s", "?", "??", "\\", "\n", "\r\n"),
    *("\u2028", "\ufeff", "\U0010ffff", "' or 1=1 --", "null", "None", "true", "[]", "{}"),
)
NEAR_A_TEAM = (
    *("acme-batch' --", "acme-batch ", " acme-batch", "ACME-BATCH", "acme-batch\n", "acme_batch"),
    *("acme-batch\x00", "../acme-batch", "acme-batch/usage", "acme-batch", "unassigned"),
)
NEAR_A_NUMBER = (
    *("0", "-0", "-1", "+5", " 5 ", "5.0", "1e3", "1_000", "10000", "10001", "\u0665", "0x10"),
    *("9" * 30, "9" * 5000),
)
NEAR_A_PERIOD = (
    *("0000-01", "0000-01-01", "0000-W01", "0001-01-01", "0001-01", "0001-W01"),
    *("9999-12", "9999-12-31", "9999-W52", "9999-W53", "2026-13", "2026-00", "2026-02-30"),
    *("2026-W00", "2026-W53", "2026-W54", "2025-W53", "2026-10-1", "2026-10", "2026-10\n"),
    *("2026-W47", "2026-w47", "2026-10-05", "202610", "2026/10", "2026-1\u0660", "2026-10-05T00"),
)
TEXT = st.one_of(
    st.sampled_from((*QUOTES, *NEAR_A_TEAM, *NEAR_A_NUMBER, *NEAR_A_PERIOD)),
    st.text(max_size=30),
    st.from_regex(r"[0-9]{4}-(W[0-9]{2}|[0-9]{2}|[0-9]{2}-[0-9]{2})", fullmatch=True),
    st.dates(date(2026, 7, 1), date(2026, 12, 31)).map(date.isoformat),
    st.integers(-(10**6), 10**20).map(str),
    st.text("acme-bt_x ", max_size=12),
)
texts = settings(deterministic, max_examples=TEXTS)


@seed(2)
@given(text=TEXT)
@texts
def test_a_text_as_a_period_is_that_period_or_none(service: Service, facts: Facts, text: str) -> None:
    answer = answer_or_refusal(service, with_query(path_of(TEAM, "usage"), period=text))
    if answer is not None:
        expected = api_oracle.team_usage(facts, TEAM.id, Span.of(text))
        assert {name: answer[name] for name in expected} == expected


@seed(3)
@given(text=TEXT, endpoint=st.sampled_from(("usage", "balance", "slow-calls", "alerts")))
@texts
def test_a_text_as_a_team_is_that_team_or_none(service: Service, text: str, endpoint: str) -> None:
    path = {
        "usage": with_query(f"/api/teams/{segment(text)}/usage", period="2026-10"),
        "balance": f"/api/credits/teams/{segment(text)}/balance",
        "slow-calls": with_query("/api/analytics/slow-calls", limit=1, team_id=text),
        "alerts": with_query("/api/alerts", team_id=text),
    }[endpoint]
    answer = answer_or_refusal(service, path)
    assert (answer is not None) == any(scope == Scope("team", text) for scope in service.keys)
    if answer is not None:
        assert text in (answer.get("team_id"), answer.get("scope", "").partition(":")[2])


@seed(4)
@given(text=TEXT)
@texts
def test_a_text_as_a_cursor_is_none(service: Service, text: str) -> None:
    assert answer_or_refusal(service, with_query(LEDGER, cursor=text)) is None


@seed(5)
@given(text=TEXT)
@texts
def test_a_text_as_a_limit_is_that_many_or_none(service: Service, text: str) -> None:
    for path, name in ((LEDGER, "transactions"), ("/api/analytics/slow-calls", "calls")):
        answer = answer_or_refusal(service, with_query(path, limit=text))
        if answer is not None:
            limit = int(Decimal(text))
            assert 1 <= limit <= 10_000
            whole = len(service.exact(with_query(path, limit=10_000))[name])
            assert len(answer[name]) == min(limit, whole)


LEDGER = "/api/credits/teams/acme-batch/transactions"


def answer_or_refusal(service: Service, path: str) -> Any:
    """What is answered; None when it is refused, in words."""
    response = service.ask(path, PLATFORM)
    if response.status_code == 200:
        return exact(response)
    assert response.status_code in (404, 422), (path, response.status_code)
    assert response.json()["detail"]
    return None


RAW = (
    b"/api/teams/%ff%fe/usage?period=2026-10",
    b"/api/teams/%/usage?period=2026-10",
    b"/api/teams/%zz/usage",
    b"/api/teams/%00/usage?period=2026-10",
    b"/api/teams/%ed%a0%80/usage?period=2026-10",
    b"/api/teams//usage",
    b"/api/teams/" + b"a" * 9000,
    b"/api/analytics/usage?period=%ff",
    b"/api/analytics/usage?period=2026-10&period=2026-09&team_id=%ff",
    b"/api/analytics/usage?%ff=%fe&period=2026-10;",
    b"/api/alerts?limit=1&limit=x",
    b"/api/alerts/",
    b"//api/alerts",
    b"/../../etc/passwd",
    b"/%2e%2e/%2e%2e/etc/passwd",
)


@pytest.mark.parametrize("raw", RAW, ids=lambda raw: raw[:40].decode())
def test_bytes_that_are_no_question_are_refused(service: Service, address: str, raw: bytes) -> None:
    """As they are on the wire, which no client would send."""
    host, port = address.removeprefix("http://").split(":")
    lines = (
        b"GET " + raw + b" HTTP/1.1",
        b"Host: a",
        b"Connection: close",
        b"Authorization: Bearer " + service.keys[PLATFORM].encode(),
        b"\r\n",
    )
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(b"\r\n".join(lines))
        said = b"".join(iter(lambda: line.recv(65536), b""))
    assert 300 <= int(said.split(b" ", 2)[1]) < 500, said[:300]
