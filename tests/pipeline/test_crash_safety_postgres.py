"""What `test_crash_safety` asks of the embedded warehouse, asked of PostgreSQL and its server."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canonical import canonical_differences
from tests.crash_harness import (
    RUN_SECONDS,
    Nights,
    Scene,
    reader,
    require_healing,
    require_nobody_at_work,
    require_one_of_two,
    require_recovery,
    run,
    start,
    wait_until_stopped,
)
from tests.crash_targets import PostgresTarget, Target
from tests.postgres_server import PostgresServer, StopMode

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

# Killed one after the other before the night may go through.
KILLED_IN_A_ROW = ("mirror.table_copied:3", "dbt.node_done:20", "publish.views_replaced")

# Where the server goes away under the night, and how.
RESTARTED_AT: tuple[tuple[str, StopMode], ...] = (
    ("mirror.table_copied:3", "fast"),
    ("publish.views_replaced", "immediate"),
)

# Before it writes a generation, and while it does: its dbt goes on while it stands still.
STOOD_STILL_AT = ("build.before_models", "dbt.node_done:20")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of these tests' own: they restart it."""
    # what is committed survives its crash, as it does where nobody turns that off
    server = PostgresServer(synchronous_commit="on").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def nights(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Nights:
    folder = tmp_path_factory.mktemp("nights")
    (folder / "empty").mkdir()
    return Nights(folder, PostgresTarget.empty(folder / "empty", server))


@pytest.fixture
def scene(nights: Nights) -> Scene:
    """The second night, with which a week closes."""
    return nights.scene(1)


@pytest.fixture
def target(scene: Scene, tmp_path: Path) -> Iterator[Target]:
    target = scene.before.copy_to(tmp_path / "data")
    yield target
    target.end_processes()


def test_readers_of_killed_nights_see_whole_ones_and_the_next_night_heals(
    scene: Scene, target: Target
) -> None:
    require_healing(scene, target, KILLED_IN_A_ROW)


def test_two_nights_at_once_one_publishes_and_the_other_exits_75(scene: Scene, target: Target) -> None:
    require_one_of_two(scene, target)


def test_a_night_survives_a_crash_of_the_server_or_fails_and_the_next_one_heals(
    scene: Scene, target: Target, server: PostgresServer
) -> None:
    process = start(target, scene.night, "dbt.node_done:20=stop")
    wait_until_stopped(process)
    server.restart("immediate")
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=RUN_SECONDS)
    assert "Traceback" not in said
    require_nobody_at_work(target)
    # dbt connects anew for each model: whether it noticed depends on what it was at
    assert (process.returncode, target.seen()) in ((1, scene.old), (0, scene.new)), said
    require_recovery(scene, target)


def test_a_server_that_restarts_fails_the_night_and_the_next_one_heals(
    scene: Scene, target: Target, server: PostgresServer
) -> None:
    for point, mode in RESTARTED_AT:
        process = start(target, scene.night, f"{point}=stop")
        wait_until_stopped(process)
        server.restart(mode)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=RUN_SECONDS)
        assert process.returncode == 1, (point, said)
        assert "Traceback" not in said, (point, said)
        assert "unexpected error" not in said, (point, said)
        assert "connection" in said.lower(), (point, said)
        require_nobody_at_work(target)
        assert target.seen() == scene.old, point
    assert [one["outcome"] for one in target.runs()[1:]] == ["failed"] * len(RESTARTED_AT)
    require_recovery(scene, target)


def test_nights_that_stood_still_write_nothing_over_a_newer_one(scene: Scene, target: Target) -> None:
    stalled = []
    with reader(target) as seen:
        for point in STOOD_STILL_AT:
            stalled.append(start(target, scene.night, f"{point}=stop", LEASE_SECONDS="2"))
            wait_until_stopped(stalled[-1])
            time.sleep(2.5)
        exit_code, said = run(target, scene.night)
        assert exit_code == 0, said
        for point, process in zip(STOOD_STILL_AT, stalled, strict=True):
            process.send_signal(signal.SIGCONT)
            _, said = process.communicate(timeout=RUN_SECONDS)
            assert process.returncode == 1, (point, said)
            assert "A newer run" in said, (point, said)
    assert seen <= {scene.old, scene.new}
    assert canonical_differences(scene.published, target.canonical()) == []
    outcomes = [one["outcome"] for one in target.runs()[1:]]
    assert outcomes == ["crashed"] * len(STOOD_STILL_AT) + ["done"]
    require_recovery(scene, target)
