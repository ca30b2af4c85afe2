"""`almanac keys` from outside: the key alone on stdout, the story on stderr, and what a wrong call says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from flows.api_keys import KeyRing
from flows.key_records import KEY_FORM
from flows.ops_store import open_ops_store
from flows.settings import Settings
from tests.almanac_command import environment as inherited
from tests.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder whose published warehouse knows one team and its organization."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(
            """
            create schema marts;
            create schema compat;
            create table marts.dim_teams as select 'acme/docs''s' as team_id, 'acme' as organization_id;
            create table marts.dim_organizations as select 'acme' as organization_id;
            """
        )
    return tmp_path


def keys(*arguments: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {"PYTHONPATH": str(ROOT), "ALMANAC_DATA_DIR": str(data_dir)}
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", "keys", *arguments],
        cwd=data_dir,
        env=inherited(**own | environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def made(run: subprocess.CompletedProcess[str]) -> str:
    """The key that a call printed."""
    assert run.returncode == 0, run.stderr
    (key,) = run.stdout.splitlines()
    assert KEY_FORM.fullmatch(key)
    return key


def test_the_key_alone_is_on_stdout_and_nowhere_else(data_dir: Path) -> None:
    run = keys("create", "--scope", "platform", "--name", "Operators", "--by", "ann", data_dir=data_dir)
    key = made(run)
    assert run.stdout == key + "\n"
    assert key[15:] not in run.stderr
    assert key[4:14] in run.stderr
    assert "only time" in run.stderr
    for path in data_dir.rglob("*"):
        assert not path.is_file() or key[15:].encode() not in path.read_bytes()
    listed = keys("list", data_dir=data_dir)
    assert key[15:] not in listed.stdout + listed.stderr


def test_a_key_is_listed_from_its_making_to_its_end(data_dir: Path) -> None:
    assert keys("list", data_dir=data_dir).stdout.startswith("No key.")
    assert json.loads(keys("list", "--format", "json", data_dir=data_dir).stdout) == []
    key = made(
        keys(
            *("create", "--scope", "team:acme/docs's", "--name", 'CI "日本"', "--expires", "2030-01-31"),
            *("--by", "ann"),
            data_dir=data_dir,
        )
    )
    lines = keys("list", data_dir=data_dir).stdout.splitlines()
    assert re.split(r"\s{2,}", lines[0]) == [
        *("prefix", "state", "created", "expires", "last used", "scope", "name"),
    ]
    cells = re.split(r"\s{2,}", lines[1])
    assert cells[:2] + cells[3:] == [
        *(key[4:14], "active", "2030-01-31 00:00", "never", "team:acme/docs's", 'CI "日本"'),
    ]

    ring = KeyRing(lambda: open_ops_store(Settings(data_dir=data_dir)), now=datetime.now)
    found = ring.find(key)
    assert found is not None
    ring.note_use(found, datetime(2026, 11, 23, 2))
    ring.close()

    revoked = keys("revoke", key[4:14], "--by", "bob", data_dir=data_dir)
    assert (revoked.returncode, revoked.stderr) == (0, "")
    assert re.search(rf"{key[4:14]} .*revoked at .* by bob", revoked.stdout)
    # another process than the one that serves
    time.sleep(1.01)
    assert ring.find(key) is None

    (record,) = json.loads(keys("list", "--format", "json", data_dir=data_dir).stdout)
    assert record.pop("created_at").endswith("Z")
    assert record.pop("revoked_at").endswith("Z")
    assert record == {
        "prefix": key[4:14],
        "name": 'CI "日本"',
        "scope": "team:acme/docs's",
        "state": "revoked",
        "created_by": "ann",
        "expires_at": "2030-01-31T00:00:00Z",
        "last_used_at": "2026-11-23T02:00:00Z",
        "revoked_by": "bob",
    }
    again = keys("revoke", key[4:14], "--by", "cat", data_dir=data_dir)
    assert again.stdout == revoked.stdout


@pytest.mark.parametrize(
    ("scope", "doubt"),
    [
        ("platform", None),
        ("team:acme/docs's", None),
        ("organization:acme", None),
        ("team:acme", "know no team:acme"),
        ("organization:acme/docs's", "know no organization:acme/docs's"),
        ("team:x' or '1'='1", "know no team:x"),
    ],
)
def test_a_key_for_nobody_is_made_with_a_warning(data_dir: Path, scope: str, doubt: str | None) -> None:
    run = keys("create", "--scope", scope, "--name", "x", data_dir=data_dir)
    made(run)
    assert (doubt or "only time") in run.stderr
    assert ("almanac: " in run.stderr) == (doubt is not None)


def test_without_a_warehouse_a_key_is_made_unchecked(tmp_path: Path) -> None:
    run = keys("create", "--scope", "team:acme", "--name", "x", data_dir=tmp_path)
    made(run)
    assert "was not checked: No warehouse is published" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--scope", "tea:x", "--name", "x"], "'tea:x' is no scope"),
        (["--scope", "team:", "--name", "x"], "is no scope"),
        (["--scope", "", "--name", "x"], "is no scope"),
        (["--scope", "platform"], "--name"),
        (["--name", "x"], "--scope"),
        (["--scope", "platform", "--name", "x", "--expires", "soon"], "'soon' is no expiry"),
        (["--scope", "platform", "--name", "x", "--expires", "0d"], "'0d' is no expiry"),
        (["--scope", "platform", "--name", "x", "--expires", "2020-01-01"], "expires later than now"),
        (["--scope", "platform", "--name", " "], "Say what the key is for"),
        (["--scope", "platform", "--name", "a\x1b[2Jb"], "Say what the key is for"),
    ],
)
def test_a_wrong_call_exits_2_and_makes_no_key(arguments: list[str], complaint: str, data_dir: Path) -> None:
    run = keys("create", *arguments, data_dir=data_dir)
    assert (run.returncode, run.stdout) == (2, "")
    assert complaint in run.stderr
    assert keys("list", data_dir=data_dir).stdout.startswith("No key.")


def test_revoking_what_is_not_there_exits_2_and_shows_no_secret(data_dir: Path) -> None:
    key = made(keys("create", "--scope", "platform", "--name", "x", data_dir=data_dir))
    for given in ("nobody0000", f"alm_nobody0000_{key[15:]}"):
        run = keys("revoke", given, data_dir=data_dir)
        assert (run.returncode, run.stdout) == (2, "")
        assert "nobody0000" in run.stderr
        assert key[15:] not in run.stderr
    assert " active " in keys("list", data_dir=data_dir).stdout


@pytest.fixture
def warehouse_url(postgres_server: PostgresServer) -> Iterator[str]:
    name = "cli_keys"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


def test_keys_of_the_target_postgres(tmp_path: Path, warehouse_url: str) -> None:
    postgres = {"ALMANAC_TARGET": "postgres", "ALMANAC_WAREHOUSE_URL": warehouse_url}
    run = keys("create", "--scope", "team:acme", "--name", "x", data_dir=tmp_path, **postgres)
    key = made(run)
    assert "was not checked" in run.stderr
    assert " active " in keys("list", data_dir=tmp_path, **postgres).stdout
    assert keys("revoke", key[4:14], data_dir=tmp_path, **postgres).returncode == 0
    assert " revoked " in keys("list", data_dir=tmp_path, **postgres).stdout
    assert not (tmp_path / "ops.db").exists()
