"""What HTTP asks of the API: what is kept, counted, refused and said of it, on every answer there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from api.access import BAD_KEYS_PER_MINUTE, COOKIE, SECURE_COOKIE
from api.answers import KeptAnswers
from api.app import create_app
from flows.review_scopes import PLATFORM, Scope
from flows.settings import Settings
from tests.api_service import Service, make_keys, now, own_copy, served, with_query
from tests.published import Published

TEAM, ORGANIZATION = Scope("team", "acme-batch"), Scope("organization", "org_acme")
SCOPES = (PLATFORM, ORGANIZATION, TEAM)
USAGE = "/api/teams/acme-batch/usage?period=2026-10"
ANALYTICS = "/api/analytics/usage?period=2026-10"
SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}


@pytest.fixture(scope="module")
def settings(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return own_copy(published, tmp_path_factory.mktemp("api-http") / "data")


@pytest.fixture(scope="module")
def keys(settings: Settings) -> dict[Scope, str]:
    return make_keys(settings, SCOPES)


@pytest.fixture
def service(settings: Settings, keys: dict[Scope, str]) -> Iterator[Service]:
    with Service(settings, keys) as service:
        yield service


# --- what the caller has already


@pytest.mark.parametrize(
    "path", [USAGE, ANALYTICS, f"{ANALYTICS}&format=csv", "/api/alerts", "/api/health-check"]
)
def test_what_the_caller_has_is_not_sent_again(service: Service, path: str) -> None:
    whole = service.ask(path, TEAM)
    tag = whole.headers["etag"]
    assert whole.headers["cache-control"] == "private, no-cache"
    assert {"Authorization", "Cookie"} <= set(whole.headers["vary"].split(", "))
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = service.ask(path, TEAM, headers=[("If-None-Match", known)])
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == "private, no-cache"
    for other in ('"other"', tag.strip('"'), "", "W/"):
        again = service.ask(path, TEAM, headers=[("If-None-Match", other)])
        assert (again.status_code, again.content) == (200, whole.content)


def test_a_tag_is_of_the_answer_and_opens_nothing(service: Service) -> None:
    tags = {service.ask(ANALYTICS, scope).headers["etag"] for scope in SCOPES}
    assert len(tags) == len(SCOPES)
    tag = service.ask(ANALYTICS, PLATFORM).headers["etag"]
    assert service.ask(ANALYTICS, TEAM, headers=[("If-None-Match", tag)]).status_code == 200
    for known in (tag, "*"):
        assert service.ask(ANALYTICS, headers=[("If-None-Match", known)]).status_code == 401
        foreign = "/api/teams/globex-hr/usage?period=2026-10"
        assert service.ask(foreign, TEAM, headers=[("If-None-Match", known)]).status_code == 404


# --- methods


@pytest.mark.parametrize("path", ["/health", "/api/alerts", USAGE, f"{ANALYTICS}&format=csv", "/api/nothing"])
def test_head_is_get_without_a_body(service: Service, path: str) -> None:
    whole, head = service.ask(path, PLATFORM), service.ask(path, PLATFORM, method="HEAD")
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert dict(head.headers) == dict(whole.headers)
    assert int(head.headers["content-length"]) == len(whole.content)


def test_head_ends_behind_the_server_too(settings: Settings, keys: dict[Scope, str]) -> None:
    with (
        served(create_app(settings, now=now)) as address,
        httpx.Client(base_url=address, timeout=10) as client,
    ):
        client.headers["Authorization"] = f"Bearer {keys[PLATFORM]}"
        for _ in range(3):  # on one connection: a body that was sent would be read as the next answer
            assert client.head(USAGE).content == b""
            assert client.get(USAGE).json()["team_id"] == "acme-batch"
        assert client.head("/api/live").status_code == 405


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "MADEUP"])
@pytest.mark.parametrize("path", ["/health", "/api/alerts", USAGE, ANALYTICS, "/metrics", "/api/live"])
def test_there_is_nothing_to_write(service: Service, method: str, path: str) -> None:
    response = service.ask(path, PLATFORM, method=method)
    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    # no page of another origin is told that it may ask
    assert not [name for name in response.headers if name.startswith("access-control-")]


# --- how often


def test_a_key_that_asks_too_often_waits(published: Published, tmp_path: Path) -> None:
    settings = own_copy(published, tmp_path / "data", api_requests_per_minute=5)
    with Service(settings, make_keys(settings, SCOPES)) as service:
        statuses = [service.ask("/api/alerts", TEAM, address=f"10.0.0.{n}").status_code for n in range(7)]
        assert statuses == [200] * 5 + [429] * 2
        refused = service.ask(USAGE, TEAM)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["retry-after"] in refused.json()["detail"]
        # neither what is there nor what is not shows through
        assert service.ask("/api/teams/nobody/usage?period=2026-10", TEAM).content == refused.content
        assert service.ask("/api/alerts", PLATFORM).status_code == 200
        assert service.ask("/health").status_code == 200


def test_an_address_that_tries_keys_waits(service: Service) -> None:
    def guess(address: str, number: int) -> int:
        key = f"alm_{number:010d}_{'x' * 43}"
        return service.ask("/api/alerts", key=key, address=address).status_code

    assert [guess("10.1.0.1", n) for n in range(BAD_KEYS_PER_MINUTE)] == [401] * BAD_KEYS_PER_MINUTE
    refused = service.ask("/api/alerts", key="alm_", address="10.1.0.1")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert guess("10.1.0.2", 0) == 401
    # whoever shares the address and has a key is let in
    assert service.ask("/api/alerts", TEAM, address="10.1.0.1").status_code == 200
    # hosts of one IPv6 network are one; asking without a key is no try
    assert {guess(f"2001:db8::{n:x}", n) for n in range(1, BAD_KEYS_PER_MINUTE + 1)} == {401}
    assert guess("2001:db8::ffff", 1) == 429
    assert guess("2001:db8:0:1::1", 1) == 401
    for _ in range(BAD_KEYS_PER_MINUTE + 5):
        assert service.ask("/api/alerts", address="10.1.0.3").status_code == 401
    # nor is a page that stays open with a session that is over
    for _ in range(BAD_KEYS_PER_MINUTE + 5):
        cookie = [("Cookie", f"{COOKIE}=alm_session_{'x' * 43}")]
        assert service.ask("/api/alerts", headers=cookie, address="10.1.0.4").status_code == 401


def test_signing_in_is_a_question_of_the_key(published: Published, tmp_path: Path) -> None:
    """Each session is written and held: a key that makes them without end waits."""
    settings = own_copy(published, tmp_path / "data", api_requests_per_minute=3)
    with Service(settings, make_keys(settings, SCOPES)) as service:
        form = f"key={service.keys[TEAM]}"
        statuses = [service.post("/sign-in", form).status_code for _ in range(5)]
        assert statuses == [303] * 3 + [429] * 2


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ("&".join(f"a{n}=1" for n in range(11)), {}),
        ("key=" + "x" * 10_000, {}),
        ("key=x", {"Origin": "http://["}),
        ("key=x", {"Sec-Fetch-Site": "cross-site"}),
        ("key=x", {"Origin": "https://evil.example"}),
    ],
)
def test_forms_that_are_not_ours_are_refused(service: Service, form: str, headers: dict[str, str]) -> None:
    assert service.post("/sign-in", form, headers).status_code == 422
    assert not list(service.settings.logs_dir.glob("*"))


@pytest.mark.parametrize("path", ["/sign-in", "/health", "/api/alerts", "/monitoring"])
def test_a_question_without_end_is_refused_before_it_is_read(service: Service, path: str) -> None:
    for query in ("&".join(f"a{n}" for n in range(60)), "q=" + "x" * 20_000):
        assert service.ask(f"{path}?{query}").status_code == 422


def test_no_redirect_goes_where_the_request_says(service: Service) -> None:
    refused = service.ask("/monitoring/", TEAM, headers=[("Host", "evil.example")])
    assert (refused.status_code, refused.headers.get("location")) == (404, None)


def test_on_https_only_the_cookie_that_is_bound_to_our_host_counts(service: Service) -> None:
    signed_in = service.post("/sign-in", f"key={service.keys[TEAM]}")
    token = signed_in.headers["set-cookie"].partition("=")[2].partition(";")[0]
    plain, bound = [("Cookie", f"{COOKIE}={token}")], [("Cookie", f"{SECURE_COOKIE}={token}")]
    assert service.ask("/api/alerts", headers=plain).status_code == 200
    assert service.ask("https://almanac.test/api/alerts", headers=plain).status_code == 401
    assert service.ask("https://almanac.test/api/alerts", headers=bound).status_code == 200
    assert service.ask("/api/alerts", headers=bound).status_code == 401


# --- kept answers


def test_kept_answers_take_no_more_than_their_room(service: Service) -> None:
    room = 60_000
    kept = service.app.state.answers = KeptAnswers(room)
    longest = 0
    for day in range(1, 31):
        for team in ("acme-batch", "acme-docs", "globex-hr", "umbra-live"):
            path = with_query(f"/api/teams/{team}/usage", period=f"2026-09-{day:02d}")
            first, second = service.ask(path, PLATFORM), service.ask(path, PLATFORM)
            assert first.content == second.content
            longest = max(longest, len(first.content))
    held = sum(len(body) + sum(map(len, key)) for key, body in kept._kept.items())
    assert room / 2 < held <= room
    assert longest * len(kept._kept) < room
    # whoever makes questions up makes no room of them
    for number in range(200):
        service.ask(f"{USAGE}&x={number}{'y' * 3000}", PLATFORM)
    assert sum(len(body) + sum(map(len, key)) for key, body in kept._kept.items()) <= room


def test_kept_answers_are_nobody_elses(service: Service) -> None:
    asked = [(scope, ANALYTICS) for scope in SCOPES] + [
        (scope, "/api/analytics/slow-calls") for scope in SCOPES
    ]
    first = {key: service.ask(key[1], key[0]).content for key in asked}
    assert len(set(first.values())) == len(asked)
    for scope, path in [*reversed(asked), *asked]:
        assert service.ask(path, scope).content == first[scope, path]
    scopes = {key[1] for key in service.app.state.answers._kept}
    assert scopes == set(map(str, SCOPES))


# --- every answer


class Broken:
    """Kept answers that cannot be read, with a key in what they say."""

    def __init__(self, said: str) -> None:
        self.said = said

    def get(self, key: Any) -> bytes | None:
        raise RuntimeError(f"no answer for Authorization: Bearer {self.said}")


def test_every_answer_has_the_headers_that_keep_it_safe(service: Service) -> None:
    service.app.state.limits = type(service.app.state.limits)(20)
    tag = service.ask(USAGE, TEAM).headers["etag"]
    answers = {
        200: service.ask(USAGE, TEAM),
        304: service.ask(USAGE, TEAM, headers=[("If-None-Match", tag)]),
        401: service.ask(USAGE),
        404: service.ask("/nothing", TEAM),
        405: service.ask(USAGE, TEAM, method="DELETE"),
        422: service.ask("/api/teams/acme-batch/usage?period=x", TEAM),
    }
    service.app.state.answers = Broken("secret")
    answers[500] = service.ask(USAGE, TEAM)
    answers[429] = next(
        response
        for response in (service.ask("/api/alerts", TEAM) for _ in range(30))
        if response.status_code == 429
    )
    for status, response in answers.items():
        assert response.status_code == status
        assert {name: response.headers.get(name) for name in SECURITY} == SECURITY, status
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'"), status
        assert "frame-ancestors 'none'" in policy, status
        assert "cache-control" in response.headers, status
    assert answers[500].json() == {"detail": "Something went wrong here; the log has it."}


def test_no_key_is_in_any_log(
    published: Published, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = own_copy(published, tmp_path / "data")
    keys = make_keys(settings, SCOPES)
    app = create_app(settings, now=now)
    guess = f"alm_abcdefghij_{'Q' * 43}"
    with served(app) as address, httpx.Client(base_url=address, timeout=10) as client:
        token = app.state.keys.start_session(app.state.keys.find(keys[TEAM]))
        for key in (*keys.values(), guess):
            for path in (
                USAGE,
                "/nothing",
                f"/api/alerts?key={key}",
                f"/{key}",
                f"/api/teams/{key}/usage?period=x",
            ):
                client.get(path, headers={"Authorization": f"Bearer {key}"})
        client.get(USAGE, headers={"Cookie": f"almanac_session={token}"})
        app.state.answers = Broken(keys[TEAM])
        broken = client.get(USAGE, headers={"Authorization": f"Bearer {keys[TEAM]}"})
        assert broken.status_code == 500
        settings.warehouse_path.write_bytes(b"no database")
        assert client.get(USAGE, headers={"Authorization": f"Bearer {keys[TEAM]}"}).status_code == 503
    out, err = capfd.readouterr()
    written = [out, err, *(path.read_text() for path in settings.logs_dir.rglob("*") if path.is_file())]
    assert "RuntimeError" in "".join(written)
    assert "cannot be read" in err
    secrets = [key.split("_", 2)[2] for key in (*keys.values(), guess)] + [token]
    for secret in secrets:
        assert not any(secret in text for text in (*written, broken.text))
    stored = [path.read_bytes() for path in settings.data_dir.glob("ops.db*")]
    assert stored
    assert not any(secret.encode() in content for secret in secrets for content in stored)


# --- nothing to answer from


def test_before_the_first_night_nobody_is_answered(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, source=None, target="duckdb")
    with Service(settings, make_keys(settings, SCOPES)) as service:
        for path in (USAGE, ANALYTICS, "/api/alerts", "/metrics", "/api/credits/teams/acme-batch/balance"):
            response = service.ask(path, PLATFORM)
            assert response.status_code == 503, path
            assert int(response.headers["retry-after"]) > 0
            assert response.json() == {"detail": "Nothing is published yet; the first night has not run."}
            assert service.ask(path).status_code == 401
        health = service.ask("/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert service.ask("/api/health-check", TEAM).json()["overall"] == "unknown"


def test_a_night_that_cannot_be_read_is_not_answered_from_and_the_next_one_is(
    published: Published, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = own_copy(published, tmp_path / "data")
    with Service(settings, make_keys(settings, SCOPES)) as service:
        whole = service.ask(USAGE, TEAM)
        good = settings.warehouse_path.read_bytes()
        spare = settings.warehouse_path.with_suffix(".new")
        spare.write_bytes(b"\0" * 100_000)
        spare.replace(settings.warehouse_path)
        damaged = service.ask(USAGE, TEAM)
        assert (damaged.status_code, damaged.json()) == (503, {"detail": "It cannot be read now."})
        assert str(settings.warehouse_path) in capfd.readouterr().err
        spare.write_bytes(good)
        spare.replace(settings.warehouse_path)
        assert service.ask(USAGE, TEAM).content == whole.content


# --- metrics


def families_of(text: str) -> dict[str, Metric]:
    """By Prometheus' own strict parser."""
    return {family.name: family for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]


def test_metrics_are_openmetrics(service: Service, published: Published) -> None:
    for path in ("/health", USAGE, "/nothing", "/api/teams/x%22y%0Az/usage?period=2026-10"):
        service.ask(path, PLATFORM)
    for number in range(50):
        service.ask("/nothing", PLATFORM, method=f"MADEUP{number}")
        service.ask(f"/nothing/{number}", PLATFORM)
    response = service.ask("/metrics", PLATFORM)
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = families_of(response.text)
    assert response.text.endswith("# EOF\n")
    (age,) = families["almanac_published_age_seconds"].samples
    assert age.value == 3600
    dashboard = dict(
        zip(
            ("jobs", "calls"),
            published.rows("select job_count, call_count from monitoring_dashboard")[0],
            strict=True,
        )
    )
    assert families["almanac_today_job_count"].samples[0].value == dashboard["jobs"]
    assert families["almanac_today_call_count"].samples[0].value == dashboard["calls"]
    requests = families["almanac_http_request_duration_seconds"].samples
    counted = [sample for sample in requests if sample.name.endswith("_count")]
    assert {sample.labels["method"] for sample in counted} <= {"GET", "other"}
    # what whoever asks may make up makes no new series
    assert len(counted) < 12
    assert {sample.labels["route"] for sample in counted} >= {"none", "/api/teams/{team_id:id}/usage"}


def test_what_is_not_known_is_no_metric(tmp_path: Path, published: Published) -> None:
    settings = own_copy(published, tmp_path / "data")
    with Service(settings, make_keys(settings, SCOPES)) as service:
        text = service.ask("/metrics", PLATFORM).text
    families = families_of(text)
    # nothing was probed
    assert families["almanac_component_latency_seconds"].samples == []
    assert "NaN" not in text
