"""The platform's admin tables land where they are, and alone what may be known of them."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.errors import LandError
from flows.land import land
from flows.progress import SilentProgress
from flows.security_sources import SecuritySource, security_sources
from flows.source_location import PostgresUrl, SourceLocation
from flows.source_schema import ADMIN_TABLES, TABLES
from tests.platform_ddl import PLANTED
from tests.published import TAPE
from tests.small_platform import Platform

AS_OF = datetime(2026, 11, 23)
SIGNED_IN = datetime(2026, 10, 21, 3, 17, 30)


def landed(landing: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(landing), read_only=True) as connection:
        return connection.execute(query).fetchall()


def land_from(source: SourceLocation, landing: Path) -> tuple[str, ...]:
    return land(source, landing, as_of=AS_OF, progress=SilentProgress()).notes


def source_of(landing: Path, name: str = "admin_sessions") -> SecuritySource:
    return next(source for source in security_sources(landing) if source.name == name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    for table in (*TABLES, *ADMIN_TABLES):
        shutil.copy(TAPE / f"{table.name}.csv.gz", source)
    return source


def test_a_folder_lands_its_admin_tables_and_nothing_of_them_but_the_allow_list(
    folder: Path, tmp_path: Path
) -> None:
    landing = tmp_path / "landing.duckdb"
    assert not source_of(landing).is_present
    land_from(folder, landing)
    found = landed(
        landing, "select created_at, user_id from raw.admin_sessions where ip_address = '192.0.2.199'"
    )
    assert found == [(SIGNED_IN, "64d2e294-abfa-41d6-9456-173bc18c18e0")]
    columns = landed(
        landing,
        "select table_name, list(column_name order by column_index) from duckdb_columns() "
        "where table_name like 'admin_%' group by 1 order by 1",
    )
    assert dict(columns) == {
        "admin_audit_log": [
            "audit_id", "user_id", "action", "resource_type", "resource_id", "ip_address", "created_at",
        ],
        "admin_sessions": ["session_id", "user_id", "ip_address", "created_at"],
        "admin_users": ["user_id", "display_name", "role", "created_at"],
    }  # fmt: skip
    assert (source_of(landing).is_present, source_of(landing).row_count) == (True, 57)


def test_what_the_platform_purges_is_kept_and_a_table_that_goes_is_no_source(
    folder: Path, tmp_path: Path
) -> None:
    landing = tmp_path / "landing.duckdb"
    land_from(folder, landing)
    (folder / "admin_sessions.csv.gz").unlink()
    (folder / "admin_sessions.csv").write_text(
        "session_id,user_id,ip_address,created_at,token_hash\n"
        f"s,u,192.0.2.1,2026-11-22T10:00:00+02:00,{PLANTED}\n"
    )
    land_from(folder, landing)
    assert source_of(landing).row_count == 58
    assert landed(landing, "select created_at from raw.admin_sessions where session_id = 's'") == [
        (datetime(2026, 11, 22, 8),)
    ]
    (folder / "admin_sessions.csv").unlink()
    land_from(folder, landing)
    gone = source_of(landing)
    assert (gone.is_present, gone.row_count) == (False, 58)
    assert "no source" in str(gone)


def test_a_broken_admin_file_lands_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / "admin_sessions.csv.gz").unlink()
    (folder / "admin_sessions.csv").write_text("session_id,user_id,ip_address,created_at\ns,u,1,yesterday\n")
    with pytest.raises(LandError, match="admin_sessions"):
        land_from(folder, tmp_path / "landing.duckdb")


def test_a_database_lands_its_admin_tables_without_their_secrets(platform: Platform, tmp_path: Path) -> None:
    landing = tmp_path / "landing.duckdb"
    assert land_from(PostgresUrl(platform.url), landing) == ()
    assert landed(landing, "select ip_address, created_at from raw.admin_sessions") == [
        ("192.0.2.199", SIGNED_IN)
    ]
    assert landed(landing, "select action, created_at from raw.admin_audit_log") == [("login", SIGNED_IN)]
    assert landed(landing, "select display_name, role from raw.admin_users") == [("Maria", "admin")]
    assert PLANTED.encode() not in landing.read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("drop table admin_audit_log; drop table admin_sessions", None),
        ("alter table admin_sessions rename ip_address to ip", "admin_sessions.ip_address is missing"),
    ],
)
def test_a_database_without_them_lands_like_any_other(
    platform: Platform, tmp_path: Path, change: str, said: str | None
) -> None:
    landing = tmp_path / "landing.duckdb"
    platform.run(change)
    notes = land_from(PostgresUrl(platform.url), landing)
    assert any(said in note for note in notes) if said else notes == ()
    assert not source_of(landing).is_present
    assert landed(landing, "select count(*) from raw.jobs") == [(4,)]


def test_a_role_that_may_not_read_them_is_told_the_grant_and_lands(
    platform: Platform, tmp_path: Path
) -> None:
    landing = tmp_path / "landing.duckdb"
    grants = "; ".join(f"grant select on {table.name} to almanac_admins" for table in TABLES)
    platform.run(f"create role almanac_admins login password 'x'; {grants}")
    url = platform.server.url(platform.name, user="almanac_admins", password="x")
    try:
        notes = land_from(PostgresUrl(url), landing)
    finally:
        platform.run("drop owned by almanac_admins; drop role almanac_admins")
    assert [note for note in notes if "admin_sessions may not be read" in note and "GRANT SELECT (" in note]
    assert not source_of(landing).is_present
