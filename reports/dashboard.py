"""The monitoring dashboard as one HTML page, and the small pages around it: sign-in and messages.

A page is self-contained but for its fonts, which a served page takes from `/static/`: one style and one
script, which its content policy names by a nonce (served) or by their hashes (a file). Names that users chose
reach the page through `safe_label` and autoescaping, never through `Markup`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime
from functools import cache
from typing import Any

from markupsafe import Markup

from reports import dashboard_pictures, formats
from reports.dashboard_figures import TEAM_COLUMNS, Dashboard
from reports.dashboard_links import Links
from reports.render import HERE, assets, environment, in_groups, inline_css

# In cascade order; the theme button needs the dark variables twice, see `_themed`.
STYLES = ("fonts", "variables", "dark", "charts", "dashboard")
# The key metrics, in the order of the platform's page; its first group is the components' own.
GROUPS = ("Usage", "Financial", "Performance")
# Where the served pages find the bundled fonts.
FONTS_PATH = "/static/"


def freshness(as_of: datetime | None, stale_hours: int | None) -> str:
    """How far the figures reach, in words; `stale_hours`: that they are older than so many, if they are."""
    if as_of is None:
        return "Nothing is published."
    words = f"Data to {formats.moment(as_of)} UTC"
    return words if stale_hours is None else f"{words}: older than {stale_hours} hours"


def content_policy(nonce: str) -> str:
    """The Content-Security-Policy header of a served page."""
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; font-src 'self'; "
        "connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


def render_dashboard(
    page: Dashboard,
    links: Links,
    *,
    nonce: str | None,
    reader_name: str | None = None,
    dates: str = "en-GB",
) -> str:
    """The page of a scope. Without a nonce it is a file of its own: no live figures, no fonts to fetch.

    `reader_name` is who is signed in, and brings the button to sign out.
    """
    figures = page.figures
    return _render(
        "dashboard.html.j2",
        nonce=nonce,
        scripts=("theme", "age") if nonce is None else ("theme", "dashboard"),
        dates=dates,
        is_live=nonce is not None,
        page=page,
        links=links,
        freshness=freshness(page.as_of, page.stale_hours if page.is_stale else None),
        follows=links.is_own,
        figures=figures,
        kpi_groups=sorted(in_groups(figures.kpis), key=_group_place) if figures else (),
        charted=dashboard_pictures.charted(figures) if figures else (),
        missed=dashboard_pictures.missed,
        pictures=dashboard_pictures.draw(page, dates=dates),
        team_columns=_team_columns(page),
        reader_name=reader_name,
    )


def render_sign_in(*, nonce: str, trouble: str | None = None, next_path: str | None = None) -> str:
    """The form that asks for a key; `trouble` says what was wrong with the last one."""
    return _render(
        "sign_in.html.j2",
        nonce=nonce,
        scripts=("theme",),
        dates="en-GB",
        trouble=trouble,
        next_path=next_path,
    )


def render_message(*, nonce: str, title: str, message: str, home: str | None = None) -> str:
    """A page that says one thing: what is not there, not allowed, or too much for now."""
    return _render(
        "message.html.j2",
        nonce=nonce,
        scripts=("theme",),
        dates="en-GB",
        title=title,
        message=message,
        home=home,
    )


def _group_place(group: tuple[str, object]) -> int:
    """The order of the platform's own page; groups that it does not know come last."""
    return GROUPS.index(group[0]) if group[0] in GROUPS else len(GROUPS)


def _team_columns(page: Dashboard) -> dict[str, str]:
    return {
        name: label
        for name, label in TEAM_COLUMNS.items()
        if name != "organization_name" or page.scope_kind == "platform"
    }


def _render(template: str, *, nonce: str | None, scripts: tuple[str, ...], dates: str, **given: Any) -> str:
    style, script = _style(is_served=nonce is not None), _script(scripts)
    return (
        environment(dates)
        .get_template(f"dashboard/{template}")
        .render(
            nonce=nonce,
            style=style,
            script=script,
            policy=None if nonce else _policy_of_a_file(style, script),
            **given,
        )
        .lstrip()
    )


def _closed_up(text: str) -> str:
    """A style or a script without blank lines; of a page they may be a part of somebody's id."""
    return re.sub(r"\n\s*\n+", "\n", text)


def _policy_of_a_file(style: Markup, script: Markup) -> str:
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; font-src data:; "
        "img-src data:; form-action 'none'; base-uri 'none'"
    )


def _hash(element: Markup) -> str:
    # the element's whole content, with the line breaks that the template puts around it
    digest = hashlib.sha256(f"\n{element}\n".encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


@cache
def _style(*, is_served: bool) -> Markup:
    css = _closed_up("\n".join(_themed(name) for name in STYLES).strip())
    return Markup(inline_css(css) if not is_served else css.replace("asset:", FONTS_PATH))


def _themed(name: str) -> str:
    """A style sheet; the dark variables hold by the system's wish, and by the reader's against it."""
    css = (HERE / "styles" / f"{name}.css").read_text(encoding="utf-8")
    if name != "dark":
        return css
    by_wish = css.replace(":root", ':root:not([data-theme="light"])')
    (variables,) = re.findall(r":root \{([^}]*)\}", css)
    return f'{by_wish}\n:root[data-theme="dark"] {{{variables}}}\n'


@cache
def _script(names: tuple[str, ...]) -> Markup:
    texts = ((HERE / "scripts" / f"{name}.js").read_text(encoding="utf-8") for name in names)
    return Markup(_closed_up("\n".join(texts).strip()))


def font_files() -> dict[str, bytes]:
    """What `/static/<name>` serves, by name; it never changes under a name."""
    return dict(assets())
