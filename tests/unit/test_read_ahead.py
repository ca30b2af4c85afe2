"""What is asked to be read ahead is where a table's rows lie in the file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from flows import read_ahead as module
from flows.read_ahead import read_ahead

BLOCK_BYTES = 262_144


@pytest.fixture
def advised(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(offset, length) of what is advised, at once instead of in a thread."""
    found: list[tuple[int, int]] = []

    class AtOnce:
        def __init__(self, target: Callable[..., None], args: tuple[object, ...], **_: object) -> None:
            self.start = lambda: target(*args)

    monkeypatch.setattr(module, "Thread", AtOnce)
    monkeypatch.setattr(
        os, "posix_fadvise", lambda _, offset, length, __: found.append((offset, length)), raising=False
    )
    return found


def test_the_blocks_of_the_named_tables_are_read_ahead(
    tmp_path: Path, advised: list[tuple[int, int]]
) -> None:
    path = tmp_path / "warehouse.duckdb"
    numbers = {"wanted": range(40_000), "other": range(40_000, 80_000), "more": range(80_000, 120_000)}
    with duckdb.connect(str(path)) as connection:
        connection.execute("set force_compression = 'uncompressed'")
        for name, of in numbers.items():
            # several blocks of each, not one after the other
            connection.execute(
                f"create table {name} as select hash(n) as mark from range({of.start}, {of.stop}) as t (n)"
            )
            connection.execute("checkpoint")
        marks = {
            name: connection.execute(f"select mark from {name} using sample 50 rows").fetchall()
            for name in numbers
        }
        read_ahead(connection, path, ["wanted", "more"])
    content = path.read_bytes()
    read = b"".join(content[offset : offset + length] for offset, length in advised)
    for name, sample in marks.items():
        there = [mark.to_bytes(8, "little") for (mark,) in sample]
        assert all(one in content for one in there)
        assert {one in read for one in there} == {name != "other"}, name
    assert all(length % BLOCK_BYTES == 0 and offset + length <= len(content) for offset, length in advised)


def test_what_is_empty_or_cannot_be_read_ahead_is_let_be(
    tmp_path: Path, advised: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table empty (row_key varchar)")
        read_ahead(connection, path, ["empty"])
        connection.execute("insert into empty select gen_random_uuid() from range(1000); checkpoint")
        read_ahead(connection, tmp_path / "gone.duckdb", ["empty"])
        (tmp_path / "another.duckdb").touch()
        read_ahead(connection, tmp_path / "another.duckdb", ["empty"])
        monkeypatch.delattr(os, "posix_fadvise")
        read_ahead(connection, path, ["empty"])
    assert advised == []


def test_a_file_that_is_read_ahead_stays_locked(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table marks as select hash(n) as mark from range(50000) as t (n)")
        connection.execute("checkpoint")
        read_ahead(connection, path, ["marks"])
        for thread in threading.enumerate():
            if thread.name == "read-ahead":
                thread.join(timeout=60)
        other = subprocess.run(
            [sys.executable, "-c", "import duckdb, sys; duckdb.connect(sys.argv[1])", str(path)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert other.returncode != 0
    assert "lock" in other.stderr
