"""A real Prefect server, the deployments served to it by `almanac schedule`, and who asks it."""

from __future__ import annotations

import csv
import gzip
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from tests.published import ROOT, TAPE

# The server, its answers and the nights are all slow on a busy CI machine; nothing waits longer.
START_SECONDS = 120
RUN_SECONDS = 240

# "503" is what the server says while its SQLite file is locked; Prefect's own clients ask again, too.
BUSY_ANSWERS = 20

ROWS = 40  # of each table; a night's time is dbt's own then
AS_OF = "2026-08-03T00:00:00Z"  # after all of them

# So that nothing that is scheduled comes in between.
RARELY = "0 5 29 2 *"
SELDOM_SECONDS = 3600
# Of environments that people have; none of it may reach Prefect.
MARKER = "m4rk3r-p4ssw0rd"


@dataclass(frozen=True)
class Platform:
    """A folder with a few rows of every table, and the settings that land from it."""

    source: Path
    data_dir: Path
    prefect_home: Path
    api_url: str
    # Prefect's own database; empty for the SQLite file of its home
    database_url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("ALMANAC_", "PREFECT_"))
        }
        if self.database_url:
            inherited["PREFECT_API_DATABASE_CONNECTION_URL"] = self.database_url
        return inherited | {
            "PYTHONPATH": str(ROOT),
            "ALMANAC_DATA_DIR": str(self.data_dir),
            "ALMANAC_SOURCE": str(self.source),
            "ALMANAC_ALERT_CRON": RARELY,
            "ALMANAC_PROBES": str(self.source.with_name("probes.yml")),
            "ALMANAC_WAREHOUSE_URL": f"postgresql://marts:{MARKER}@127.0.0.1:1/marts",
            "PREFECT_HOME": str(self.prefect_home),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_ENABLED": "false",
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "DO_NOT_TRACK": "1",
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _copy_of_the_tape(folder: Path) -> Path:
    """The first rows of each table."""
    folder.mkdir()
    for path in TAPE.glob("*.csv.gz"):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            text = io.StringIO()
            csv.writer(text).writerows(islice(csv.reader(file), ROWS + 1))
        (folder / path.name.removesuffix(".gz")).write_text(text.getvalue(), encoding="utf-8")
    return folder


def make_platform(folder: Path, *, database_url: str = "") -> Platform:
    """A platform below the folder, for a server on a port that is free now."""
    api_url = f"http://127.0.0.1:{free_port()}/api"
    source = _copy_of_the_tape(folder / "source")
    source.with_name("probes.yml").write_text(
        f"interval_seconds: {SELDOM_SECONDS}\ncomponents:\n- {{name: nobody_there, url: 'http://127.0.0.1:9/'}}\n"
    )
    return Platform(source, folder / "data", folder / "home", api_url, database_url)


@contextmanager
def process(log: Path, *command: str, platform: Platform) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in a file, ended with the block."""
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [sys.executable, *command],
            cwd=log.parent,
            env=platform.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as child,
    ):
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()


@contextmanager
def prefect_server(platform: Platform) -> Iterator[None]:
    """The server of the platform's `api_url`, from the moment it answers to the end of the block."""
    log = platform.data_dir.with_name("server.log")
    port = platform.api_url.rpartition(":")[2].partition("/")[0]
    arguments = ("-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port)
    with process(log, *arguments, platform=platform) as server:
        give_up_at = time.monotonic() + START_SECONDS
        while not answers(platform.api_url):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < give_up_at, log.read_text()
            time.sleep(0.2)
        yield


def answers(api_url: str) -> bool:
    try:
        return httpx.get(f"{api_url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


class Prefect:
    """What the page in the browser asks the server."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def ask(self, method: str, path: str, **body: Any) -> Any:
        for _ in range(BUSY_ANSWERS):
            response = self._client.request(method, path, json=body or None)
            if response.status_code != 503:
                break
            time.sleep(1)
        response.raise_for_status()
        return response.json()

    def deployment(self, name: str) -> Any:
        give_up_at = time.monotonic() + START_SECONDS
        while True:
            response = self._client.get(f"/deployments/name/{name}/{name}")
            # it is polled for once it is served
            if response.status_code == 200 and response.json()["last_polled"]:
                return response.json()
            assert time.monotonic() < give_up_at, "the deployment is not served"
            time.sleep(0.2)

    def run(self, name: str, **parameters: Any) -> Any:
        """The ended flow run of a deployment."""
        deployment_id = self.deployment(name)["id"]
        run_id = self.ask("POST", f"/deployments/{deployment_id}/create_flow_run", parameters=parameters)[
            "id"
        ]
        give_up_at = time.monotonic() + RUN_SECONDS
        while (run := self.ask("GET", f"/flow_runs/{run_id}"))["state_type"] not in (
            "COMPLETED",
            "FAILED",
            "CANCELLED",
            "CRASHED",
        ):
            assert time.monotonic() < give_up_at, run["state_name"]
            time.sleep(0.2)
        return run

    def tasks(self, run: Any) -> dict[str, str]:
        """State by name, in order; the server learns of them a little after the run has ended."""
        wanted = {"flow_runs": {"id": {"any_": [run["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
        give_up_at = time.monotonic() + 30
        while True:
            tasks = self.ask("POST", "/task_runs/filter", **wanted)
            if all(task["state_type"] in ("COMPLETED", "FAILED") for task in tasks):
                return {task["name"]: task["state_name"] for task in tasks}
            assert time.monotonic() < give_up_at, tasks
            time.sleep(0.2)

    def artifacts(self, run: Any) -> dict[str, str]:
        found = self.ask("POST", "/artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}})
        return {artifact["key"]: artifact["data"] for artifact in found}


@contextmanager
def scheduled(platform: Platform) -> Iterator[Prefect]:
    """The server, with the deployments served to it."""
    log = platform.data_dir.with_name("schedule.log")
    with (
        process(log, "-m", "flows.cli", "schedule", platform=platform) as runner,
        httpx.Client(base_url=platform.api_url, timeout=30) as client,
    ):
        yield Prefect(client)
        assert runner.poll() is None, log.read_text()


def almanac(*arguments: str, platform: Platform, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a session of its own, so that what it leaves behind is found."""
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=platform.data_dir.parent,
        env=platform.environment | environment,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
