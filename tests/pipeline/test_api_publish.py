"""A publication while the API is asked: no error, no answer out of two nights, and the old file let go."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from flows.api_keys import create_key
from flows.audit import audit
from flows.build import build
from flows.land import land_folder
from flows.ops_store import open_ops_store
from flows.progress import SilentProgress
from flows.publish import publish
from flows.review_scopes import PLATFORM
from flows.settings import Settings
from tests.api_server import ApiServer, serving
from tests.published import TAPE, TAPE_AS_OF, Published

# The night before: fewer jobs of the same week.
EARLIER = TAPE_AS_OF - timedelta(days=2)
PUBLICATIONS = 24
CLIENTS = 4
# Seconds: the machine may be busy. What is promised is two.
SOON = 10.0
PATHS = (
    "/api/teams/acme-batch/usage?period=2026-W47",
    "/api/organizations/org_acme/usage?period=2026-11",
    "/api/analytics/usage?period=2026-W47",
    "/api/analytics/performance?period=2026-11",
)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tape built as of two days before; the file that was published."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("earlier"), source=None, target="duckdb")
    progress = SilentProgress()
    land_folder(TAPE, settings.landing_path, as_of=EARLIER, progress=progress)
    side_file = build(settings, as_of=EARLIER, progress=progress)
    audit(side_file, settings, EARLIER)
    publish(side_file, settings)
    return settings.warehouse_path


@dataclass
class Bench:
    """A service, and the two nights that it is given in turn."""

    server: ApiServer
    settings: Settings
    nights: tuple[Path, Path]
    headers: dict[str, str]
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def publish(self, night: Path) -> None:
        """As a night does it, out of a side file of its own."""
        side_file = self.settings.build_dir / f"side-{next(self.numbers)}" / "warehouse.duckdb"
        side_file.parent.mkdir(parents=True)
        shutil.copyfile(night, side_file)
        publish(side_file, self.settings)

    def open_nights(self) -> list[str]:
        """The service's descriptors of published files."""
        names = ("warehouse.duckdb", "previous.duckdb")
        return [path for path in self.server.open_files() if any(name in path for name in names)]


@pytest.fixture
def bench(published: Published, earlier: Path, tmp_path: Path) -> Iterator[Bench]:
    settings = Settings(data_dir=tmp_path / "data", source=None, target="duckdb")
    settings.data_dir.mkdir()
    shutil.copyfile(earlier, settings.warehouse_path)
    key = create_key(
        open_ops_store(settings),
        scope=PLATFORM,
        name="t",
        created_by="t",
        expires_at=None,
        now=datetime.now(UTC).replace(tzinfo=None),
    )
    variables = {"ALMANAC_API_REQUESTS_PER_MINUTE": "1000000"}
    with serving(settings.data_dir, tmp_path / "story", **variables) as server:
        nights = (published.settings.warehouse_path, earlier)
        yield Bench(server, settings, nights, {"Authorization": f"Bearer {key}"})


@dataclass(frozen=True)
class Answer:
    path: str
    status: int
    tag: str
    body: bytes

    @property
    def night(self) -> Any:
        return json.loads(self.body)["night"]


def ask(client: httpx.Client, path: str, number: int, **headers: str) -> Answer:
    """Ask anew: with a number that no other question has, no kept answer serves."""
    found = client.get(f"{path}&number={number}", headers=headers)
    return Answer(path, found.status_code, found.headers.get("etag", ""), found.content)


def test_every_answer_under_publications_is_of_one_night(bench: Bench) -> None:
    numbers = itertools.count(1)
    with httpx.Client(base_url=bench.server.url, headers=bench.headers, timeout=60) as client:
        # what each night answers while it alone is there
        expected: dict[tuple[str, str], Answer] = {}
        for night in bench.nights:
            bench.publish(night)
            for path in PATHS:
                answer = ask(client, path, next(numbers))
                assert answer.status == 200, answer.body
                expected[answer.night, path] = answer
        assert len(expected) == 2 * len(PATHS)
        for path in PATHS:
            one, other = (
                json.loads(answer.body) | {"night": "", "as_of": ""}
                for (_, of), answer in expected.items()
                if of == path
            )
            assert one != other, f"{path} says the same of both nights"
            assert len({answer.tag for (_, of), answer in expected.items() if of == path}) == 2

    ended, most_open = threading.Event(), 0

    def ask_on(first: int) -> list[Answer]:
        found: list[Answer] = []
        with httpx.Client(base_url=bench.server.url, headers=bench.headers, timeout=60) as client:
            for turn in itertools.count():
                if ended.is_set():
                    return found
                found.append(ask(client, PATHS[(first + turn) % len(PATHS)], next(numbers)))
        raise AssertionError

    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(ask_on, first) for first in range(CLIENTS)]
        try:
            for turn in range(PUBLICATIONS):
                bench.publish(bench.nights[turn % 2])
                most_open = max(most_open, len(bench.open_nights()))
                time.sleep(0.1)
        finally:
            ended.set()
        answers = [answer for one in asking for answer in one.result()]

    seen = {answer.night for answer in answers}
    print(f"{len(answers)} answers of {len(seen)} nights, at most {most_open} files open")
    assert {answer.status for answer in answers} == {200}
    assert len(seen) == 2, "the publications came too late or too early"
    for answer in answers:
        own = expected[answer.night, answer.path]
        assert answer.body == own.body
        assert answer.tag == own.tag
    # one that each request may still read, the newest, and one that is being opened
    assert most_open <= CLIENTS + 2
    _assert_old_nights_are_let_go(bench)
    assert "Traceback" not in bench.server.said()


def test_an_old_night_is_let_go_though_nobody_asks(bench: Bench) -> None:
    with httpx.Client(base_url=bench.server.url, headers=bench.headers, timeout=60) as client:
        assert ask(client, PATHS[0], 1).status == 200
    assert len(bench.open_nights()) == 1
    bench.publish(bench.nights[0])
    _assert_old_nights_are_let_go(bench)


def _assert_old_nights_are_let_go(bench: Bench) -> None:
    """Only the published file is open soon, and the next build can write the one before."""
    began = time.monotonic()
    while True:
        try:
            duckdb.connect(str(bench.settings.previous_path)).close()
            break
        except duckdb.IOException:
            assert time.monotonic() - began < SOON, bench.open_nights()
            time.sleep(0.05)
    print(f"the old night can be written after {time.monotonic() - began:.2f} s")
    assert bench.open_nights() in ([], [str(bench.settings.warehouse_path)])


def test_an_etag_holds_as_long_as_the_night(bench: Bench) -> None:
    later, _ = bench.nights
    with httpx.Client(base_url=bench.server.url, headers=bench.headers, timeout=60) as client:
        first = ask(client, PATHS[0], 1)
        known = {"If-None-Match": first.tag}
        again = ask(client, PATHS[0], 2, **known)
        assert (again.status, again.body, again.tag) == (304, b"", first.tag)
        bench.publish(later)
        changed = ask(client, PATHS[0], 3, **known)
        assert changed.status == 200
        assert changed.tag != first.tag
        assert changed.night != first.night
