"""Whether the platform's tables are as we know them: asked of its catalog, before a row is read.

Tables and columns are found by name, in either schema lineage; only those of the allow-list count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from flows.errors import LandError
from flows.redaction import shown
from flows.source_reading import PostgresReading
from flows.source_schema import SIDE_TABLES, TABLES, Column, Kind, Table

if TYPE_CHECKING:
    import psycopg

SCHEMA = "public"

_INTEGERS = frozenset({"int2", "int4", "int8"})
_NUMBERS = _INTEGERS | {"numeric"}
_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext", "uuid"}) | _INTEGERS

# Types whose text reads as our kind without losing anything. An enum reads as text, whatever its labels.
READABLE: dict[Kind, frozenset[str]] = {
    "text": _TEXTS,
    "integer": _NUMBERS,
    "decimal": _NUMBERS | {"float4", "float8"},
    "boolean": frozenset({"bool"}),
    "timestamp": frozenset({"timestamp", "timestamptz", "date"}),
    "json": frozenset({"json", "jsonb"}),
}

# Columns of the platform that are left out on purpose: no news.
LEFT_OUT: dict[str, frozenset[str]] = {
    "jobs": frozenset({"job_metadata", "external_task_id", "model_groups_used"}),
    "llm_calls": frozenset({"litellm_request_id", "purpose", "request_data", "response_data"}),
    "job_cost_summaries": frozenset({"total_prompt_tokens", "total_completion_tokens"}),
    "team_credits": frozenset({"virtual_key"}),
    "organizations": frozenset({"metadata"}),
    "model_aliases": frozenset({"id", "litellm_model_id", "description"}),
    "team_usage_summaries": frozenset({"job_type_breakdown"}),
    "admin_users": frozenset(
        {"email", "password_hash", "is_active", "created_by", "last_login", "user_metadata"}
    ),
    "admin_sessions": frozenset({"token_hash", "expires_at", "user_agent", "is_revoked"}),
    "admin_audit_log": frozenset({"details"}),
}


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column as the platform's catalog describes it."""

    name: str
    # As PostgreSQL prints it: character varying(255).
    declared: str
    # The catalog's name of the type, of a domain the one below it.
    type_name: str
    enum_labels: tuple[str, ...]
    is_granted: bool

    def reads_as(self, kind: Kind) -> bool:
        return self.type_name in READABLE[kind] or (kind == "text" and bool(self.enum_labels))

    def prints(self, kind: Kind) -> bool:
        """Whether the type prints every value as a number of the kind, or as one that is not finite."""
        if kind == "integer":
            return self.type_name in _INTEGERS
        return kind == "decimal" and self.type_name in READABLE[kind]


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table of the allow-list on this platform: its columns by name, in the catalog's order."""

    table: Table
    columns: dict[str, FoundColumn]

    @property
    def read(self) -> tuple[Column, ...]:
        """The columns of the allow-list that are there."""
        return tuple(column for column in self.table.source_columns if column.name in self.columns)

    @property
    def landed(self) -> tuple[Column, ...]:
        """The columns that are there, or are made of those that are."""
        return self.read if self.table.made_of is None else self.table.columns

    @property
    def reading(self) -> PostgresReading:
        """How the columns are written that others are made of."""
        return PostgresReading({column.name: self.columns[column.name].type_name for column in self.read})

    def prints(self, column: Column) -> bool:
        """Whether a landed column's text is a number that its type has printed."""
        return column.name in self.columns and self.columns[column.name].prints(column.kind)


@dataclass(frozen=True, slots=True)
class PlatformLayout:
    """The allow-listed tables of one platform."""

    tables: dict[str, FoundTable]
    # Every summary has a job: the platform's own foreign key says so.
    summaries_have_jobs: bool
    # What is there that we do not know, for the log.
    notes: tuple[str, ...]


def read_layout(connection: "psycopg.Connection[Any]") -> PlatformLayout:
    """The platform's layout; LandError, naming all of it, for what cannot be read or may not be."""
    found = _found_tables(connection)
    notes = [note for table in SIDE_TABLES if (note := _unread(connection, found, table))]
    problems = [*_missing_tables(found), *(problem for table in found.values() for problem in _drift(table))]
    if problems:
        raise LandError(
            "The platform's tables are not as they were:\n  "
            + "\n  ".join(problems)
            + "\nNothing was landed. Was it meant, take a release of LLM Almanac that knows the new layout; "
            f"else restore the column in schema {SCHEMA} of the platform."
        )
    _require_grants(connection, found)
    return PlatformLayout(
        found,
        _summaries_have_jobs(connection),
        (*notes, *(note for table in found.values() for note in _news(table))),
    )


def _found_tables(connection: "psycopg.Connection[Any]") -> dict[str, FoundTable]:
    rows = connection.execute(
        """
        select
            c.relname,
            a.attname,
            format_type(a.atttypid, a.atttypmod),
            coalesce(base.typname, t.typname),
            array(
                select e.enumlabel::text from pg_enum as e
                where e.enumtypid = coalesce(base.oid, t.oid) order by e.enumsortorder
            ),
            has_column_privilege(c.oid, a.attnum, 'SELECT')
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        inner join pg_attribute as a on a.attrelid = c.oid
        inner join pg_type as t on t.oid = a.atttypid
        left join pg_type as base on base.oid = t.typbasetype
        where n.nspname = %s and c.relname = any(%s) and c.relkind in ('r', 'p', 'v', 'm', 'f')
            and a.attnum > 0 and not a.attisdropped
        order by c.relname, a.attnum
        """,
        [SCHEMA, [table.source for table in (*TABLES, *SIDE_TABLES)]],
    ).fetchall()
    columns: dict[str, dict[str, FoundColumn]] = {}
    for relation, name, declared, type_name, labels, is_granted in rows:
        columns.setdefault(relation, {})[name] = FoundColumn(
            name, declared, type_name, tuple(labels), is_granted
        )
    return {
        table.name: FoundTable(table, columns[table.source])
        for table in (*TABLES, *SIDE_TABLES)
        if table.source in columns
    }


def _unread(connection: "psycopg.Connection[Any]", found: dict[str, FoundTable], table: Table) -> str | None:
    """Leave out a table of alerts alone that may not be read or is not as it was: alerts do without it."""
    held = found.get(table.name)
    if held is None:
        return None
    if drift := list(_drift(held)):
        del found[table.name]
        return f"{drift[0]}: {table.source} is not landed, and the alerts do without it."
    refused = [column.name for column in held.read if not held.columns[column.name].is_granted]
    if refused:
        del found[table.name]
        return (
            f"{table.source} may not be read, and the alerts do without it. To land it run on the platform's "
            f"database: {_grant(connection, table.source, [column.name for column in held.read])}"
        )
    return None


def _grant(connection: "psycopg.Connection[Any]", table: str, columns: list[str]) -> str:
    (role,) = connection.execute("select current_user").fetchone() or ("",)
    grantee = sql.Identifier(role).as_string(connection)
    names = ", ".join(_written(column) for column in columns)
    return f"GRANT SELECT ({names}) ON {SCHEMA}.{_written(table)} TO {grantee};"


def _written(name: str) -> str:
    """A name as PostgreSQL reads it back: LiteLLM's hold capitals."""
    return name if name == name.lower() else f'"{name}"'


def _missing_tables(found: dict[str, FoundTable]) -> Iterable[str]:
    missing = [table.name for table in TABLES if table.required and table.name not in found]
    if len(missing) == sum(table.required for table in TABLES):
        raise LandError(
            f"Schema {SCHEMA} of the source database holds none of the platform's tables "
            f"({', '.join(missing)}). Check the database name in ALMANAC_SOURCE."
        )
    return (f"table {name} is missing" for name in missing)


def _drift(found: FoundTable) -> Iterable[str]:
    name = found.table.source
    missing = [column for column in found.table.source_columns if column.name not in found.columns]
    lost = [column.name for column in missing if column.required]
    if lost:
        new = _unknown(found)
        instead = f" (new there: {', '.join(shown(c.name, 63) for c in new)})" if new else ""
        yield from (f"{name}.{column} is missing: dropped or renamed{instead}" for column in lost)
    for column in found.read:
        held = found.columns[column.name]
        if not held.reads_as(column.kind):
            yield (
                f"{name}.{column.name} is of type {held.declared}, which cannot be read as "
                f"{_WANTED[column.kind]}"
            )


_WANTED: dict[Kind, str] = {
    "text": "text",
    "integer": "a whole number",
    "decimal": "a number",
    "boolean": "true or false",
    "timestamp": "a timestamp",
    "json": "JSON",
}


def _unknown(found: FoundTable) -> list[FoundColumn]:
    known = {column.name for column in found.table.source_columns} | LEFT_OUT.get(
        found.table.name, frozenset()
    )
    return [column for column in found.columns.values() if column.name not in known]


def _news(found: FoundTable) -> Iterable[str]:
    if found.table.made_of is not None:
        # LiteLLM's tables grow with every release of it
        return
    for column in _unknown(found):
        yield (
            f"{found.table.name} has a column that LLM Almanac does not know, {shown(column.name, 63)} "
            f"({column.declared}): it is not landed."
        )


def _require_grants(connection: "psycopg.Connection[Any]", found: dict[str, FoundTable]) -> None:
    """Say exactly the grants that are missing, ready to be run."""
    grants = []
    may_use = connection.execute("select has_schema_privilege(%s, 'USAGE')", [SCHEMA]).fetchone()
    (role,) = connection.execute("select current_user").fetchone() or ("",)
    grantee = sql.Identifier(role).as_string(connection)
    if not (may_use and may_use[0]):
        grants.append(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {grantee};")
    for table in found.values():
        refused = [column.name for column in table.read if not table.columns[column.name].is_granted]
        if refused:
            grants.append(_grant(connection, table.table.source, refused))
    if grants:
        raise LandError(
            f"The role {grantee} may not read all that is landed. Nothing was landed. "
            "Run this on the platform's database, as the owner of its tables:\n  " + "\n  ".join(grants)
        )


def _summaries_have_jobs(connection: "psycopg.Connection[Any]") -> bool:
    row = connection.execute(
        """
        select exists (
            select 1 from pg_constraint as k
            where k.contype = 'f' and k.convalidated
                and k.conrelid = to_regclass(%s) and k.confrelid = to_regclass(%s)
                and cardinality(k.conkey) = 1 and k.conkey[1] = (
                    select a.attnum from pg_attribute as a
                    where a.attrelid = k.conrelid and a.attname = 'job_id'
                )
                and k.confkey[1] = (
                    select a.attnum from pg_attribute as a
                    where a.attrelid = k.confrelid and a.attname = 'job_id'
                )
        )
        """,
        [f"{SCHEMA}.job_cost_summaries", f"{SCHEMA}.jobs"],
    ).fetchone()
    return bool(row and row[0])
