"""The SQL that turns a file's text into typed, checked, redacted rows, and rows into `raw`.

In every relation here `s_x` is column x as the source holds it, `t_x` as it is landed, and `u_x` the
text of a decimal that no decimal can hold (NaN, infinity, 21 integer digits).
"""

from collections.abc import Sequence
from typing import Literal

from flows.landing_scope import DayRange, contains, within
from flows.redaction import redacted_sql
from flows.source_files import SourceColumn
from flows.source_schema import NO_DAY, Column, Table

_WHOLE_NUMBER = r"[+-]?[0-9]+(\.0*)?"
_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_NOT_FINITE = r"[+-]?(?i:nan|inf|infinity)"

_INTEGER_TYPES = frozenset(
    {
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "UHUGEINT",
    }
)

# Text of an unusable number that a finding keeps.
_KEPT_DIGITS = 60

FINDINGS_COLUMNS = """
    rule varchar, table_name varchar, row_key varchar, column_name varchar,
    row_created_at timestamp, detail varchar, affected_rows bigint
"""


# --- one file ----------------------------------------------------------------------------------------------


def typed_rows(table: Table, columns: dict[str, SourceColumn], reader: str) -> str:
    """Every row of a file with s_, t_ and u_ columns, and its number as data row."""
    source = ",\n    ".join(f"{_source(column, columns)} as s_{column.name}" for column in table.columns)
    typed = ",\n    ".join(f"{_typed(column, columns)} as t_{column.name}" for column in table.columns)
    unusable = "".join(f",\n    {_unusable(column)} as u_{column.name}" for column in _decimals(table))
    return f"""
(
  select
    *{unusable}
  from (
    select
      *,
      {typed}
    from (select
      {source}
    from {reader})
  )
)"""


def create_staged(table: Table) -> str:
    """An empty temporary table for the rows of all files of a table."""
    columns = [f"{column.name} {column.sql_type}" for column in table.columns]
    columns += [f"u_{column.name} varchar" for column in _decimals(table)]
    return f"create or replace temp table staged ({', '.join(columns)}, is_bad boolean)"


def insert_staged(
    table: Table, rows: str, days: Sequence[DayRange] | None = None, *, only: str | None = None
) -> str:
    """Add a file's rows to `staged`, marking those with a value that cannot be read.

    `days`: only those whose clock says one of these days; a clock that says none is of NO_DAY. `only` is a
    condition beside.
    """
    names = [f"t_{column.name}" for column in table.columns]
    names += [f"u_{column.name}" for column in _decimals(table)]
    problem = ", ".join(_problem(column) for column in table.columns)
    inserted = f"insert into staged select {', '.join(names)}, coalesce({problem}) is not null from {rows}"
    conditions = [] if only is None else [only]
    if days is not None:
        clock = f"t_{table.created_by}"
        # Nothing around the column: a file's blocks of other days are then not read.
        inside = within(clock, days)
        conditions.append(f"({inside} or not {_says_a_day(clock)})" if contains(days, NO_DAY) else inside)
    return f"{inserted} where {' and '.join(conditions)}" if conditions else inserted


def count_days(table: Table, rows: str) -> str:
    """The rows of a file by UTC day of the table's clock; NO_DAY of those whose clock says none."""
    clock = f"t_{table.created_by}"
    return (
        f"select case when {_says_a_day(clock)} then cast({clock} as date) else date '{NO_DAY}' end, "
        f"count(*) from {rows} group by 1"
    )


def _says_a_day(clock: str) -> str:
    return f"coalesce(isfinite({clock}) and year({clock}) between 1 and 9999, false)"


def bad_values(
    table: Table, rows: str, limit: int, *, named_by: Literal["data_row", "row_key"] = "data_row"
) -> str:
    """The first bad values: the row's number or key, column, what is wrong, value, and how many there are."""
    checks = ", ".join(
        f"{{'place': {place}, 'name': '{column.name}', 'problem': {_problem(column)}, "
        f"'value': left(cast(s_{column.name} as varchar), 4000)}}"
        for place, column in enumerate(table.columns)
    )
    return f"""
select {named_by}, checked.name, checked.problem, checked.value, count(*) over () as bad_value_count
from (
  select data_row, s_{table.key} as row_key, unnest([{checks}]) as checked
  from (select *, row_number() over () as data_row from {rows})
)
where checked.problem is not null
order by data_row, checked.place
limit {limit}
"""


def _decimals(table: Table) -> list[Column]:
    return [column for column in table.columns if column.kind == "decimal"]


def _source(column: Column, columns: dict[str, SourceColumn]) -> str:
    if column.name in columns:
        return columns[column.name].expression
    return f"cast({column.when_absent} as {column.sql_type})"


def _typed(column: Column, columns: dict[str, SourceColumn]) -> str:
    """The landed value, or null when the source's value is null or cannot be read."""
    value = f"s_{column.name}"
    text = f"cast({value} as varchar)"
    held = columns[column.name].sql_type if column.name in columns else column.sql_type.upper()
    if column.kind == "text":
        return redacted_sql(text) if column.redacted else text
    is_printed = column.name in columns and columns[column.name].is_printed_number
    if column.kind == "integer":
        # Text first: a cast alone would round 5.7 to 6 and read 1e3 as 1000.
        is_number = (
            "true"
            if held in _INTEGER_TYPES or is_printed
            else f"regexp_full_match({text}, '{_WHOLE_NUMBER}')"
        )
        return f"case when {is_number} then try_cast({value} as bigint) end"
    if column.kind == "decimal":
        exact = held in _INTEGER_TYPES or held.startswith("DECIMAL") or is_printed
        if exact:
            return f"try_cast({value} as decimal(28, 8))"
        # Through text: the shortest text of a float is the number that was meant, its bits are not.
        return f"case when regexp_full_match({text}, '{_NUMBER}') then try_cast({text} as decimal(28, 8)) end"
    if column.kind == "timestamp":
        return _typed_timestamp(value, text, held)
    # Through text: as a boolean the number 2 would be true.
    return f"try_cast({text} as boolean)"


def _typed_timestamp(value: str, text: str, held: str) -> str:
    if held.startswith("TIMESTAMPTZ") or held.endswith("WITH TIME ZONE"):
        return f"timezone('UTC', cast({value} as timestamptz))"
    if held.startswith("TIMESTAMP") or held == "DATE":
        return f"try_cast({value} as timestamp)"
    # As a time with zone: a cast to timestamp would drop an offset without a word. The session is in UTC,
    # so a text without one is UTC. The first digit keeps out words such as `infinity` and `epoch`.
    return f"case when {text} similar to '[0-9].*' then timezone('UTC', try_cast({text} as timestamptz)) end"


def _unusable(column: Column) -> str:
    text = f"cast(s_{column.name} as varchar)"
    return (
        # Two cases, so that the pattern is tried on the few alone.
        f"case when t_{column.name} is null then "
        f"case when regexp_full_match({text}, '{_NUMBER}|{_NOT_FINITE}') "
        f"then left({text}, {_KEPT_DIGITS}) end end"
    )


def _problem(column: Column) -> str:
    """What is wrong with the value, or null."""
    source, typed = f"s_{column.name}", f"t_{column.name}"
    cases = []
    if column.not_null:
        cases.append(f"when {source} is null then 'is empty but must not be'")
    if column.kind == "text":
        cases.append(f"when contains(cast({source} as varchar), chr(0)) then 'holds a NUL character'")
    else:
        unusable = f" and u_{column.name} is null" if column.kind == "decimal" else ""
        cases.append(
            f"when {source} is not null and {typed} is null{unusable} then '{_EXPECTED[column.kind]}'"
        )
    if column.kind == "timestamp":
        cases.append(
            f"when not isfinite({typed}) or year({typed}) not between 1 and 9999 "
            "then 'lies outside the years 1 to 9999'"
        )
    return f"case {' '.join(cases)} end" if cases else "null"


_EXPECTED = {
    "integer": "is not a whole number (at most 18 digits)",
    "decimal": "is not a number",
    "boolean": "is not true or false",
    "timestamp": "is not a timestamp such as 2026-11-22T21:49:08.958196",
}


# --- one table ---------------------------------------------------------------------------------------------


def create_repeated(table: Table) -> str:
    """The keys that more than one staged row holds: how many rows, how many contents, what differs."""
    held = [column.name for column in table.columns] + [f"u_{column.name}" for column in _decimals(table)]
    differing = ", ".join(
        f"case when {_differs(table, column)} then '{column.name}' end" for column in table.columns[1:]
    )
    return f"""
create or replace temp table repeated as
select
  {table.key} as row_key,
  count(*) as row_count,
  count(distinct row({", ".join(held)})) as content_count,
  concat_ws(', ', {differing}) as differing_columns
from staged
where {table.key} in (select {table.key} from staged group by {table.key} having count(*) > 1)
group by {table.key}
"""


def _differs(table: Table, column: Column) -> str:
    names = [column.name, f"u_{column.name}"] if column.kind == "decimal" else [column.name]
    return " or ".join(
        f"min({name}) is distinct from max({name}) or count({name}) not in (0, count(*))" for name in names
    )


def create_kept(table: Table) -> str:
    """A view of one staged row for each key: of several the latest, then the larger content."""
    names = [column.name for column in table.columns]
    unusable = [f"u_{column.name}" for column in _decimals(table)]
    content = ", ".join(f"cast({name} as varchar)" for name in names)
    return f"""
create or replace temp view kept as
select * exclude (is_bad) from staged where {table.key} not in (select row_key from repeated)
union all
(
  select * exclude (is_bad) from staged where {table.key} in (select row_key from repeated)
  qualify row_number() over (
    partition by {table.key}
    order by
      greatest({", ".join(table.latest_by)}) desc nulls last,
      concat({content}) desc,
      -- Contents whose texts run together alike still come in one order.
      cast(row({", ".join(names + unusable)}) as varchar) desc
  ) = 1
)
"""


def raw_columns(table: Table) -> dict[str, str]:
    """The columns of the table in `raw` and their SQL types, in order."""
    columns = {column.name: column.sql_type for column in table.columns}
    return columns | {"unusable_columns": "varchar"} if table.names_unusable else columns


def landed_rows(table: Table) -> str:
    """The rows of `kept` as `raw` holds them."""
    columns = [column.name for column in table.columns]
    if table.names_unusable:
        named = ", ".join(
            f"case when u_{column.name} is not null then '{column.name}' end" for column in _decimals(table)
        )
        columns.append(f"nullif(concat_ws(',', {named}), '') as unusable_columns")
    return f"select {', '.join(columns)} from kept"


def insert_duplicates(table: Table) -> str:
    """A finding for each key of several rows, exact and conflicting ones apart."""
    created = f"kept.{table.created_by}"
    found = f"from repeated inner join kept on kept.{table.key} = repeated.row_key"
    return f"""
insert into raw.landing_findings
select rule, '{table.name}', row_key, null, created_at, detail, affected_rows
from (
  select
    1 as place, 'exact_duplicate' as rule, row_key, {created} as created_at,
    'rows of one key and the same content: one is kept' as detail,
    row_count - content_count as affected_rows
  {found}
  union all
  select
    2, 'conflicting_duplicate', row_key, {created},
    'rows of one key differ in ' || differing_columns || ': the latest is kept',
    content_count - 1
  {found}
)
where affected_rows > 0
order by place, row_key
"""


def insert_unusable(table: Table) -> str:
    """A finding for each landed decimal that no decimal can hold; its text is kept."""
    found = "\n  union all\n  ".join(
        f"select {place} as place, '{column.name}' as column_name, {table.key} as row_key, "
        f"{table.created_by} as created_at, u_{column.name} as detail "
        f"from kept where u_{column.name} is not null"
        for place, column in enumerate(_decimals(table))
    )
    return f"""
insert into raw.landing_findings
select 'unusable_number', '{table.name}', row_key, column_name, created_at, detail, 1
from (
  {found}
)
order by row_key, place
"""


def any_unusable(table: Table) -> str:
    """Whether a staged row has one: a cheaper question than which."""
    checks = [f"u_{column.name} is not null" for column in _decimals(table)]
    return f"select exists (select 1 from staged where {' or '.join(checks) or 'false'})"
