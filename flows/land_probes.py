"""Landing of health: the new probes of the ops store and its maintenance windows, into schema `raw`.

Part of the landing's own transaction, or of one alone between two landings of the source; either way one that
is killed or repeated loses and doubles nothing. Probes are copied on from the last one that was; a store that
was made anew, or restored, begins to count again, so its ids are moved behind those that are landed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flows import landing_store
from flows.errors import LandError
from flows.failpoints import failpoint
from flows.landing_store import scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from flows.ops_store import OpsStore

# Rows read in one transaction of the store: a prober waits no longer than that takes.
BATCH_ROWS = 50_000

# Of two probers that write at once, the one with the smaller id may commit last, after a landing. So many ids
# back are looked at again.
LATE_PROBES = 1_000

# Of the new probes, those that a build as of a moment counts (macros/periods/exists_at_as_of.sql).
_EXISTS = "new_probes.checked_at >= timestamp '1970-01-01' and new_probes.checked_at < $as_of"

_COLUMNS = (
    "probe_id",
    "component",
    "checked_at",
    "verdict",
    "latency_ms",
    "reason",
    "is_required",
    "interval_seconds",
)
_WINDOWS = ("window_id", "component", "starts_at", "ends_at", "owner", "reason", "created_at")


@dataclass(frozen=True, slots=True)
class _Last:
    """The last probe that was copied, by the store's own id."""

    probe_id: int = 0
    component: str | None = None
    checked_at: datetime | None = None
    # how much larger the landed ids are
    added_to_ids: int = 0


def land_alone(
    landing_path: Path, store: OpsStore, *, as_of: datetime, before_commit: Callable[[], None]
) -> int:
    """Land what `copy` does, and nothing of the source; how many probes are new.

    The days that it touches wait for the next landing's number. Raises LandError when nothing has landed yet.
    """
    with landing_store.transaction(landing_path) as connection:
        newest = connection.execute(
            "select landing_number, as_of from raw.landings order by landing_number desc limit 1"
        ).fetchall()
        if not newest:
            raise LandError(f"Nothing has landed in {landing_path} yet. Run `almanac nightly` first.")
        ((number, previous_as_of),) = newest
        landing_store.create_side_tables(connection)
        count = copy(connection, store)
        touch(connection, number + 1, as_of=as_of, previous_as_of=previous_as_of)
        failpoint("land.before_commit")
        before_commit()
    return count


def copy(connection: DuckDBPyConnection, store: OpsStore) -> int:
    """Bring raw.health_probes and raw.maintenance_windows to what the store holds; how many probes are new.

    Raises what the store's transactions raise.
    """
    connection.execute(
        "create or replace temp table new_probes as from raw.health_probes limit 0; "
        "create or replace temp table windows_before as from raw.maintenance_windows; "
        "create or replace temp table first_probes as "
        "select component, min(checked_at) as checked_at from raw.health_probes "
        "where checked_at >= timestamp '1970-01-01' group by component"
    )
    _copy_probes(connection, store)
    failpoint("land.probes")
    _copy_windows(connection, store)
    return int(scalar(connection, "select count(*) from new_probes"))


def _copy_probes(connection: DuckDBPyConnection, store: OpsStore) -> None:
    from sqlalchemy import select

    from flows.ops_store import probing

    probes = probing.probes
    # all of it is fetched: nothing can be registered while a result is open
    copied = connection.execute(
        "select probe_id, component, checked_at, added_to_ids from raw.landed_probes"
    ).fetchall()
    last = _continued(connection, store, _Last(*copied[0]) if copied else _Last())
    read = max(0, last.probe_id - LATE_PROBES)
    batch = select(*(probes.c[name] for name in _COLUMNS)).order_by(probes.c.probe_id).limit(BATCH_ROWS)
    while True:
        with store.transaction() as ops:
            rows = ops.execute(batch.where(probes.c.probe_id > read)).all()
        if rows:
            _insert_probes(connection, rows, last.added_to_ids)
            read = rows[-1].probe_id
            if read >= last.probe_id:
                last = _Last(read, rows[-1].component, rows[-1].checked_at, last.added_to_ids)
        if len(rows) < BATCH_ROWS:
            break
    connection.execute("insert into raw.health_probes from new_probes order by probe_id")
    connection.execute("delete from raw.landed_probes")
    connection.execute(
        "insert into raw.landed_probes values (?, ?, ?, ?)",
        [last.probe_id, last.component, last.checked_at, last.added_to_ids],
    )


def _continued(connection: DuckDBPyConnection, store: OpsStore, last: _Last) -> _Last:
    """Where to go on in this store: after `last`, or at its beginning when it is another one."""
    from sqlalchemy import func, select

    from flows.ops_store import probing

    probes = probing.probes
    with store.transaction() as ops:
        found = ops.execute(
            select(probes.c.component, probes.c.checked_at).where(probes.c.probe_id == last.probe_id)
        ).first()
        first_id = ops.scalar(select(func.min(probes.c.probe_id)))
    if found is not None:
        is_same = tuple(found) == (last.component, last.checked_at)
    else:
        # old probes may be gone from the store; a new one has small ids
        is_same = first_id is None or first_id > last.probe_id
    if is_same:
        return last
    ((largest_id,),) = connection.execute(
        "select coalesce(max(probe_id), 0) from raw.health_probes"
    ).fetchall()
    return _Last(added_to_ids=largest_id)


def _insert_probes(connection: DuckDBPyConnection, rows: Sequence[Any], added_to_ids: int) -> None:
    """Add what is not landed yet; a restored store brings some again, under whatever ids."""
    import pyarrow

    types = (
        pyarrow.int64(),
        pyarrow.string(),
        pyarrow.timestamp("us"),
        pyarrow.string(),
        pyarrow.float64(),
        pyarrow.string(),
        pyarrow.bool_(),
        pyarrow.int64(),
    )
    columns = zip(_COLUMNS, types, zip(*rows, strict=True), strict=True)
    connection.register(
        "batch", pyarrow.table({name: pyarrow.array(values, kind) for name, kind, values in columns})
    )
    # what is no number, or too large a one, is not known
    connection.execute(
        "insert into new_probes select probe_id + ?, component, checked_at, verdict, "
        "case when isfinite(latency_ms) then try_cast(latency_ms as decimal(18, 3)) end, "
        "reason, is_required, interval_seconds from batch where not exists ("
        "select 1 from (from raw.health_probes union all by name from new_probes) as landed "
        "where landed.checked_at >= ? "
        "and landed.component = batch.component and landed.checked_at = batch.checked_at) "
        "qualify row_number() over (partition by component, checked_at order by probe_id) = 1",
        [added_to_ids, min(row.checked_at for row in rows)],
    )
    connection.unregister("batch")


def _copy_windows(connection: DuckDBPyConnection, store: OpsStore) -> None:
    from sqlalchemy import select

    from flows.ops_store import probing

    windows = probing.maintenance_windows
    query = select(*(windows.c[name] for name in _WINDOWS)).order_by(windows.c.window_id)
    with store.transaction() as ops:
        rows = ops.execute(query).all()
    connection.execute("delete from raw.maintenance_windows")
    if rows:
        marks = ", ".join("?" for _ in _WINDOWS)
        connection.executemany(
            f"insert into raw.maintenance_windows values ({marks})", [list(row) for row in rows]
        )


def touch(
    connection: DuckDBPyConnection, number: int, *, as_of: datetime, previous_as_of: datetime | None
) -> None:
    """Touch the UTC days whose uptime `copy` changed: what a probe says counts for a day.

    A component's days begin with its first probe and have no gaps, so an earlier first probe touches all days
    up to the one that was first. Windows count from when they were written down. What lies after the newest
    landing's moment is built anew by the nights that reach it, whatever is touched.
    """
    if previous_as_of is not None:
        as_of = max(as_of, previous_as_of)
    connection.execute(
        f"""
create or replace temp table probed_days as
select unnest([cast(checked_at as date), cast(checked_at + interval 1 day as date)]) as day
from new_probes where {_EXISTS}
union
select cast(unnest(generate_series(
  date_trunc('day', min(new_probes.checked_at)),
  coalesce(min(first_probes.checked_at), $as_of),
  interval 1 day
)) as date)
from new_probes left join first_probes on first_probes.component = new_probes.component
where {_EXISTS}
group by new_probes.component
having min(new_probes.checked_at) < coalesce(min(first_probes.checked_at), $as_of)
""",
        {"as_of": as_of},
    )
    connection.execute(
        """
insert into probed_days
select cast(unnest(generate_series(
  date_trunc('day', greatest(windows.starts_at, probed.first_at)),
  least(windows.ends_at, $as_of) + interval 1 day,
  interval 1 day
)) as date)
from (
  (from raw.maintenance_windows except from windows_before)
  union
  (from windows_before except from raw.maintenance_windows)
  union
  from raw.maintenance_windows where created_at >= $previous_as_of
) as windows
cross join (
  select min(checked_at) as first_at from raw.health_probes where checked_at >= timestamp '1970-01-01'
) as probed
where windows.ends_at > windows.starts_at and windows.ends_at > probed.first_at
and windows.starts_at < $as_of
""",
        {"as_of": as_of, "previous_as_of": previous_as_of or as_of},
    )
    connection.execute(
        "insert into raw.touched_days select distinct ?, day from probed_days "
        "where day <= cast(? as date) + 1 and day not in "
        "(select day from raw.touched_days where landing_number = ?) order by day",
        [number, as_of, number],
    )
