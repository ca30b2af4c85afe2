"""`almanac schedule`: the deployments, served to a Prefect server: the only module with Prefect's deployment
machinery.

A server is required, or started and ended with this process. Without one Prefect would start its own in the
background, which outlives whatever started it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from flows.doctor import masked
from flows.errors import AlmanacError, Busy, UsageError
from flows.probe_config import load_probes
from flows.run_ledger import claimed_run
from flows.settings import Settings, hand_down

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

HOST = "127.0.0.1"  # Prefect's API and page ask nobody for a password
SERVER_SECONDS = 120  # that a server may take to answer: it may be starting, and migrating its database
STOP_SECONDS = 15  # that our server may take to end
# as prefect_flows names them
FLOW_NAMES = ["nightly", "recalculate", "weekly-review", "monthly-review", "alert-check", "probe"]
TIED_CHILD = Path(__file__).with_name("tied_child.py")


def schedule(settings: Settings, *, with_server: bool) -> None:
    """Serve the deployments until SIGTERM or Ctrl-C.

    Raises UsageError when there is no server to serve them to, AlmanacError when it does not answer.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_API_PORT, temporary_settings

    given = PREFECT_API_URL.value()
    if with_server and given:
        raise UsageError(
            f"--with-server would start a second Prefect server: PREFECT_API_URL names {masked(given)} "
            "already. Unset it, or leave --with-server out."
        )
    if not with_server and not given:
        raise UsageError(
            "There is no Prefect server to serve the deployments to. Start one with `prefect server start` "
            "and set PREFECT_API_URL=http://127.0.0.1:4200/api, or give --with-server."
        )
    # the runs are processes of their own, which read the settings anew
    hand_down(settings)
    if given:
        _serve(settings, given)
        return
    port = PREFECT_SERVER_API_PORT.value()
    url = f"http://{HOST}:{port}/api"
    with temporary_settings({PREFECT_API_URL: url}), _server(port):
        _serve(settings, url)


def deployments(settings: Settings) -> list[RunnerDeployment]:
    """The flows as people find them in Prefect: night, reviews, checks and probes by time."""
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Cron, Interval
    from prefect.types.entrypoint import EntrypointType

    from flows import prefect_flows

    # No concurrency limit of Prefect's: a server that is killed during a night forgets the lease of its slot
    # but not that the slot is taken, and every later night would be cancelled. The run ledger's lease ends
    # with its holder; a second run ends as Busy within seconds.
    return [
        RunnerDeployment.from_flow(
            prefect_flows.nightly,
            name="nightly",
            # UTC: Prefect fires an hour off around clock changes in zones that have them
            schedule=Cron(settings.nightly_cron, timezone="UTC"),
            entrypoint_type=EntrypointType.MODULE_PATH,
            description="Land, build, audit, publish, issue the reviews that are due.",
        ),
        *(
            RunnerDeployment.from_flow(
                flow,
                name=name,
                # the night issues them as well, and as soon as it is good; this one tells when none was
                schedule=Cron(cron, timezone="UTC"),
                entrypoint_type=EntrypointType.MODULE_PATH,
                description="Issue what is due, hold what is not ready, send what waits.",
            )
            for flow, name, cron in (
                (prefect_flows.weekly_review, "weekly-review", settings.weekly_review_cron),
                (prefect_flows.monthly_review, "monthly-review", settings.monthly_review_cron),
            )
        ),
        RunnerDeployment.from_flow(
            prefect_flows.recalculate,
            name="recalculate",
            entrypoint_type=EntrypointType.MODULE_PATH,
            description="Rebuild days from the source and report what changed.",
        ),
        RunnerDeployment.from_flow(
            prefect_flows.alert_check,
            name="alert-check",
            schedule=Cron(settings.alert_cron, timezone="UTC"),
            entrypoint_type=EntrypointType.MODULE_PATH,
            description="Land the newest days, ask the rules of the alerts, tell what changed.",
        ),
        *(
            []
            if settings.probes is None
            else [
                RunnerDeployment.from_flow(
                    prefect_flows.probe,
                    name="probe",
                    schedule=Interval(load_probes(settings.probes).interval_seconds, timezone="UTC"),
                    entrypoint_type=EntrypointType.MODULE_PATH,
                    description="Probe every component once.",
                )
            ]
        ),
    ]


def _serve(settings: Settings, url: str) -> None:
    from prefect import serve

    _wait_for_server(url)
    _end_dead_runs(settings)
    # a pause would outlast a restart of this process; missed nights end as AlreadyPublished instead
    serve(*deployments(settings), pause_on_shutdown=False)


def _end_dead_runs(settings: Settings) -> None:
    """End in Prefect what it shows as running although no run is at work: Prefect does not see a run die."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    flows = filters.FlowFilter(name=filters.FlowFilterName(any_=FLOW_NAMES))
    running = filters.FlowRunFilter(
        state=filters.FlowRunFilterState(
            type=filters.FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.CANCELLING])
        )
    )
    message = "The process of this run is gone: it was killed, or its machine stopped."
    with suppress(Busy), claimed_run(settings, kind="schedule"), get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_filter=flows, flow_run_filter=running):
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)


def _wait_for_server(url: str, server: subprocess.Popen[bytes] | None = None) -> None:
    from prefect.client.orchestration import get_client

    give_up_at = time.monotonic() + SERVER_SECONDS
    with get_client(sync_client=True) as client:
        while (error := client.api_healthcheck()) is not None:
            if time.monotonic() > give_up_at:
                raise AlmanacError(
                    f"The Prefect server at {masked(url)} does not answer ({type(error).__name__}). "
                    "Start it with `prefect server start`, or correct PREFECT_API_URL."
                )
            if server is not None and server.poll() is not None:
                raise AlmanacError(
                    f"The Prefect server ended with code {server.returncode}; its own lines above say why."
                )
            time.sleep(1)


@contextmanager
def _server(port: int) -> Iterator[None]:
    """A Prefect server on the loopback interface that ends with this process, however it ends."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise AlmanacError(
                f"Port {port} is in use. If a Prefect server runs there, set "
                f"PREFECT_API_URL=http://{HOST}:{port}/api and leave --with-server out; "
                "else give another port by PREFECT_SERVER_API_PORT."
            ) from error
    command = (sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port))
    # tied to this process as far as the kernel can
    tied = (sys.executable, "-S", "-E", str(TIED_CHILD), str(os.getpid()), *command)
    server = subprocess.Popen([*tied, "--analytics-off"], stdin=subprocess.DEVNULL)
    try:
        _wait_for_server(f"http://{HOST}:{port}/api", server)
        yield
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
