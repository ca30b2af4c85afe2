"""Let people read a built generation: the only module that writes what the postgres target publishes.

People read views (marts, reviews, compat) that stay for ever; publishing points all of them at the other
generation in one transaction. What people built on a view stays, whatever the night brings.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.errors import AlmanacError
from flows.failpoints import failpoint
from flows.warehouse_postgres import PUBLISHED_SCHEMAS, Generation, store_errors

if TYPE_CHECKING:
    import psycopg

    from flows.settings import Settings

# Milliseconds that one attempt waits for one reader. Under a second: after that PostgreSQL looks for
# deadlocks, and could end the reader.
LOCK_MILLISECONDS = 500
# How long readers that do not end their transaction may hold a publication up.
WAIT_SECONDS = 240

_NO_LONGER_BUILT = "No longer built; kept, empty, for the views that read it."

# Every relation of some schemas; of its columns, in order, name, type with collation, and comment.
_RELATIONS = """
select
    schema.nspname, relation.oid, relation.relname, obj_description(relation.oid, 'pg_class'),
    array(
        select array[
            attribute.attname::text,
            format_type(attribute.atttypid, attribute.atttypmod) || ' ' || attribute.attcollation::text,
            col_description(relation.oid, attribute.attnum)
        ]
        from pg_attribute as attribute
        where attribute.attrelid = relation.oid and attribute.attnum > 0 and not attribute.attisdropped
        order by attribute.attnum
    )
from pg_class as relation
join pg_namespace as schema on schema.oid = relation.relnamespace
where schema.nspname = any(%s) and relation.relkind in ('r', 'v', 'p', 'm')
order by schema.nspname, relation.relname
"""

# Views that the project made: those that read the relation of their own name in a generation.
_OURS = """
select distinct view.oid
from pg_class as view
join pg_namespace as view_schema on view_schema.oid = view.relnamespace
join pg_rewrite as rule on rule.ev_class = view.oid
join pg_depend as dependency on dependency.objid = rule.oid and dependency.classid = 'pg_rewrite'::regclass
join pg_class as read on read.oid = dependency.refobjid and dependency.refclassid = 'pg_class'::regclass
join pg_namespace as schema on schema.oid = read.relnamespace
where
    view.relkind = 'v'
    and read.relname = view.relname
    and schema.nspname in ('gen_a_' || view_schema.nspname, 'gen_b_' || view_schema.nspname)
"""

_DEPENDENTS = """
select distinct schema.nspname || '.' || reader.relname
from pg_depend as dependency
join pg_rewrite as rule on rule.oid = dependency.objid and dependency.classid = 'pg_rewrite'::regclass
join pg_class as reader on reader.oid = rule.ev_class
join pg_namespace as schema on schema.oid = reader.relnamespace
where dependency.refobjid = %s and reader.oid <> %s
order by 1
"""

_BLOCKERS = """
select distinct activity.pid, activity.usename, activity.application_name, activity.state
from pg_locks as lock
join pg_class as relation on relation.oid = lock.relation
join pg_namespace as schema on schema.oid = relation.relnamespace
join pg_stat_activity as activity on activity.pid = lock.pid
where schema.nspname = any(%s) and lock.granted and lock.pid <> pg_backend_pid()
order by 1
"""

# The page rounds doubles to decimals, which PostgreSQL has for numerics only.
_COMPAT_FUNCTION = """
create or replace function compat.round(value double precision, places integer) returns double precision
language sql immutable strict parallel safe
return pg_catalog.round(cast(value as numeric), places)::double precision
"""


class PublishBlocked(AlmanacError):
    """Somebody's reading or views stand in the way; what was published stays so."""


@dataclass(frozen=True, slots=True)
class PublishReport:
    """How many views point at the new night, and those that nothing is built for any more."""

    views: int
    dropped: tuple[str, ...]
    emptied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Relation:
    oid: int
    comment: str | None
    # name: (type and collation, comment)
    columns: dict[str, tuple[str, str | None]]


Relations = dict[tuple[str, str], _Relation]


def publish_generation(
    connection: psycopg.Connection[Any],
    settings: Settings,
    generation: Generation,
    *,
    require_current: Callable[[], None] = lambda: None,
    wait_seconds: float = WAIT_SECONDS,
) -> PublishReport:
    """Point the published views at a generation, all of them at once.

    In the transaction that is open on the connection, else in one of its own; `require_current` is asked
    when everything is done but the commit. Readers who hold a view are waited for, in attempts so short
    that nobody queues behind them.

    Raises PublishBlocked naming who or what is in the way; then nothing has changed.
    """
    import psycopg

    deadline = time.monotonic() + wait_seconds
    attempt = 0
    with store_errors("published"), connection.transaction():
        ((waits,),) = connection.execute("show lock_timeout").fetchall()
        while True:
            try:
                # a savepoint: its locks are let go when it is rolled back
                with connection.transaction():
                    connection.execute(f"set local lock_timeout = '{LOCK_MILLISECONDS}ms'".encode())
                    report = _Publication(connection, settings, generation).run()
                break
            except psycopg.errors.LockNotAvailable:
                if time.monotonic() > deadline:
                    raise PublishBlocked(_who_blocks(connection, wait_seconds)) from None
            attempt += 1
            # not in step with a reader that polls
            time.sleep(min(0.05 * 2**attempt, 2.0) * random.uniform(0.5, 1.0))
        # whatever else the caller's transaction does waits as before
        connection.execute(f"set local lock_timeout = '{waits}'".encode())
        require_current()
        failpoint("publish.views_replaced")
    return report


class _Publication:
    """One attempt, inside its transaction."""

    def __init__(
        self, connection: psycopg.Connection[Any], settings: Settings, generation: Generation
    ) -> None:
        self._connection = connection
        self._generation = generation
        self._readers = settings.warehouse_readers

    def run(self) -> PublishReport:
        built = self._relations(self._generation.prefix)
        if not any(schema == "marts" for schema, _ in built):
            raise AlmanacError(
                f"Generation {self._generation.name} holds no mart; nothing is published. "
                "Run `almanac build` first."
            )
        for schema in PUBLISHED_SCHEMAS:
            self._execute(f"create schema if not exists {schema}")
        self._execute(_COMPAT_FUNCTION)
        published = self._relations("")
        ours = {oid for (oid,) in self._connection.execute(_OURS.encode()).fetchall()}
        ours |= {there.oid for there in published.values() if there.comment == _NO_LONGER_BUILT}
        for name, relation in built.items():
            self._replace(name, relation, published.get(name), ours)
        dropped, emptied = self._retire(
            {name: there for name, there in published.items() if name not in built and there.oid in ours}
        )
        self._grant(built)
        self._execute("update ops.generations set is_published = false where is_published")
        self._connection.execute(
            "update ops.generations set is_published = true where name = %s", [self._generation.name]
        )
        return PublishReport(len(built), dropped, emptied)

    def _relations(self, prefix: str) -> Relations:
        rows = self._connection.execute(
            _RELATIONS.encode(), [[prefix + schema for schema in PUBLISHED_SCHEMAS]]
        ).fetchall()
        return {
            (schema.removeprefix(prefix), name): _Relation(
                oid, comment, {column: (kind, text) for column, kind, text in columns}
            )
            for schema, oid, name, comment, columns in rows
        }

    def _replace(
        self, name: tuple[str, str], built: _Relation, there: _Relation | None, ours: set[int]
    ) -> None:
        view = _quoted(*name)
        order = list(built.columns)
        grants: list[tuple[str, str]] = []
        if there is not None and there.oid not in ours:
            raise PublishBlocked(
                f"{'.'.join(name)} is not the project's, which now has a relation of that name. "
                "Rename yours, then run the night again; nothing is published."
            )
        if there is not None:
            if all(
                built.columns.get(column, ("",))[0] == kind for column, (kind, _) in there.columns.items()
            ):
                # a view's columns keep their order; new ones come last
                order = [*there.columns, *(column for column in order if column not in there.columns)]
            else:
                grants = self._drop_for_new_columns(name, built, there)
                there = None
        columns = ", ".join(_quoted(column) for column in order)
        source = _quoted(self._generation.prefix + name[0], name[1])
        self._execute(f"create or replace view {view} as select {columns} from {source}")
        self._comment(view, built, there)
        for grantee, privilege in grants:
            self._execute(f"grant {privilege} on {view} to {grantee}")

    def _drop_for_new_columns(
        self, name: tuple[str, str], built: _Relation, there: _Relation
    ) -> list[tuple[str, str]]:
        """Drop a view whose columns went or changed; who else could read it."""
        changed = [c for c, (kind, _) in there.columns.items() if built.columns.get(c, ("",))[0] != kind]
        dependents = self._dependents(there.oid)
        if dependents:
            raise PublishBlocked(
                f"{'.'.join(name)} has lost or changed the columns {', '.join(changed)}, and the views "
                f"{', '.join(dependents)} read it. Drop or change them, then run the night again; "
                "until then the last night stays published."
            )
        grants = self._connection.execute(
            "select case when grantee = 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end, "
            "privilege_type from pg_class, aclexplode(relacl) where oid = %s and grantee <> relowner",
            [there.oid],
        ).fetchall()
        self._execute(f"drop view {_quoted(*name)}")
        return [(str(grantee), str(privilege)) for grantee, privilege in grants]

    def _comment(self, view: str, built: _Relation, there: _Relation | None) -> None:
        if built.comment != (there.comment if there else None):
            self._execute(f"comment on view {view} is {_literal(built.comment)}")
        for column, (_, comment) in built.columns.items():
            if comment != (there.columns[column][1] if there and column in there.columns else None):
                self._execute(f"comment on column {view}.{_quoted(column)} is {_literal(comment)}")

    def _retire(self, gone: Relations) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Drop the views that nothing is built for; those that somebody's view reads become empty."""
        dropped, emptied = [], []
        for name, there in gone.items():
            if self._dependents(there.oid):
                view = _quoted(*name)
                # its own columns without rows, and without the generation, which will be replaced
                self._execute(f"create or replace view {view} as {self._empty(there)}")
                self._execute(f"comment on view {view} is {_literal(_NO_LONGER_BUILT)}")
                emptied.append(".".join(name))
            else:
                self._execute(f"drop view {_quoted(*name)}")
                dropped.append(".".join(name))
        return tuple(dropped), tuple(emptied)

    def _empty(self, there: _Relation) -> str:
        rows = self._connection.execute(
            "select attname, format_type(atttypid, atttypmod), "
            "(select quote_ident(nspname) || '.' || quote_ident(collname) from pg_collation "
            "join pg_namespace on pg_namespace.oid = collnamespace "
            "where pg_collation.oid = attcollation and collname <> 'default') "
            "from pg_attribute where attrelid = %s and attnum > 0 and not attisdropped order by attnum",
            [there.oid],
        ).fetchall()
        columns = ", ".join(
            f"cast(null as {kind}){f' collate {collation}' if collation else ''} as {_quoted(name)}"
            for name, kind, collation in rows
        )
        return f"select {columns} where false"

    def _dependents(self, oid: int) -> list[str]:
        return [name for (name,) in self._connection.execute(_DEPENDENTS.encode(), [oid, oid]).fetchall()]

    def _grant(self, built: Relations) -> None:
        if self._readers is None:
            return
        role = _quoted(self._readers)
        if not self._connection.execute(
            "select 1 from pg_roles where rolname = %s", [self._readers]
        ).fetchone():
            raise AlmanacError(
                f"ALMANAC_WAREHOUSE_READERS names {self._readers!r}, and the warehouse has no such role. "
                "Create it, or correct the setting; nothing is published."
            )
        for schema in PUBLISHED_SCHEMAS:
            self._execute(f"grant usage on schema {schema} to {role}")
        for name in built:
            if not self._may_read(_quoted(*name)):
                self._execute(f"grant select on {_quoted(*name)} to {role}")

    def _may_read(self, view: str) -> bool:
        row = self._connection.execute(
            "select has_table_privilege(%s, %s, 'select')", [self._readers, view]
        ).fetchone()
        return bool(row and row[0])

    def _execute(self, statement: str) -> None:
        self._connection.execute(statement.encode())


def _who_blocks(connection: psycopg.Connection[Any], wait_seconds: float) -> str:
    rows = connection.execute(_BLOCKERS.encode(), [list(PUBLISHED_SCHEMAS)]).fetchall()
    named = "; ".join(
        f"process {pid} of {user} ({application or 'unnamed'}, {state})"
        for pid, user, application, state in rows
    )
    return (
        f"The published views are being read and were not free within {wait_seconds:.0f} s: "
        f"{named or 'the readers have ended by now'}. The last night stays published. "
        "End those transactions, or let readers end them by themselves, then run the night again."
    )


def _quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def _literal(text: str | None) -> str:
    return "null" if text is None else "'" + text.replace("'", "''") + "'"
