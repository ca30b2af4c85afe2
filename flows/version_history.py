"""The history of teams and organizations: the platform keeps only the current state, we keep versions.

What a mark-up or an organization was when a call was made is decided from these, so a version is
never removed; a deleted entity's last version says since when it is missing.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from flows.source_schema import HISTORIES, History

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# The first known version holds since ever.
_SINCE_EVER = "timestamp '0001-01-01'"


def remember(connection: "DuckDBPyConnection", *, as_of: datetime, previous_as_of: datetime | None) -> None:
    """Bring the versions up to the rows just landed, inside the caller's transaction."""
    clocks = {"as_of": as_of, "previous_as_of": previous_as_of}
    for history in HISTORIES:
        columns = ", ".join(f"{name} {sql_type}" for name, sql_type in history.columns.items())
        connection.execute(f"create table if not exists raw.{history.versions} ({columns})")
        connection.execute(_changes(history), clocks)
        connection.execute(_forget_replaced(history))
        connection.execute(_add_changed(history))
        connection.execute(_mark_missing(history), {"as_of": as_of})
        connection.execute(_put_in_order(history))
        connection.execute("drop table changes")


def _newest(history: History) -> str:
    return f"""(
  select * from raw.{history.versions}
  qualify row_number() over (partition by {history.key} order by valid_from desc) = 1
)"""


def _changes(history: History) -> str:
    """Entities that are new or differ from their newest version, and since when."""
    changed = " or ".join(f"landed.{name} is distinct from newest.{name}" for name in history.tracked)
    # `updated_at` is believed where it can be true: after the last landing, and not after this one.
    return f"""
create or replace temp table changes as
select
  {", ".join(f"landed.{name}" for name in (history.key, *history.tracked))},
  newest.valid_from as newest_valid_from,
  case
    when newest.{history.key} is null then {_SINCE_EVER}
    when landed.updated_at > $previous_as_of and landed.updated_at <= $as_of then landed.updated_at
    else $as_of
  end as changed_at
from raw.{history.table} as landed
left join {_newest(history)} as newest on landed.{history.key} = newest.{history.key}
where newest.{history.key} is null or {changed}
"""


def _forget_replaced(history: History) -> str:
    """A change that is not later than the newest version replaces it in place."""
    return f"""
delete from raw.{history.versions} as versions
using changes
where versions.{history.key} = changes.{history.key}
  and versions.valid_from = changes.newest_valid_from
  and changes.changed_at <= changes.newest_valid_from
"""


def _add_changed(history: History) -> str:
    kept = ", ".join((history.key, *history.tracked))
    # greatest ignores null, so a first version keeps its own start.
    return f"""
insert into raw.{history.versions} ({kept}, valid_from, missing_since)
select {kept}, greatest(changed_at, newest_valid_from), null from changes
"""


def _mark_missing(history: History) -> str:
    """The newest version says since when an entity is missing; null again when it is back."""
    is_there = f"versions.{history.key} in (select {history.key} from raw.{history.table})"
    return f"""
update raw.{history.versions} as versions
set missing_since = case when not {is_there} then coalesce(versions.missing_since, $as_of) end
from {_newest(history)} as newest
where versions.{history.key} = newest.{history.key} and versions.valid_from = newest.valid_from
"""


def _put_in_order(history: History) -> str:
    return f"""
create or replace table raw.{history.versions} as
select * from raw.{history.versions} order by {history.key}, valid_from
"""
