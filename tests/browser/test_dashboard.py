"""The dashboard in Chromium: calm in any window and theme, under its own policy, live, and without script."""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from reports.dashboard import (
    content_policy,
    font_files,
    freshness,
    render_dashboard,
    render_message,
    render_sign_in,
)
from reports.dashboard_figures import Dashboard, Today
from reports.dashboard_links import ServedLinks, StaticLinks
from tests.browser.chromium import Scheme, chromium, look
from tests.unit.dashboard_samples import AS_OF, SCOPES, dashboard, empty, teams, without_review

WIDTHS = (375, 768, 1280, 1600)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
NONCE = "bm9uY2U"
LONG = "a/very_long-name." * 11


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def as_file(page: Dashboard) -> str:
    return render_dashboard(page, StaticLinks({"o": "organization-o.html"}), nonce=None)


def stale(page: Dashboard) -> Dashboard:
    return replace(page, is_stale=True)


PAGES = {
    **{
        f"{kind} {scope}": as_file(dashboard(scope, kind))
        for scope in SCOPES
        for kind in ("weekly", "monthly")
    },
    "long names": as_file(dashboard(name=LONG)),
    "empty": as_file(empty()),
    "without a review": as_file(without_review()),
    "stale": as_file(stale(dashboard())),
}


# The fullest pages in every window, the others in the narrowest and a usual one.
EVERY_WINDOW = {(width, scheme) for width in WIDTHS for scheme in SCHEMES}
SOME_WINDOWS: set[tuple[int, Scheme]] = {(375, "dark"), (1280, "light")}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_calm_in_any_window(browser: Browser, tmp_path: Path, name: str) -> None:
    path = tmp_path / "index.html"
    path.write_text(PAGES[name], encoding="utf-8")
    is_full = name in ("weekly platform", "long names")
    for width, scheme in sorted(EVERY_WINDOW if is_full else SOME_WINDOWS):
        seen = look(browser, path, width=width, scheme=scheme)
        assert (seen.requests, seen.complaints, seen.overflow) == ((), (), 0), (width, scheme)
        assert seen.full_cells == (), (width, scheme)
        assert seen.violations == (), (width, scheme)


# --- served: under its policy, with its script --------------------------------------------------------------


class Service:
    """The pages on loopback under the policy that the service gives them, and a feed for a test to speak."""

    def __init__(self) -> None:
        self.page = dashboard()
        self.reader_kind = "platform"
        self.asked: list[str] = []
        # what waits to be said; None hangs up
        self.feed: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.is_closed = False
        self.is_signed_out = False
        # cleared by a test that wants the page to be long in coming
        self.may_answer = threading.Event()
        self.may_answer.set()
        # answers of the page that fail before the next good one
        self.refusals = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                service.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        shown = self.page  # as it is when the question is counted
        self.asked.append(handler.path)
        if path == "/api/live":
            self._follow(handler)
        elif path.startswith("/static/"):
            self._send(handler, font_files()[path.removeprefix("/static/")], "font/woff2")
        elif path == "/monitoring" and self.is_signed_out:
            handler.send_response(303)
            handler.send_header("Location", "/sign-in?next=%2Fmonitoring")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        elif path == "/sign-in":
            self._send(handler, render_sign_in(nonce=NONCE, trouble="No.").encode(), "text/html")
        elif path == "/monitoring" and self.refusals:
            self.refusals -= 1
            handler.send_error(503)
        elif path == "/gone":
            html = render_message(nonce=NONCE, title="Not there", message="Nothing.", home="/monitoring")
            self._send(handler, html.encode(), "text/html")
        else:
            links = ServedLinks(shown, reader_kind=self.reader_kind)
            html = render_dashboard(shown, links, nonce=NONCE, reader_name="operations")
            self.may_answer.wait(timeout=30)
            self._send(handler, html.encode(), "text/html")

    def _send(self, handler: BaseHTTPRequestHandler, content: bytes, media_type: str) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", f"{media_type}; charset=utf-8")
        handler.send_header("Content-Length", str(len(content)))
        handler.send_header("Content-Security-Policy", content_policy(NONCE))
        handler.end_headers()
        handler.wfile.write(content)

    def _follow(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        if self.is_closed or self.is_signed_out:
            handler.send_error(401 if self.is_signed_out else 503)
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        while (said := self.feed.get()) is not None:
            handler.wfile.write(f"event: update\ndata: {json.dumps(said)}\n\n".encode())
            handler.wfile.flush()

    def components(self) -> list[dict[str, Any]]:
        """Those of the page, each up."""
        found = self.page.health.components if self.page.health else ()
        return [{"name": one.name, "status": "up", "latency_ms": 43, "checked_at": None} for one in found]

    def say(self, **changed: Any) -> None:
        self.feed.put(
            {
                "night": self.page.night_id,
                "as_of": "2026-11-23T02:00:00Z",
                "is_stale": False,
                "freshness": freshness(AS_OF, None),
                "health": {"overall": "healthy", "components": self.components()},
                "headlines": [],
                "open_alerts": {"critical": 1, "error": 0, "warning": 1, "info": 1},
            }
            | changed
        )


def wait_until(holds: Callable[[], bool]) -> None:
    """Returns when it holds; fails after 15 seconds."""
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.feed.put(None)
    made.server.shutdown()
    made.server.server_close()


@contextmanager
def opened(
    browser: Browser, url: str, *, complaints: list[str] | None = None, **options: Any
) -> Iterator[Page]:
    """A page under its own policy; it asked nobody else, and at the end the console is clean."""
    context = browser.new_context(**options)
    page = context.new_page()
    heard: list[str] = [] if complaints is None else complaints
    asked: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(url)
        yield page
        origin = re.match(r"\w+://[^/]*", url)
        assert origin is not None
        assert [one for one in asked if not one.startswith((origin[0], "data:"))] == []
        if complaints is None:
            assert heard == []
    finally:
        context.close()


def test_a_served_page_breaks_none_of_its_own_rules(browser: Browser, service: Service) -> None:
    with opened(browser, service.url + "/monitoring") as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Monitoring")
        assert page.evaluate(
            "document.fonts.ready.then(() => document.fonts.check('700 20px \"Report Sans\"'))"
        )
    for path in ("/sign-in", "/gone"):
        with opened(browser, service.url + path) as page:
            expect(page.get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.parametrize("path", ["/monitoring", "/sign-in", "/gone"])
def test_served_pages_are_without_violations(
    browser: Browser, service: Service, tmp_path: Path, path: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for scheme in SCHEMES:
        context = browser.new_context(
            viewport={"width": 375, "height": 800}, color_scheme=scheme, bypass_csp=True
        )
        page = context.new_page()
        page.goto(service.url + path)
        found = Axe().run(
            page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
        )
        assert [violation["id"] for violation in found.response["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        context.close()


def test_a_file_breaks_none_of_its_own_rules(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(PAGES["weekly platform"], encoding="utf-8")
    with opened(browser, path.as_uri()) as page:
        ink = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink')")
        assert ink == "#1b1f24", "its style is allowed"
        expect(page.get_by_role("button", name="Dark theme")).to_be_visible()


def test_a_copy_says_that_it_is_old_by_the_readers_clock(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(PAGES["weekly platform"], encoding="utf-8")
    for moment, is_old in (("2026-11-24T03:00:00Z", False), ("2026-11-24T05:00:00Z", True)):
        context = browser.new_context()
        page = context.new_page()
        page.clock.set_fixed_time(moment)
        page.goto(path.as_uri())
        expect(page.locator(".banner")).to_be_visible(visible=is_old)
        context.close()


def test_the_theme_is_kept_and_the_charts_follow_it(browser: Browser, service: Service) -> None:
    with opened(browser, service.url + "/monitoring", color_scheme="light") as page:
        button = page.get_by_role("button", name="Dark theme")
        expect(button).to_have_attribute("aria-pressed", "false")
        fill = "getComputedStyle(document.querySelector('.columns .c-actual')).fill"
        assert page.evaluate(fill) == "rgb(36, 82, 122)"
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        assert page.evaluate(fill) == "rgb(121, 184, 255)"
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.get_by_role("button", name="Dark theme").click()
        assert page.evaluate(fill) == "rgb(36, 82, 122)"


def test_without_scripts_it_is_the_same_page(browser: Browser, service: Service) -> None:
    with opened(browser, service.url + "/monitoring", java_script_enabled=False) as page:
        expect(page.get_by_role("button", name="Dark theme")).to_be_hidden()
        page.get_by_label("Find a team or organization").fill("docs")
        page.get_by_role("button", name="Search").click()
        assert "q=docs" in page.url
        page.get_by_label("Period", exact=True).select_option("2026-10")
        page.get_by_role("button", name="Show").click()
        assert "period=2026-10" in page.url
        assert "/api/live" not in service.asked


def test_what_is_said_live_is_shown(browser: Browser, service: Service) -> None:
    service.say()
    with opened(browser, service.url + "/monitoring") as page:
        overall = page.locator("[data-live='health.overall']")
        expect(overall).to_have_text("healthy")
        service.say(
            is_stale=True,
            freshness="Data to 2026-11-23 02:00 UTC: older than 26 hours",
            health={
                "overall": "unhealthy",
                "components": [
                    *(one for one in service.components() if one["name"] not in ("saas_api", "database")),
                    {
                        "name": "saas_api",
                        "status": "down",
                        "latency_ms": 5000,
                        "checked_at": "2026-11-23T08:40:00Z",
                    },
                    {"name": "database", "status": "unknown", "latency_ms": None, "checked_at": None},
                ],
            },
            headlines=[{"key": "job_count", "label": "Jobs", "unit": "count", "value": 29, "text": "29"}],
            open_alerts={"critical": 7, "error": 0, "warning": 1, "info": 1},
        )
        expect(overall).to_have_text("unhealthy")
        expect(overall).to_have_attribute("data-word", "unhealthy")
        assert page.evaluate("getComputedStyle(document.querySelector('.overall .word')).color") == (
            "rgb(179, 64, 10)"
        )
        expect(page.locator("[data-live='health.saas_api.status']")).to_have_text("down")
        expect(page.locator("[data-live='health.saas_api.latency']")).to_have_text("5.00\N{THIN SPACE}s")
        expect(page.locator("[data-live='health.saas_api.checked']")).to_have_text("2026-11-23 08:40")
        expect(page.locator("[data-live='headline.job_count']")).to_have_text("29")
        expect(page.locator("[data-live='alerts.critical']")).to_have_text("7")
        expect(page.locator(".freshness")).to_contain_text("older than 26 hours")
        expect(page.get_by_role("alert")).to_be_visible()
        service.say()
        expect(page.get_by_role("alert")).to_be_hidden()


def test_a_new_night_brings_new_figures_and_keeps_what_the_reader_did(
    browser: Browser, service: Service
) -> None:
    service.say()
    with opened(browser, service.url + "/monitoring?period=2026-W47") as page:
        page.locator("summary", has_text="Figures of the days").click()
        page.get_by_label("Find a team or organization").fill("half a wo")
        service.page = replace(service.page, night_id="20261124T020000Z-5e6f7a8b", teams=teams("new-team"))
        service.say()
        expect(page.locator("main")).to_have_attribute("data-night", "20261124T020000Z-5e6f7a8b")
        expect(page.get_by_role("link", name="new-team").first).to_be_visible()
        expect(page.get_by_label("Find a team or organization")).to_have_value("half a wo")
        expect(page.get_by_label("Find a team or organization")).to_be_focused()
        assert page.locator("details.beside").get_attribute("open") is not None
        assert service.asked.count("/monitoring?period=2026-W47") == 2
        service.say(health={"overall": "degraded", "components": []})
        expect(page.locator("[data-live='health.overall']")).to_have_text("degraded")


def test_what_is_said_while_a_new_night_is_fetched_is_not_lost(browser: Browser, service: Service) -> None:
    service.say()
    first = service.page
    with opened(browser, service.url + "/monitoring") as page:
        expect(page.locator("[data-live='health.overall']")).to_have_text("healthy")
        service.may_answer.clear()
        service.page = replace(first, night_id="20261124T020000Z-5e6f7a8b")
        service.say()
        wait_until(lambda: service.asked.count("/monitoring") == 2)
        # the page that is being fetched is of this night and not yet of the next
        service.page = replace(first, night_id="20261125T020000Z-9c0d1e2f", teams=teams("new-team"))
        service.say(open_alerts={"critical": 6, "error": 0, "warning": 1, "info": 1})
        expect(page.locator("[data-live='alerts.critical']")).to_have_text("6")
        service.may_answer.set()
        expect(page.locator("main")).to_have_attribute("data-night", "20261125T020000Z-9c0d1e2f")
        expect(page.get_by_role("link", name="new-team").first).to_be_visible()
        expect(page.locator("[data-live='alerts.critical']")).to_have_text("6")
        assert service.asked.count("/monitoring") == 3


def test_a_set_of_components_is_asked_for_again_after_a_failure(browser: Browser, service: Service) -> None:
    full, service.page = service.page, replace(service.page, health=None)
    service.say(health={"overall": "unknown", "components": []})
    complaints: list[str] = []
    with opened(browser, service.url + "/monitoring", complaints=complaints) as page:
        expect(page.locator("#health + .empty")).to_be_visible()
        service.page = full
        service.refusals = 1
        service.say()
        expect(page.get_by_role("status")).to_have_text(re.compile("Connection lost"))
        service.feed.put(None)
        service.say()
        expect(page.locator("[data-live='health.saas_api.status']")).to_have_text("up", timeout=15_000)
        expect(page.get_by_role("status")).to_have_text("")
    assert all("503" in text for text in complaints), "the browser itself tells of the refusal"


def test_a_lost_connection_is_said_and_found_again(browser: Browser, service: Service) -> None:
    service.say()
    complaints: list[str] = []
    with opened(browser, service.url + "/monitoring", complaints=complaints) as page:
        expect(page.locator("[data-live='health.overall']")).to_have_text("healthy")
        service.is_closed = True
        service.feed.put(None)
        expect(page.get_by_role("status")).to_have_text(re.compile("Connection lost"))
        page.wait_for_timeout(4000)
        tries = service.asked.count("/api/live")
        assert 2 <= tries <= 6, "it waits longer each time"
        service.is_closed = False
        service.say()
        expect(page.get_by_role("status")).to_have_text("", timeout=15_000)
        expect(page.locator("[data-live='health.overall']")).to_have_text("healthy")
    # the browser itself tells of answers that it did not get
    assert [text for text in complaints if "/api/live" not in text and "503" not in text] == []


def test_what_is_not_known_any_more_does_not_stay(browser: Browser, service: Service) -> None:
    service.say()
    with opened(browser, service.url + "/monitoring") as page:
        expect(page.locator("[data-live='health.overall']")).to_have_text("healthy")
        checked = page.locator("[data-live='health.saas_api.checked']").text_content()
        service.say(health={"overall": "unknown", "components": []}, open_alerts=None)
        for name in ("saas_api", "litellm_proxy", "database", "mail"):
            status = page.locator(f"[data-live='health.{name}.status']")
            expect(status).to_have_text("unknown")
            expect(status).to_have_attribute("data-word", "unknown")
            expect(page.locator(f"[data-live='health.{name}.latency']")).to_have_text("no answer measured")
        for severity in ("critical", "error", "warning", "info"):
            expect(page.locator(f"[data-live='alerts.{severity}']")).to_have_text("not known")
        expect(page.locator("[data-live='health.saas_api.checked']")).to_have_text(checked or "")
        assert service.asked.count("/monitoring") == 1
        service.say(is_stale=True)
        expect(page.locator("[data-live='alerts.critical']")).to_have_text("1")
        expect(page.locator("#today")).to_have_text("The last day, so far")


def test_the_first_probe_reaches_an_open_page(browser: Browser, service: Service) -> None:
    full, service.page = service.page, replace(service.page, health=None)
    service.say(health={"overall": "unknown", "components": []})
    with opened(browser, service.url + "/monitoring") as page:
        expect(page.locator("#health + .empty")).to_be_visible()
        service.page = full
        service.say()
        expect(page.locator("[data-live='health.saas_api.status']")).to_have_text("up")
        assert service.asked.count("/monitoring") == 2
        service.say(open_alerts={"critical": 2, "error": 0, "warning": 1, "info": 1})
        expect(page.locator("[data-live='alerts.critical']")).to_have_text("2")
        assert service.asked.count("/monitoring") == 2
        # a component that the page does not show: asked for once
        other = [{"name": "queue", "status": "up", "latency_ms": 3, "checked_at": None}]
        for critical in (3, 4, 5):
            service.say(
                health={"overall": "healthy", "components": other},
                open_alerts={"critical": critical, "error": 0, "warning": 1, "info": 1},
            )
            expect(page.locator("[data-live='alerts.critical']")).to_have_text(str(critical))
            wait_until(lambda: service.asked.count("/monitoring") >= 3)
        page.wait_for_timeout(500)
        assert service.asked.count("/monitoring") == 3


def test_an_ended_session_is_said_and_leads_to_the_form(browser: Browser, service: Service) -> None:
    service.say()
    complaints: list[str] = []
    with opened(browser, service.url + "/monitoring?period=2026-10", complaints=complaints) as page:
        expect(page.locator("[data-live='health.overall']")).to_have_text("healthy")
        service.is_signed_out = True
        service.feed.put(None)
        status = page.get_by_role("status")
        expect(status).to_contain_text("Your session has ended.", timeout=15_000)
        expect(status.get_by_role("link", name="Sign in again")).to_have_attribute(
            "href", "/sign-in?next=%2Fmonitoring%3Fperiod%3D2026-10"
        )
        tries = service.asked.count("/api/live")
        page.wait_for_timeout(4000)
        assert service.asked.count("/api/live") == tries, "it has stopped trying"
        expect(status).to_contain_text("Your session has ended.")


def test_a_figure_of_today_and_its_comparisons_are_a_line_each(browser: Browser, service: Service) -> None:
    # as many as the platform's page has, each as wide as it gets
    tokens = Today("total_tokens", "Tokens", "tokens", 8_134_914, 188_134_914, 182_345_678)
    cost = Today("client_cost_usd", "Client cost", "usd", Decimal(93_412), Decimal(91_412), Decimal(188_412))
    service.page = replace(service.page, today=(tokens, cost) * 4)
    with opened(browser, service.url + "/monitoring", viewport={"width": 1280, "height": 900}) as page:
        heights = page.evaluate(
            "[...document.querySelectorAll('.today .meta')].map(one => "
            "one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).fontSize))"
        )
        assert len(heights) == 2 * len(service.page.today)
        assert max(heights) < 2, "in letters: two lines are more"


def test_the_keyboard_reaches_the_content_the_search_and_the_tables(
    browser: Browser, service: Service
) -> None:
    with opened(browser, service.url + "/monitoring") as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        reached = set()
        for _ in range(120):
            page.keyboard.press("Tab")
            reached.add(
                page.evaluate("(e => e.id || e.ariaLabel || e.textContent.trim())(document.activeElement)")
            )
        assert {"theme", "period", "search", "Teams", "Jobs by type", "Sign out", "Failure rate"} <= reached
