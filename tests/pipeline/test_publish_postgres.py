"""What people read of the postgres target: stable views, whole nights, and nobody's own view is ever lost.

The generations are made by hand here, so that each test is about publishing and nothing else; the real ones
are built in test_postgres_target.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flows.coverage import Coverage
from flows.errors import AlmanacError, UsageError
from flows.publish_postgres import PublishBlocked, publish_generation
from flows.settings import Settings
from flows.warehouse_postgres import (
    Generation,
    application_name,
    connect,
    connection_parameters,
    dbt_environment,
    dbt_variables,
    prepare_generation,
    published_generation,
    reset_generation,
    terminate_orphans,
    write_coverage,
)
from tests.postgres_server import PostgresServer

AS_OF = datetime(2026, 11, 23)
Warehouse = psycopg.Connection[Any]
Build = Callable[..., Generation]


@pytest.fixture
def settings(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Settings]:
    url = postgres_server.create_database(tmp_path.name)
    yield Settings(data_dir=tmp_path, target="postgres", warehouse_url=url, source=None)
    postgres_server.drop_database(tmp_path.name)


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    with closing(connect(settings, run_id="this run")) as connection:
        yield connection


@pytest.fixture
def build(warehouse: Warehouse) -> Build:
    """Build a generation of two marts, each with one row of that night, and what else is asked for."""

    def build_night(
        night: int = 1, more: str = "", columns: str = "as_of timestamp, jobs bigint"
    ) -> Generation:
        generation = reset_generation(warehouse, prepare_generation(warehouse))
        at = f"timestamp '2026-11-01' + {night} * interval '1 day'"
        script = f"""
            create schema gen_marts; create schema gen_reviews;
            create schema gen_compat; create schema gen_kept;
            create table gen_marts.first ({columns});
            insert into gen_marts.first (as_of) select {at};
            create table gen_marts.second as select {at} as as_of;
            comment on table gen_marts.first is 'The first mart';
            comment on column gen_marts.first.as_of is 'Its night';
            create view gen_compat.jobs as select as_of as created_at from gen_marts.first;
            create table gen_kept.private as select 1 as secret;
            {more}
        """
        warehouse.execute(script.replace("gen_", generation.prefix).encode())
        return write_coverage(warehouse, generation, Coverage(night, AS_OF, AS_OF, "UTC", "f", AS_OF.date()))

    return build_night


def nights(warehouse: Warehouse) -> list[Any]:
    return warehouse.execute(
        "select extract(day from as_of)::int - 1 from marts.first "
        "union all select extract(day from as_of)::int - 1 from marts.second"
    ).fetchall()


# --- generations


def test_generations_take_turns(warehouse: Warehouse, settings: Settings, build: Build) -> None:
    names = []
    for night in (1, 2, 3):
        generation = build(night)
        publish_generation(warehouse, settings, generation)
        published = published_generation(warehouse)
        assert published is not None
        assert (published.name, published.coverage) == (generation.name, generation.coverage)
        assert nights(warehouse) == [(night,), (night,)]
        names.append(generation.name)
    assert names == ["a", "b", "a"]


def test_a_generation_goes_on_from_its_own_coverage(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    publish_generation(warehouse, settings, build(1))
    publish_generation(warehouse, settings, build(2))
    coverage = prepare_generation(warehouse).coverage
    assert coverage is not None
    assert coverage.landing_number == 1


def test_a_build_from_scratch_that_died_leaves_no_coverage(warehouse: Warehouse, build: Build) -> None:
    generation = build(1)
    reset_generation(warehouse, generation)
    assert prepare_generation(warehouse).coverage is None
    left = warehouse.execute("select 1 from information_schema.schemata where schema_name like 'gen_%'")
    assert left.fetchall() == []


def test_the_published_generation_is_not_emptied(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    generation = build(1)
    publish_generation(warehouse, settings, generation)
    with pytest.raises(AlmanacError, match="is published"):
        reset_generation(warehouse, generation)
    assert nights(warehouse) == [(1,), (1,)]


def test_a_view_of_somebody_on_a_generation_is_named_and_not_dropped(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    publish_generation(warehouse, settings, build(1))
    warehouse.execute("create view public.theirs as select * from gen_a_marts.first")
    publish_generation(warehouse, settings, build(2))
    with pytest.raises(AlmanacError, match=r"public\.theirs.*marts"):
        build(3)
    assert warehouse.execute("select count(*) from public.theirs").fetchone() == (1,)


# --- publishing


def test_only_what_people_may_read_is_published(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    assert publish_generation(warehouse, settings, build()).views == 3
    relations = warehouse.execute(
        "select table_schema, table_name, table_type from information_schema.tables "
        "where table_schema in ('marts', 'reviews', 'compat', 'kept') order by 1, 2"
    ).fetchall()
    assert relations == [
        ("compat", "jobs", "VIEW"),
        ("marts", "first", "VIEW"),
        ("marts", "second", "VIEW"),
    ]


def test_nothing_is_published_of_a_generation_without_marts(warehouse: Warehouse, settings: Settings) -> None:
    with pytest.raises(AlmanacError, match="no mart"):
        publish_generation(warehouse, settings, prepare_generation(warehouse))
    assert published_generation(warehouse) is None


def test_comments_are_published(warehouse: Warehouse, settings: Settings, build: Build) -> None:
    for night in (1, 2):
        publish_generation(warehouse, settings, build(night))
        assert warehouse.execute(
            "select obj_description('marts.first'::regclass), col_description('marts.first'::regclass, 1)"
        ).fetchone() == ("The first mart", "Its night")


def test_peoples_own_views_survive_every_night(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    publish_generation(warehouse, settings, build(1))
    warehouse.execute(
        "create schema bi;"
        "create view bi.nights as select f.as_of from marts.first as f join marts.second using (as_of);"
        "create view bi.on_top as select as_of as created_at from bi.nights;"
        "create materialized view bi.kept as select * from marts.first;"
        "create view marts.theirs as select created_at from compat.jobs"
    )
    for night in (2, 3, 4):
        publish_generation(warehouse, settings, build(night))
        for view in ("bi.on_top", "marts.theirs"):
            found = warehouse.execute(f"select extract(day from created_at)::int - 1 from {view}".encode())
            assert found.fetchall() == [(night,)]


def test_columns_may_come_and_change_their_order(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    publish_generation(warehouse, settings, build(1))
    warehouse.execute("create view public.theirs as select as_of, jobs from marts.first")
    publish_generation(warehouse, settings, build(2, columns="calls bigint, jobs bigint, as_of timestamp"))
    cursor = warehouse.execute("select * from marts.first")
    assert [column.name for column in cursor.description or ()] == ["as_of", "jobs", "calls"]
    assert warehouse.execute("select count(*) from public.theirs").fetchone() == (1,)


@pytest.mark.parametrize("columns", ["as_of timestamp", "as_of timestamp, jobs numeric(28, 8)"])
def test_a_column_that_goes_or_changes_type_replaces_the_view_and_keeps_its_grants(
    warehouse: Warehouse, settings: Settings, build: Build, columns: str
) -> None:
    publish_generation(warehouse, settings, build(1))
    role = f"analyst_{settings.data_dir.name}"
    warehouse.execute(f'create role "{role}"; grant select on marts.first to "{role}"'.encode())
    try:
        publish_generation(warehouse, settings, build(2, columns=columns))
        assert nights(warehouse) == [(2,), (2,)]
        may = warehouse.execute("select has_table_privilege(%s, 'marts.first', 'select')", [role])
        assert may.fetchone() == (True,)
    finally:
        warehouse.execute(f'drop owned by "{role}"; drop role "{role}"'.encode())


def test_a_column_that_somebodys_view_needs_holds_the_night_back_and_names_the_view(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    publish_generation(warehouse, settings, build(1))
    warehouse.execute("create view public.theirs as select jobs from marts.first")
    generation = build(2, columns="as_of timestamp")
    with pytest.raises(PublishBlocked, match=r"marts\.first .* jobs, .*public\.theirs"):
        publish_generation(warehouse, settings, generation)
    assert nights(warehouse) == [(1,), (1,)]
    warehouse.execute("drop view public.theirs")
    publish_generation(warehouse, settings, generation)
    assert nights(warehouse) == [(2,), (2,)]


def test_what_is_no_longer_built_goes_unless_somebody_reads_it(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    old = (
        "create table gen_marts.old as select 1 as id, 'x' as name;"
        "create table gen_marts.unread as select 1 as id;"
    )
    publish_generation(warehouse, settings, build(1, old))
    warehouse.execute("create view public.theirs as select name from marts.old")
    report = publish_generation(warehouse, settings, build(2))
    assert (report.dropped, report.emptied) == (("marts.unread",), ("marts.old",))
    assert warehouse.execute("select * from public.theirs").fetchall() == []
    # and no generation is held by it; it comes back when it is built again
    publish_generation(warehouse, settings, build(3))
    assert warehouse.execute("select * from public.theirs").fetchall() == []
    publish_generation(warehouse, settings, build(4, old))
    assert warehouse.execute("select * from public.theirs").fetchall() == [("x",)]


def test_somebodys_relation_is_never_replaced(warehouse: Warehouse, settings: Settings, build: Build) -> None:
    publish_generation(warehouse, settings, build(1))
    warehouse.execute("create view marts.theirs as select 1 as mine; create table compat.notes (id int)")
    publish_generation(warehouse, settings, build(2))
    with pytest.raises(PublishBlocked, match=r"marts\.theirs is not the project's"):
        publish_generation(
            warehouse, settings, build(3, "create table gen_marts.theirs as select 2 as yours;")
        )
    assert nights(warehouse) == [(2,), (2,)]
    assert warehouse.execute("select mine from marts.theirs").fetchall() == [(1,)]


def test_a_run_that_lost_its_turn_publishes_nothing(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    publish_generation(warehouse, settings, build(1))

    def fenced() -> None:
        raise AlmanacError("a newer run took over")

    with pytest.raises(AlmanacError, match="newer run"):
        publish_generation(warehouse, settings, build(2), require_current=fenced)
    assert nights(warehouse) == [(1,), (1,)]


def test_readers_may_read_what_is_published_and_nothing_else(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    role = f"reader_{settings.data_dir.name}"
    warehouse.execute(f'create role "{role}"'.encode())
    try:
        for night in (1, 2):
            publish_generation(
                warehouse, settings.model_copy(update={"warehouse_readers": role}), build(night)
            )
        warehouse.execute(f'set role "{role}"'.encode())
        assert nights(warehouse) == [(2,), (2,)]
        for forbidden in ("select * from gen_b_marts.first", "create table marts.mine (id int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                warehouse.execute(forbidden.encode())
    finally:
        warehouse.execute("reset role")
        warehouse.execute(f'drop owned by "{role}"; drop role "{role}"'.encode())


def test_a_role_of_readers_that_does_not_exist_is_named(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    with pytest.raises(AlmanacError, match=r"ALMANAC_WAREHOUSE_READERS.*'nobody here'"):
        publish_generation(
            warehouse, settings.model_copy(update={"warehouse_readers": "nobody here"}), build()
        )


# --- while people read


def test_a_reader_who_does_not_end_is_named_and_the_last_night_stays(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    publish_generation(warehouse, settings, build(1))
    generation = build(2)
    with closing(connect(settings, run_id="a dashboard")) as reader, reader.transaction():
        assert nights(reader) == [(1,), (1,)]
        with pytest.raises(PublishBlocked, match=r"almanac a dashboard, idle in transaction"):
            publish_generation(warehouse, settings, generation, wait_seconds=1)
        assert nights(reader) == [(1,), (1,)]
    publish_generation(warehouse, settings, generation)
    assert nights(warehouse) == [(2,), (2,)]


def test_a_publication_waits_for_a_reader_and_holds_up_no_other(
    warehouse: Warehouse, settings: Settings, build: Build
) -> None:
    publish_generation(warehouse, settings, build(1))
    generation = build(2)
    waits: list[float] = []

    def read_and_leave() -> None:
        with closing(connect(settings)) as other:
            for _ in range(10):
                began = datetime.now()
                nights(other)
                waits.append((datetime.now() - began).total_seconds())

    with closing(connect(settings)) as reader, reader.transaction():
        nights(reader)
        publisher = threading.Thread(target=publish_generation, args=(warehouse, settings, generation))
        publisher.start()
        others = threading.Thread(target=read_and_leave)
        others.start()
        others.join(30)
        assert len(waits) == 10, "readers stand behind a publication that waits"
    publisher.join(30)
    assert nights(warehouse) == [(2,), (2,)]


def test_a_reader_sees_only_whole_nights(warehouse: Warehouse, settings: Settings, build: Build) -> None:
    publish_generation(warehouse, settings, build(1))
    seen: list[Any] = []
    failures: list[BaseException] = []
    ended = threading.Event()

    def read() -> None:
        try:
            with closing(connect(settings)) as reader:
                reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                while not ended.is_set():
                    with reader.transaction():
                        first = reader.execute("select as_of from marts.first").fetchall()
                        seen.append((first, reader.execute("select as_of from marts.second").fetchall()))
        except BaseException as error:
            failures.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    try:
        for night in range(2, 9):
            publish_generation(warehouse, settings, build(night))
    finally:
        ended.set()
        reading.join(30)
    assert failures == []
    assert [pair for pair in seen if pair[0] != pair[1] or len(pair[0]) != 1] == []
    assert len({pair[0][0] for pair in seen}) > 1, "the reader saw one night only: it did not read meanwhile"


# --- functions of compat


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("round(1.005::float, 2)", 1.01),
        ("round((1::float / 3 * 100), 2)", 33.33),
        ("round(-2.5::float, 0)", -3.0),
        ("round(null::float, 2)", None),
        ("round(2.345, 2)::float", 2.35),
    ],
)
def test_doubles_can_be_rounded_to_decimals(
    warehouse: Warehouse, settings: Settings, build: Build, call: str, expected: float | None
) -> None:
    publish_generation(warehouse, settings, build())
    warehouse.execute("set search_path = compat")
    assert warehouse.execute(f"select {call}".encode()).fetchone() == (expected,)


# --- connections


def test_backends_have_the_runs_name_deadlines_and_utc(warehouse: Warehouse) -> None:
    names = (
        *("application_name", "timezone", "client_connection_check_interval", "lock_timeout"),
        "idle_in_transaction_session_timeout",
    )
    shown = [warehouse.execute(f"show {name}".encode()).fetchone() for name in names]
    assert shown == [("almanac this run",), ("UTC",), ("2s",), ("1min",), ("15min",)]


def test_backends_of_dead_runs_are_ended_and_no_others(warehouse: Warehouse, settings: Settings) -> None:
    with (
        closing(connect(settings, run_id="dead")) as dead,
        closing(connect(settings, run_id="alive")) as alive,
    ):
        dead.execute("create table public.left_open (id int)")
        dead.execute("begin; lock table public.left_open")
        assert terminate_orphans(warehouse, ["dead", "long gone"]) == 1
        warehouse.execute("drop table public.left_open")
        assert alive.execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            dead.execute("select 1")


def test_a_long_run_id_still_names_its_backends() -> None:
    assert application_name("x" * 100) == "almanac " + "x" * 55


def test_dbt_gets_the_password_as_a_secret_and_options_of_the_url() -> None:
    settings = Settings(
        target="postgres",
        warehouse_url="postgresql://al%40ice:p%2Fw%3A1@db.example:6543/marts?sslmode=require&options=-c%20work_mem%3D64MB",
    )
    environment = dbt_environment(settings, run_id="r1")
    secret = environment.pop("DBT_ENV_SECRET_ALMANAC_WAREHOUSE_PASSWORD")
    assert secret == "p/w:1"
    assert secret not in str(environment)
    assert secret not in repr(settings)
    assert environment["ALMANAC_WAREHOUSE_USER"] == "al@ice"
    assert environment["ALMANAC_WAREHOUSE_SSLMODE"] == "require"
    assert environment["ALMANAC_WAREHOUSE_APPLICATION"] == "almanac r1"
    assert environment["PGOPTIONS"].startswith("-c work_mem=64MB -c ")
    assert dbt_variables(settings, Generation("b", None)) == {
        "schema_prefix": "gen_b_",
        "landing_database": "marts",
    }


def test_a_socket_folder_is_a_host(postgres_server: PostgresServer) -> None:
    settings = Settings(target="postgres", warehouse_url=postgres_server.socket_url())
    with closing(connect(settings)) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert dbt_environment(settings)["ALMANAC_WAREHOUSE_HOST"] == str(postgres_server.root)


@pytest.mark.parametrize(
    ("url", "story"),
    [
        (None, "ALMANAC_WAREHOUSE_URL is not set"),
        ("postgresql://u:hush@a,b/w", "several hosts"),
        ("postgresql://u:hush@host", "must name a user and a database"),
        ("postgresql://host/w", "must name a user and a database"),
        ("postgresql://u:hush@host:port/w?x y", "cannot be read as a URL"),
    ],
)
def test_a_url_that_will_not_do_is_a_wrong_call_and_is_not_repeated(url: str | None, story: str) -> None:
    with pytest.raises(UsageError, match=story) as raised:
        connection_parameters(Settings(target="postgres", warehouse_url=url))
    assert "hush" not in str(raised.value)


def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    settings = Settings(target="postgres", warehouse_url="postgresql://u:hush@127.0.0.1:1/w")
    with pytest.raises(AlmanacError, match=r"127\.0\.0\.1:1/w cannot be reached") as raised:
        connect(settings)
    assert "hush" not in str(raised.value)
