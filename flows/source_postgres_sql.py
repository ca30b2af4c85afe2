"""The queries that the platform's PostgreSQL answers: fingerprints, open jobs, rows of days.

Every one names its columns, and bounds the platform's own clock column without a function around it,
so that the platform's own indexes serve.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta

from psycopg import sql

from flows.redaction import KEPT_CHARACTERS, RULES
from flows.source_postgres_layout import SCHEMA, FoundTable, PlatformLayout
from flows.source_schema import JOB_COST_SUMMARIES, JOBS, NO_DAY, OPEN_STATUSES, Column

# [since, until) in days; None is without end.
Days = tuple[date | None, date | None]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def ranges(days: Iterable[date]) -> list[Days]:
    """The days as few half-open ranges."""
    found: list[Days] = []
    start: date | None = None
    end: date | None = None
    for day in sorted(set(days)):
        if end is not None and day == end:
            end = day + timedelta(days=1)
            continue
        if start is not None:
            found.append((start, end))
        start, end = day, day + timedelta(days=1)
    if start is not None:
        found.append((start, end))
    return found


# --- queries -----------------------------------------------------------------------------------------------


def fingerprints(layout: PlatformLayout, found: FoundTable, days: Days) -> sql.Composed:
    """Day (as text: it may be `infinity`), row count and order-free hash of the landed columns, by day."""
    # A record's text quotes its fields: no two contents read alike. Collation "C" hashes bytes.
    content = sql.SQL('row({})::text collate "C"').format(_columns(found))
    return sql.SQL(
        "select day::text, count(*), sum(hashtextextended(content, 0)::numeric)::text "
        "from ({}) as landed group by day order by day"
    ).format(_rows_of_days(layout, found, [days], sql.SQL("{} as content").format(content)))


def fingerprints_of_minutes(layout: PlatformLayout, found: FoundTable, days: Days) -> sql.Composed:
    """Day (as text), and as one text of its minutes that have rows: number in the day, row count, hash."""
    content = sql.SQL('row({})::text collate "C"').format(_columns(found))
    minute = sql.SQL("extract(hour from clock)::integer * 60 + extract(minute from clock)::integer")
    return sql.SQL(
        "select day::text, string_agg(minute || ' ' || row_count || ' ' || total, ',' order by minute) "
        "from (select day, {} as minute, count(*) as row_count, "
        "sum(hashtextextended(content, 0)::numeric) as total from ({}) as landed group by 1, 2) as minutes "
        "group by day order by day"
    ).format(
        minute,
        _rows_of_days(layout, found, [days], sql.SQL("{} as content").format(content), with_clock=True),
    )


def fingerprint_prefix(found: FoundTable) -> str:
    """Changes when the same rows would land as something else: other columns, kinds or redaction."""
    described = [f"{column.name}:{column.kind}:{column.redacted}" for column in found.landed]
    described += [f"{column.name}={column.when_absent}" for column in found.table.columns]
    if any(column.redacted for column in found.landed):
        described.append(f"{KEPT_CHARACTERS}{RULES}")
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:8]


def open_jobs(found: FoundTable, days: Days) -> sql.Composed:
    """Day, count and checksum of the open jobs' ids, by day."""
    status = found.columns["status"]
    labels = [label for label in status.enum_labels if label.lower() in OPEN_STATUSES]
    # The labels themselves where they are known: an index on status then serves.
    is_open = (
        sql.SQL("t.status in ({})").format(sql.SQL(", ").join(map(sql.Literal, labels)))
        if labels
        else sql.SQL("lower(t.status::text) in ({})").format(
            sql.SQL(", ").join(map(sql.Literal, OPEN_STATUSES))
        )
    )
    return sql.SQL(
        "select t.created_at::date::text, count(*), "
        "sum(('x' || left(md5(t.job_id::text), 15))::bit(60)::bigint)::text "
        "from {} as t where {} and {} group by t.created_at::date order by t.created_at::date"
    ).format(_relation(JOBS.name), is_open, _within(sql.SQL("t.created_at"), [days]))


def days_of_keys(layout: PlatformLayout, found: FoundTable, keys: Sequence[str]) -> sql.Composed:
    """The days (as text) of the rows of these keys; one that is no UUID is in no UUID column."""
    key: sql.Composable = sql.Identifier("t", found.table.key)
    if found.columns[found.table.key].type_name == "uuid":
        # Not as text: the platform's own index then serves.
        keys, kind = [text for text in keys if _UUID.fullmatch(text)], sql.SQL("uuid")
    else:
        key, kind = sql.SQL("{}::text").format(key), sql.SQL("text")
    return sql.SQL("select distinct day::text from ({}) as landed where row_key = any({}::{}[])").format(
        _rows_of_days(layout, found, [(None, None)], sql.SQL("{} as row_key").format(key)),
        sql.Literal(list(keys)),
        kind,
    )


def copy_days(
    layout: PlatformLayout, found: FoundTable, days: Sequence[Days], minutes: Sequence[datetime] | None = None
) -> sql.Composed:
    """COPY of the rows of these days; with `minutes` only of those that begin at one of these moments."""
    rows = _rows_of_days(layout, found, days, _columns(found), with_day=False, minutes=minutes)
    return _copy(found, rows)


def copy_whole(found: FoundTable, since: datetime | None = None) -> sql.Composed:
    """COPY of every row that is read, with `since` (naive UTC) of those whose clock says it or later."""
    conditions: list[sql.Composable] = [sql.SQL("true")]
    if found.table.only is not None:
        conditions.append(_own_sql(found.table.only(found.reading)))
    if since is not None:
        clock = _column(found, found.table.column(found.table.created_by))
        conditions.append(sql.SQL("{} >= {}").format(clock, sql.Literal(since)))
    query = sql.SQL("select {} from {} as t where {}").format(
        _columns(found), _relation(found.table.source), sql.SQL(" and ").join(conditions)
    )
    return _copy(found, query)


def touch(names: Iterable[str]) -> sql.Composed:
    """Reads nothing, and keeps each table's layout as it is until the transaction ends."""
    return sql.SQL(" union all ").join(
        sql.SQL("(select 1 from {} limit 0)").format(_relation(name)) for name in names
    )


# --- parts -------------------------------------------------------------------------------------------------


def _rows_of_days(
    layout: PlatformLayout,
    found: FoundTable,
    days: Sequence[Days],
    selected: sql.Composable,
    *,
    with_day: bool = True,
    with_clock: bool = False,
    minutes: Sequence[datetime] | None = None,
) -> sql.Composable:
    def select(clock: sql.Composable, source: sql.Composable, also: sql.Composable) -> sql.Composed:
        day = sql.SQL("{}::date as day, ").format(clock) if with_day else sql.SQL("")
        if with_clock:
            day = sql.SQL("{}{}::timestamp as clock, ").format(day, clock)
        if minutes is not None:
            # Beside the days, whose bounds the index serves; a list of this length is looked up by hash.
            also = sql.SQL("{} and date_trunc('minute', {}::timestamp) = any({}::timestamp[])").format(
                also, clock, sql.Literal([str(minute) for minute in minutes])
            )
        return sql.SQL("select {}{} from {} where {}").format(day, selected, source, also)

    relation = sql.SQL("{} as t").format(_relation(found.table.name))
    if found.table is not JOB_COST_SUMMARIES:
        clock: sql.Composable = sql.SQL("t.created_at")
        return select(clock, relation, _within(clock, days))
    # A summary belongs to its job's day: calculated_at is not refreshed, and may lie days later.
    ids = _same_type(layout)
    clock = sql.SQL("j.created_at")
    with_job = select(
        clock,
        sql.SQL("{} inner join {} as j on {}").format(relation, _relation(JOBS.name), ids),
        _within(clock, days),
    )
    if layout.summaries_have_jobs:
        return with_job
    clock = sql.SQL("coalesce(t.calculated_at, {})").format(sql.Literal(_start(NO_DAY)))
    without = select(
        clock,
        relation,
        sql.SQL("{} and not exists (select 1 from {} as j where {})").format(
            _within(clock, days), _relation(JOBS.name), ids
        ),
    )
    return sql.SQL("{} union all {}").format(with_job, without)


def _same_type(layout: PlatformLayout) -> sql.SQL:
    types = {layout.tables[name].columns["job_id"].type_name for name in (JOBS.name, JOB_COST_SUMMARIES.name)}
    return sql.SQL("j.job_id = t.job_id" if len(types) == 1 else "j.job_id::text = t.job_id::text")


def _within(clock: sql.Composable, days: Sequence[Days]) -> sql.Composable:
    either = []
    for since, until in days:
        bounds = []
        if since is not None:
            bounds.append(sql.SQL("{} >= {}").format(clock, sql.Literal(_start(since))))
        if until is not None:
            bounds.append(sql.SQL("{} < {}").format(clock, sql.Literal(_start(until))))
        either.append(sql.SQL(" and ").join(bounds) if bounds else sql.SQL("true"))
    return sql.SQL("({})").format(sql.SQL(" or ").join(either)) if either else sql.SQL("false")


def _start(day: date) -> datetime:
    return datetime.combine(day, time())


def _columns(found: FoundTable) -> sql.Composed:
    named = [
        _column(found, column)
        if column.made_of is None
        else sql.SQL("{} as {}").format(_column(found, column), sql.Identifier(column.name))
        for column in found.landed
    ]
    return sql.SQL(", ").join(named)


def _column(found: FoundTable, column: Column) -> sql.Composable:
    if column.made_of is None:
        return sql.Identifier("t", column.name)
    return _own_sql(column.made_of(found.reading))


def _own_sql(text: str) -> sql.Composable:
    """SQL of the allow-list (flows/source_schema.py): put together of our own words alone."""
    return sql.SQL(text)


def _relation(name: str) -> sql.Identifier:
    return sql.Identifier(SCHEMA, name)


def _copy(found: FoundTable, query: sql.Composable) -> sql.Composed:
    # The key is quoted always: a byte order mark that begins it is then no mark of the text's encoding.
    return sql.SQL("copy ({}) to stdout (format csv, force_quote ({}))").format(
        query, sql.Identifier(found.table.key)
    )
