"""The recorded platform through the real pipeline: where it lies, and what tests may ask of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

    from flows.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
TAPE = ROOT / "demo" / "platform-tape"
TAPE_AS_OF = datetime(2026, 11, 23)

# table: its rows, each as column: value
Tape = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Published:
    """The demo's data folder after land, build, audit and publish; nobody may write to it."""

    settings: Settings
    connection: duckdb.DuckDBPyConnection
    manifest_path: Path

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a query; marts are found by bare names, landed tables as landing.raw.<name>."""
        return self.connection.execute(sql, parameters or []).fetchall()

    def value(self, sql: str) -> Any:
        """The one value of a query."""
        ((value,),) = self.rows(sql)
        return value

    def records(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query, each as column: value."""
        cursor = self.connection.execute(sql)
        names = [str(column[0]) for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """dbt's manifest of the build, every model compiled with TAPE_AS_OF and UTC."""
        manifest: dict[str, Any] = json.loads(self.manifest_path.read_text(encoding="utf-8"))
        return manifest


def publish_tape(settings: Settings, manifest_path: Path) -> None:
    """Land, build, audit and publish the tape."""
    from flows.audit import audit
    from flows.build import build
    from flows.land import land_folder
    from flows.progress import SilentProgress
    from flows.publish import publish

    progress = SilentProgress()
    shutil.rmtree(settings.data_dir, ignore_errors=True)
    settings.data_dir.mkdir(parents=True)
    land_folder(TAPE, settings.landing_path, as_of=TAPE_AS_OF, progress=progress)
    side_file = build(settings, as_of=TAPE_AS_OF, progress=progress)
    # with every model compiled: this build made all of them
    shutil.copy(settings.data_dir / "dbt" / "target" / "manifest.json", manifest_path)
    audit(side_file, settings, TAPE_AS_OF)
    publish(side_file, settings)
