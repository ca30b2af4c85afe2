"""Probes against real servers that behave and misbehave, and what is kept of them."""

from __future__ import annotations

import datetime as dt
import errno
import os
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from sqlalchemy import select

from flows import maintenance
from flows.errors import AlmanacError, UsageError
from flows.health import Round, probe_all
from flows.ops_store import open_ops_store
from flows.probe_config import Component, Probes
from flows.probe_records import NEWS_ROUNDS, latest, probes, record, waiting_path
from flows.probe_results import Overall, ProbeResult, ProbeVerdict
from flows.settings import Settings
from tests import hostile_servers
from tests.almanac_command import environment
from tests.hostile_servers import Behaviour, answers, server
from tests.postgres_server import PostgresServer

NOW = dt.datetime(2026, 11, 23, 12, 0)
ROOT = Path(__file__).resolve().parents[2]
UP, DEGRADED, DOWN, UNKNOWN = ProbeVerdict


def ask(settings: Settings, *components: Component) -> dict[str, ProbeResult]:
    probed = probe_all(settings, Probes(components=list(components)), checked_at=NOW)
    return {result.component: result for result in probed.results}


HEALTHY = b'{"status": "healthy", "service": "saas-llm-api"}'
CASES: list[tuple[str, str, Behaviour, ProbeVerdict, str]] = [
    ("http_up", "http", answers(b"anything"), UP, ""),
    ("http_404", "http", answers(b"", "404 Not Found"), DOWN, "HTTP 404"),
    ("http_500", "http", answers(b"", "500 Oops"), DOWN, "HTTP 500"),
    ("http_204", "http", answers(b"", "204 No Content"), DOWN, "HTTP 204"),
    ("http_401", "http", answers(b"", "401 No"), UNKNOWN, "asks who we are"),
    ("http_429", "http", answers(b"", "429 Slowly"), DEGRADED, "too often"),
    ("saas_up", "saas_api", answers(HEALTHY), UP, ""),
    ("saas_degraded", "saas_api", answers(b'{"status": "degraded"}'), DEGRADED, "degraded"),
    ("saas_ill", "saas_api", answers(b'{"status": "unhealthy"}'), DOWN, "does not say"),
    ("saas_page", "saas_api", answers(b"<html>Sign in</html>"), DOWN, "something else"),
    ("saas_list", "saas_api", answers(b'["healthy"]'), DOWN, "something else"),
    ("saas_nested", "saas_api", answers(b"[" * 60_000), DOWN, "something else"),
    ("saas_bytes", "saas_api", answers(b"\xff\xfe\x00"), DOWN, "something else"),
    ("alive", "litellm_liveliness", answers(b'"I\'m alive!"'), UP, ""),
    ("ready", "litellm_readiness", answers(b'{"status": "healthy", "db": "connected"}'), UP, ""),
    ("no_db", "litellm_readiness", answers(b'{"status": "healthy", "db": "disconnected"}'), DOWN, "database"),
    ("no_word", "litellm_readiness", answers(b'{"status": "healthy"}'), DOWN, "does not say"),
    ("not_ready", "litellm_readiness", answers(b"", "503 No"), DOWN, "not ready"),
    ("slow", "saas_api", answers(HEALTHY, after=0.7), DEGRADED, "slow: more than 500 ms"),
    ("hang", "http", hostile_servers.hangs, DOWN, "within 2 s"),
    ("dripping_head", "http", hostile_servers.drips_its_head, DOWN, "within 2 s"),
    ("dripping_body", "saas_api", hostile_servers.drips_its_body, DOWN, "within 2 s"),
    ("loop", "http", answers(b"", "302 Found", "Location: /\r\n"), DOWN, "sends us elsewhere"),
    ("endless", "saas_api", hostile_servers.sends_without_end, DOWN, "more than 64 KiB"),
    ("large", "http", hostile_servers.sends_without_end, UP, ""),
    ("endless_drip", "http", hostile_servers.drips_its_body, DOWN, "within 2 s"),
    ("half", "http", hostile_servers.ends_early, DOWN, "ends too early"),
    ("endless_head", "http", hostile_servers.sends_headers_without_end, DOWN, "not HTTP"),
    ("reset", "http", hostile_servers.resets, DOWN, "broke the connection off"),
    ("early_end", "saas_api", hostile_servers.ends_early, DOWN, "ends too early"),
    ("garbage", "http", hostile_servers.talks_garbage, DOWN, "not HTTP"),
    ("mute_database", "database", hostile_servers.hangs, DOWN, "within 2 s"),
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def component(name: str, kind: str, port: int, **more: object) -> Component:
    url = {} if kind == "database" else {"url": f"http://127.0.0.1:{port}/health"}
    return Component.model_validate(
        {"name": name, "kind": kind, "slow_ms": 500, "deadline_seconds": 2.0, **url, **more}
    )


def test_each_answer_has_its_meaning_and_no_server_holds_up_another(tmp_path: Path) -> None:
    with ExitStack() as servers:
        components = []
        settings = Settings(data_dir=tmp_path)
        for name, kind, behave, _, reason in CASES:
            port = servers.enter_context(server(behave))
            # a busy machine is no slow server: only who is to be found slow or silent is given little time
            patience: dict[str, object] = {
                "slow_ms": 500 if "slow" in reason else 60_000,
                "deadline_seconds": 2.0 if "within 2 s" in reason else 10.0,
            }
            if kind == "database":
                settings = Settings(data_dir=tmp_path, source=f"postgresql://ann@127.0.0.1:{port}/shop")
                components.append(component(name, kind, port, database="source", **patience))
            else:
                components.append(component(name, kind, port, **patience))
        began = time.monotonic()
        found = ask(settings, *components)
        took = time.monotonic() - began
    print(f"the round took {took:.2f} s")
    wrong = {
        name: found[name]
        for name, _, _, verdict, reason in CASES
        if found[name].verdict is not verdict or reason not in (found[name].reason or "")
    }
    assert wrong == {}
    # without the deadline the slowest of them would hold for a minute; a busy machine is given its time
    assert took < 15
    assert found["http_401"].latency_ms is None
    assert all(found[name].latency_ms is not None for name in ("http_up", "hang", "reset"))


def test_a_gigabyte_does_not_grow_the_prober(tmp_path: Path) -> None:
    def peak(behave: Behaviour) -> int:
        with server(behave) as port:
            file = tmp_path / "probes.yml"
            url = f"http://127.0.0.1:{port}/"
            file.write_text(f"components:\n- {{name: a, kind: saas_api, url: '{url}', slow_ms: 60000}}\n")
            prober = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", "--data-dir", str(tmp_path / "data"), "probe"],
                cwd=ROOT,
                env=environment() | {"ALMANAC_PROBES": str(file)},
                stdout=subprocess.DEVNULL,
            )
            _, status, usage = os.wait4(prober.pid, 0)
            prober.returncode = os.waitstatus_to_exitcode(status)
            assert prober.returncode == 0
            return usage.ru_maxrss

    usual = peak(answers(HEALTHY))
    # kibibytes
    assert peak(hostile_servers.sends_without_end) < usual + 20 * 1024
    assert peak(hostile_servers.sends_headers_without_end) < usual + 20 * 1024


# --- TLS ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.mark.parametrize(
    ("case", "verdict", "reason"),
    [
        ("good", UP, ""),
        ("unknown authority", DOWN, "not to be trusted"),
        ("expired", DOWN, "certificate has expired"),
        ("wrong host", DOWN, "not to be trusted"),
        ("no tls", DOWN, "no TLS connection"),
    ],
)
def test_certificates_are_looked_at(
    settings: Settings, authority: trustme.CA, ca_file: Path, case: str, verdict: ProbeVerdict, reason: str
) -> None:
    issuer = trustme.CA() if case == "unknown authority" else authority
    certificate = issuer.issue_cert(
        "example.com" if case == "wrong host" else "127.0.0.1",
        not_after=dt.datetime(2020, 1, 1, tzinfo=dt.UTC) if case == "expired" else None,
        not_before=dt.datetime(2019, 1, 1, tzinfo=dt.UTC) if case == "expired" else None,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    behave, tls = (hostile_servers.knows_no_tls, None) if case == "no tls" else (answers(b""), context)
    with server(behave, tls=tls) as port:
        found = ask(
            settings,
            component("a", "http", port, url=f"https://127.0.0.1:{port}/", ca_file=ca_file, slow_ms=60_000),
        )["a"]
    assert found.verdict is verdict
    assert reason in (found.reason or "")


def test_a_file_of_authorities_that_is_none_is_the_probers_own_failure(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    found = ask(settings, component("a", "http", 1, ca_file=tmp_path / "ca.pem"))["a"]
    assert (found.verdict, found.latency_ms) == (UNKNOWN, None)
    assert "ca_file" in (found.reason or "")


# --- databases ----------------------------------------------------------------------------------------------


def test_a_database_that_answers_is_up(tmp_path: Path, postgres_server: PostgresServer) -> None:
    settings = Settings(data_dir=tmp_path, source=postgres_server.url(), warehouse_url=None)
    found = ask(
        settings,
        component("source", "database", 0, database="source", slow_ms=60_000),
        component("warehouse", "database", 0, database="warehouse"),
    )
    assert found["source"].verdict is UP
    assert (found["warehouse"].verdict, found["warehouse"].reason) == (
        UNKNOWN,
        "ALMANAC_WAREHOUSE_URL names no database",
    )


@pytest.mark.parametrize(
    ("database", "user", "reason"),
    [("postgres", "nobody_of_that_name", "it does not let us in"), ("no_such", "postgres", "no database")],
)
def test_a_database_that_will_not_have_us_is_not_down(
    tmp_path: Path, postgres_server: PostgresServer, database: str, user: str, reason: str
) -> None:
    settings = Settings(data_dir=tmp_path, source=postgres_server.url(database, user=user))
    found = ask(settings, component("a", "database", 0, database="source"))["a"]
    assert found.verdict is UNKNOWN
    assert reason in (found.reason or "")


# --- what is kept -------------------------------------------------------------------------------------------


def round_of(verdict: ProbeVerdict, minutes: int, *, name: str = "a") -> Round:
    result = ProbeResult(name, True, verdict, 12.5, None if verdict is UP else "why")
    return Round(NOW + dt.timedelta(minutes=minutes), 300, (result,))


def test_a_round_is_kept_and_news_is_what_ceased_to_be_up_or_came_back(settings: Settings) -> None:
    verdicts = [UP, UP, DOWN, DOWN, UP, UP, UNKNOWN, UP, UP]
    news = [record(settings, round_of(verdict, 5 * n)).has_news for n, verdict in enumerate(verdicts)]
    assert news == [False, False, True, True, True, False, True, True, False]
    [(checked_at, result, interval)] = latest(open_ops_store(settings), NOW + dt.timedelta(hours=1))
    assert (checked_at, result.verdict, interval) == (NOW + dt.timedelta(minutes=40), UP, 300)
    [(checked_at, *_)] = latest(open_ops_store(settings), NOW)
    assert checked_at == NOW


def test_what_has_been_down_for_long_is_no_news_until_it_is_back(settings: Settings) -> None:
    news = [record(settings, round_of(DOWN, n)).has_news for n in range(NEWS_ROUNDS + 3)]
    assert news == [True] * NEWS_ROUNDS + [False] * 3
    assert record(settings, round_of(UP, NEWS_ROUNDS + 3)).has_news


def test_what_is_back_together_with_the_store_is_news(settings: Settings, away: Settings) -> None:
    record(settings, round_of(UP, 0))
    for minutes in (5, 10):
        with pytest.raises(AlmanacError, match="wait in"):
            record(away, round_of(DOWN, minutes))
    assert record(settings, round_of(UP, 15)).has_news


def test_a_full_disk_is_said_and_no_crash(away: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("flows.probe_records.os.fsync", fail)
    with pytest.raises(AlmanacError, match="This round is lost; make room"):
        record(away, round_of(DOWN, 0))


def rows(settings: Settings) -> list[tuple[str, dt.datetime, str]]:
    with open_ops_store(settings).transaction() as connection:
        query = select(probes.c.component, probes.c.checked_at, probes.c.verdict).order_by(probes.c.probe_id)
        return [tuple(row) for row in connection.execute(query)]


@pytest.fixture
def away(tmp_path: Path) -> Settings:
    """The same data folder, its ops store where nobody answers."""
    return Settings(data_dir=tmp_path, target="postgres", warehouse_url="postgresql://x@127.0.0.1:9/x")


def test_what_the_store_could_not_take_goes_in_later(settings: Settings, away: Settings) -> None:
    for minutes in (0, 5):
        with pytest.raises(AlmanacError, match="wait in"):
            record(away, round_of(DOWN, minutes))
    # a process that was killed in the middle of its line
    with waiting_path(settings).open("a") as file:
        file.write('{"component": "a", "checked')
    with pytest.raises(AlmanacError, match="wait in"):
        record(away, round_of(DOWN, 10))
    assert record(settings, round_of(UP, 15)).count == 4
    assert [row[1] for row in rows(settings)] == [NOW + dt.timedelta(minutes=5 * n) for n in range(4)]
    assert waiting_path(settings).read_bytes() == b""


def test_what_waited_goes_in_once_though_its_writer_is_killed(
    settings: Settings, away: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AlmanacError, match="wait in"):
        record(away, round_of(DOWN, 0))
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from flows.settings import Settings\n"
            "from flows.probe_records import record; from tests.pipeline.test_probes import round_of, UP\n"
            "record(Settings(data_dir=Path(sys.argv[1])), round_of(UP, 5))",
            str(settings.data_dir),
        ],
        cwd=ROOT,
        env=environment() | {"ALMANAC_FAILPOINT": "probes.recorded"},
        check=False,
    )
    assert killed.returncode < 0
    assert waiting_path(settings).read_bytes() != b""
    record(settings, round_of(UP, 10))
    assert rows(settings) == [
        ("a", NOW + dt.timedelta(minutes=5 * n), verdict) for n, verdict in enumerate(("down", "up", "up"))
    ]


def test_maintenance_is_planned_seen_and_ended(settings: Settings) -> None:
    store = open_ops_store(settings)
    known = frozenset({"a", "b"})
    hour = dt.timedelta(hours=1)

    def plan(component: str | None, starts_at: dt.datetime, hours: float) -> int:
        return maintenance.plan(
            store,
            component=component,
            starts_at=starts_at,
            hours=hours,
            owner="ann",
            reason="upgrade",
            now=NOW,
            components=known,
        )

    first, later = plan("a", NOW, 2), plan(None, NOW + 5 * hour, 1)
    assert maintenance.in_maintenance(store, NOW, known) == {"a"}
    assert maintenance.in_maintenance(store, NOW + 2 * hour, known) == set()
    assert maintenance.in_maintenance(store, NOW + 5 * hour, known) == known
    maintenance.end(store, later, NOW + hour)
    assert maintenance.in_maintenance(store, NOW + 5 * hour, known) == set()
    maintenance.end(store, first, NOW + hour)
    assert maintenance.planned(store, NOW + hour) == []
    with pytest.raises(UsageError, match="No maintenance"):
        maintenance.end(store, first, NOW + hour)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"component": "c"}, "There are: a, b"),
        ({"hours": 0}, "more than 0 hours"),
        ({"hours": float("nan")}, "more than 0 hours"),
        ({"hours": 24 * 14 + 1}, "at most 14 days"),
        ({"starts_at": NOW - dt.timedelta(hours=25)}, "has been reported"),
        ({"reason": " "}, "Say why"),
        ({"owner": "ann\x1b[2J"}, "Say who"),
    ],
)
def test_maintenance_that_is_no_plan_is_refused(
    settings: Settings, change: dict[str, Any], problem: str
) -> None:
    plan: dict[str, Any] = {
        "component": "a",
        "starts_at": NOW,
        "hours": 1.0,
        "owner": "ann",
        "reason": "upgrade",
    }
    with pytest.raises(UsageError, match=problem):
        maintenance.plan(
            open_ops_store(settings), **(plan | change), now=NOW, components=frozenset({"a", "b"})
        )


# --- the command --------------------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    return [sys.executable, "-m", "flows.cli", "--data-dir", str(tmp_path / "data"), "probe"]


def test_the_command_prints_keeps_and_says_by_its_exit_what_it_was_asked(
    tmp_path: Path, command: list[str]
) -> None:
    file = tmp_path / "probes.yml"
    with server(answers(HEALTHY)) as good, server(answers(b"", "500 Oops")) as bad:
        file.write_text(
            "components:\n"
            f"- {{name: api, kind: saas_api, url: 'http://127.0.0.1:{good}/', slow_ms: 60000}}\n"
            f"- {{name: other, url: 'http://127.0.0.1:{bad}/', required: false, slow_ms: 60000}}\n"
        )
        variables = environment() | {"ALMANAC_PROBES": str(file)}
        run = subprocess.run(
            command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False, timeout=60
        )
        time.sleep(1)  # of two rounds in one second the first is kept
        strict = subprocess.run(
            [*command, "--strict"],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["overall", "healthy"]
    assert lines[1].split()[:2] == ["api", "up"]
    assert lines[2].split()[:2] == ["other", "down"]
    assert lines[2].endswith("optional  HTTP 500")
    assert strict.returncode == 0
    assert len(rows(Settings(data_dir=tmp_path / "data"))) == 4
    assert Round(NOW, 300, ()).overall is Overall.unknown


def test_the_service_goes_on_though_its_store_fails_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    file = tmp_path / "probes.yml"
    file.write_text("components: [{name: a, url: 'http://127.0.0.1:9/'}]")
    data = tmp_path / "data"
    code = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from flows.probe_service import probe_on; from flows.settings import Settings\n"
        "now = lambda: datetime.now(UTC).replace(tzinfo=None)\n"
        "settings = Settings(data_dir=Path(sys.argv[1]), probes=Path(sys.argv[2]))\n"
        "probe_on(settings, every_seconds=1, ask_alerts=True, now=now)"
    )
    # no store can be there: a file is where its folder would be
    data.write_text("")
    service = subprocess.Popen(
        [sys.executable, "-c", code, str(data), str(file)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert service.stderr is not None
        assert b"cannot be written" in service.stderr.readline()
        data.unlink()
        for _ in range(300):
            time.sleep(0.1)
            if data.exists() and len(rows(Settings(data_dir=data))) >= 2:
                break
        assert len(rows(Settings(data_dir=data))) >= 2
    finally:
        service.terminate()
        service.communicate(timeout=30)
    assert service.returncode != 0
