"""The two warehouses that nights are killed on: what readers see, what a run may leave, where it can die."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tests.canonical import canonical_rows, hash_of
from tests.postgres_server import PostgresServer
from tests.published import ROOT

# When a row was built is no fact: rows that a night does not touch keep the moment of an earlier one.
LEFT_OUT = ("built_at_as_of", "calculated_at")

# What the reader looks at each time: whole tables, so that half a night could not look like one.
READ_TABLES = (
    "marts.platform_usage_daily",
    "marts.team_usage_daily",
    "marts.fct_jobs",
    "marts.fct_llm_calls",
)

# Failpoints that are passed many times in a night, and so many times at least.
PASSINGS = {"land.table": 8, "dbt.node_done": 60, "mirror.table_copied": 6, "review.before_replace": 2}

# Every name that a data folder may hold when no run is at work; "previous" is the next side file, and an
# audit file says what was audited of the last build of a generation.
_NOTHING_LEFT = re.compile(
    r"(landing\.duckdb|warehouse\.duckdb|ops\.db|dbt(/.*)?|build(/(previous\.duckdb|gen_[ab]_audit\.json))?"
    r"|reviews(/(weekly|monthly)(/2026-(W\d\d|\d\d)(/platform\.(html|pdf|(parts\.)?csv))?)?)?"
    r"|dashboard(/(index|organization-[\w-]+)\.html)?)"
)
# Also right, because the lease's holder only removes what is not needed to read what is committed.
_LOGS_OF_COMMITTED = re.compile(r"(landing\.duckdb\.wal|ops\.db-(wal|shm))")


class Target(ABC):
    """The data folder of one warehouse, and the warehouse."""

    name: str
    # The scene that passes a failpoint; the second night passes every other one.
    scene_of: ClassVar[Mapping[str, int]]
    # Modules that this target's nights do not run. They have no access log: it has its own tests.
    other_modules: ClassVar[tuple[str, ...]]

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    @property
    def environment(self) -> dict[str, str]:
        return {"ALMANAC_DATA_DIR": str(self.data_dir), "ALMANAC_TARGET": self.name}

    @property
    @abstractmethod
    def location(self) -> str:
        """Where a reader finds what is published."""

    @abstractmethod
    def copy_to(self, data_dir: Path) -> Target:
        """The same state once more, for nobody else."""

    @abstractmethod
    def runs(self) -> list[dict[str, Any]]:
        """The ledger, oldest first."""

    @abstractmethod
    def canonical(self) -> dict[str, list[str]]:
        """What is published."""

    def seen(self) -> str:
        """What a reader sees, as one hash; empty when nothing is published."""
        return SEEN_BY[self.name](self.location)

    def leftovers(self) -> list[str]:
        """What lies in the data folder and should not when no run is at work."""
        names = [str(path.relative_to(self.data_dir)) for path in self.data_dir.rglob("*")]
        return sorted(
            name
            for name in names
            if not _NOTHING_LEFT.fullmatch(name) and not _LOGS_OF_COMMITTED.fullmatch(name)
        )

    @property
    def kept(self) -> str:
        """Where a failed case can be looked at."""
        return str(self.data_dir)

    def remove(self) -> None:
        shutil.rmtree(self.data_dir)

    def processes(self) -> list[int]:
        """Processes that work on this data folder: almanac's and dbt's."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                command = (folder / "cmdline").read_bytes()
                environment = (folder / "environ").read_bytes()
                state = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            except OSError:
                continue
            marks = str(self.data_dir).encode()
            if state != "Z" and b"crash_reader" not in command and (marks in command or marks in environment):
                found.append(int(folder.name))
        return found

    def end_processes(self) -> None:
        """Kill what a failed test left at work on this data folder, stopped or not."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @classmethod
    def failpoints(cls) -> list[str]:
        """Every failpoint of this target's nights, in the order of the program's files."""
        names = []
        for path in sorted((ROOT / "flows").glob("*.py")):
            if path.name not in cls.other_modules:
                text = path.read_text(encoding="utf-8")
                names += re.findall(r"\bfailpoint\(\"([a-z_.]+)\"\)", text)
        return list(dict.fromkeys(names))


class DuckDbTarget(Target):
    """The embedded warehouse."""

    name = "duckdb"
    scene_of: ClassVar = {
        "land.before_created": 0,
        "build.before_taking_previous": 2,
        "build.after_taking_previous": 2,
    }
    other_modules = ("mirror.py", "build_postgres.py", "publish_postgres.py", "land_access_log.py")

    @property
    def location(self) -> str:
        return str(self.data_dir / "warehouse.duckdb")

    def copy_to(self, data_dir: Path) -> DuckDbTarget:
        shutil.copytree(self.data_dir, data_dir)
        return DuckDbTarget(data_dir)

    def runs(self) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.data_dir / "ops.db", timeout=30)) as connection:
            cursor = connection.execute("select * from runs order by token")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def canonical(self) -> dict[str, list[str]]:
        with closing(duckdb.connect(self.location, read_only=True)) as connection:
            return canonical_rows(connection, leave_out=LEFT_OUT)


class PostgresTarget(Target):
    """A warehouse in a database of a server, whose role owns the database and may do nothing else there."""

    name = "postgres"
    scene_of: ClassVar = {"land.before_created": 0}
    other_modules = ("build_duckdb.py", "publish.py", "land_access_log.py")

    _databases = count(1)
    _ROLE: ClassVar = "almanac"

    def __init__(self, data_dir: Path, server: PostgresServer, database: str) -> None:
        super().__init__(data_dir)
        self.server = server
        self.database = database

    @classmethod
    def empty(cls, data_dir: Path, server: PostgresServer) -> PostgresTarget:
        """Without any night."""
        if not server.execute(f"select from pg_roles where rolname = '{cls._ROLE}'"):
            server.execute(f"create role {cls._ROLE} login password '{cls._ROLE}'")
        target = cls(data_dir, server, f"crash_{next(cls._databases)}")
        target._create_database("template0")
        return target

    def _create_database(self, template: str) -> None:
        self.server.execute(
            sql.SQL("create database {} template {} owner {}").format(
                *map(sql.Identifier, (self.database, template, self._ROLE))
            )
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "ALMANAC_WAREHOUSE_URL": self.location}

    @property
    def location(self) -> str:
        return self.server.url(self.database, user=self._ROLE, password=self._ROLE)

    def copy_to(self, data_dir: Path) -> PostgresTarget:
        shutil.copytree(self.data_dir, data_dir)
        # nobody may be connected to what is copied
        self.server.execute(
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{self.database}'"
        )
        copied = PostgresTarget(data_dir, self.server, f"crash_{next(self._databases)}")
        copied._create_database(self.database)
        return copied

    def runs(self) -> list[dict[str, Any]]:
        with psycopg.connect(self.location, row_factory=dict_row) as connection:
            return connection.execute("select * from ops.runs order by token").fetchall()

    def canonical(self) -> dict[str, list[str]]:
        with psycopg.connect(self.location) as connection:
            return canonical_rows(connection, leave_out=LEFT_OUT)

    def leftovers(self) -> list[str]:
        """Of schemas and of dbt's helping tables too, and of sessions."""
        schemas = self.server.execute(
            "select 'schema ' || nspname from pg_namespace where nspname !~ "
            "'^(raw|ops|public|information_schema|pg_(catalog|toast)|(gen_[ab]_)?(marts|reviews|alerts|compat)"
            "|gen_[ab]_(kept|intermediate|staging)|pg_(toast_)?temp_[0-9]+)$'",
            self.database,
        )
        tables = self.server.execute(
            "select relnamespace::regnamespace || '.' || relname from pg_class "
            "where relname ~ '__dbt_' or relnamespace::regnamespace::text ~ '^(public|pg_(toast_)?temp)'",
            self.database,
        )
        sessions = self.server.execute(
            "select 'session ' || pid || ' of ' || application_name from pg_stat_activity "
            f"where datname = '{self.database}' and application_name like 'almanac%'"
        )
        return [*super().leftovers(), *(name for (name,) in (*schemas, *tables, *sessions))]

    @property
    def kept(self) -> str:
        return f"{self.data_dir} and database {self.database}"

    def remove(self) -> None:
        super().remove()
        self.server.drop_database(self.database)


# --- readers ------------------------------------------------------------------------------------------------


def _seen_in_file(location: str) -> str:
    if not Path(location).exists():
        return ""
    seen = {}
    with closing(duckdb.connect(location, read_only=True)) as connection:
        for table in READ_TABLES:
            cursor = connection.execute(f"select * from {table}")
            names = [column[0] for column in cursor.description]
            kept = [place for place, name in enumerate(names) if name not in LEFT_OUT]
            seen[table] = sorted(str([row[place] for place in kept]) for row in cursor.fetchall())
    return hash_of(seen)


def _seen_in_database(location: str) -> str:
    # one statement: what it sees is of one night
    left_out = " - ".join(["to_jsonb(seen)", *(f"'{name}'" for name in LEFT_OUT)])
    lines = " union all ".join(
        f"select '{table}' || ({left_out})::text as line from {table} as seen" for table in READ_TABLES
    )
    try:
        with psycopg.connect(location) as connection:
            row = connection.execute(
                f"select md5(string_agg(line, chr(10) order by line)) from ({lines}) as seen_lines".encode()
            ).fetchone()
    except psycopg.errors.UndefinedTable:
        return ""
    assert row is not None
    return str(row[0])


SEEN_BY = {DuckDbTarget.name: _seen_in_file, PostgresTarget.name: _seen_in_database}
