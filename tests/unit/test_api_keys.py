"""Keys of the API: nothing but the key opens, nothing keeps it, what was ended stays shut; both engines."""

from __future__ import annotations

import hmac
import itertools
import os
import string
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import Engine, event, func, select, text, update

from flows import api_keys, key_records
from flows.api_keys import KeyRing, KnownKey, create_key, list_keys, revoke_key
from flows.errors import AlmanacError, UsageError
from flows.key_records import KEY_FORM, LONGEST_LIFE, SESSION_LIFE, KeyState, parse_expiry
from flows.ops_store import OpsStore, metadata, open_ops_store, serving, writers
from flows.review_scopes import PLATFORM, Scope
from flows.settings import Settings
from tests.postgres_server import PostgresServer

NOW = datetime(2026, 11, 23, 2)
TEAM = Scope("team", "acme/döcs '%20'")
_databases = itertools.count(1)


@dataclass
class SetClock:
    """Stands until it is moved."""

    wall: datetime = NOW
    uptime: float = 1000.0

    def pass_seconds(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.uptime += seconds

    def ring(self, settings: Settings) -> KeyRing:
        return KeyRing(lambda: open_ops_store(settings), now=lambda: self.wall, uptime=lambda: self.uptime)


@pytest.fixture(params=["duckdb", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """A data folder of its own, and on PostgreSQL a database of its own."""
    if request.param == "duckdb":
        yield Settings(data_dir=tmp_path / "data", target="duckdb")
        return
    server = request.getfixturevalue("postgres_server")
    name = f"keys_{next(_databases)}"
    url = server.create_database(name)
    yield Settings(data_dir=tmp_path / "data", target="postgres", warehouse_url=url)
    server.drop_database(name)


@pytest.fixture
def store(settings: Settings) -> OpsStore:
    return open_ops_store(settings)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ring(settings: Settings, clock: SetClock) -> Iterator[KeyRing]:
    ring = clock.ring(settings)
    yield ring
    ring.close()


@pytest.fixture
def breakage(request: pytest.FixtureRequest, settings: Settings) -> Callable[[], Any]:
    """Makes the store unreadable for a block: its file is away, or its database has another name."""

    @contextmanager
    def broken() -> Iterator[None]:
        if settings.target == "duckdb":
            away = settings.ops_path.with_name("away.db")
            os.replace(settings.ops_path, away)
            yield
            os.replace(away, settings.ops_path)
            return
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = (settings.warehouse_url or "").rpartition("/")[2].partition("?")[0]
        server.execute(f"alter database {name} rename to {name}_away")
        yield
        server.execute(f"alter database {name}_away rename to {name}")

    return broken


def make(store: OpsStore, scope: Scope = TEAM, **given: Any) -> str:
    values: dict[str, Any] = {"name": "a key", "created_by": "ann", "expires_at": None, "now": NOW} | given
    return create_key(store, scope=scope, **values)


def known(ring: KeyRing, text: str) -> KnownKey:
    found = ring.find(text)
    assert found is not None
    return found


@contextmanager
def counted(what: str) -> Iterator[list[str]]:
    """What SQLAlchemy does in the block: `do_connect` or `before_cursor_execute`."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(str(arguments[2]))

    event.listen(Engine, what, note)
    try:
        yield seen
    finally:
        event.remove(Engine, what, note)


# --- making, listing, revoking


def test_there_is_no_key_until_one_is_made(store: OpsStore, ring: KeyRing) -> None:
    assert list_keys(store) == []
    assert ring.find(f"alm_{'a' * 10}_{'A' * 43}") is None


def test_a_key_is_found_and_says_whose_it_is(store: OpsStore, ring: KeyRing) -> None:
    ends = NOW + timedelta(days=90)
    key = make(store, name="  CI of\nAcme ", expires_at=ends)
    operator = make(store, PLATFORM)
    found = known(ring, key)
    assert found == KnownKey(found.key_id, key[4:14], "CI of Acme", TEAM, ends)
    assert known(ring, operator).scope == PLATFORM
    assert known(ring, operator).key_id != found.key_id


def test_a_key_has_256_random_bits_and_a_prefix_of_its_own(store: OpsStore) -> None:
    made = [make(store) for _ in range(30)]
    assert all(KEY_FORM.fullmatch(key) for key in made)
    assert len({key[4:14] for key in made}) == len({key[15:] for key in made}) == 30
    # 43 characters of six bits each; every one of the 64 comes up among 1290
    assert set("".join(key[15:] for key in made)) == set(string.ascii_letters + string.digits + "-_")


def test_the_store_keeps_no_key_and_no_session(store: OpsStore, ring: KeyRing, settings: Settings) -> None:
    key = make(store)
    token = ring.start_session(known(ring, key))
    assert ring.session(token) == known(ring, key)
    revoke_key(store, make(store), "ann", NOW)
    if settings.target == "duckdb":
        with store.transaction() as connection:
            connection.execute(update(serving.keys).values(last_used_at=NOW))
            # the log of what is not yet in the file is there too
            content = b"".join(path.read_bytes() for path in settings.data_dir.glob("ops.db*"))
    else:
        with store.reading() as connection:
            rows = [connection.execute(select(table)).all() for table in metadata.sorted_tables]
        content = repr(rows).encode()
    assert key[4:14].encode() in content
    for secret in (key, key[15:], token, token.rpartition("_")[2]):
        assert secret.encode() not in content


def test_the_list_says_everything_but_the_key(store: OpsStore, clock: SetClock) -> None:
    kept = make(store, name="kept")
    short = make(store, name="short", expires_at=NOW + timedelta(days=1))
    gone = make(store, name="gone", created_by="bob")
    revoke_key(store, gone[4:14], "cat", NOW + timedelta(hours=1))
    records = list_keys(store)
    assert [(one.prefix, one.name, one.scope, one.created_at) for one in records] == [
        (key[4:14], name, TEAM, NOW) for key, name in ((kept, "kept"), (short, "short"), (gone, "gone"))
    ]
    assert [one.created_by for one in records] == ["ann", "ann", "bob"]
    assert (records[2].revoked_at, records[2].revoked_by) == (NOW + timedelta(hours=1), "cat")
    later = NOW + timedelta(days=1)
    assert [one.state(NOW) for one in records] == [KeyState.active, KeyState.active, KeyState.revoked]
    assert [one.state(later) for one in records] == [KeyState.active, KeyState.expired, KeyState.revoked]
    assert not any(key[15:] in repr(records) for key in (kept, short, gone))


def test_revoking_twice_keeps_who_did_it_first(store: OpsStore) -> None:
    key, other = make(store), make(store)
    first = revoke_key(store, key[4:14], "ann", NOW)
    # with the whole key in hand, as when it was found in a log
    assert revoke_key(store, key, "bob", NOW + timedelta(days=1)) == first
    assert revoke_key(store, f"alm_{key[4:14]}", "bob", NOW) == first
    assert [one.state(NOW) for one in list_keys(store)] == [KeyState.revoked, KeyState.active]
    assert other[4:14] != key[4:14]


@pytest.mark.parametrize("given", ["", "%", "nobody0000", f"alm_nobody0000_{'s3cret-' * 6}x", "x" * 5000])
def test_an_unknown_prefix_is_named_without_what_may_be_a_secret(store: OpsStore, given: str) -> None:
    make(store)
    with pytest.raises(UsageError, match="There is no key") as refused:
        revoke_key(store, given, "ann", NOW)
    assert "s3cret" not in str(refused.value)
    assert len(str(refused.value)) < 200
    assert [one.state(NOW) for one in list_keys(store)] == [KeyState.active]


@pytest.mark.parametrize("name", ["", " \n", "x" * 501, "a\0b", "a\u202eb"])
def test_a_name_is_a_line_of_text(store: OpsStore, name: str) -> None:
    with pytest.raises(UsageError, match="what the key is for"):
        make(store, name=name)
    with pytest.raises(UsageError, match="who makes the key"):
        make(store, created_by=name)
    assert list_keys(store) == []


def test_keys_at_work_are_limited_in_number(store: OpsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_records, "MOST_KEYS", 3)
    first = make(store)
    make(store)
    make(store, expires_at=NOW + timedelta(seconds=1))
    with pytest.raises(UsageError, match="3 keys at work"):
        make(store)
    # neither an expired key nor a revoked one counts
    make(store, now=NOW + timedelta(seconds=1))
    revoke_key(store, first, "ann", NOW)
    make(store, now=NOW + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("1d", datetime(2026, 11, 24, 2)),
        ("90d", datetime(2027, 2, 21, 2)),
        ("2027-01-31", datetime(2027, 1, 31)),
        ("2027-01-31T12:00:00+01:00", datetime(2027, 1, 31, 11)),
        ("3650d", NOW + LONGEST_LIFE),
    ],
)
def test_an_expiry_is_days_from_now_or_a_moment(text: str, ends: datetime) -> None:
    assert parse_expiry(text, NOW) == ends


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "0d",
            "-1d",
            "90",
            "90 d",
            "90D",
            "1.5d",
            "٣d",
            "never",
            "tomorrow",
            "2027-02-30",
            "31.01.2027",
        ),
        *(
            "2026-11-23",
            "2026-11-23T02:00:00",
            "2020-01-01",
            "3651d",
            "99999d",
            "2099-01-01",
            "9" * 5000 + "d",
        ),
    ],
)
def test_any_other_expiry_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no expiry") as refused:
        parse_expiry(text, NOW)
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("ends", [NOW, NOW - timedelta(days=1), NOW + LONGEST_LIFE + timedelta(seconds=1)])
def test_no_key_is_made_that_has_ended_or_never_seems_to(tmp_path: Path, ends: datetime) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    with pytest.raises(UsageError, match="expires later than now"):
        make(store, expires_at=ends)
    assert list_keys(store) == []


# --- nothing but the key


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyRing, str, str, str]:
    """A ring, two keys of it and a session."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("keys"))
    store = open_ops_store(settings)
    ring = SetClock().ring(settings)
    key, other = make(store), make(store)
    return ring, key, other, ring.start_session(known(ring, key))


_LETTERS = st.sampled_from(string.ascii_letters + string.digits + "-_= \n\0%éＡ\ud800")


@st.composite
def near(draw: st.DrawFn) -> Callable[[str], str]:
    """A small change of a text."""
    at = draw(st.integers(0, 80))
    piece = draw(st.text(_LETTERS, max_size=3))
    cut = draw(st.integers(0, 3))
    change = draw(st.sampled_from(["splice", "upper", "lower", "strip", "reverse"]))
    match change:
        case "splice":
            return lambda text: text[:at] + piece + text[at + cut :]
        case "upper":
            return str.upper
        case "lower":
            return str.lower
        case "strip":
            return lambda text: text[cut:]
        case _:
            return lambda text: text[:15] + text[15:][::-1]


@examples(max_examples=400, deadline=None)
@given(near())
def test_a_text_near_a_key_opens_nothing(
    doors: tuple[KeyRing, str, str, str], change: Callable[[str], str]
) -> None:
    ring, key, _, token = doors
    assert (ring.find(change(key)) is not None) == (change(key) == key)
    assert (ring.session(change(token)) is not None) == (change(token) == token)


@examples(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.text(_LETTERS), st.from_regex(KEY_FORM, fullmatch=True)))
def test_no_other_text_opens_anything(doors: tuple[KeyRing, str, str, str], text: str) -> None:
    ring, key, other, token = doors
    assert text in (key, other) or ring.find(text) is None
    assert text == token or ring.session(text) is None


@examples(max_examples=200, deadline=None)
@given(st.text(string.ascii_letters + string.digits + "-_", min_size=43, max_size=43))
def test_a_known_prefix_opens_nothing_by_itself(doors: tuple[KeyRing, str, str, str], secret: str) -> None:
    ring, key, other, _ = doors
    assert ring.find(key[:15] + secret) is None
    assert ring.find(key[:15] + other[15:]) is None


def test_a_key_is_no_session_and_a_session_no_key(doors: tuple[KeyRing, str, str, str]) -> None:
    ring, key, _, token = doors
    assert ring.find(token) is None
    assert ring.session(key) is None


def test_the_last_letter_of_a_key_counts_whole(doors: tuple[KeyRing, str, str, str]) -> None:
    # 43 letters hold 258 bits: four last letters decode to the same 32 bytes
    ring, key, _, _ = doors
    for letter in set(string.ascii_letters + string.digits + "-_") - {key[-1]}:
        assert ring.find(key[:-1] + letter) is None


def test_an_unknown_prefix_is_compared_as_a_known_one(
    doors: tuple[KeyRing, str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []

    def noted(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    ring, key, _, _ = doors
    monkeypatch.setattr(api_keys, "compare_digest", noted)
    assert ring.find(key[:15] + "A" * 43) is None
    assert ring.find(f"alm_{'0' * 10}_{'A' * 43}") is None
    assert ring.find(key) is not None
    assert compared == [(64, 64)] * 3


def test_texts_that_are_no_keys_take_no_memory(doors: tuple[KeyRing, str, str, str]) -> None:
    ring, key, _, _ = doors
    assert ring.find(key) is not None
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20_000):
            assert ring.find(f"alm_{number:010}_{'A' * 43}") is None
            assert ring.session(f"alm_session_{number:043}") is None
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 50_000


# --- what was ended stays shut, and how soon


def test_the_store_is_asked_once_a_second_however_many_ask(
    store: OpsStore, ring: KeyRing, clock: SetClock
) -> None:
    key = make(store)
    assert ring.find(key) is not None
    with counted("do_connect") as connected:
        for _ in range(500):
            assert ring.find(key) is not None
            assert ring.find(f"alm_{'0' * 10}_{'A' * 43}") is None
            assert ring.session(f"alm_session_{'A' * 43}") is None
        assert connected == []
        clock.pass_seconds(1.01)
        with counted("before_cursor_execute") as asked:
            for _ in range(500):
                assert ring.find(key) is not None
        assert len(connected) == 1
        # whether anything changed, and not the keys
        assert [one for one in asked if "api_keys" in one] == []


def test_a_revoked_key_shuts_within_a_second(store: OpsStore, ring: KeyRing, clock: SetClock) -> None:
    key, other = make(store), make(store)
    assert ring.find(key) is not None
    revoke_key(store, key, "ann", NOW)
    clock.pass_seconds(1.01)
    assert ring.find(key) is None
    assert ring.find(other) is not None


def test_a_new_key_opens_within_a_second(store: OpsStore, ring: KeyRing, clock: SetClock) -> None:
    assert ring.find(make(store)) is not None
    later = make(store)
    clock.pass_seconds(1.01)
    assert ring.find(later) is not None


def test_a_key_shuts_at_the_moment_it_expires(store: OpsStore, ring: KeyRing, clock: SetClock) -> None:
    key = make(store, expires_at=NOW + timedelta(seconds=1))
    clock.pass_seconds(0.9)
    assert ring.find(key) is not None
    clock.wall = NOW + timedelta(seconds=1)
    assert ring.find(key) is None


def test_a_clock_that_is_set_back_hides_no_revocation(
    store: OpsStore, ring: KeyRing, clock: SetClock
) -> None:
    key = make(store)
    assert ring.find(key) is not None
    revoke_key(store, key, "ann", NOW)
    clock.wall -= timedelta(days=1)
    clock.uptime += 1.01
    assert ring.find(key) is None


def test_rows_changed_by_hand_are_seen_within_a_minute(
    store: OpsStore, ring: KeyRing, clock: SetClock
) -> None:
    key = make(store)
    assert ring.find(key) is not None
    with store.transaction() as connection:
        connection.execute(update(serving.keys).values(revoked_at=NOW))
    clock.pass_seconds(60)
    assert ring.find(key) is None


def test_while_the_store_is_away_the_copy_holds_for_30_seconds(
    store: OpsStore, ring: KeyRing, clock: SetClock, breakage: Callable[[], Any]
) -> None:
    key = make(store)
    token = ring.start_session(known(ring, key))
    assert ring.session(token) is not None
    with breakage():
        clock.pass_seconds(29.9)
        assert ring.find(key) is not None
        assert ring.session(token) is not None
        clock.pass_seconds(0.2)
        for _ in range(2):
            with pytest.raises(AlmanacError, match="Keys of the API cannot be checked"):
                ring.find(key)
            with pytest.raises(AlmanacError, match="Keys of the API cannot be checked"):
                ring.session(token)
        with pytest.raises(AlmanacError):
            ring.start_session(KnownKey(1, "p", "n", TEAM, None))
    revoke_key(store, key, "ann", NOW)
    clock.pass_seconds(1.01)
    assert ring.find(key) is None
    assert ring.session(token) is None


def test_a_store_that_was_never_read_lets_nobody_in(
    store: OpsStore, clock: SetClock, breakage: Callable[[], Any]
) -> None:
    key = make(store)
    ring = KeyRing(lambda: store, now=lambda: clock.wall, uptime=lambda: clock.uptime)
    with breakage(), pytest.raises(AlmanacError, match="cannot be checked"):
        ring.find(key)
    clock.pass_seconds(1.01)
    assert ring.find(key) is not None


def test_a_store_that_is_away_is_asked_once_a_second(
    store: OpsStore, ring: KeyRing, clock: SetClock, breakage: Callable[[], Any]
) -> None:
    key = make(store)
    assert ring.find(key) is not None
    with breakage(), counted("do_connect") as tried:
        for seconds in range(5):
            clock.pass_seconds(1.01)
            for _ in range(20):
                assert ring.find(key) is not None
            assert len(tried) == seconds + 1


# the look for changes, and the reading of every key that comes once a minute
@pytest.mark.parametrize(("table", "seconds"), [("writers", 1.01), ("api_keys", 60.0)])
def test_one_look_that_hangs_holds_up_nobody_else(
    postgres_server: PostgresServer, tmp_path: Path, clock: SetClock, table: str, seconds: float
) -> None:
    name = f"keys_{next(_databases)}"
    url = postgres_server.create_database(name)
    settings = Settings(data_dir=tmp_path, target="postgres", warehouse_url=url)
    store, ring = open_ops_store(settings), clock.ring(settings)
    key = make(store)
    assert ring.find(key) is not None
    clock.pass_seconds(seconds)
    with ThreadPoolExecutor(1) as pool:
        with store.transaction() as connection:
            connection.execute(text(f"lock table ops.{table} in access exclusive mode"))
            hanging = pool.submit(ring.find, key)
            waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            while postgres_server.execute(waits) == [(0,)]:
                time.sleep(0.01)
            clock.uptime += 1.01
            began = time.monotonic()
            for _ in range(100):
                assert ring.find(key) is not None
            assert time.monotonic() - began < 0.5
            assert not hanging.done()
        assert hanging.result(timeout=10) is not None
    postgres_server.drop_database(name)


def test_who_writes_holds_up_nobody(store: OpsStore, ring: KeyRing, clock: SetClock) -> None:
    key = make(store)
    with store.transaction() as connection:
        connection.execute(update(writers).values(token=writers.c.token + 1))
        began = time.monotonic()
        assert ring.find(key) is not None
        clock.pass_seconds(1.01)
        assert ring.find(key) is not None
        assert time.monotonic() - began < 5


# --- sessions


def test_a_session_is_its_keys_for_twelve_hours(store: OpsStore, ring: KeyRing, clock: SetClock) -> None:
    key = known(ring, make(store))
    token = ring.start_session(key)
    assert ring.session(token) == key
    clock.pass_seconds(SESSION_LIFE.total_seconds() - 1)
    assert ring.session(token) == key
    clock.pass_seconds(1)
    assert ring.session(token) is None


def test_a_session_ends_with_its_key(store: OpsStore, ring: KeyRing, clock: SetClock) -> None:
    short, gone = make(store, expires_at=NOW + timedelta(hours=1)), make(store)
    of_short, of_gone = (ring.start_session(known(ring, key)) for key in (short, gone))
    assert ring.session(of_gone) is not None
    with store.reading() as connection:
        ends = connection.scalars(select(serving.sessions.c.expires_at)).all()
    assert sorted(ends) == [NOW + timedelta(hours=1), NOW + SESSION_LIFE]
    revoke_key(store, gone, "ann", NOW)
    clock.pass_seconds(1.01)
    assert ring.session(of_gone) is None
    assert ring.session(of_short) is not None
    clock.wall = NOW + timedelta(hours=1)
    assert ring.session(of_short) is None


def test_a_session_of_a_key_revoked_by_hand_is_dead(store: OpsStore, ring: KeyRing, clock: SetClock) -> None:
    token = ring.start_session(known(ring, make(store)))
    with store.transaction() as connection:
        connection.execute(update(serving.keys).values(revoked_at=NOW))
    clock.pass_seconds(60)
    assert ring.session(token) is None


def test_signing_out_ends_one_session_at_once_and_everywhere_within_a_second(
    store: OpsStore, settings: Settings, ring: KeyRing, clock: SetClock
) -> None:
    elsewhere = clock.ring(settings)
    key = known(ring, make(store))
    token, other = ring.start_session(key), ring.start_session(key)
    assert elsewhere.session(token) == key
    ring.end_session(token)
    assert ring.session(token) is None
    clock.pass_seconds(1.01)
    assert elsewhere.session(token) is None
    assert elsewhere.session(other) == key
    ring.end_session(token)


def test_a_session_of_another_process_can_be_ended_at_once(
    store: OpsStore, settings: Settings, ring: KeyRing, clock: SetClock
) -> None:
    elsewhere = clock.ring(settings)
    key = known(ring, make(store))
    assert elsewhere.session(f"alm_session_{'A' * 43}") is None
    token = ring.start_session(key)
    elsewhere.end_session(token)
    clock.pass_seconds(1.01)
    assert ring.session(token) is None


@pytest.mark.parametrize("token", ["", "x", f"alm_session_{'A' * 43}", "alm_session_" + "é" * 43])
def test_signing_out_with_any_other_text_takes_no_writers_lock(
    store: OpsStore, ring: KeyRing, token: str
) -> None:
    kept = ring.start_session(known(ring, make(store)))
    with store.transaction() as connection:
        connection.execute(update(writers).values(token=writers.c.token + 1))
        ring.end_session(token)
    assert ring.session(kept) is not None


def test_a_key_has_so_many_sessions_and_the_oldest_ends(
    store: OpsStore, ring: KeyRing, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_records, "MOST_SESSIONS", 3)
    key, other = (known(ring, text) for text in [make(store), make(store)])
    of_other = ring.start_session(other)
    tokens = []
    for _ in range(5):
        clock.pass_seconds(1)
        tokens.append(ring.start_session(key))
    assert [ring.session(token) is not None for token in tokens] == [False, False, True, True, True]
    assert ring.session(of_other) == other


def test_sessions_long_over_are_deleted(store: OpsStore, ring: KeyRing, clock: SetClock) -> None:
    key = known(ring, make(store))
    ring.start_session(key)
    clock.pass_seconds(timedelta(days=8).total_seconds())
    ring.start_session(key)
    with store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(serving.sessions)) == 1


# --- uses


def uses(store: OpsStore) -> list[datetime | None]:
    return [record.last_used_at for record in list_keys(store)]


def test_a_use_is_written_and_once_a_minute(store: OpsStore, ring: KeyRing, clock: SetClock) -> None:
    first, other = make(store), make(store)
    key = known(ring, first)
    with counted("before_cursor_execute") as asked:
        for second in range(59):
            ring.note_use(key, NOW + timedelta(seconds=second))
            ring.write_uses()
        assert len([one for one in asked if one.startswith("UPDATE")]) == 1
    assert uses(store) == [NOW, None]
    ring.note_use(key, NOW + timedelta(minutes=1))
    ring.write_uses()
    assert uses(store) == [NOW + timedelta(minutes=1), None]
    # what is known of keys did not change
    clock.pass_seconds(1.01)
    with counted("before_cursor_execute") as asked:
        assert ring.find(other) is not None
    assert [one for one in asked if "api_keys" in one] == []


def test_uses_in_two_processes_are_written_once_a_minute(
    store: OpsStore, settings: Settings, ring: KeyRing, clock: SetClock
) -> None:
    elsewhere = clock.ring(settings)
    key = known(ring, make(store))
    ring.note_use(key, NOW + timedelta(seconds=5))
    ring.write_uses()
    elsewhere.note_use(key, NOW + timedelta(seconds=30))
    elsewhere.write_uses()
    assert uses(store) == [NOW + timedelta(seconds=5)]
    # nor does an older use take back a newer one
    third = clock.ring(settings)
    third.note_use(key, NOW - timedelta(hours=1))
    third.write_uses()
    assert uses(store) == [NOW + timedelta(seconds=5)]


def test_the_thread_writes_uses_by_itself_and_what_waits_when_closed(store: OpsStore, ring: KeyRing) -> None:
    key = known(ring, make(store))
    ring.note_use(key, NOW)
    ring.close()
    assert uses(store) == [NOW]
    # not an error afterwards either
    ring.note_use(key, NOW + timedelta(hours=1))
    ring.close()


def test_noting_a_use_waits_for_nobody_and_never_raises(
    store: OpsStore, ring: KeyRing, breakage: Callable[[], Any]
) -> None:
    key = known(ring, make(store))
    with store.transaction() as connection:
        connection.execute(update(writers).values(token=writers.c.token + 1))
        began = time.monotonic()
        ring.note_use(key, NOW)
        assert time.monotonic() - began < 0.5
    ring.write_uses()
    assert uses(store) == [NOW]
    with breakage():
        ring.note_use(key, NOW + timedelta(minutes=5))
        ring.write_uses()
    assert uses(store) == [NOW]


# --- threads


def test_many_threads_share_a_ring(store: OpsStore, settings: Settings) -> None:
    """With real clocks: every answer is right while keys come and go and sessions begin and end."""
    ring = KeyRing(lambda: open_ops_store(settings), now=lambda: NOW)
    kept = make(store)
    stop = threading.Event()

    def ask() -> int:
        asked = 0
        while not stop.is_set():
            assert known(ring, kept).scope == TEAM
            assert ring.find(kept[:-1] + ("A" if kept[-1] != "A" else "B")) is None
            ring.note_use(known(ring, kept), NOW)
            asked += 1
        return asked

    def sign_in_and_out() -> None:
        for _ in range(5):
            token = ring.start_session(known(ring, kept))
            assert ring.session(token) is not None
            ring.end_session(token)
            assert ring.session(token) is None

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        try:
            for one in [pool.submit(sign_in_and_out) for _ in range(3)]:
                one.result(timeout=60)
            brief = make(store)
            deadline = time.monotonic() + 5
            while ring.find(brief) is None:
                assert time.monotonic() < deadline
            revoke_key(store, brief, "ann", NOW)
            revoked = time.monotonic()
            while ring.find(brief) is not None:
                assert time.monotonic() < revoked + 3
        finally:
            stop.set()
        assert all(one.result(timeout=60) > 0 for one in asking)
    ring.close()
    assert uses(store) == [NOW, None]
