"""Asks the system to read tables of a DuckDB file into memory while something else is done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Before the first block: the file's header and two of the database (DuckDB's single_file_block_manager.cpp).
_HEADER_BYTES = 3 * 4096


def read_ahead(connection: DuckDBPyConnection, path: Path, tables: Iterable[str]) -> None:
    """Begin to read the tables' blocks, in a thread of its own; what is not there in time is read when due.

    `path` is the file that the connection has open, `tables` are named as in SQL.
    """
    file = _held_open(path)
    if file is None:
        return
    wanted = list(_ranges(connection, tables))
    Thread(target=_advise, args=(file, wanted), name="read-ahead", daemon=True).start()


def _held_open(path: Path) -> int | None:
    """The descriptor by which DuckDB has the file open; None where it cannot be found (only Linux tells).

    Opened once more and closed, the file would lose DuckDB's lock, which is the process's on the file.
    """
    if not hasattr(os, "posix_fadvise"):
        return None
    with suppress(OSError):
        wanted = path.stat()
        for name in os.listdir("/proc/self/fd"):
            # one that is being listed is closed by now
            with suppress(OSError):
                if os.path.samestat(os.fstat(int(name)), wanted):
                    return int(name)
    return None


def _ranges(connection: DuckDBPyConnection, tables: Iterable[str]) -> Iterator[tuple[int, int]]:
    """(offset, length), in bytes, of blocks that follow one another in the file."""
    for table in tables:
        yield from connection.execute(
            """
            select $header_bytes + min(block_id) * block_size, count(*) * block_size
            from (
              select block_id, block_id - row_number() over (order by block_id) as run
              from (
                select distinct unnest([block_id] || coalesce(additional_block_ids, [])) as block_id
                from pragma_storage_info($table)
              )
              where block_id >= 0
            )
            cross join (from pragma_database_size() where database_name = current_database())
            group by run, block_size
            order by 1
            """,
            {"table": table, "header_bytes": _HEADER_BYTES},
        ).fetchall()


def _advise(file: int, ranges: Iterable[tuple[int, int]]) -> None:
    with suppress(OSError):
        for offset, length in ranges:
            os.posix_fadvise(file, offset, length, os.POSIX_FADV_WILLNEED)
