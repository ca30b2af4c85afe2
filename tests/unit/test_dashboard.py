"""The dashboard's page: what it shows of what it is given, what it never shows, what its policy allows."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html import unescape
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest

from reports.dashboard import (
    content_policy,
    font_files,
    freshness,
    render_dashboard,
    render_message,
    render_sign_in,
)
from reports.dashboard_figures import TEAM_COLUMNS, Dashboard
from reports.dashboard_links import ServedLinks, StaticLinks
from tests.unit.dashboard_samples import AS_OF, SCOPES, dashboard, empty, without_review

NONCE = "bm9uY2U"
every_scope = pytest.mark.parametrize("scope", SCOPES)
every_kind = pytest.mark.parametrize("kind", ["weekly", "monthly"])

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=http://127.0.0.1:9/x onerror=alert(1)>',
    "template": "{{7011*1009}}",
    "style": "</style><style>@import url(http://127.0.0.1:9/x);",
    "right to left": "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "long": "x" * 10_000,
    "path": "a/b?c=d&e=f#g%00",
    "javascript": "javascript:alert(1)",
}


def served(page: Dashboard, reader_kind: str = "platform") -> str:
    links = ServedLinks(page, reader_kind=reader_kind)
    return render_dashboard(page, links, nonce=NONCE, reader_name="operations")


def static(page: Dashboard) -> str:
    return render_dashboard(page, StaticLinks({"o": "organization-o.html"}), nonce=None)


def text_of(html: str) -> str:
    """What a reader sees, without markup, style and script, blanks folded."""
    html = re.sub(r"<(style|script|title|desc)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@every_kind
@every_scope
def test_a_page_is_sound(scope: str, kind: str) -> None:
    html = served(dashboard(scope, kind))
    assert "style=" not in html
    assert not re.findall(r"<[^>]+\son\w+=", html), "a handler inside the markup"
    assert "None" not in html
    assert "asset:" not in html
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    levels = [int(level) for level in re.findall(r"<h(\d)", html)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    labels = re.findall(r'role="region" aria-label="([^"]+)"', html)
    assert len(labels) == len(set(labels))


def test_the_sections_come_in_the_order_of_what_people_ask_first() -> None:
    headings = [unescape(text) for text in re.findall(r"<h2[^>]*>([^<]+)</h2>", served(dashboard()))]
    assert [text.partition(",")[0] for text in headings] == [
        *("Health", "Today so far", "Key metrics", "Trends", "Usage", "Cost and credits"),
        *("Latency and errors", "Alerts", "Teams"),
    ]
    groups = re.findall(r"<h3>([^<]+)</h3>", served(dashboard()))
    assert groups[:4] == ["Platform health", "Usage", "Financial", "Performance"]


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
@every_scope
def test_a_name_is_text_wherever_it_stands(scope: str, name: str) -> None:
    plain, hostile = served(dashboard(scope, name="plain")), served(dashboard(scope, name=name))
    for tag in ("script", "style", "img", "link", "a", "input"):
        assert hostile.count(f"<{tag}") == plain.count(f"<{tag}"), tag
    assert str(7011 * 1009) not in hostile
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text_of(hostile)
    links = [unescape(href) for href in re.findall(r'href="([^"]*)"', hostile)]
    assert all(href.startswith(("/", "#", "data:,")) for href in links)
    if scope == "platform":
        found = [parse_qs(urlsplit(href).query, max_num_fields=9).get("id") for href in links]
        assert [name] in found, "an id reaches its link whole"


@every_scope
def test_a_tenant_reads_neither_costs_of_providers_nor_reasons_nor_links_to_others(scope: str) -> None:
    page = dashboard(scope, name="acme")
    words = text_of(served(page, scope)).lower()
    if scope == "platform":
        assert "provider cost" in words
        assert "margin" in words
        return
    assert not re.search(r"provider cost|margin|markup", words)
    links = re.findall(r'href="([^"]*)"', served(page, scope))
    assert not [href for href in links if href.partition("?")[0] == "/monitoring"]
    if scope == "team":
        assert not [href for href in links if "organization" in href]


def test_what_is_not_known_says_so() -> None:
    words = text_of(served(dashboard()))
    assert "Client cost not known" in words
    assert re.search(r"Database unknown no answer measured", words)
    row = re.search(r"no price .*? idle-0", words)
    assert row is not None
    assert row[0].count("not known") == 3, "neither tokens, nor the cost, nor the credits left are zero"


def test_days_whose_tokens_or_costs_are_not_known_are_said_beside_the_sum_of_the_others() -> None:
    words = text_of(served(dashboard()))
    assert "44 4 200 not known $1.25" in words, "the day's tokens"
    html = served(dashboard())
    assert "1.80 M in the period; 1 day is not known." in html.replace("\N{THIN SPACE}", " ")
    assert "$7.50 in the period; 1 day is not known." in html
    page = dashboard()
    unknown = tuple(replace(one, total_tokens=None) for one in page.days)
    assert "0 in the period; 7 days are not known." in served(replace(page, days=unknown))


def test_a_table_without_a_team_has_no_head_of_a_row() -> None:
    page = dashboard()
    assert page.teams is not None
    html = served(replace(page, teams=replace(page.teams, rows=(), row_count=0, search="x")))
    assert re.search(r'<tr><td colspan="\d+">No team of that name\.</td></tr>', html)


def test_today_says_which_day_it_is_and_is_not_called_today_when_it_is_over() -> None:
    assert "23 Nov 2026 in UTC, up to 2026-11-23 02:00 UTC" in text_of(served(dashboard()))
    heading = re.compile(r'<h2 id="today"[^>]*>([^<]+)</h2>')
    assert heading.findall(served(dashboard())) == ["Today so far"]
    for over in (replace(dashboard(), is_stale=True), replace(dashboard(), is_today=False)):
        assert heading.findall(served(over)) == ["The last day, so far"]


def test_an_id_keeps_its_blank_lines() -> None:
    ident = "a\n\n \n\nb"
    html = served(replace(dashboard("organization", name="plain"), scope_id=ident))
    assert f'name="id" value="{ident}"' in html


def test_teams_that_the_reader_may_not_open_are_no_links() -> None:
    page = dashboard("organization", name="plain")
    assert page.teams is not None
    for teams, expected in ((None, {"plain", "no price", "idle-0"}), (frozenset({"idle-0"}), {"idle-0"})):
        links = ServedLinks(page, reader_kind="organization", teams=teams)
        html = render_dashboard(page, links, nonce=NONCE)
        found = {
            parse_qs(urlsplit(unescape(href)).query)["id"][0]
            for href in re.findall(r'href="(/monitoring/team[^"]*)"', html)
        }
        assert found & {row.team_id for row in page.teams.rows} == expected
        assert "no price" in text_of(html)


@pytest.mark.parametrize("kind", ["platform", "organization"])
def test_the_first_day_of_a_platform_is_a_page(kind: str) -> None:
    words = text_of(served(empty(kind)))
    assert "Nothing is probed" in words
    assert "Nothing is published of today" in words
    assert "No week and no month is complete yet" in words
    assert "No alert rule has been asked yet" in words
    assert "healthy" not in words


def test_a_period_without_a_review_says_so_and_shows_its_days() -> None:
    html = served(without_review(), "team")
    assert "There is no review of 2026-W47 for this team" in text_of(html)
    assert 'id="daily-jobs-t"' in html


def test_old_numbers_shout_and_fresh_ones_do_not() -> None:
    fresh, stale = served(dashboard()), served(replace(dashboard(), is_stale=True))
    assert re.search(r'class="banner"[^>]* hidden>', fresh)
    assert re.search(r'class="banner" role="alert" data-live="stale">', stale)
    assert freshness(AS_OF, None) in text_of(fresh)
    assert freshness(AS_OF, 26) in text_of(stale)
    assert "older than 26 hours" in freshness(AS_OF, 26)


def test_a_table_says_how_it_is_sorted_and_links_to_the_other_ways() -> None:
    html = served(dashboard())
    (head,) = re.findall(r'<table class="teams">(.*?)</thead>', html, flags=re.DOTALL)
    assert re.findall(r'aria-sort="(\w+)"', head) == ["descending"]
    asked = [parse_qs(urlsplit(unescape(href)).query) for href in re.findall(r'href="([^"]*)"', head)]
    assert not [query for query in asked if "page" in query], "another order begins at its first page"
    orders = {query["sort"][0]: query["order"][0] for query in asked}
    assert orders.pop("client_cost_usd") == "asc", "once more turns it round"
    assert orders.pop("team_id") == orders.pop("organization_name") == "asc"
    assert set(orders.values()) == {"desc"}
    assert len(orders) == len(TEAM_COLUMNS) - 3
    assert "Page 2 of 3" in text_of(html)
    assert 'rel="prev"' in html
    assert 'rel="next"' in html


def test_a_search_stays_in_its_field_and_in_its_links() -> None:
    page = dashboard()
    assert page.teams is not None
    html = served(replace(page, teams=replace(page.teams, search='a"b&c')))
    assert 'value="a&#34;b&amp;c"' in html
    asked = [
        parse_qs(urlsplit(unescape(href)).query).get("q") for href in re.findall(r'href="([^"]*)"', html)
    ]
    assert ['a"b&c'] in asked


def test_the_whole_table_is_a_link_to_the_api() -> None:
    (platform,) = re.findall(r'href="(/api/[^"]*)"', served(dashboard()))
    (organization,) = re.findall(r'href="(/api/[^"]*)"', served(dashboard("organization", name="a/b&c")))
    assert unescape(platform) == "/api/analytics/usage?period=2026-W47&table=teams&format=csv"
    assert parse_qs(urlsplit(unescape(organization)).query)["organization_id"] == ["a/b&c"]


def test_live_figures_are_of_the_readers_own_scope_alone() -> None:
    own, another = served(dashboard()), served(dashboard("team"), "platform")
    assert 'data-live="headline.job_count"' in own
    assert 'data-live="alerts.critical"' in own
    assert "headline." not in re.sub(r"<script.*?</script>", "", another, flags=re.DOTALL)
    assert 'data-live="alerts' not in another
    assert 'data-live="health.overall"' in another
    assert 'data-night="20261123T020000Z-1a2b3c4d"' in own


@pytest.mark.parametrize("name", ["saas_api", "litellm_proxy", "database", "mail"])
def test_every_component_can_be_followed(name: str) -> None:
    html = served(dashboard())
    assert f'data-live="health.{name}.status"' in html
    assert f'data-live="health.{name}.latency"' in html


def test_a_served_page_has_one_style_and_one_script_with_its_nonce() -> None:
    html = served(dashboard())
    assert re.findall(r"<(style|script)\b([^>]*)>", html) == [
        ("style", f' nonce="{NONCE}"'),
        ("script", f' nonce="{NONCE}"'),
    ]
    assert "http-equiv" not in html
    assert content_policy(NONCE).count(f"'nonce-{NONCE}'") == 2
    fonts = set(re.findall(r'url\("/static/([^"]+)"\)', html))
    assert fonts == set(font_files())
    assert all(content.startswith(b"wOF2") for content in font_files().values())


@every_scope
def test_a_file_of_its_own_fetches_nothing_and_names_its_style_and_script_by_hash(scope: str) -> None:
    html = static(dashboard(scope))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    for tag in ("style", "script"):
        ((attributes, content),) = re.findall(rf"<{tag}\b([^>]*)>(.*?)</{tag}>", html, flags=re.DOTALL)
        assert attributes == ""
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in unescape(policy)
    assert "EventSource" not in html
    assert "<form" not in html
    addresses = re.findall(r"""(?:src|href|action)="([^"]*)"|url\("([^"]+)"\)""", html)
    assert {address.partition(":")[0] for pair in addresses for address in pair if address} <= {
        *("data", "#content", "organization-o.html")
    }


def test_a_static_page_leads_to_organizations_and_says_what_it_leaves_out() -> None:
    html = static(dashboard())
    assert 'href="organization-o.html"' in html
    assert "/monitoring" not in html
    assert "of 123 teams" in text_of(html)


def test_dark_variables_hold_by_wish_and_by_choice() -> None:
    html = served(dashboard())
    by_wish = re.search(r':root:not\(\[data-theme="light"\]\) \{([^}]*)\}', html)
    by_choice = re.search(r':root\[data-theme="dark"\] \{([^}]*--page[^}]*)\}', html)
    assert by_wish
    assert by_choice
    assert by_wish[1].split() == by_choice[1].split()
    assert re.search(r'<button type="button" id="theme"[^>]* hidden>', html), "without a script, no button"


def test_nothing_is_shown_before_a_key_is_given() -> None:
    html = render_sign_in(nonce=NONCE, trouble='<b>"no"</b>', next_path='/monitoring?period="x"')
    assert "<b>" not in html
    assert 'method="post" action="/sign-in"' in html
    assert 'type="password"' in html
    assert 'aria-describedby="trouble"' in html
    assert 'value="/monitoring?period=&#34;x&#34;"' in html
    assert "data-live-page" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert "EventSource" not in html


def test_a_message_says_one_thing() -> None:
    html = render_message(nonce=NONCE, title="Not there", message="<i>x</i>", home="/monitoring")
    assert "&lt;i&gt;x&lt;/i&gt;" in html
    assert 'href="/monitoring"' in html
    assert "href" not in render_message(nonce=NONCE, title="t", message="m").split("<main")[1]


def test_the_same_figures_give_the_same_page() -> None:
    assert static(dashboard()) == static(dashboard())
