"""What several tests share: the recorded platform, once through the real pipeline."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import duckdb
    import pandas

    from flows.settings import Settings

TAPE = Path(__file__).resolve().parents[1] / "demo" / "platform-tape"
TAPE_AS_OF = datetime(2026, 11, 23)


@dataclass(frozen=True)
class Published:
    """The demo's data folder after land, build, audit and publish; nobody may write to it."""

    settings: Settings
    connection: duckdb.DuckDBPyConnection
    manifest_path: Path

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a query; the marts are found by their bare names, landed tables as landing.raw.*."""
        return self.connection.execute(sql, parameters or []).fetchall()

    def value(self, sql: str) -> Any:
        """The one value of a query."""
        ((value,),) = self.rows(sql)
        return value

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """dbt's manifest of the build, every model compiled with TAPE_AS_OF and UTC."""
        manifest: dict[str, Any] = json.loads(self.manifest_path.read_text(encoding="utf-8"))
        return manifest


@pytest.fixture(scope="session")
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """The tape, landed, built, audited and published; built once however many workers run."""
    import duckdb

    from flows.settings import Settings

    shared = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        shared = shared.parent  # xdist gives each worker its own folder inside the run's
    settings = Settings(data_dir=shared / "published", source=None, target="duckdb", reporting_timezone="UTC")
    manifest_path = shared / "published-manifest.json"
    with (shared / "published.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not settings.warehouse_path.is_file():
            shutil.rmtree(settings.data_dir, ignore_errors=True)
            _publish_tape(settings, manifest_path)

    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name, path in (("warehouse", settings.warehouse_path), ("landing", settings.landing_path)):
            connection.execute(f"attach '{path}' as {name} (read_only)")
        connection.execute("use warehouse.marts")
        yield Published(settings, connection, manifest_path)


def _publish_tape(settings: Settings, manifest_path: Path) -> None:
    from flows.audit import audit
    from flows.build import build
    from flows.land import land_folder
    from flows.progress import SilentProgress
    from flows.publish import publish

    progress = SilentProgress()
    settings.data_dir.mkdir(parents=True)
    land_folder(TAPE, settings.landing_path, as_of=TAPE_AS_OF, progress=progress)
    side_file = build(settings, as_of=TAPE_AS_OF, progress=progress)
    # the audit overwrites it with one that has no compiled models
    shutil.copy(settings.data_dir / "dbt" / "target" / "manifest.json", manifest_path)
    audit(side_file, settings, TAPE_AS_OF)
    publish(side_file, settings)


@pytest.fixture(scope="session")
def tape() -> dict[str, pandas.DataFrame]:
    """The tape's tables as the CSV files hold them, read by the oracle's reader."""
    from tests.oracle.tape import read_tape

    return read_tape(TAPE)
