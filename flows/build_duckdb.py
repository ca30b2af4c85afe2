"""Build the models of the duckdb target into a side file: readers never meet a half-built night.

Owns the side file's life before publication. The file of the night before the last one is taken
up again and brought from what it covers to what is landed, so a night costs what has changed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows.built import build_models
from flows.coverage import Coverage, Touched, audited_with, landed_coverage, portions_of, touched_since
from flows.failpoints import failpoint
from flows.private_relations import take_back
from flows.progress import Progress
from flows.published_night import remember_published
from flows.settings import Settings

if TYPE_CHECKING:
    import duckdb

# Oldest format that DuckDB 2.0 writes and people's older DuckDBs (1.3.2, 1.4.4, 1.5.6) read.
STORAGE_VERSION = "v1.2.0"


def build_side_file(
    settings: Settings,
    *,
    as_of: datetime,
    progress: Progress,
    full_refresh: bool = False,
    also: Iterable[date] = (),
) -> Path:
    """Build all models as of a moment; return the side file, not yet audited.

    Only the periods that have changed since the file was last built are built anew, and the local days
    `also`; all of them when it cannot go on from there or `full_refresh` asks for it.
    """
    # with the process's number: a run that stood still wakes up to files of its own, not to a newer one's
    folder = settings.build_dir / f"{as_of:%Y%m%dT%H%M%S}-{os.getpid()}"
    side_file = folder / settings.warehouse_path.name
    failpoint("build.before_side_file")
    with closing(_open_landing(settings)) as landing:
        wanted = landed_coverage(landing, as_of=as_of, reporting_timezone=settings.reporting_timezone)
        touched = None if full_refresh else _take_up(settings, side_file, landing, wanted, also)
        if touched is None:
            # it makes room; who still reads it keeps it
            settings.previous_path.unlink(missing_ok=True)
            _create(side_file)
        audited = touched and audited_with(touched, landing, wanted)
        portions = None if touched else portions_of(landing)
        failpoint("build.before_remember")
        remember_published(landing, settings, touched)
    failpoint("build.after_remember")
    failpoint("build.before_models")
    build_models(
        settings,
        side_file,
        as_of=as_of,
        touched=touched,
        audited=audited,
        progress=progress,
        portions=portions,
    )
    failpoint("build.before_coverage")
    with closing(_connect(side_file)) as connection:
        connection.execute("create schema if not exists kept")
        connection.execute(f"create or replace table kept.coverage ({Coverage.COLUMNS})")
        connection.execute("insert into kept.coverage values (?, ?, ?, ?, ?, ?)", list(wanted.values))
    failpoint("build.done")
    return side_file


# --- the side file ------------------------------------------------------------------------------------------


def _take_up(
    settings: Settings,
    side_file: Path,
    landing: duckdb.DuckDBPyConnection,
    wanted: Coverage,
    also: Iterable[date],
) -> Touched | None:
    """Put an older warehouse in the side file's place; what it lacks, or None when no old one will do."""
    for is_taken in (_take_previous, _copy_published):
        _clear(side_file)
        if is_taken(settings, side_file) and (built := coverage_of(side_file)):
            touched = touched_since(landing, built, wanted, also=also)
            if touched is not None and take_back(landing, side_file):
                return touched
    return None


def _clear(side_file: Path) -> None:
    """An empty folder for the side file, whatever an earlier build of the same moment left there."""
    shutil.rmtree(side_file.parent, ignore_errors=True)
    side_file.parent.mkdir(parents=True)


def _take_previous(settings: Settings, side_file: Path) -> bool:
    """Move the file that was published before the present one; a build that dies loses only a copy."""
    previous, published = settings.previous_path, settings.warehouse_path
    if not previous.is_file() or not published.is_file() or previous.samefile(published):
        return False
    failpoint("build.before_taking_previous")
    os.replace(previous, side_file)
    failpoint("build.after_taking_previous")
    # somebody may still be reading that night, and then it must stay as it is
    return _can_be_written(side_file)


def _copy_published(settings: Settings, side_file: Path) -> bool:
    if not settings.warehouse_path.is_file():
        return False
    shutil.copyfile(settings.warehouse_path, side_file)
    failpoint("build.after_copying_published")
    return _can_be_written(side_file)


def _can_be_written(side_file: Path) -> bool:
    import duckdb

    try:
        _connect(side_file).close()
    except duckdb.Error:
        return False
    return True


def coverage_of(warehouse: Path) -> Coverage | None:
    """What a warehouse says it was built from; None when it does not say."""
    import duckdb

    try:
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            row = connection.execute("select * from kept.coverage").fetchone()
    except duckdb.Error:
        return None  # of an older version, or damaged: it is built anew
    return Coverage(*row) if row else None


def _create(side_file: Path) -> None:
    """An empty database in the format that people's older DuckDBs read."""
    import duckdb

    _clear(side_file)
    path = str(side_file).replace("'", "''")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{path}' as side (storage_version '{STORAGE_VERSION}')")
        connection.execute("detach side")


def _connect(side_file: Path) -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(str(side_file))


def _open_landing(settings: Settings) -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(str(settings.landing_path))
