"""A real Prefect server, the deployments served to it by `almanac schedule`, and what people find there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.postgres_server import PostgresServer
from tests.prefect_server import (
    AS_OF,
    MARKER,
    RARELY,
    RUN_SECONDS,
    SELDOM_SECONDS,
    START_SECONDS,
    Platform,
    Prefect,
    almanac,
    answers,
    free_port,
    make_platform,
    prefect_server,
    process,
    scheduled,
)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = make_platform(tmp_path_factory.mktemp("prefect"))
    with prefect_server(platform):
        yield platform


@pytest.fixture(scope="module")
def prefect(platform: Platform) -> Iterator[Prefect]:
    with scheduled(platform) as prefect:
        yield prefect


@pytest.fixture(scope="module")
def night(prefect: Prefect) -> dict[str, Any]:
    """The run of a night that is published."""
    run: dict[str, Any] = prefect.run("nightly", as_of=AS_OF)
    return run


# --- the plain command


def test_the_plain_command_knows_no_prefect_and_leaves_no_process(platform: Platform) -> None:
    """Of the modules that a night can load, none imports Prefect (test_imports.py); here, none has."""
    code = (
        "import sys; sys.argv = ['almanac', 'nightly', '--source', 'no-such-folder']\n"
        "from flows.cli import main\n"
        "try: main()\n"
        "finally: print(*[name for name in sys.modules if name.partition('.')[0] == 'prefect'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=platform.data_dir.parent,
        env=platform.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as night:
        output, story = night.communicate(timeout=RUN_SECONDS)
    assert (night.returncode, output) == (1, "\n")
    assert "no-such-folder" in story
    with pytest.raises(ProcessLookupError):
        os.killpg(night.pid, 0)


def test_schedule_without_a_server_says_how_to_start_one(platform: Platform) -> None:
    run = almanac("schedule", platform=platform, PREFECT_API_URL="")
    assert (run.returncode, run.stdout) == (2, "")
    assert "prefect server start" in run.stderr
    assert "--with-server" in run.stderr


# --- the deployments


def test_the_nightly_is_scheduled_in_utc_and_the_recalculation_is_not(prefect: Prefect) -> None:
    (schedule,) = prefect.deployment("nightly")["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("30 2 * * *", "UTC")
    assert schedule["active"]
    assert prefect.deployment("recalculate")["schedules"] == []


@pytest.mark.parametrize(
    ("name", "cron"), [("weekly-review", "0 6 * * 1"), ("monthly-review", "0 6 1 * *")], ids=str
)
def test_the_reviews_are_scheduled_in_utc_and_say_what_they_did(
    prefect: Prefect, platform: Platform, name: str, cron: str
) -> None:
    (schedule,) = prefect.deployment(name)["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == (cron, "UTC")
    run = prefect.run(name)
    # nothing is published yet, or nothing of the last period: either way nobody gets a review of it
    assert run["state_name"] in ("Completed", "Failed")
    assert "Traceback" not in run["state"]["message"]
    assert name in prefect.artifacts(run)


def test_a_night_is_completed_with_its_steps_its_page_and_its_numbers(
    prefect: Prefect, platform: Platform, night: dict[str, Any]
) -> None:
    assert (night["state_type"], night["state_name"]) == ("COMPLETED", "Completed"), night["state"]["message"]
    assert "checks hold" in night["state"]["message"]
    assert prefect.tasks(night) == dict.fromkeys(
        ("land", "build", "audit", "publish", "review", "alert", "dashboard", "deliver"), "Completed"
    )
    page = prefect.artifacts(night)["nightly"]
    for words in ("as of 2026-08-03", "llm_calls", "checks hold", "days", str(platform.data_dir)):
        assert words in page


@pytest.mark.usefixtures("night")
def test_checks_and_probes_are_scheduled_and_say_what_they_found(prefect: Prefect) -> None:
    (schedule,) = prefect.deployment("alert-check")["schedules"]
    assert schedule["schedule"]["cron"] == RARELY
    (schedule,) = prefect.deployment("probe")["schedules"]
    assert schedule["schedule"]["interval"] == SELDOM_SECONDS
    run = prefect.run("alert-check")
    assert "incidents opened" in run["state"]["message"]
    run = prefect.run("probe")
    assert run["state_name"] == "Completed"
    assert "nobody_there down" in run["state"]["message"]


@pytest.mark.usefixtures("night")
def test_a_night_that_is_published_already_is_left_alone(prefect: Prefect, platform: Platform) -> None:
    before = (platform.data_dir / "warehouse.duckdb").stat().st_mtime_ns
    run = prefect.run("nightly", as_of=AS_OF)
    assert (run["state_type"], run["state_name"]) == ("COMPLETED", "AlreadyPublished")
    assert prefect.tasks(run) == {}
    assert (platform.data_dir / "warehouse.duckdb").stat().st_mtime_ns == before


def test_a_failed_night_is_failed_with_the_reason(prefect: Prefect, platform: Platform) -> None:
    away = platform.source.rename(platform.source.with_name("away"))
    try:
        run = prefect.run("nightly", as_of="2026-08-04T00:00:00Z")
    finally:
        away.rename(platform.source)
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Failed")
    assert str(platform.source) in run["state"]["message"]
    assert "build" not in prefect.tasks(run)
    assert str(platform.source) in prefect.artifacts(run)["nightly"]


def test_a_second_run_is_busy_and_not_failed(prefect: Prefect, platform: Platform) -> None:
    code = (
        "import sys\n"
        "from flows.locking import only_writer\n"
        "from flows.settings import load_settings\n"
        "with only_writer(load_settings(), kind='build'): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=platform.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        run = prefect.run("nightly")
        holder.communicate()
    assert (run["state_type"], run["state_name"]) == ("CANCELLED", "Busy")
    assert "build" in run["state"]["message"]


@pytest.mark.usefixtures("night")
def test_a_recalculation_reports_what_changed(prefect: Prefect) -> None:
    run = prefect.run("recalculate", first_day="2026-07-26", last_day="2026-07-27", dry_run=True)
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    assert "0 values would change" in run["state"]["message"]
    assert "publish" not in prefect.tasks(run)


# --- a step as a task

RETRIES = """
import flows.prefect_flows as flows
from flows.nightly import Step
from flows.source_postgres import SourceUnavailable
from flows.errors import LandError
from prefect import flow

flows.LAND_RETRY_SECONDS = (0.1, 0.1)
attempts = {"SourceUnavailable": 0, "LandError": 0, "ValueError": 0}

class Night:
    settings = None

def failing(kind):
    def run(night):
        attempts[kind.__name__] += 1
        raise kind("the reason postgresql://reader:MARKER@db/saas password=MARKER")
    return run

@flow(name="retries")
def retries():
    for kind in (SourceUnavailable, LandError, ValueError):
        try:
            flows.as_task(Step("land", failing(kind)), Night())
        except Exception:
            pass
    return attempts

print(retries())
flows.nightly(return_state=True)
"""


@pytest.fixture(scope="module")
def retries(platform: Platform, prefect: Prefect) -> subprocess.CompletedProcess[str]:
    """The run of RETRIES, and of a night with a password in its source, told to the server."""
    return subprocess.run(
        [sys.executable, "-c", RETRIES.replace("MARKER", MARKER)],
        cwd=platform.data_dir.parent,
        env=platform.environment | {"ALMANAC_SOURCE": f"postgresql://reader:{MARKER}@127.0.0.1:1/saas"},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


def test_only_a_source_that_does_not_answer_is_asked_again(
    retries: subprocess.CompletedProcess[str],
) -> None:
    assert retries.returncode == 0, retries.stderr
    attempts = "{'SourceUnavailable': 3, 'LandError': 1, 'ValueError': 1}"
    assert retries.stdout.splitlines()[0] == attempts, retries.stderr
    assert MARKER not in retries.stdout + retries.stderr


@pytest.mark.usefixtures("retries")
def test_no_secret_reaches_prefect(prefect: Prefect, platform: Platform) -> None:
    assert prefect.ask("POST", "/flow_runs/count") > 0
    files = [path for path in platform.prefect_home.rglob("*") if path.is_file()]
    assert any(path.name.startswith("prefect.db") for path in files)
    logs = list(platform.prefect_home.parent.glob("*.log"))
    holders = [path for path in [*files, *logs] if MARKER.encode() in path.read_bytes()]
    assert holders == []


# --- Prefect's own database


def test_a_server_on_postgresql_keeps_the_runs_there(postgres_server: PostgresServer, tmp_path: Path) -> None:
    url = postgres_server.create_database("prefect")
    platform = make_platform(tmp_path, database_url=url.replace("postgresql://", "postgresql+asyncpg://"))
    with prefect_server(platform), scheduled(platform) as prefect:
        run = prefect.run("nightly", as_of=AS_OF)
        assert run["state_name"] == "Completed", run["state"]["message"]
        assert prefect.tasks(run)["publish"] == "Completed"
        assert "checks hold" in prefect.artifacts(run)["nightly"]
        with psycopg.connect(url) as connection:
            kept = connection.execute("select state_name from flow_run where id = %s", [run["id"]]).fetchall()
    assert kept == [("Completed",)]
    assert not list(platform.prefect_home.glob("prefect.db*"))
    postgres_server.drop_database("prefect")


# --- endings; these stop what the others need, and come last


def test_a_run_that_was_killed_is_ended_by_the_next_schedule(prefect: Prefect, platform: Platform) -> None:
    flow_id = prefect.ask("GET", "/flows/name/nightly")["id"]
    dead = prefect.ask("POST", "/flow_runs/", flow_id=flow_id, state={"type": "RUNNING"})["id"]
    log = platform.data_dir.with_name("second-schedule.log")
    with process(log, "-m", "flows.cli", "schedule", platform=platform) as runner:
        give_up_at = time.monotonic() + START_SECONDS
        while (run := prefect.ask("GET", f"/flow_runs/{dead}"))["state_type"] != "CRASHED":
            assert runner.poll() is None, log.read_text()
            assert time.monotonic() < give_up_at, log.read_text()
            time.sleep(0.2)
    assert "killed" in run["state"]["message"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its killed parent")
def test_a_server_that_schedule_started_ends_with_it_however_it_ends(
    platform: Platform, tmp_path: Path
) -> None:
    port = free_port()
    alone = Platform(platform.source, tmp_path / "data", tmp_path / "home", "")
    environment = alone.environment | {"PREFECT_SERVER_API_PORT": str(port)}
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "schedule", "--with-server"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as runner:
        url = f"http://127.0.0.1:{port}/api"
        give_up_at = time.monotonic() + START_SECONDS
        while not answers(url):
            assert runner.poll() is None
            assert time.monotonic() < give_up_at
            time.sleep(0.2)
        runner.send_signal(signal.SIGKILL)
    give_up_at = time.monotonic() + 10
    while answers(url):
        assert time.monotonic() < give_up_at, "the server outlives the command that started it"
        time.sleep(0.2)
