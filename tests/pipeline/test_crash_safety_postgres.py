"""What `test_crash_safety` asks of the embedded warehouse, asked of PostgreSQL and its server."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

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
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

# Killed one after the other before the night may go through.
KILLED_IN_A_ROW = ("mirror.table_copied:3", "dbt.node_done:20", "publish.views_replaced")


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


def test_a_night_that_stood_still_does_not_disturb_a_newer_one(scene: Scene, target: Target) -> None:
    # in the build: its dbt goes on while it stands still
    stalled = start(target, scene.night, "dbt.node_done:20=stop", LEASE_SECONDS="2")
    wait_until_stopped(stalled)
    time.sleep(3)
    with reader(target) as seen:
        exit_code, said = run(target, scene.night)
        assert exit_code == 0, said
        stalled.send_signal(signal.SIGCONT)
        _, said = stalled.communicate(timeout=RUN_SECONDS)
    assert stalled.returncode == 1, said
    assert seen <= {scene.old, scene.new}
    assert target.seen() == scene.new
    assert [one["outcome"] for one in target.runs()[1:]] == ["crashed", "done"]
    require_recovery(scene, target)
