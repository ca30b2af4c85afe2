"""What LiteLLM says of its refusals lands from files and databases alike, and nothing else of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from flows import landed_files
from flows.errors import LandError
from flows.land import land
from flows.land_access_log import KEPT_DAYS
from flows.land_side_tables import LITELLM_LATE
from flows.mirror import mirror
from flows.progress import SilentProgress
from flows.security_sources import SecuritySource, security_sources
from flows.source_location import PostgresUrl, SourceLocation
from flows.source_schema import LITELLM_FAILURES, TABLES
from tests.platform_ddl import PLANTED
from tests.published import TAPE
from tests.small_platform import Platform

AS_OF = datetime(2026, 11, 23)
NIGHT = timedelta(days=1)
KEY = "sk-planted-secret-5f1c"
TOKEN = hashlib.sha256(KEY.encode()).hexdigest()

# As LiteLLM makes it, but for what other tables refer to.
DDL = """
create table "LiteLLM_SpendLogs" (
    request_id text primary key, call_type text not null default '', api_key text not null default '',
    spend float8 not null default 0, "startTime" timestamp(3) not null, "endTime" timestamp(3) not null,
    model text not null default '', model_group text default '', "user" text default '',
    metadata jsonb default '{}', team_id text, end_user text, requester_ip_address text,
    messages jsonb default '{}', response jsonb default '{}', proxy_server_request jsonb default '{}',
    status text
)
"""
COLUMNS = (
    "request_id", "call_type", "api_key", "spend", "startTime", "endTime", "model", "model_group", "user",
    "metadata", "team_id", "end_user", "requester_ip_address", "messages", "response",
    "proxy_server_request", "status",
)  # fmt: skip

Row = dict[str, Any]


def failure(request_id: str, at: datetime = AS_OF - timedelta(hours=1), **more: Any) -> Row:
    """A failed request, with a secret wherever none may be read."""
    error = {
        "error_code": "401",
        "error_class": "ProxyException",
        "llm_provider": "",
        "error_message": "Authentication Error, Invalid proxy server token passed",
        "traceback": PLANTED,
        **more.pop("error", {}),
    }
    metadata = {
        "user_api_key": TOKEN,
        "user_api_key_user_id": PLANTED,
        "requester_metadata": {"prompt": PLANTED},
        "error_information": error,
        **more.pop("metadata", {}),
    }
    row: Row = {
        **{"request_id": request_id, "call_type": "acompletion", "api_key": KEY, "spend": 0.0},
        **{"startTime": at, "endTime": at, "model": "gpt-4o", "model_group": "", "user": PLANTED},
        **{"metadata": metadata, "team_id": "", "end_user": PLANTED, "requester_ip_address": ""},
        **{"messages": {"content": PLANTED}, "response": {"content": PLANTED}},
        **{"proxy_server_request": {"headers": PLANTED}, "status": "failure"},
    }
    return row | more


ROWS = [
    failure("plain", requester_ip_address="192.0.2.7", team_id="team-a", model_group="chat"),
    failure("older: says it in its metadata", status=None, metadata={"status": "failure"}),
    failure("oldest: says nothing", status=None),
    failure("success", status="success", metadata={"status": "failure"}),
    failure("alias", metadata={"user_api_key_alias": "nightly job", "requester_ip_address": "192.0.2.8"}),
    failure("long alias", metadata={"user_api_key_alias": "x" * 65}),
    failure("alias that is a key", metadata={"user_api_key_alias": KEY}),
    failure("leaked key", metadata={"user_api_key": KEY}),
    failure("master key", metadata={"user_api_key": "litellm_proxy_master_key"}),
    failure("no key", metadata={"user_api_key": None}),
    failure("key of another form", metadata={"user_api_key": PLANTED}),
    failure("key in the text", error={"error_message": f"Virtual Key expected. Received={PLANTED}, not sk-"}),
    failure("list that ends", requester_ip_address="198.51.100.1, 192.0.2.9, "),
    failure("another case", requester_ip_address="2001:DB8::7\n"),
    failure("forwarded", requester_ip_address="198.51.100.1, 192.0.2.9"),
    failure("with a port", requester_ip_address="192.0.2.9:51234"),
    failure("sixth version", requester_ip_address="[2001:db8::7]:443"),
    failure("bare sixth version", requester_ip_address="2001:db8::7"),
    failure("team of its key", metadata={"user_api_key_team_id": "team-b"}),
    failure("code as a number", error={"error_code": 429, "category": "litellm_rate_limit"}),
    failure("limit", error={"error_code": "429", "rate_limit_type": "budget", "llm_provider": "openai"}),
    failure("long text", error={"error_message": "Rate limit. " + "prompt " * 1000}),
    failure("secret in the text", error={"error_message": f"Invalid key {KEY}: no"}),
    failure("no error information", metadata={"error_information": None}),
    failure("another object", metadata={"error_information": "a text"}),
    failure("names", error={"error_message": "Ünïcode 'quoted' \"twice\"\nsecond line, with a comma"}),
]


def write_folder(folder: Path, rows: list[Row], form: str = "csv") -> None:
    """The recorded platform's tables with LiteLLM's beside, as CSV or as Parquet with JSON or structs."""
    folder.mkdir(exist_ok=True)
    for table in TABLES:
        if not (folder / f"{table.name}.csv.gz").exists():
            shutil.copy(TAPE / f"{table.name}.csv.gz", folder)
    target = folder / f"LiteLLM_SpendLogs.{form.removesuffix(' of structs')}"
    if form == "csv":
        lines = [",".join(COLUMNS), *(",".join(_quoted(row[name]) for name in COLUMNS) for row in rows)]
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    write_folder(folder, rows)
    written = folder / "LiteLLM_SpendLogs.csv"
    shape = "metadata"
    if form.endswith("structs"):
        keys = (
            "status",
            "user_api_key",
            "user_api_key_alias",
            "user_api_key_team_id",
            "requester_ip_address",
        )
        texts = ", ".join(f'"{key}": "VARCHAR"' for key in keys)
        errors = ("error_code", "error_class", "llm_provider", "error_message", "category", "rate_limit_type")
        inside = ", ".join(f'"{key}": "VARCHAR"' for key in errors)
        shape = f"""json_transform(metadata, '{{{texts}, "error_information": {{{inside}}}}}')"""
    with duckdb.connect() as connection:
        connection.execute(
            f"""copy (select * replace ({shape} as metadata, "startTime"::timestamp as "startTime")
            from read_csv('{written}', header = true, all_varchar = true, quote = '"', escape = '"',
                allow_quoted_nulls = false))
            to '{target}' (format parquet)"""
        )
    written.unlink()


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _quoted(value: Any) -> str:
    """As PostgreSQL exports it: a null is nothing, an empty text is two quotes."""
    text = _text(value)
    return "" if text is None else '"' + text.replace('"', '""') + '"'


def write_database(platform: Platform, rows: list[Row]) -> None:
    with psycopg.connect(platform.url) as connection:
        connection.execute(DDL.encode())
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        with connection.cursor().copy(f'copy "LiteLLM_SpendLogs" ({names}) from stdin'.encode()) as copy:
            for row in rows:
                copy.write_row([_text(row[name]) for name in COLUMNS])


def land_from(source: SourceLocation, landing: Path, as_of: datetime = AS_OF) -> tuple[str, ...]:
    return land(source, landing, as_of=as_of, progress=SilentProgress()).notes


def landed(landing: Path, query: str = "from raw.litellm_failures order by request_id") -> list[Any]:
    with duckdb.connect(str(landing), read_only=True) as connection:
        return connection.execute(query).fetchall()


def ids(landing: Path) -> set[str]:
    return {row[0] for row in landed(landing)}


def source_of(landing: Path) -> SecuritySource:
    return next(found for found in security_sources(landing) if found.name == LITELLM_FAILURES.name)


def test_files_and_a_database_land_the_same_and_nothing_that_they_may_not(
    platform: Platform, tmp_path: Path
) -> None:
    write_database(platform, ROWS)
    assert land_from(PostgresUrl(platform.url), tmp_path / "of_database.duckdb") == ()
    of_database = landed(tmp_path / "of_database.duckdb")
    for form in ("csv", "parquet", "parquet of structs"):
        write_folder(tmp_path / form, ROWS, form)
        land_from(tmp_path / form, tmp_path / f"{form}.duckdb")
        assert landed(tmp_path / f"{form}.duckdb") == of_database, form
    names = [column.name for column in LITELLM_FAILURES.columns]
    found = {row[0]: dict(zip(names, row, strict=True)) for row in of_database}
    assert found.keys() == {row["request_id"] for row in ROWS} - {"success", "oldest: says nothing"}
    assert found["plain"] == {
        **{"request_id": "plain", "happened_at": AS_OF - timedelta(hours=1), "client": "192.0.2.7"},
        **{"key_id": TOKEN[:8], "team_id": "team-a", "model_group": "chat", "error_code": "401"},
        **{"error_class": "ProxyException", "error_category": None, "rate_limit_type": None},
        **{"provider": None, "error_text": "Authentication Error, Invalid proxy server token passed"},
    }
    keys = {name: row["key_id"] for name, row in found.items()}
    assert (keys["alias"], keys["master key"], keys["no key"]) == (
        "nightly job",
        "litellm_proxy_master_key",
        None,
    )
    assert keys["leaked key"] == keys["alias that is a key"] == TOKEN[:8]
    assert keys["key of another form"] == hashlib.sha256(PLANTED.encode()).hexdigest()[:8]
    assert found["key in the text"]["error_text"] == "Virtual Key expected. Received=[redacted], not sk-"
    assert keys["long alias"] == hashlib.sha256(b"x" * 65).hexdigest()[:8]
    clients = {name: row["client"] for name, row in found.items()}
    assert clients["alias"] == "192.0.2.8"
    assert clients["forwarded"] == clients["with a port"] == clients["list that ends"] == "192.0.2.9"
    assert {clients[name] for name in ("sixth version", "bare sixth version", "another case")} == {
        "2001:db8::7"
    }
    assert found["team of its key"]["team_id"] == "team-b"
    assert found["plain"]["model_group"] == "chat"
    assert found["alias"]["model_group"] == "gpt-4o"
    assert (found["code as a number"]["error_code"], found["code as a number"]["error_category"]) == (
        "429",
        "litellm_rate_limit",
    )
    assert (found["limit"]["rate_limit_type"], found["limit"]["provider"]) == ("budget", "openai")
    assert len(found["long text"]["error_text"]) == 300
    assert found["no error information"]["error_code"] is None
    assert found["another object"]["error_code"] is None
    assert found["names"]["error_text"].startswith("Ünïcode 'quoted' \"twice\"\nsecond")
    for file in tmp_path.glob("*.duckdb"):
        assert PLANTED.encode() not in file.read_bytes(), file


def test_files_may_hold_what_no_database_can(tmp_path: Path) -> None:
    bad = failure("no JSON")
    holding = failure("a NUL", error={"error_message": "before\0after"})
    write_folder(tmp_path / "source", [bad, holding])
    written = tmp_path / "source" / "LiteLLM_SpendLogs.csv"
    text = written.read_text(encoding="utf-8").replace('"{""user_api_key""', '"{{{""user_api_key""', 1)
    written.write_text(text, encoding="utf-8")
    land_from(tmp_path / "source", tmp_path / "landing.duckdb")
    rows = {row[0]: row for row in landed(tmp_path / "landing.duckdb")}
    assert rows["no JSON"][3:5] == (None, None)
    assert rows["a NUL"][-1] == "beforeafter"


def test_a_failure_without_a_moment_stops_the_landing_and_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path / "source", [failure("good"), failure("bad", startTime="yesterday")])
    with pytest.raises(LandError, match=r"LiteLLM_SpendLogs.*\n.*request_id 'bad', column happened_at"):
        land_from(tmp_path / "source", tmp_path / "landing.duckdb")


@pytest.mark.parametrize("of_database", [False, True])
def test_what_is_late_lands_once_and_what_is_old_goes(
    platform: Platform, tmp_path: Path, of_database: bool
) -> None:
    landing = tmp_path / "landing.duckdb"
    oldest = AS_OF - timedelta(days=KEPT_DAYS)
    rows = [failure("oldest", oldest), failure("too old", oldest - timedelta(seconds=1)), failure("new")]
    source: SourceLocation = PostgresUrl(platform.url) if of_database else tmp_path / "source"

    def write(rows: list[Row]) -> None:
        if of_database:
            platform.run('drop table if exists "LiteLLM_SpendLogs"')
            write_database(platform, rows)
        else:
            write_folder(tmp_path / "source", rows)

    write(rows)
    land_from(source, landing)
    # of a database what the rules look at, and not years of its log
    assert ids(landing) == ({"new"} if of_database else {"oldest", "new"})
    # the next night: purged there, but for what came late
    write([failure("late", AS_OF - LITELLM_LATE), failure("next", AS_OF + timedelta(hours=1)), rows[2]])
    land_from(source, landing, AS_OF + NIGHT)
    assert ids(landing) == {"new", "late", "next"}
    land_from(source, landing, AS_OF + NIGHT)
    assert len(landed(landing)) == 3
    if of_database:
        platform.run('drop table "LiteLLM_SpendLogs"')
    else:
        (tmp_path / "source" / "LiteLLM_SpendLogs.csv").unlink()
    land_from(source, landing, AS_OF + 2 * NIGHT)
    gone = source_of(landing)
    assert (gone.is_present, gone.row_count, gone.read_as_of) == (False, 3, AS_OF + NIGHT)
    assert "no source" in str(gone)


def test_an_export_that_stands_still_grows_old_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a file that was written just now could still change without a trace
    monkeypatch.setattr(landed_files, "_TICK_NS", 0)
    landing, source = tmp_path / "landing.duckdb", tmp_path / "source"
    write_folder(source, [failure("a")])
    for night in range(5):
        land_from(source, landing, AS_OF + night * NIGHT)
    assert source_of(landing).read_as_of == AS_OF
    days = [failure(f"day {day}", AS_OF + day * NIGHT - timedelta(hours=1)) for day in range(1, 6)]
    write_folder(source, [failure("a"), *days])
    land_from(source, landing, AS_OF + 5 * NIGHT)
    assert ids(landing) == {"a", *(row["request_id"] for row in days)}
    assert source_of(landing).read_as_of == AS_OF + 5 * NIGHT


def test_a_clock_that_was_ahead_blinds_nobody(platform: Platform, tmp_path: Path) -> None:
    landing = tmp_path / "landing.duckdb"
    write_database(platform, [failure("old"), failure("new", AS_OF + timedelta(hours=1))])
    for as_of in (AS_OF, AS_OF + 365 * NIGHT, AS_OF + NIGHT):
        land_from(PostgresUrl(platform.url), landing, as_of)
        with psycopg.connect(platform.url, autocommit=True) as warehouse:
            mirror(landing, warehouse)
            ids_there = warehouse.execute("select request_id from raw.litellm_failures").fetchall()
    assert ids(landing) == {name for (name,) in ids_there} == {"old", "new"}
    assert source_of(landing).read_as_of == AS_OF + NIGHT


def test_spend_logs_that_cannot_be_read_stop_nothing(platform: Platform, tmp_path: Path) -> None:
    landing = tmp_path / "landing.duckdb"
    write_database(platform, ROWS)
    # a view that fails while it is read, as a statement that takes too long does
    platform.run('alter table "LiteLLM_SpendLogs" rename to logs')
    platform.run(
        'create view "LiteLLM_SpendLogs" as select request_id, "startTime", metadata, '
        "(1 / (length(request_id) - length(request_id)))::text as status from logs"
    )
    (told,) = land_from(PostgresUrl(platform.url), landing)
    assert "LiteLLM_SpendLogs could not be read, and the alerts do without it" in told
    found = source_of(landing)
    assert (found.is_present, found.read_as_of) == (True, None)
    assert "could not be read" in str(found)
    assert landed(landing, "select count(*) from raw.jobs") == [(4,)]
    platform.run('drop view "LiteLLM_SpendLogs"; alter table logs rename to "LiteLLM_SpendLogs"')
    assert land_from(PostgresUrl(platform.url), landing) == ()
    assert source_of(landing).row_count == len(ROWS) - 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, None),
        (DDL + '; alter table "LiteLLM_SpendLogs" rename "startTime" to started', "startTime is missing"),
        (DDL.replace("metadata jsonb default '{}'", "metadata text"), "cannot be read as JSON"),
        (DDL, None),
    ],
    ids=["no such table", "a column renamed", "a type changed", "empty"],
)
def test_a_database_where_it_is_otherwise_lands_like_any_other(
    platform: Platform, tmp_path: Path, change: str | None, said: str | None
) -> None:
    if change:
        platform.run(change)
    notes = land_from(PostgresUrl(platform.url), tmp_path / "landing.duckdb")
    assert any(said in note for note in notes) if said else notes == ()
    assert source_of(tmp_path / "landing.duckdb").is_present == (change == DDL)
    assert landed(tmp_path / "landing.duckdb", "select count(*) from raw.jobs") == [(4,)]


def test_an_old_proxy_without_the_later_columns_lands(platform: Platform, tmp_path: Path) -> None:
    row = failure("old", metadata={"status": "failure", "requester_ip_address": "192.0.2.7"})
    write_database(platform, [row, failure("not told")])
    platform.run(
        'alter table "LiteLLM_SpendLogs" drop status, drop team_id, drop model_group, drop model, '
        "drop requester_ip_address"
    )
    assert land_from(PostgresUrl(platform.url), tmp_path / "landing.duckdb") == ()
    ((request_id, _, client, key_id, team_id, model_group, *_),) = landed(tmp_path / "landing.duckdb")
    assert (request_id, client, key_id, team_id, model_group) == (
        "old",
        "192.0.2.7",
        TOKEN[:8],
        None,
        None,
    )


def test_the_grant_that_is_told_is_enough_and_leaves_out_the_key(platform: Platform, tmp_path: Path) -> None:
    landing = tmp_path / "landing.duckdb"
    write_database(platform, ROWS)
    grants = "; ".join(f"grant select on {table.name} to almanac_litellm" for table in TABLES)
    platform.run(f"create role almanac_litellm login password 'x'; {grants}")
    url = platform.server.url(platform.name, user="almanac_litellm", password="x")
    try:
        (told,) = [note for note in land_from(PostgresUrl(url), landing) if "LiteLLM_SpendLogs" in note]
        assert not source_of(landing).is_present
        grant = told[told.index("GRANT") :]
        assert not any(secret in grant for secret in ("api_key", "messages", "response", "end_user"))
        platform.run(grant)
        assert not any("LiteLLM" in note for note in land_from(PostgresUrl(url), landing))
    finally:
        platform.run("drop owned by almanac_litellm; drop role almanac_litellm")
    assert (source_of(landing).is_present, source_of(landing).row_count) == (True, len(ROWS) - 2)


def test_a_warehouse_has_what_landed_though_it_was_late(platform: Platform, tmp_path: Path) -> None:
    landing, source = tmp_path / "landing.duckdb", tmp_path / "source"

    def mirrored() -> list[Any]:
        with psycopg.connect(platform.url, autocommit=True) as warehouse:
            mirror(landing, warehouse)
            return warehouse.execute("select * from raw.litellm_failures order by request_id").fetchall()

    oldest = AS_OF - timedelta(days=KEPT_DAYS)
    first = [failure("oldest", oldest), failure("new"), *ROWS]
    write_folder(source, first)
    land_from(source, landing)
    assert mirrored() == landed(landing)
    assert mirrored() == landed(landing)
    # two nights of the source without the table, then what came late
    (source / "LiteLLM_SpendLogs.csv").unlink()
    for night in (1, 2):
        land_from(source, landing, AS_OF + night * NIGHT)
        mirrored()
    write_folder(source, [*first, failure("late", AS_OF - LITELLM_LATE), failure("next", AS_OF + NIGHT)])
    land_from(source, landing, AS_OF + 3 * NIGHT)
    assert mirrored() == landed(landing)
    assert {"late", "next"} <= ids(landing)
    assert "oldest" not in ids(landing)
