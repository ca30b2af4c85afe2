"""A night that is killed, stalled, starved or doubled: readers see whole nights, and the next one heals all.

A sample; `make campaign` kills two hundred times.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash_harness import (
    RUN_SECONDS,
    Nights,
    Scene,
    descendants,
    reader,
    require_healing,
    require_nobody_at_work,
    require_one_of_two,
    require_recovery,
    run,
    start,
    wait_until_stopped,
)
from tests.crash_targets import DuckDbTarget, PostgresTarget, Target

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

# Killed one after the other before the night may go through: a crash while recovering from a crash.
KILLED_IN_A_ROW = {
    "in landing and building": ("land.before_commit", "build.after_remember", "dbt.node_done:20"),
    "around publishing": ("publish.before_replace", "publish.after_replace"),
    "in rendering": ("review.before_replace",),
}


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    folder = tmp_path_factory.mktemp("nights")
    (folder / "empty").mkdir()
    return Nights(folder, DuckDbTarget(folder / "empty"))


@pytest.fixture
def scene(nights: Nights) -> Scene:
    """The second night, with which a week closes."""
    return nights.scene(1)


@pytest.fixture
def target(scene: Scene, tmp_path: Path) -> Iterator[Target]:
    """A data folder of the test's own, with the first night published."""
    target = scene.before.copy_to(tmp_path / "data")
    yield target
    target.end_processes()


@pytest.mark.parametrize("engine", [DuckDbTarget, PostgresTarget])
def test_every_step_has_its_failpoints(engine: type[Target]) -> None:
    names = engine.failpoints()
    assert len(names) >= 25
    assert set(engine.scene_of) <= set(names)
    steps = {name.partition(".")[0] for name in names}
    assert steps >= {"land", "build", "dbt", "audit", "publish", "review", "dashboard", "ledger"}


@pytest.mark.parametrize("points", KILLED_IN_A_ROW.values(), ids=KILLED_IN_A_ROW)
def test_readers_of_killed_nights_see_whole_ones_and_the_next_night_heals(
    scene: Scene, target: Target, points: tuple[str, ...]
) -> None:
    require_healing(scene, target, points)


def test_two_nights_at_once_one_publishes_and_the_other_exits_75(scene: Scene, target: Target) -> None:
    require_one_of_two(scene, target)


def test_a_night_that_stood_still_does_not_publish_over_a_newer_one(scene: Scene, target: Target) -> None:
    # the last place before the check that holds the lock
    stalled = start(target, scene.night, "publish.after_flush=stop", LEASE_SECONDS="2")
    wait_until_stopped(stalled)
    time.sleep(3)
    exit_code, said = run(target, scene.night)
    assert exit_code == 0, said
    published = (target.data_dir / "warehouse.duckdb").stat()
    stalled.send_signal(signal.SIGCONT)
    _, said = stalled.communicate(timeout=180)
    assert stalled.returncode == 1
    assert "A newer run" in said
    after = (target.data_dir / "warehouse.duckdb").stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (
        published.st_ino,
        published.st_mtime_ns,
        published.st_size,
    )
    assert [one["outcome"] for one in target.runs()[1:]] == ["crashed", "done"]
    require_recovery(scene, target)


def test_a_night_whose_dbt_is_killed_fails_and_publishes_nothing(scene: Scene, target: Target) -> None:
    process = start(target, scene.night, "dbt.node_done:5=stop")
    wait_until_stopped(process)
    (dbt,) = descendants(process.pid)
    os.kill(dbt, signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "dbt build did not run" in said
    assert target.seen() == scene.old
    assert target.runs()[-1]["outcome"] == "failed"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_a_night_that_is_told_to_end_ends_soon_with_its_dbt(
    scene: Scene, target: Target, how: signal.Signals
) -> None:
    process = start(target, scene.night, "dbt.node_done:5=stop")
    wait_until_stopped(process)
    process.send_signal(how)
    process.send_signal(signal.SIGCONT)
    told_at = time.monotonic()
    process.communicate(timeout=180)
    # half a second, unless other tests keep the disk busy
    assert time.monotonic() - told_at < 30
    assert process.returncode == {signal.SIGTERM: 143, signal.SIGINT: 130}[how]
    require_nobody_at_work(target)
    assert target.runs()[-1]["outcome"] == "cancelled"
    assert target.seen() == scene.old


# --- the disk -----------------------------------------------------------------------------------------------

DISK_BYTES = 400 * 2**20
# Where the disk fills up, and the bytes that are left then.
FULL_AT = (
    ("land.begun", 0),
    ("build.before_side_file", 2**20),
    ("build.before_models", 2**18),
    ("dbt.node_done:30", 0),
    ("publish.before_checkpoint", 0),
    ("review.before_html", 0),
)


@pytest.fixture
def small_disk(scene: Scene, tmp_path: Path) -> Iterator[Target]:
    """The first night, published on a small disk of the test's own."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "almanac-test", str(mount)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    target = scene.before.copy_to(mount / "data")
    try:
        yield target
    finally:
        target.end_processes()
        subprocess.run(["umount", str(mount)], check=True)


def fill(target: Target, left_bytes: int) -> Path:
    """Fill the disk up to so many bytes; the file to remove to have room again."""
    filler = target.data_dir.parent / "filler"
    with filler.open("wb") as file:
        # dbt may be writing at the same time: then there is less to take
        for _ in range(100):
            disk = os.statvfs(filler.parent)
            wanted = disk.f_bavail * disk.f_frsize - left_bytes
            if wanted <= 0:
                break
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), filler.stat().st_size, wanted)
    return filler


def test_a_disk_that_fills_up_fails_the_night_cleanly_and_the_next_one_heals(
    scene: Scene, small_disk: Target
) -> None:
    with reader(small_disk) as seen:
        for point, left_bytes in FULL_AT:
            process = start(small_disk, scene.night, f"{point}=stop")
            wait_until_stopped(process)
            filler = fill(small_disk, left_bytes)
            process.send_signal(signal.SIGCONT)
            _, said = process.communicate(timeout=RUN_SECONDS)
            filler.unlink()
            require_nobody_at_work(small_disk)
            assert process.returncode == 1, (point, said)
            assert "unexpected" not in said, (point, said)
            assert "Traceback" not in said, (point, said)
            assert any(word in said.lower() for word in ("space", "disk", "room")), (point, said)
        require_recovery(scene, small_disk)
    assert seen == {scene.old, scene.new}


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    scene: Scene, small_disk: Target
) -> None:
    filler = fill(small_disk, 20 * 2**20)
    before = {
        path: path.stat().st_mtime_ns for path in small_disk.data_dir.rglob("*.duckdb") if path.is_file()
    }
    exit_code, said = run(small_disk, scene.night)
    filler.unlink()
    assert exit_code == 1
    assert "bytes free" in said
    assert {path: path.stat().st_mtime_ns for path in before} == before
