"""What a new run removes of dead ones, and what it must leave alone; and room on the disk."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.errors import AlmanacError, UsageError
from flows.leftovers import collect_leftovers
from flows.preflight import LEAST_ROOM, full_disk_explained, needed_bytes, require_room
from flows.settings import Settings

ROOT = Path(__file__).resolve().parents[2]

LEFT = (
    "landing.duckdb.new",
    "landing.duckdb.new.wal",
    "landing.duckdb.tmp/duckdb_temp_storage-0.tmp",
    "build/previous.new",
    "build/20261123T020000-77/warehouse.duckdb",
    "build/20261123T020000-77/warehouse.duckdb.wal",
    "build/20261122T020000-76/audited",
    "reviews/weekly/2026-W47/.platform.pdf.x_4k2mz9",
    "reviews/weekly/2026-W47/.platform.html.abcdefgh",
    "dashboard/.index.html.abcdefgh",
)
KEPT = (
    "landing.duckdb",
    "landing.duckdb.wal",
    "warehouse.duckdb",
    "ops.db",
    "build/previous.duckdb",
    "reviews/weekly/2026-W47/platform.pdf",
    "dashboard/index.html",
    "reviews/weekly/2026-W47/.gitkeep",
    "reviews/weekly/2026-W47/.platform.pdf.swp",
    "notes/.platform.pdf.abcdefgh",
    "logs/error-20261123T020000Z.log",
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in (*LEFT, *KEPT):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return Settings(data_dir=tmp_path / "data")


def files(settings: Settings) -> set[str]:
    return {
        str(path.relative_to(settings.data_dir)) for path in settings.data_dir.rglob("*") if path.is_file()
    }


def test_what_dead_runs_left_goes_and_nothing_else(settings: Settings) -> None:
    collect_leftovers(settings, builds=True)
    assert files(settings) == set(KEPT)
    collect_leftovers(settings, builds=True)
    assert files(settings) == set(KEPT)


def test_a_run_that_builds_nothing_leaves_builds_to_be_published(settings: Settings) -> None:
    collect_leftovers(settings, builds=False)
    assert files(settings) == {*KEPT, *(name for name in LEFT if name.startswith("build/"))}


def test_a_link_is_removed_and_not_followed(settings: Settings, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    (settings.build_dir / "20261121T020000-75").symlink_to(outside)
    collect_leftovers(settings, builds=True)
    assert not (settings.build_dir / "20261121T020000-75").is_symlink()
    assert (outside / "precious").read_text() == "precious"


def test_a_build_folder_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    settings.build_dir.symlink_to(outside)
    collect_leftovers(settings, builds=True)
    assert (outside / "precious").exists()


def test_a_night_needs_room_for_another_warehouse_and_its_sorts(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    source = tmp_path / "source"
    source.mkdir()
    assert needed_bytes(settings, source) == LEAST_ROOM
    _sparse(source / "jobs.csv", LEAST_ROOM)
    assert needed_bytes(settings, source) == 3 * LEAST_ROOM
    settings.data_dir.mkdir()
    _sparse(settings.landing_path, 2 * LEAST_ROOM)
    _sparse(settings.warehouse_path, 5 * LEAST_ROOM)
    assert needed_bytes(settings, source) == 10.5 * LEAST_ROOM
    # the file of the night before the last makes room
    settings.build_dir.mkdir()
    _sparse(settings.previous_path, 5 * LEAST_ROOM)
    assert needed_bytes(settings, source) == 5.5 * LEAST_ROOM


def test_too_little_room_is_told_in_bytes(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    require_room(settings)
    settings.data_dir.mkdir()
    _sparse(settings.warehouse_path, 2**42)
    with pytest.raises(AlmanacError, match=r"bytes free.*8,796,093,022,208"):
        require_room(settings)


@pytest.mark.parametrize(
    ("error", "is_explained"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (RuntimeError('IO Error: Could not write file "x": No space left on device'), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError("a bug"), False),
        (UsageError("No space left on device"), False),
    ],
)
def test_a_full_disk_is_explained_and_other_errors_pass(
    tmp_path: Path, error: Exception, is_explained: bool
) -> None:
    expected = AlmanacError if is_explained else type(error)
    with pytest.raises(expected) as raised, full_disk_explained(Settings(data_dir=tmp_path)):
        raise error
    assert (raised.value is error) is not is_explained
    if is_explained:
        assert "is full" in str(raised.value)


@pytest.mark.parametrize(
    ("armed", "expected"),
    [
        ("", 0),
        ("other.place", 0),
        ("some.place:4", 0),
        ("some.place:3", -9),
        ("some.place=kill", -9),
        ("some.place=raise", 1),
        ("Some Place", 1),
    ],
)
def test_a_failpoint_acts_at_its_passing_and_at_no_other(armed: str, expected: int) -> None:
    code = "from flows.failpoints import failpoint\nfor _ in range(3): failpoint('some.place')"
    environment = {**os.environ, "ALMANAC_FAILPOINT": armed}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    assert ended.returncode == expected


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)
