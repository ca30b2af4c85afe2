"""The page of documentation: every published column, the nights untouched, and shown on this machine only."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows import PROJECT_DIR
from flows.dbt_runner import DbtFailed
from flows.docs_server import HOST, DocsServer
from flows.docs_site import DocsReport, closed_page, write_docs
from flows.errors import AlmanacError
from flows.locking import only_writer
from flows.progress import SilentProgress
from flows.settings import Settings
from tests.almanac_command import ALMANAC, environment
from tests.published import Published

PUBLIC = ("marts", "reviews", "alerts", "compat")


def artifact(page: str, label: str) -> dict[str, Any]:
    """What the page holds of dbt's manifest or catalog."""
    start = re.search(rf'\b{label}:(?={{"metadata")', page)
    assert start
    found: dict[str, Any] = json.JSONDecoder().raw_decode(page, start.end())[0]
    return found


def fingerprint(settings: Settings) -> dict[str, str]:
    """Each file of the nights, and what is in it."""
    paths = [settings.warehouse_path, settings.landing_path, *(settings.data_dir / "dbt").rglob("*")]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()}


@pytest.fixture(scope="module")
def report(published: Published, tmp_path_factory: pytest.TempPathFactory) -> DocsReport:
    """Written while a night holds the lock; the nights' own files are as they were."""
    before = fingerprint(published.settings)
    with only_writer(published.settings, kind="nightly", as_of=datetime(2026, 11, 23)):
        written = write_docs(
            published.settings, tmp_path_factory.mktemp("docs") / "site", progress=SilentProgress()
        )
    assert fingerprint(published.settings) == before
    return written


@pytest.fixture(scope="module")
def page(report: DocsReport) -> str:
    return report.path.read_text(encoding="utf-8")


def test_every_published_column_has_its_type_and_description(
    page: str, report: DocsReport, published: Published
) -> None:
    nodes = artifact(page, "manifest")["nodes"]
    catalog = {
        (table["metadata"]["schema"], table["metadata"]["name"], column["name"]): column["type"]
        for unique_id, table in artifact(page, "catalog")["nodes"].items()
        for column in table["columns"].values()
        if nodes[unique_id]["columns"].get(column["name"], {}).get("description")
    }
    # columns of seeds have none
    expected = {
        (schema, table, column): kind
        for schema, table, column, kind in published.rows(
            "select schema_name, table_name, column_name, data_type from duckdb_columns() "
            "where database_name = 'warehouse' and list_contains(?, schema_name) and comment is not null",
            [list(PUBLIC)],
        )
    }
    assert len(expected) == report.column_count > 1500
    assert {name: catalog.get(name) for name in expected} == expected
    assert report.unpublished == ()


def test_the_page_is_one_file_that_names_no_place_of_this_machine(page: str, report: DocsReport) -> None:
    assert [path.name for path in report.path.parent.iterdir()] == ["index.html"]
    for place in (PROJECT_DIR, Path.home(), report.path.parent):
        assert f'"{place}' not in page
    assert re.findall(r'"(/(?:tmp|home|root|work|var)/[^"]{0,40})', page) == []
    assert artifact(page, "manifest")["metadata"]["user_id"] is None


def test_the_lineage_reaches_from_the_platforms_table_to_the_mart(page: str) -> None:
    manifest = artifact(page, "manifest")
    above, waiting = set(), ["model.llm_almanac.team_usage_weekly"]
    while waiting:
        for parent in manifest["parent_map"][waiting.pop()]:
            if parent not in above:
                above.add(parent)
                waiting.append(parent)
    assert "source.llm_almanac.saas.llm_calls" in above


def test_columns_that_the_published_night_lacks_are_named(published: Published, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, source=None)
    settings.warehouse_path.write_bytes(published.settings.warehouse_path.read_bytes())
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("alter table marts.slow_calls drop column latency_ms")
    report = write_docs(settings, tmp_path / "docs", progress=SilentProgress())
    assert report.unpublished == ("marts.slow_calls.latency_ms",)
    assert "almanac nightly" in str(report)


@pytest.mark.parametrize(
    "page",
    [
        "<html><head><meta charset='utf-8'></head></html>",
        '<meta charset="utf-8"><script src="main.js"></script>',
        '<script defer="defer">run()</script><meta charset="utf-8">',
        '<meta charset="utf-8"><script defer="defer">run()',
    ],
)
def test_a_page_of_another_form_is_not_taken_for_closed(page: str) -> None:
    with pytest.raises(DbtFailed, match=r"requirements\.lock"):
        closed_page(page)


def test_without_a_published_night_there_is_nothing_to_describe(tmp_path: Path) -> None:
    with pytest.raises(AlmanacError, match="Nothing is published"):
        write_docs(Settings(data_dir=tmp_path, source=None), tmp_path / "docs", progress=SilentProgress())
    assert not (tmp_path / "docs").exists()


def test_a_folder_that_cannot_be_written_is_named(published: Published, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(AlmanacError, match="--output"):
        write_docs(published.settings, tmp_path / "file" / "docs", progress=SilentProgress())


# --- shown


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DocsServer]:
    page_path = tmp_path / "index.html"
    page_path.write_text("<p>caf\u00e9</p>", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret")
    with DocsServer(page_path, 0) as shown:
        thread = threading.Thread(target=shown.serve_forever)
        thread.start()
        yield shown
        shown.shutdown()
        thread.join()


def ask(server: DocsServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_it_is_shown_on_the_loopback_only(server: DocsServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert ask(server, "/") == (200, "<p>caf\u00e9</p>")
    assert ask(server, "/index.html?g_v=1", Host=f"localhost:{server.server_port}")[0] == 200
    assert ask(server, "/", "HEAD") == (200, "")


@pytest.mark.parametrize(
    "path",
    ["/secret.txt", "/../secret.txt", "/%2e%2e/secret.txt", "//secret.txt", "/index.html/../secret.txt"],
)
def test_nothing_but_the_page_is_shown(server: DocsServer, path: str) -> None:
    status, text = ask(server, path)
    assert (status, "secret.txt" in text) == (404, False)


@pytest.mark.parametrize(
    "host", ["attacker.example", "attacker.example:8098", "127.0.0.1.attacker.example", "[::1]"]
)
def test_a_strangers_name_for_this_machine_is_refused(server: DocsServer, host: str) -> None:
    assert ask(server, "/", Host=host)[0] == 421


def test_nothing_can_be_sent(server: DocsServer) -> None:
    assert ask(server, "/", "POST")[0] == 501


def test_a_port_in_use_is_named(server: DocsServer) -> None:
    with pytest.raises(AlmanacError, match=f"Port {server.server_port} .*--port"):
        DocsServer(server.page_path, server.server_port)


def test_the_command_writes_the_page_shows_it_and_ends_quietly(published: Published, tmp_path: Path) -> None:
    # a test run that was started in the background hands down that Ctrl-C is ignored
    command = ["env", "--default-signal=INT", str(ALMANAC), "-q"]
    command += ["--data-dir", str(published.settings.data_dir)]
    command += ["docs", "--output", str(tmp_path), "--serve", "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=str(PROJECT_DIR)),
    ) as process:
        # reading what it says, and leaving, wait for its end: one that does not come is made
        watch = threading.Timer(120, process.kill)
        watch.start()
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"{tmp_path / 'index.html'}: ")
        url = re.match(r"http://127\.0\.0\.1:(\d+)/ ", process.stdout.readline())
        assert url
        connection = http.client.HTTPConnection(HOST, int(url[1]), timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().read() == (tmp_path / "index.html").read_bytes()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.stderr is not None
        assert process.stderr.read() == ""
    watch.cancel()
    assert process.returncode == 0
