"""What several tests share: the recorded platform, as recorded and as published."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.published import TAPE, Published, Tape, publish_tape


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
