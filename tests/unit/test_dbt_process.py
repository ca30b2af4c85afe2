"""What dbt parsed is kept for whoever comes with the same project, and for nobody else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dbt.contracts.graph.manifest import Manifest

from flows import PROJECT_DIR, dbt_process

ENVIRONMENT = {"ALMANAC_TARGET": "duckdb", "ALMANAC_BUILD_PATH": "data/build/1/warehouse.duckdb"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project of the same layout."""
    for name in dbt_process.PROJECT_FILES:
        shutil.copy(PROJECT_DIR / name, tmp_path)
    for folder in dbt_process.PROJECT_FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "models" / "one.sql").write_text("select 1 as one", encoding="utf-8")
    return tmp_path


def digest(project: Path, environment: dict[str, str] = ENVIRONMENT, **variables: object) -> str:
    return dbt_process.digest_of_project(project, environment, variables)


def test_a_night_brings_nothing_that_is_parsed(project: Path) -> None:
    moved = ENVIRONMENT | {
        "ALMANAC_BUILD_PATH": "elsewhere/2/warehouse.duckdb",
        "ALMANAC_ENGINE_MEMORY": "1GB",
    }
    other_night = digest(
        project, moved, as_of="2026-11-24", touched={"day": []}, reporting_timezone="Asia/Tokyo"
    )
    assert other_night == digest(project, as_of="2026-11-23", reporting_timezone="UTC")


@pytest.mark.parametrize("folder", dbt_process.PROJECT_FOLDERS)
def test_a_file_changed_added_or_gone_is_another_project(folder: str, project: Path) -> None:
    seen = {digest(project)}
    path = project / folder / "another.sql"
    for text in ("select 1", "select 2"):
        path.write_text(text, encoding="utf-8")
        seen.add(digest(project))
    assert len(seen) == 3
    path.unlink()
    assert digest(project) in seen


def test_names_that_the_target_gives_are_parsed(project: Path) -> None:
    named = {
        digest(project),
        digest(project, ENVIRONMENT | {"ALMANAC_BUILD_PATH": "data/side.duckdb"}),
        digest(project, ENVIRONMENT | {"ALMANAC_TARGET": "postgres"}),
        digest(project, schema_prefix="gen_a_"),
        digest(project, landing_database="other"),
    }
    assert len(named) == 5


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "parsed" / "one.msgpack"
    assert dbt_process.read_kept(path) is None
    dbt_process.write_kept(path, Manifest())
    assert isinstance(dbt_process.read_kept(path), Manifest)


@pytest.mark.parametrize("content", [b"", b"\x00", b"not a manifest"])
def test_what_was_cut_short_is_parsed_anew(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "one.msgpack"
    path.write_bytes(content)
    assert dbt_process.read_kept(path) is None
    assert not path.exists()


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    for number in range(dbt_process.KEPT + 3):
        dbt_process.write_kept(tmp_path / f"{number:02}.msgpack", Manifest())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"{number:02}.msgpack" for number in range(3, dbt_process.KEPT + 3)]
