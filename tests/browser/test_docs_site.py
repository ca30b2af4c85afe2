"""The page of documentation in a real browser: columns and lineage are shown, and nothing is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from flows.docs_site import write_docs
from flows.progress import SilentProgress
from tests.browser.chromium import chromium
from tests.published import Published

MODEL = "#!/model/model.llm_almanac.team_usage_weekly"
GRAPH = f"{MODEL}?g_v=1&g_i=%2Bteam_usage_weekly"


@pytest.fixture(scope="module")
def page_path(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    return write_docs(published.settings, folder, progress=SilentProgress()).path


def watched(page: Page) -> tuple[list[str], list[str]]:
    """What the page asks for, and what it complains of, from here on."""
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return requests, complaints


def test_columns_and_lineage_are_shown_and_nothing_is_asked_for(page_path: Path) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        requests, complaints = watched(page)
        page.goto(page_path.as_uri())
        page.get_by_text("Every table and column of the published warehouse").wait_for()
        page.goto(page_path.as_uri() + MODEL)
        page.get_by_role("heading", name="team_usage_weekly").wait_for()
        assert page.get_by_text("client_cost_usd").first.is_visible()
        assert page.get_by_text("DECIMAL(28,8)").first.is_visible()
        page.goto("about:blank")
        page.goto(page_path.as_uri() + GRAPH)
        page.get_by_text("Lineage Graph").wait_for()
        page.wait_for_timeout(1000)  # it is laid out after the canvas is there
        drawn = page.evaluate(
            "Array.from(document.querySelectorAll('canvas')).some(one => one.width > 300 && "
            "new Set(one.getContext('2d').getImageData(0, 0, one.width, one.height).data).size > 20)"
        )
        assert drawn
        assert {url.partition("#")[0] for url in requests if url != "about:blank"} == {page_path.as_uri()}
        assert complaints == []


def test_the_page_could_not_ask_if_it_wanted_to(page_path: Path) -> None:
    """The policy holds: a script that got in would neither run nor reach anything."""
    with chromium() as browser:
        page = browser.new_page()
        page.goto(page_path.as_uri())
        outcome = page.evaluate(
            """async () => {
                const script = document.createElement('script');
                script.textContent = 'window.ran = true';
                document.head.append(script);
                const reached = await fetch('http://127.0.0.1:9/').then(() => true, () => false);
                const refused = await new Promise(resolve => {
                    document.addEventListener('securitypolicyviolation', event => {
                        if (event.blockedURI.includes('x.png')) resolve(true);
                    });
                    const img = new Image();
                    img.src = 'http://127.0.0.1:9/x.png';
                    document.body.append(img);
                });
                return [window.ran === true, reached, refused];
            }"""
        )
        assert outcome == [False, False, True]
