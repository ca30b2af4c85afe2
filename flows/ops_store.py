"""Where the project keeps what it knows about itself: runs, publications, reviews, mails, incidents, keys.

A SQLite file in the data folder, or schema `ops` of the warehouse for the postgres target. Owns the tables,
their version, and the one way to write: a transaction that no other writer shares.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Double,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from flows.errors import AlmanacError, Busy
from flows.ops_alerts import AlertTables
from flows.ops_api import ApiTables
from flows.ops_deliveries import DeliveryTables
from flows.ops_probes import ProbeTables
from flows.redaction import redact

if TYPE_CHECKING:
    from pathlib import Path

    from flows.settings import Settings

SCHEMA = "ops"
VERSION = 4

# Seconds that a transaction waits for another one: all of them are short.
WAIT_SECONDS = 10
# Seconds that a transaction on PostgreSQL may idle, as while something is published in it, before the
# server ends it.
IDLE_SECONDS = 300
# Held while the tables are made; any number that nobody else uses.
_PREPARE_LOCK = 7_249_513_003

# By SQLAlchemy's name of the engine.
_REMEDIES = {
    "sqlite": "Check the space left on its disk and its permissions. Restore a damaged file "
    "from a backup: it holds what was mailed to whom, and moved away the last reviews are mailed again.",
    "postgresql": "Check ALMANAC_WAREHOUSE_URL, that its server answers and has space, and that its role may "
    f"create and write schema {SCHEMA}.",
}

# "ops" is the schema's name on PostgreSQL, and no name at all in a SQLite file. All moments are naive UTC.
metadata = MetaData(schema=SCHEMA)

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

# One row, whose lock is the right to claim or to publish; its token is the newest run's.
writers = Table(
    "writers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("token", BigInteger, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("as_of", DateTime),
    Column("token", BigInteger, nullable=False, unique=True),
    Column("phase", Text, nullable=False),
    Column("started_at", DateTime, nullable=False),
    Column("heartbeat_at", DateTime, nullable=False),
    Column("lease_until", DateTime, nullable=False),
    # seconds since boot at which the lease ends: what the same machine goes by, since its clock may jump
    Column("lease_until_uptime", Double, nullable=False),
    Column("ended_at", DateTime),
    # done, failed, cancelled, crashed or fenced; null while it runs
    Column("outcome", Text),
    Column("exit_code", Integer),
    Column("message", Text),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Text, nullable=False),
)

# published_at is null while a publication goes on, and stays so when its process was killed in it.
publications = Table(
    "publications",
    metadata,
    # SQLite numbers the rows of an INTEGER key by itself, and of no other
    Column("publication_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("token", BigInteger, nullable=False, index=True),
    Column("run_id", Text, nullable=False),
    Column("as_of", DateTime),
    Column("begun_at", DateTime, nullable=False),
    Column("published_at", DateTime),
)

# since version 2
deliveries = DeliveryTables(metadata)
# since version 3
alerting = AlertTables(metadata)
probing = ProbeTables(metadata)
# since version 4
serving = ApiTables(metadata)

WRITER = "data"
# Its row's lock is the right to move the states of alerts; its token counts the evaluations.
EVALUATOR = "alerts"
# Its row's lock is the right to change keys and sessions; its token counts the changes.
KEYS = "keys"


class OpsStore:
    """The open store; nothing stays connected between two transactions."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self.place = place

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction that commits with the block.

        Raises Busy when another writer does not let go for WAIT_SECONDS, AlmanacError when the store fails.
        """
        with self._explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads: it waits for no writer, and no writer for it.

        Raises AlmanacError when the store fails.
        """
        with self._explained(), self._engine.connect() as connection:
            connection = connection.execution_options(postgresql_readonly=True, only_reads=True)
            with connection.begin():
                yield connection

    @contextmanager
    def at_once(self) -> Iterator[Connection]:
        """Statements that the server commits one by one: whoever stands still between them holds no lock.

        SQLite runs in the process that writes, so there it is a transaction. Raises what `transaction` does.
        """
        if self._engine.dialect.name != "postgresql":
            with self.transaction() as connection:
                yield connection
            return
        with self._explained(), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def now(self, connection: Connection) -> datetime:
        """The store's own clock, naive UTC: the server's on PostgreSQL, so that hosts need not agree."""
        if connection.dialect.name == "postgresql":
            moment = connection.scalar(select(func.timezone("UTC", func.clock_timestamp())))
            assert isinstance(moment, datetime)
            return moment
        return datetime.now(UTC).replace(tzinfo=None)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
            story = redact(" ".join(str(cause).split()))[:200]
            if _is_lock_wait(cause):
                raise Busy(
                    f"Another run is writing to the ops store {self.place} ({story}). Try again in a minute."
                ) from None
            raise AlmanacError(
                f"The ops store {self.place} cannot be used: {story}. {_REMEDIES[self._engine.dialect.name]}"
            ) from None

    def prepare(self) -> None:
        """Make the tables when they are missing; refuse a store that a newer program made."""
        with self._explained():
            if self._engine.dialect.name == "sqlite":
                _switch_to_wal(self._engine)
            with self.reading() as connection:
                found = _version(connection)
            if found is None or found < VERSION:
                with self._engine.begin() as connection:
                    _create(connection)
            elif found > VERSION:
                raise AlmanacError(
                    f"The ops store {self.place} is of version {found}, and this program knows "
                    f"{VERSION}: a newer LLM Almanac has used it. Install that one again."
                )


def open_ops_store(settings: Settings) -> OpsStore:
    """The store of these settings, made when it is missing."""
    store = _postgres_store(settings) if settings.target == "postgres" else _sqlite_store(settings)
    store.prepare()
    return store


def _create_if_missing(path: Path) -> None:
    """Make the file before SQLite does, with the rights that its log files take over: it may hold addresses.

    One that is there is not opened: closed again, it would lose the locks that this process has on it.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None


def _sqlite_store(settings: Settings) -> OpsStore:
    path = settings.ops_path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _create_if_missing(path)
    except OSError as error:
        raise AlmanacError(
            f"The data folder {path.parent} cannot be written: {error.strerror}. "
            "Set ALMANAC_DATA_DIR, or give --data-dir, to a folder of yours."
        ) from error
    engine = create_engine(
        # rw: whoever reads on while a backup is put back makes no empty file in its place
        URL.create(
            "sqlite+pysqlite",
            database=f"file:{quote(str(path.absolute()))}",
            query={"mode": "rw", "uri": "true"},
        ),
        connect_args={"timeout": WAIT_SECONDS},
        execution_options={"schema_translate_map": {SCHEMA: None}},
        poolclass=NullPool,
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # no transaction that Python begins by itself, and none that a power cut takes back
        connection.isolation_level = None
        connection.execute("pragma synchronous = full")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # a transaction that begins as a reader cannot wait to become the writer
        only_reads = connection.get_execution_options().get("only_reads", False)
        connection.exec_driver_sql("begin" if only_reads else "begin immediate")
        if only_reads:
            connection.exec_driver_sql("pragma query_only = on")

    return OpsStore(engine, str(path))


def _postgres_store(settings: Settings) -> OpsStore:
    if not settings.warehouse_url:
        raise AlmanacError("ALMANAC_WAREHOUSE_URL is not set: the target postgres needs the warehouse's URL.")
    try:
        url = make_url(settings.warehouse_url).set(drivername="postgresql+psycopg")
    except ArgumentError:
        raise AlmanacError(
            "ALMANAC_WAREHOUSE_URL is not a URL such as postgresql://user@host/name."
        ) from None
    limits = (
        f"-c lock_timeout={WAIT_SECONDS}s -c statement_timeout=60s "
        f"-c idle_in_transaction_session_timeout={IDLE_SECONDS}s"
    )
    engine = create_engine(
        url,
        connect_args={
            "connect_timeout": 10,
            "application_name": "almanac ops",
            "options": limits,
            # a host that vanished must not hold the lock for the two hours of the system's default
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        },
        poolclass=NullPool,
        hide_parameters=True,
    )
    return OpsStore(engine, f"in schema {SCHEMA} of {url.host or 'localhost'}/{url.database}")


def _version(connection: Connection) -> int | None:
    schema = SCHEMA if connection.dialect.name == "postgresql" else None
    if not inspect(connection).has_table("schema_version", schema=schema):
        return None
    version: int | None = connection.scalar(select(func.max(schema_version.c.version)))
    return version


def _create(connection: Connection) -> None:
    """Make the tables, or those that came after the version that made the store; one transaction."""
    if connection.dialect.name == "postgresql":
        # two first runs at once: the second waits, then finds everything there
        connection.execute(select(func.pg_advisory_xact_lock(_PREPARE_LOCK)))
        if connection.scalar(text("select to_regnamespace(:name)"), {"name": SCHEMA}) is None:
            connection.execute(text(f"create schema {SCHEMA}"))
    found = _version(connection)
    if found is not None and found >= VERSION:
        return
    # versions so far only added tables; one that changes some must do it here
    metadata.create_all(connection)
    connection.execute(insert(schema_version).values(version=VERSION))
    known = set(connection.scalars(select(writers.c.name)))
    for name in (WRITER, EVALUATOR, KEYS):
        if name not in known:
            connection.execute(insert(writers).values(name=name, token=0))


def _switch_to_wal(engine: Engine) -> None:
    """Readers then never wait for a writer. The switch does not wait for others, so it is tried again."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("pragma journal_mode")
            if cursor.fetchone() != ("wal",):
                cursor.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if not _is_lock_wait(error) or time.monotonic() > deadline:
                raise
        finally:
            connection.close()
        time.sleep(0.05)


def _is_lock_wait(error: BaseException) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(error, "sqlstate", None) == "55P03"  # lock_not_available
