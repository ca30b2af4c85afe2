"""The served dashboard in Chromium: signing in, looking around, and what changes by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from api.app import create_app
from flows.api_keys import revoke_key
from flows.health import Round
from flows.ops_store import open_ops_store
from flows.probe_records import record
from flows.probe_results import ProbeResult, ProbeVerdict
from flows.review_scopes import PLATFORM, Scope
from flows.settings import Settings
from tests.api_service import NOW, make_keys, own_copy, served
from tests.browser.chromium import chromium
from tests.published import Published

ACME, DOCS = Scope("organization", "org_acme"), Scope("team", "acme-docs")
# Milliseconds that a live change may take here: two seconds are the promise, the machine is noisy.
LIVE_MS = 20_000


@dataclass
class Clock:
    """What the service takes for now; tests move it."""

    value: datetime = NOW

    def __call__(self) -> datetime:
        return self.value


@dataclass
class Site:
    """A service with something to look at."""

    address: str
    settings: Settings
    keys: dict[Scope, str]
    clock: Clock


@dataclass
class Visit:
    """A window of a reader, and everything that it complained of or asked of others."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(self.address + path)

    def sign_in(self, key: str) -> None:
        self.page.get_by_label("Key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()


def probe(settings: Settings, at: datetime, verdict: ProbeVerdict = ProbeVerdict.up) -> None:
    results = (
        ProbeResult("saas_api", True, verdict, 43.0),
        ProbeResult("litellm_proxy", False, ProbeVerdict.up, 112.0),
        ProbeResult("database", True, ProbeVerdict.up, 2.0),
    )
    record(settings, Round(at, 300, results))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def site(published: Published, tmp_path: Path) -> Iterator[Site]:
    settings = own_copy(published, tmp_path / "data")
    probe(settings, NOW - timedelta(minutes=1))
    clock = Clock()
    with served(create_app(settings, now=clock)) as address:
        yield Site(address, settings, make_keys(settings, [PLATFORM, ACME, DOCS]), clock)


@contextmanager
def visit(browser: Browser, site: Site, **given: Any) -> Iterator[Visit]:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **given})
    try:
        page = context.new_page()
        found = Visit(page, site.address)
        page.on("console", lambda message: found.complaints.append(message.text))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                found.strangers.append(request.url)
                if not request.url.startswith((site.address, "data:"))
                else None
            ),
        )
        yield found
        assert found.strangers == []
    finally:
        context.close()


def test_nothing_is_shown_before_signing_in_and_after_signing_out(browser: Browser, site: Site) -> None:
    with visit(browser, site) as reader:
        reader.go("/monitoring?period=2026-W46")
        expect(reader.page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert "acme" not in reader.page.content()
        reader.sign_in("alm_0000000000_" + "x" * 43)
        expect(reader.page.get_by_role("alert")).to_contain_text("not good")
        # that answer is 401, which Chromium tells
        assert len(reader.complaints) == 1
        reader.complaints.clear()
        reader.sign_in(site.keys[PLATFORM])
        expect(reader.page.get_by_role("heading", name="Monitoring")).to_be_visible()
        assert reader.page.url.endswith("/monitoring?period=2026-W46")
        (cookie,) = reader.page.context.cookies()
        assert (cookie.get("httpOnly"), cookie.get("sameSite"), cookie.get("path")) == (True, "Lax", "/")
        assert reader.page.evaluate("document.cookie") == ""
        reader.page.get_by_role("button", name="Sign out").click()
        expect(reader.page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert reader.page.context.cookies() == []
        reader.page.go_back()
        expect(reader.page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert reader.complaints == []


def test_readers_look_around(browser: Browser, site: Site) -> None:
    """Period, search, sort, drill-down and CSV, without a script on the page."""
    with visit(browser, site, java_script_enabled=False) as reader:
        page = reader.page
        reader.go("/")
        reader.sign_in(site.keys[PLATFORM])
        page.get_by_label("Period", exact=True).select_option("2026-10")
        page.get_by_role("button", name="Show").click()
        expect(page).to_have_title("Monitoring, Platform, 2026-10")
        page.get_by_role("searchbox").fill("ACME-d")
        page.get_by_role("button", name="Search").click()
        table = page.locator("table.teams tbody tr")
        expect(table).to_have_count(1)
        expect(table).to_contain_text("acme-docs")
        page.get_by_role("searchbox").fill("")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Jobs", exact=True).click()
        jobs = [
            int(text.replace(",", ""))
            for text in page.locator("table.teams td:nth-child(3)").all_inner_texts()
        ]
        assert len(jobs) > 10
        assert jobs == sorted(jobs, reverse=True)
        expect(page.locator("table.teams th[aria-sort='descending']")).to_have_text("Jobs")
        page.locator("table.teams").get_by_role("link", name="Acme Corporation").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Acme Corporation")
        assert "period=2026-10" in page.url
        assert "globex" not in page.content()
        page.locator("table.teams").get_by_role("link", name="acme-docs").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("acme-docs")
        page.get_by_role("link", name="Platform").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Teams with activity as CSV").click()
        rows = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
        assert rows[0].startswith("team_id,organization_id,jobs")
        assert len(rows) == 1 + len([job for job in jobs if job > 0])
        assert reader.complaints == []


def test_a_tenant_sees_its_own(browser: Browser, site: Site) -> None:
    with visit(browser, site) as reader:
        reader.go("/")
        reader.sign_in(site.keys[ACME])
        expect(reader.page.get_by_role("heading", level=1)).to_have_text("Acme Corporation")
        for strange in ("globex", "Provider cost", "Margin", "initech"):
            assert strange not in reader.page.content()
        for path in ("/monitoring/organization?id=org_globex", "/monitoring/team?id=globex-chat"):
            reader.go(path)
            expect(reader.page.get_by_role("heading", level=1)).to_have_text("Not there")
        reader.go("/monitoring/team?id=acme-docs")
        expect(reader.page.get_by_role("heading", level=1)).to_have_text("acme-docs")


def test_the_page_follows_what_happens(browser: Browser, site: Site, published: Published) -> None:
    with visit(browser, site) as reader:
        page = reader.page
        reader.go("/")
        reader.sign_in(site.keys[PLATFORM])
        status = page.locator("[data-live='health.saas_api.status']")
        expect(status).to_have_text("up")
        site.clock.value += timedelta(minutes=1)
        probe(site.settings, site.clock.value, ProbeVerdict.down)
        expect(status).to_have_text("down", timeout=LIVE_MS)
        expect(page.locator("[data-live='health.overall']")).to_have_text("degraded")

        # the same night is published again, as another file: the page need not be drawn anew
        banner = page.locator(".banner")
        expect(banner).to_be_hidden()
        beside = site.settings.data_dir / "next.duckdb"
        shutil.copy(published.settings.warehouse_path, beside)
        beside.replace(site.settings.warehouse_path)

        site.clock.value += timedelta(days=2)
        expect(banner).to_be_visible(timeout=LIVE_MS)
        expect(banner).to_contain_text("These numbers are old.")
        expect(status).to_have_text("unknown", timeout=LIVE_MS)
        assert reader.complaints == []


def test_a_new_night_is_drawn_without_a_click(browser: Browser, site: Site) -> None:
    import duckdb

    with visit(browser, site) as reader:
        page = reader.page
        reader.go("/")
        reader.sign_in(site.keys[PLATFORM])
        night = page.locator("main").get_attribute("data-night")
        beside = site.settings.data_dir / "next.duckdb"
        shutil.copy(site.settings.warehouse_path, beside)
        with duckdb.connect(str(beside)) as connection:
            connection.execute("update kept.coverage set landing_number = landing_number + 1")
            connection.execute("update marts.monitoring_dashboard set job_count = 4711")
        page.get_by_role("searchbox").fill("half a wo")
        beside.replace(site.settings.warehouse_path)
        expect(page.locator("[data-live='headline.job_count']")).to_have_text("4,711", timeout=LIVE_MS)
        expect(page.locator("main")).not_to_have_attribute("data-night", str(night), timeout=LIVE_MS)
        expect(page.get_by_role("searchbox")).to_have_value("half a wo")
        assert reader.complaints == []


def test_a_revoked_key_ends_what_is_open(browser: Browser, site: Site) -> None:
    with visit(browser, site) as reader:
        reader.go("/")
        reader.sign_in(site.keys[DOCS])
        expect(reader.page.get_by_role("heading", level=1)).to_have_text("acme-docs")
        prefix = site.keys[DOCS].split("_")[1]
        revoke_key(open_ops_store(site.settings), prefix, "a test", NOW)
        expect(reader.page.locator("#connection")).to_contain_text("no longer live", timeout=60_000)
        reader.page.reload()
        expect(reader.page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("width", [375, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_served_pages_are_fit_for_everybody(browser: Browser, site: Site, width: int, scheme: str) -> None:
    size = {"width": width, "height": 900}
    # axe is a script, and every script but ours is forbidden
    with visit(browser, site, viewport=size, color_scheme=scheme, bypass_csp=True) as reader:
        reader.go("/")
        judge(reader)
        reader.sign_in(site.keys[PLATFORM])
        for path in ("/monitoring", "/monitoring/organization?id=org_acme", "/monitoring/team?id=acme-docs"):
            reader.go(path)
            judge(reader)
        assert reader.complaints == []


def judge(reader: Visit) -> None:
    overflow = reader.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0, reader.page.url
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    found = Axe().run(reader.page, options={"runOnly": rules})
    assert [
        f"{violation['id']}: {node['html'][:160]}"
        for violation in found.response["violations"]
        for node in violation["nodes"]
    ] == []


def test_a_keyboard_is_enough(browser: Browser, site: Site) -> None:
    with visit(browser, site) as reader:
        page = reader.page
        reader.go("/")
        # the field has the focus already
        page.keyboard.type(site.keys[PLATFORM])
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Monitoring")).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.get_by_role("button", name="Dark theme").focus()
        page.keyboard.press("Enter")
        assert page.locator("html").get_attribute("data-theme") == "dark"
        page.reload()
        assert page.locator("html").get_attribute("data-theme") == "dark"
        assert reader.complaints == []
