"""What several tests share: the recorded platform, as recorded and as published."""

from __future__ import annotations

import fcntl
import itertools
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from tests.platform_ddl import LINEAGES, ORM, Lineage, create_platform, load_rows
from tests.postgres_server import PostgresServer
from tests.published import TAPE, Published, Tape, publish_tape
from tests.small_platform import Platform, small_rows


@pytest.fixture(scope="session")
def tape() -> Tape:
    """The rows of the tape's tables as the CSV files hold them, read by the oracle's reader."""
    from tests.oracle.tape import read_tape

    return {
        table: cast(list[dict[str, Any]], frame.to_dict("records"))
        for table, frame in read_tape(TAPE).items()
    }


@pytest.fixture(scope="session")
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Published]:
    """The tape landed, built, audited and published, once however many workers run."""
    import duckdb

    from flows.settings import Settings

    shared = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        shared = shared.parent  # xdist gives each worker a folder of its own inside the run's
    settings = Settings(data_dir=shared / "published", source=None, target="duckdb", reporting_timezone="UTC")
    manifest_path = shared / "published-manifest.json"
    with (shared / "published.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not settings.warehouse_path.is_file():
            publish_tape(settings, manifest_path)

    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name, path in (("warehouse", settings.warehouse_path), ("landing", settings.landing_path)):
            connection.execute(f"attach '{path}' as {name} (read_only)")
        connection.execute("use warehouse.marts")
        yield Published(settings, connection, manifest_path)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL for the tests of this process; each test makes the databases it needs."""
    server = PostgresServer()
    try:
        print(server.start().binaries)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def templates(postgres_server: PostgresServer) -> dict[str, str]:
    """A database of each lineage, to be copied: with the few rows of `small_rows`."""
    for lineage in LINEAGES:
        url = postgres_server.create_database(f"template_{lineage.name}")
        create_platform(url, lineage)
        for table, rows in small_rows(lineage).items():
            load_rows(url, table, rows)
    return {lineage.name: f"template_{lineage.name}" for lineage in LINEAGES}


@pytest.fixture
def make_platform(
    postgres_server: PostgresServer, templates: dict[str, str]
) -> Iterator[Callable[[Lineage], Platform]]:
    made: list[str] = []

    def make(lineage: Lineage) -> Platform:
        name = f"platform_{next(_numbers)}"
        postgres_server.execute(f"create database {name} template {templates[lineage.name]}")
        made.append(name)
        return Platform(postgres_server, name)

    yield make
    for name in made:
        postgres_server.drop_database(name)


@pytest.fixture
def platform(make_platform: Callable[[Lineage], Platform]) -> Platform:
    """A platform as the ORM makes it."""
    return make_platform(ORM)


_numbers = itertools.count(1)
