"""Land between two nights what changes fast, so that alerts see it: seconds, and never in a night's way.

The days of a small window are compared, of a database and of a folder; a folder only when a file of it has
changed since the last landing. New health probes land whether the source does or not. What cannot be landed
now is said, and the rules are asked on what there is.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows import land_probes, landing_store
from flows.errors import AlmanacError, Busy, LandError
from flows.land import LandReport, land
from flows.land_access_log import AccessLogReport, land_access_log
from flows.locking import CHECK, only_writer
from flows.mirror import mirror
from flows.progress import Progress
from flows.source_files import find_files, stamp
from flows.source_location import SourceLocation

if TYPE_CHECKING:
    from flows.run_ledger import ClaimedRun
    from flows.settings import Settings

# UTC days before the last landing's that are compared: a call may be stored a day after it was asked for.
WINDOW_DAYS = 1


@dataclass(frozen=True, slots=True)
class SmallLanding:
    """What a small landing did, in words for people; `is_landed` when the rules see the source of now."""

    is_landed: bool
    story: str


def land_small_window(
    settings: Settings, source: SourceLocation | None, *, as_of: datetime, progress: Progress
) -> SmallLanding:
    """Land the small window, new health probes, new lines of the access log; copy them into a PostgreSQL.

    Without a source, or when it cannot be read, probes and access log alone. Raises nothing that has to do
    with the source or with other runs: it says so instead.
    """
    if not settings.landing_path.is_file():
        raise AlmanacError(f"Nothing has landed in {settings.data_dir} yet. Run `almanac nightly` first.")
    try:
        with only_writer(settings, kind=CHECK, as_of=as_of) as run:
            landed = _land(settings, source, as_of, progress, run)
            _copy_into_warehouse(settings, run, progress)
            return landed
    except (Busy, LandError) as error:
        return SmallLanding(False, f"nothing was landed: {error}")


def _land(
    settings: Settings, source: SourceLocation | None, as_of: datetime, progress: Progress, run: ClaimedRun
) -> SmallLanding:
    if source is None:
        landed = SmallLanding(False, "nothing of the source was landed")
    else:
        try:
            report = _land_source(settings, source, as_of, progress, run)
        except Busy:
            raise
        except LandError as error:
            landed = SmallLanding(False, f"nothing of the source was landed: {error}")
        else:
            if report is not None:
                story = f"landed {report.days_copied:,} of {report.days_compared:,} days compared"
                return SmallLanding(True, story + _beside(report.probes_landed, report.access_log))
            landed = SmallLanding(True, "no file of the source has changed since it was landed")
    count = land_probes.land_alone(
        settings.landing_path, run.store, as_of=as_of, before_commit=run.require_current
    )
    access_log = None
    if settings.access_log is not None:
        with landing_store.transaction(settings.landing_path) as connection:
            landing_store.create_side_tables(connection)
            access_log = land_access_log(connection, settings.access_log, as_of=as_of)
            run.require_current()
    return replace(landed, story=landed.story + _beside(count, access_log))


def _beside(probes_landed: int, access_log: AccessLogReport | None) -> str:
    probes = f"; {probes_landed:,} new health probes" if probes_landed else ""
    return probes + (f"; {access_log}" if access_log else "")


def _land_source(
    settings: Settings, source: SourceLocation, as_of: datetime, progress: Progress, run: ClaimedRun
) -> LandReport | None:
    """The report of the landing; None when no file of a folder has changed."""
    signature = ""
    if isinstance(source, Path):
        signature = _signature(source)
        if signature == _landed_signature(settings.landing_path):
            return None
    report = land(
        source,
        settings.landing_path,
        as_of=as_of,
        progress=progress,
        retention_days=settings.source_retention_days,
        lookback_days=WINDOW_DAYS,
        is_small=True,
        before_commit=run.require_current,
        ops_store=run.store,
        access_log=settings.access_log,
    )
    if isinstance(source, Path):
        _keep_signature(settings.landing_path, signature)
    return report


def _copy_into_warehouse(settings: Settings, run: ClaimedRun, progress: Progress) -> None:
    if settings.target != "postgres":
        return
    from flows.warehouse_postgres import connect

    with closing(connect(settings, run_id=run.run_id)) as warehouse:
        run.require_current()
        mirror(settings.landing_path, warehouse, progress=progress)


def _signature(folder: Path) -> str:
    """What changes when a file of the folder does."""
    stamps = [f"{file.path} {stamp(file)}" for parts in find_files(folder).values() for file in parts]
    return hashlib.sha256("\n".join(sorted(stamps)).encode()).hexdigest()


def _landed_signature(landing_path: Path) -> str | None:
    with landing_store.transaction(landing_path) as connection:
        connection.execute(
            "create table if not exists raw.landed_folder (landing_number bigint, signature varchar)"
        )
        row = connection.execute(
            "select signature from raw.landed_folder where landing_number = "
            "(select max(landing_number) from raw.landings)"
        ).fetchone()
        return str(row[0]) if row else None


def _keep_signature(landing_path: Path, signature: str) -> None:
    with landing_store.transaction(landing_path) as connection:
        connection.execute("delete from raw.landed_folder")
        connection.execute(
            "insert into raw.landed_folder select max(landing_number), ? from raw.landings", [signature]
        )
