"""Build the models into a side file: readers never meet a half-built night.

Owns the side file's life before publication. The file of the night before the last one is taken
up again and brought from what it covers to what is landed, so a night costs what has changed.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.coverage import Coverage, Touched, landed_coverage, touched_since
from flows.dbt_runner import DbtFailed, run_dbt
from flows.errors import AlmanacError
from flows.progress import Progress
from flows.published_night import remember_published
from flows.settings import Settings

if TYPE_CHECKING:
    import duckdb

# Oldest format that DuckDB 2.0 writes and people's older DuckDBs (1.3.2, 1.4.4, 1.5.6) read.
STORAGE_VERSION = "v1.2.0"


def build(settings: Settings, *, as_of: datetime, progress: Progress, full_refresh: bool = False) -> Path:
    """Build all models as of a moment; return the side file, not yet audited.

    Only the periods that have changed since the file was last built are built anew, all of them when
    it cannot go on from there or `full_refresh` asks for it. Raises AlmanacError when nothing is landed,
    and DbtFailed naming the models that failed.
    """
    if settings.target != "duckdb":
        raise AlmanacError(f"The target {settings.target} cannot be built yet. Set ALMANAC_TARGET=duckdb.")
    if not settings.landing_path.is_file():
        raise AlmanacError(f"Nothing has landed in {settings.data_dir} yet. Run `almanac land` first.")
    side_file = settings.build_dir / f"{as_of:%Y%m%dT%H%M%S}" / settings.warehouse_path.name
    with closing(_open_landing(settings)) as landing:
        wanted = landed_coverage(landing, as_of=as_of, reporting_timezone=settings.reporting_timezone)
        touched = None if full_refresh else _take_up(settings, side_file, landing, wanted)
        if touched is None:
            _create(side_file)
        remember_published(landing, settings, touched)
    variables = {"touched": touched.variables} if touched else {}
    variables_of(side_file).write_text(json.dumps(variables), encoding="utf-8")
    _run(settings, side_file, as_of=as_of, variables=variables, progress=progress)
    with closing(_connect(side_file)) as connection:
        connection.execute("create schema if not exists kept")
        connection.execute(f"create or replace table kept.coverage ({Coverage.COLUMNS})")
        connection.execute("insert into kept.coverage values (?, ?, ?, ?, ?, ?)", list(wanted.values))
    return side_file


def variables_of(side_file: Path) -> Path:
    """The dbt vars of a side file's build, beside it: the audit looks at what the build touched."""
    return side_file.with_name("variables.json")


def _run(
    settings: Settings, side_file: Path, *, as_of: datetime, variables: dict[str, Any], progress: Progress
) -> None:
    results = run_dbt(
        ["build", "--exclude-resource-type", "test", "unit_test"],
        settings=settings,
        side_file=side_file,
        as_of=as_of,
        variables=variables,
        progress=progress,
        stage="Building what has changed" if variables else "Building the marts",
    )
    failed = [result for result in results if result.status in ("error", "fail")]
    if failed:
        lines = [f"  {result.name}: {_first_lines(result.message)}" for result in failed]
        raise DbtFailed(
            f"{len(failed)} of {len(results)} models could not be built; nothing is published.\n"
            + "\n".join(lines)
        )


# --- the side file ------------------------------------------------------------------------------------------


def _take_up(
    settings: Settings, side_file: Path, landing: duckdb.DuckDBPyConnection, wanted: Coverage
) -> Touched | None:
    """Put an older warehouse in the side file's place; what it lacks, or None when no old one will do."""
    for is_taken in (_take_previous, _copy_published):
        _clear(side_file)
        if is_taken(settings, side_file) and (built := coverage_of(side_file)):
            touched = touched_since(landing, built, wanted)
            if touched is not None:
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
    os.replace(previous, side_file)
    # somebody may still be reading that night, and then it must stay as it is
    return _can_be_written(side_file)


def _copy_published(settings: Settings, side_file: Path) -> bool:
    if not settings.warehouse_path.is_file():
        return False
    shutil.copyfile(settings.warehouse_path, side_file)
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


def _first_lines(message: str) -> str:
    return " ".join(line.strip() for line in message.strip().splitlines()[:4])
