"""The dashboard for people: sign-in with a key, a session in a cookie, pages drawn here for any browser."""

from __future__ import annotations

import secrets
from typing import Annotated
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse

from api.access import (
    COOKIE,
    SECURE_COOKIE,
    Caller,
    SignedIn,
    address_of,
    require_organization,
    require_team,
    session_of,
    session_token,
    teams_of,
)
from api.nights import Night
from api.problems import ApiError, NotFound, Wrong
from flows.dashboard_reader import NotThere, read_dashboard
from flows.dashboard_teams import TeamQuery
from flows.errors import UsageError
from flows.key_records import SESSION_LIFE
from flows.review_scopes import Scope
from reports import dashboard
from reports.dashboard_links import HOME, ServedLinks

router = APIRouter(include_in_schema=False)

SIGN_IN = "/sign-in"
# Bytes of the form that signs somebody in.
LARGEST_FORM = 8192
# Characters of the page to go to after signing in; of a longer one it is the first page.
LONGEST_PATH = 2000

_TITLES = {
    401: "Sign in first",
    404: "Not there",
    422: "Not understood",
    429: "Too often",
    503: "Not now",
}

Id = Annotated[str, Query(max_length=500)]


def is_page(path: str) -> bool:
    """Whether somebody looks at it in a browser, and wants even its problems as a page."""
    return path == "/" or path.startswith((HOME, SIGN_IN, "/sign-out"))


# --- signing in and out -------------------------------------------------------------------------------------


@router.get("/")
def root() -> Response:
    return RedirectResponse(HOME, status_code=303)


@router.get(SIGN_IN)
def sign_in_form(
    request: Request, next: Annotated[str | None, Query(max_length=LONGEST_PATH)] = None
) -> Response:
    if session_of(request) is not None:
        return RedirectResponse(_own_path(next), status_code=303)
    return _form(next)


@router.post(SIGN_IN)
async def sign_in(request: Request) -> Response:
    """Exchange a key for a session of a browser."""
    require_same_origin(request)
    given = await _fields(request)
    return await run_in_threadpool(_sign_in, request, given.get("key", "").strip(), given.get("next"))


def _sign_in(request: Request, key: str, next_path: str | None) -> Response:
    state = request.app.state
    known = state.keys.find(key)
    if known is None:
        state.limits.count_bad_key(address_of(request))
        return _form(next_path, trouble="This key is not good: unknown, expired or revoked.", status=401)
    # each session is written, and every one of them is held
    state.limits.count(known)
    response = RedirectResponse(_own_path(next_path), status_code=303)
    is_https = request.url.scheme == "https"
    response.set_cookie(
        SECURE_COOKIE if is_https else COOKIE,
        state.keys.start_session(known),
        max_age=int(SESSION_LIFE.total_seconds()),
        path="/",
        httponly=True,
        secure=is_https,
        # a link in a mail leads in; whatever changes something is a form of our own origin
        samesite="lax",
    )
    state.keys.note_use(known, state.now())
    return _sealed(response)


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the session, here and in the browser."""
    require_same_origin(request)
    token = session_token(request)
    if token is not None:
        request.app.state.keys.end_session(token)
    response = RedirectResponse(SIGN_IN, status_code=303)
    for name, is_secure in ((COOKIE, False), (SECURE_COOKIE, True)):
        response.delete_cookie(name, path="/", httponly=True, secure=is_secure, samesite="lax")
    return _sealed(response)


def require_same_origin(request: Request) -> None:
    """Refuse a form that a page of another origin sent. Raises Wrong."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        # whatever Origin says: our pages send no referrer, and Origin is then null
        is_ours = site in ("same-origin", "none")
    else:
        # an old browser, or a program; no browser sends a form across origins without Origin
        is_ours = origin is None or origin.partition("://")[2] == request.headers.get("host")
    if not is_ours:
        raise Wrong("This form came from another site.")


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a small form."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            raise Wrong("That is longer than any key.")
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        raise Wrong("That is no form of ours.") from None
    return {name: values[-1] for name, values in fields.items()}


def _own_path(text: str | None) -> str:
    """Where to go after signing in: a page of ours, and no other site's."""
    return text if text is not None and text.partition("?")[0].startswith(HOME) else HOME


def _form(next_path: str | None, *, trouble: str | None = None, status: int = 200) -> Response:
    nonce = secrets.token_urlsafe(16)
    page = dashboard.render_sign_in(
        nonce=nonce, trouble=trouble, next_path=None if next_path is None else _own_path(next_path)
    )
    return _page(page, nonce, status)


# --- the dashboard ------------------------------------------------------------------------------------------


@router.get(HOME)
def own_dashboard(
    request: Request,
    caller: SignedIn,
    period: str | None = None,
    q: str = "",
    sort: str = "",
    order: str = "",
    page: str = "",
) -> Response:
    """Whatever the key was made for: the platform, an organization, or a team."""
    return _dashboard(request, caller, caller.scope, period, TeamQuery(q, sort, order, page))


@router.get(f"{HOME}/organization")
def organization_dashboard(
    request: Request,
    caller: SignedIn,
    id: Id,
    period: str | None = None,
    q: str = "",
    sort: str = "",
    order: str = "",
    page: str = "",
) -> Response:
    scope = Scope("organization", id)
    return _dashboard(request, caller, scope, period, TeamQuery(q, sort, order, page))


@router.get(f"{HOME}/team")
def team_dashboard(request: Request, caller: SignedIn, id: Id, period: str | None = None) -> Response:
    return _dashboard(request, caller, Scope("team", id), period, TeamQuery())


def _dashboard(
    request: Request, caller: Caller, scope: Scope, period: str | None, teams: TeamQuery
) -> Response:
    state = request.app.state
    with state.nights.reading() as night:
        _require(night, caller, scope)
        try:
            figures = read_dashboard(
                night,
                scope,
                night_id=night.id,
                as_of=night.as_of,
                zone=night.reporting_timezone,
                now=state.now(),
                store=state.store(),
                probes=state.probes,
                period=period or None,
                teams=teams,
            )
        except NotThere as error:
            raise NotFound(str(error)) from None
        except UsageError as error:
            raise Wrong(str(error)) from None
        # the pages of teams that were not only ever its own are not an organization's to see
        is_tenants = caller.scope.kind == scope.kind == "organization"
        may_open = frozenset(teams_of(night, scope.id)) if is_tenants else None
    nonce = secrets.token_urlsafe(16)
    links = ServedLinks(figures, reader_kind=caller.scope.kind, teams=may_open)
    html = dashboard.render_dashboard(
        figures, links, nonce=nonce, reader_name=caller.key.name if caller.session else None
    )
    return _page(html, nonce)


def _require(night: Night, caller: Caller, scope: Scope) -> None:
    if scope.kind == "organization":
        require_organization(night, caller, scope.id)
    elif scope.kind == "team":
        require_team(night, caller, scope.id)


@router.get("/static/{name}")
def static(name: str) -> Response:
    """The bundled fonts."""
    content = dashboard.font_files().get(name)
    if content is None:
        raise NotFound("There is no such file.")
    return Response(
        content, media_type="font/woff2", headers={"Cache-Control": "public, max-age=31536000, immutable"}
    )


# --- how pages are answered ---------------------------------------------------------------------------------


def problem_page(request: Request, error: ApiError) -> Response:
    """A problem for people; whoever is not signed in gets the form, and is led back after it."""
    if error.status == 401:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        is_plain = asked in ("/", HOME) or request.method != "GET" or len(asked) > LONGEST_PATH
        suffix = "" if is_plain else f"?next={quote(asked, safe='')}"
        return _sealed(RedirectResponse(SIGN_IN + suffix, status_code=303))
    nonce = secrets.token_urlsafe(16)
    title = _TITLES.get(error.status, "It did not work")
    html = dashboard.render_message(nonce=nonce, title=title, message=error.detail, home=HOME)
    return _page(html, nonce, error.status, error.headers)


def _page(html: str, nonce: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    response = HTMLResponse(html, status_code=status, headers=headers)
    response.headers["Content-Security-Policy"] = dashboard.content_policy(nonce)
    return _sealed(response)


def _sealed(response: Response) -> Response:
    """Kept by nobody: the next reader of this browser may be somebody else."""
    response.headers["Cache-Control"] = "no-store"
    return response
