"""The warehouse of the postgres target: how to reach it, and its two generations.

A night is built into the schemas of the generation that is not published (gen_a_marts, gen_a_reviews, … or
gen_b_…), which goes on from what it held two nights ago. People read stable views on the published one
(flows/publish_postgres.py); what is built is never under their eyes.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.coverage import Coverage
from flows.errors import AlmanacError, UsageError
from flows.redaction import redact

if TYPE_CHECKING:
    import psycopg

    from flows.settings import Settings

# Seconds; a statement of a full build of years is the longest. What has lost its client ends long before.
STATEMENT_SECONDS = 4 * 3600
LOCK_SECONDS = 60
IDLE_SECONDS = 900
CONNECT_SECONDS = 10
CLIENT_CHECK_SECONDS = 2
# How long an ended backend may take to go.
TERMINATION_SECONDS = 30

# What people read; the other schemas of a generation are its own.
PUBLISHED_SCHEMAS = ("marts", "reviews", "alerts", "compat")
_GENERATION_SCHEMAS = (*PUBLISHED_SCHEMAS, "kept", "intermediate", "staging")
_NAMES = ("a", "b")

# Longest name of an application that PostgreSQL keeps, in bytes.
_APPLICATION_BYTES = 63

_CREATE_GENERATIONS = """
create schema if not exists ops;
create table if not exists ops.generations (
    name text primary key check (name in ('a', 'b')), is_published boolean not null default false,
    landing_number bigint, landing_as_of timestamp, as_of timestamp, reporting_timezone text,
    models_fingerprint text, first_day date, run_id text
);
insert into ops.generations (name) values ('a'), ('b') on conflict do nothing;
"""
_COVERAGE = "landing_number, landing_as_of, as_of, reporting_timezone, models_fingerprint, first_day"


@dataclass(frozen=True, slots=True)
class Generation:
    """One of the two; `coverage` is what it was last built from, None when nobody knows."""

    name: str
    coverage: Coverage | None

    @property
    def prefix(self) -> str:
        return f"gen_{self.name}_"

    @property
    def schemas(self) -> tuple[str, ...]:
        return tuple(self.prefix + schema for schema in _GENERATION_SCHEMAS)


# --- connections --------------------------------------------------------------------------------------------


def connection_parameters(settings: Settings) -> dict[str, str]:
    """libpq's parameters of ALMANAC_WAREHOUSE_URL; they may hold a password, so they are not for showing."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    if settings.warehouse_url is None:
        raise UsageError(
            "ALMANAC_TARGET is postgres, and ALMANAC_WAREHOUSE_URL is not set. "
            "Set it to the warehouse's URL, such as postgresql://almanac@host:5432/warehouse."
        )
    try:
        found = conninfo_to_dict(settings.warehouse_url)
    except psycopg.ProgrammingError:
        raise UsageError(
            "ALMANAC_WAREHOUSE_URL cannot be read as a URL of PostgreSQL. Write it as "
            "postgresql://user:password@host:5432/name, with special characters of the password as %XX."
        ) from None
    parameters = {name: str(value) for name, value in found.items() if value not in (None, "")}
    if "," in parameters.get("host", "") + parameters.get("port", ""):
        raise UsageError("ALMANAC_WAREHOUSE_URL names several hosts; name the one that can be written to.")
    if "dbname" not in parameters or "user" not in parameters:
        raise UsageError(
            "ALMANAC_WAREHOUSE_URL must name a user and a database: postgresql://user@host/name."
        )
    return parameters


def application_name(run_id: str | None) -> str:
    """What backends of a run are called, so that those of a dead run can be told and ended."""
    return f"almanac {run_id or 'without run'}".encode()[:_APPLICATION_BYTES].decode(errors="ignore")


def session_options(parameters: dict[str, str]) -> str:
    """The server settings of a writing session: deadlines, and no format or zone of the database's own."""
    limits = {
        "client_connection_check_interval": f"{CLIENT_CHECK_SECONDS}s",
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "lock_timeout": f"{LOCK_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
        "timezone": "UTC",
        "datestyle": "ISO",
        "default_transaction_isolation": "read\\ committed",
        # compiling costs more than it saves in a hundred statements of a second each
        "jit": "off",
    }
    ours = " ".join(f"-c {name}={value}" for name, value in limits.items())
    return f"{parameters.get('options', '')} {ours}".strip()


def connect(settings: Settings, *, run_id: str | None = None) -> psycopg.Connection[Any]:
    """A writing connection to the warehouse, autocommit on; AlmanacError when it cannot be had."""
    parameters = connection_parameters(settings)
    return open_connection(parameters, session_options(parameters), application_name(run_id))


def open_connection(parameters: dict[str, str], options: str, application: str) -> psycopg.Connection[Any]:
    """A connection with these server settings and name, autocommit on."""
    import psycopg

    given: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "keepalives_idle": 30, **parameters}
    given |= {"options": options, "application_name": application}
    try:
        return psycopg.connect(autocommit=True, **given)
    except psycopg.Error as error:
        raise AlmanacError(
            f"The warehouse {place(parameters)} cannot be reached: {redact(' '.join(str(error).split()))}. "
            "Check ALMANAC_WAREHOUSE_URL, that the server runs, and that its role may connect."
        ) from None


def place(parameters: dict[str, str]) -> str:
    """Where the warehouse is, without who or by which password."""
    return f"{parameters.get('host', 'localhost')}:{parameters.get('port', '5432')}/{parameters['dbname']}"


# --- dbt ----------------------------------------------------------------------------------------------------


def dbt_environment(settings: Settings, *, run_id: str | None = None) -> dict[str, str]:
    """The environment in which dbt connects to the warehouse (see profiles.yml)."""
    parameters = connection_parameters(settings)
    environment = {
        "ALMANAC_TARGET": "postgres",
        # libpq's own default: the socket
        "ALMANAC_WAREHOUSE_HOST": parameters.get("host", ""),
        "ALMANAC_WAREHOUSE_PORT": parameters.get("port", "5432"),
        "ALMANAC_WAREHOUSE_USER": parameters["user"],
        "ALMANAC_WAREHOUSE_NAME": parameters["dbname"],
        "ALMANAC_WAREHOUSE_SSLMODE": parameters.get("sslmode", "prefer"),
        "ALMANAC_WAREHOUSE_APPLICATION": application_name(run_id),
        "ALMANAC_RUN_ID": run_id or "",
        "DBT_ENV_SECRET_ALMANAC_WAREHOUSE_PASSWORD": parameters.get("password", ""),
        "PGOPTIONS": session_options(parameters),
    }
    for name in ("sslrootcert", "sslcert", "sslkey", "passfile"):
        if name in parameters:
            environment[f"PG{name.upper()}"] = parameters[name]
    return environment


def dbt_variables(settings: Settings, generation: Generation) -> dict[str, str]:
    """The dbt vars that put the models into a generation, and find schema raw in the warehouse itself."""
    return {
        "schema_prefix": generation.prefix,
        "landing_database": connection_parameters(settings)["dbname"],
    }


# --- generations --------------------------------------------------------------------------------------------


def prepare_generation(connection: psycopg.Connection[Any]) -> Generation:
    """The generation to build into: the one that nobody reads.

    A build that was killed in it needs no mending: one that went on from its coverage is repeated from
    the same coverage, and one from scratch had begun with `reset_generation`, so that it has none.
    """
    with store_errors("prepared"):
        connection.execute(_CREATE_GENERATIONS)
        published = published_generation(connection)
        name = "b" if published is not None and published.name == "a" else "a"
        return _read(connection, name)


def published_generation(connection: psycopg.Connection[Any]) -> Generation | None:
    """The generation that people read; None before the first publication."""
    if connection.execute("select to_regclass('ops.generations')").fetchone() == (None,):
        return None
    row = connection.execute("select name from ops.generations where is_published").fetchone()
    return None if row is None else _read(connection, row[0])


def reset_generation(connection: psycopg.Connection[Any], generation: Generation) -> Generation:
    """Empty a generation that is not published, as before a build of everything.

    Raises AlmanacError when somebody's view reads it: it would be dropped with it.
    """
    with store_errors("emptied"), connection.transaction():
        published = published_generation(connection)
        if published is not None and published.name == generation.name:
            raise AlmanacError(f"Generation {generation.name} is published; it cannot be emptied.")
        strangers = connection.execute(
            """
            select distinct reader_schema.nspname || '.' || reader.relname
            from pg_depend as dependency
            join pg_rewrite as rule
                on rule.oid = dependency.objid and dependency.classid = 'pg_rewrite'::regclass
            join pg_class as reader on reader.oid = rule.ev_class
            join pg_namespace as reader_schema on reader_schema.oid = reader.relnamespace
            join pg_class as read
                on read.oid = dependency.refobjid and dependency.refclassid = 'pg_class'::regclass
            join pg_namespace as read_schema on read_schema.oid = read.relnamespace
            where read_schema.nspname = any(%(schemas)s) and not reader_schema.nspname = any(%(schemas)s)
            order by 1
            """,
            {"schemas": list(generation.schemas)},
        ).fetchall()
        if strangers:
            names = ", ".join(name for (name,) in strangers)
            raise AlmanacError(
                f"The views {names} read schemas {generation.prefix}…, which the project replaces. Let them "
                "read schema marts, reviews or compat instead, or drop them; then run the night again."
            )
        for schema in generation.schemas:
            connection.execute(f"drop schema if exists {schema} cascade".encode())
        _write(connection, generation.name, None, None)
    return Generation(generation.name, None)


def write_coverage(
    connection: psycopg.Connection[Any],
    generation: Generation,
    coverage: Coverage,
    *,
    run_id: str | None = None,
) -> Generation:
    """Note what a finished build of a generation covers."""
    with store_errors("noted"):
        _write(connection, generation.name, coverage, run_id)
    return Generation(generation.name, coverage)


def _read(connection: psycopg.Connection[Any], name: str) -> Generation:
    row = connection.execute(
        f"select {_COVERAGE} from ops.generations where name = %s".encode(), [name]
    ).fetchone()
    if row is None or row[0] is None:
        return Generation(name, None)
    return Generation(name, Coverage(*row))


def _write(
    connection: psycopg.Connection[Any], name: str, coverage: Coverage | None, run_id: str | None
) -> None:
    values = coverage.values if coverage else (None,) * len(_COVERAGE.split(", "))
    updates = ", ".join(f"{column} = %s" for column in _COVERAGE.split(", "))
    connection.execute(
        f"update ops.generations set {updates}, run_id = %s where name = %s".encode(), [*values, run_id, name]
    )


# --- backends -----------------------------------------------------------------------------------------------


def terminate_orphans(connection: psycopg.Connection[Any], dead_run_ids: Collection[str]) -> int:
    """End the backends that dead runs left at work, and wait until they are gone; how many there were."""
    names = [application_name(run_id) for run_id in dead_run_ids]
    find = (
        "select pid from pg_stat_activity where application_name = any(%s) "
        "and datname = current_database() and pid <> pg_backend_pid()"
    )
    with store_errors("freed of a dead run"):
        orphans = connection.execute(find, [names]).fetchall()
        for (pid,) in orphans:
            connection.execute("select pg_terminate_backend(%s)", [pid])
        deadline = time.monotonic() + TERMINATION_SECONDS
        while connection.execute(find, [names]).fetchall():
            if time.monotonic() > deadline:
                raise AlmanacError(
                    f"A dead run's backends do not end within {TERMINATION_SECONDS} s: processes "
                    f"{', '.join(str(pid) for (pid,) in orphans)} of the warehouse's server. "
                    "End them there, then run the night again."
                )
            time.sleep(0.1)
    return len(orphans)


@contextmanager
def store_errors(done: str) -> Iterator[None]:
    """Say what went wrong on the warehouse's server as the family of errors that the command explains."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise AlmanacError(
            f"The warehouse could not be {done}: {type(error).__name__}: "
            f"{redact(' '.join(str(error).split()))[:300]}. What is published is as it was. "
            "Check the server's log and space, then run the night again."
        ) from None
