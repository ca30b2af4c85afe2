"""Who asks, what they may see, and how often they may ask.

A key belongs to the platform's operators, to an organization or to a team; it comes as a bearer token, or a
session that was begun with it as a cookie. What a caller may not see is answered like what is not there.
"""

from __future__ import annotations

import ipaddress
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request, Security, WebSocket
from fastapi.security import APIKeyCookie, HTTPBearer
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from api.problems import NotFound, NotSignedIn, TooMany
from flows.own_teams import own_teams
from flows.review_scopes import PLATFORM, Scope

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from api.nights import Night
    from flows.api_keys import KnownKey

# Bad keys that one address may try in a minute.
BAD_KEYS_PER_MINUTE = 20
# Of a browser on plain HTTP, and on HTTPS: there no other host can set or read it.
COOKIE, SECURE_COOKIE = "almanac_session", "__Host-almanac_session"

NO_TEAM = "There is no such team, or it is not yours to see."
NO_ORGANIZATION = "There is no such organization, or it is not yours to see."
FOR_OPERATORS = "There is no such page, or it is not yours to see."
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="almanac"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks, by the key they have."""

    key: KnownKey
    # the text of the cookie, where a session and no key was sent
    session: str | None = None

    @property
    def scope(self) -> Scope:
        return self.key.scope

    @property
    def is_operator(self) -> bool:
        return self.key.scope == PLATFORM


class RateLimits:
    """How often a key may ask, and an address may be wrong; in bounded memory."""

    def __init__(self, requests_per_minute: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests_per_minute)
        self._bad_keys = RateLimitItemPerMinute(BAD_KEYS_PER_MINUTE)

    def count(self, key: KnownKey) -> None:
        """Count a request; TooMany when there were too many."""
        name = ("key", str(key.key_id))
        if not self._limiter.hit(self._requests, *name):
            raise self._too_many(self._requests, name, "This key has asked too often.")

    def count_bad_key(self, address: str) -> None:
        """Count a key that was no good; TooMany when an address has tried too many of them."""
        name = ("address", address)
        if not self._limiter.hit(self._bad_keys, *name):
            raise self._too_many(self._bad_keys, name, "Too many wrong keys came from your address.")

    def _too_many(self, item: RateLimitItemPerMinute, name: tuple[str, str], detail: str) -> TooMany:
        resets_at = self._limiter.get_window_stats(item, *name).reset_time
        seconds = max(1, min(60, math.ceil(resets_at - time.time())))
        return TooMany(f"{detail} Ask again in {seconds} s.", {"Retry-After": str(seconds)})


def address_of(connection: HTTPConnection) -> str:
    """Whose tries are counted together: an IPv4 address, or the /64 that one IPv6 host has to itself."""
    host = connection.client.host if connection.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def identify(connection: HTTPConnection) -> Caller:
    """Who asks, by the Authorization header, else by the cookie. Raises NotSignedIn, TooMany.

    A good key is let in whatever came from its address before: others may share it. Cookies are not counted:
    a page that stays open asks with a dead one.
    """
    found = known_by(connection)
    if found is not None:
        return found
    if "authorization" in connection.headers:
        connection.app.state.limits.count_bad_key(address_of(connection))
    elif session_token(connection) is None:
        raise NotSignedIn("Send a key: Authorization: Bearer alm_….", _CHALLENGE)
    raise NotSignedIn("The key is not good: unknown, expired or revoked.", _CHALLENGE)


def known_by(connection: HTTPConnection) -> Caller | None:
    """The same without counting: None for whoever has no key that is good now."""
    header = connection.headers.get("authorization")
    if header is None:
        return session_of(connection)
    kind, _, text = header.partition(" ")
    known = connection.app.state.keys.find(text.strip()) if kind.lower() == "bearer" else None
    return None if known is None else Caller(known)


def session_of(connection: HTTPConnection) -> Caller | None:
    """Who is signed in, by the cookie alone."""
    token = session_token(connection)
    known = None if token is None else connection.app.state.keys.session(token)
    return None if known is None else Caller(known, token)


def session_token(connection: HTTPConnection) -> str | None:
    """The cookie of the way the request came: on HTTPS a neighbour of our host could set the other one."""
    is_https = connection.url.scheme in ("https", "wss")
    return connection.cookies.get(SECURE_COOKIE if is_https else COOKIE)


# For the OpenAPI document; what they find is found again by `identify`.
_BEARER = HTTPBearer(auto_error=False, description="A key: alm_….")
_SESSION = APIKeyCookie(name=COOKIE, auto_error=False, description="A session of /sign-in.")


def _caller(
    request: Request,
    _bearer: Annotated[object, Security(_BEARER)] = None,
    _session: Annotated[object, Security(_SESSION)] = None,
) -> Caller:
    found = identify(request)
    request.app.state.limits.count(found.key)
    request.app.state.keys.note_use(found.key, request.app.state.now())
    return found


def caller_of_socket(socket: WebSocket) -> Caller:
    """The same for a WebSocket, which a page of another origin could open with somebody's cookie."""
    found = identify(socket)
    if found.session is not None and not _is_same_origin(socket):
        raise NotSignedIn("A page of another origin may not use your session.")
    socket.app.state.limits.count(found.key)
    return found


def _is_same_origin(socket: WebSocket) -> bool:
    origin = socket.headers.get("origin", "")
    return origin.partition("://")[2] == socket.headers.get("host") and bool(origin)


SignedIn = Annotated[Caller, Depends(_caller)]


def _operator(caller: SignedIn) -> Caller:
    if not caller.is_operator:
        raise NotFound(FOR_OPERATORS)
    return caller


Operator = Annotated[Caller, Depends(_operator)]


# --- what a caller may see ----------------------------------------------------------------------------------


def team_filter(night: Night, scope: Scope, column: str = "team_id") -> tuple[str, list[Any]]:
    """A condition of SQL that only rows of a scope's own teams meet, and its parameters."""
    if scope == PLATFORM:
        return "true", []
    if scope.kind == "team":
        return f"{column} = ?", [scope.id]
    return f"{column} = any(?)", [teams_of(night, scope.id)]


def teams_of(night: Night, organization_id: str) -> list[str]:
    """The teams that an organization may see by their ids, read once a night."""
    return night.once(("own teams", organization_id), lambda: own_teams(night, organization_id))


def may_be_stored(text: str) -> bool:
    """Whether there can be such a text: PostgreSQL has none with a NUL, and refuses to look for one."""
    return "\0" not in text


def require_team(night: Night, caller: Caller, team_id: str) -> None:
    """NotFound unless the team is there and the caller's to see."""
    condition, parameters = team_filter(night, caller.scope)
    found = may_be_stored(team_id) and night.row(
        f"select team_id from warehouse.marts.dim_teams where team_id = ? and {condition}",
        [team_id, *parameters],
    )
    if not found:
        raise NotFound(NO_TEAM)


def require_organization(night: Night, caller: Caller, organization_id: str) -> None:
    """NotFound unless the organization is there and the caller's to see."""
    may_see = caller.is_operator or caller.scope == Scope("organization", organization_id)
    found = (
        may_see
        and may_be_stored(organization_id)
        and night.row(
            "select organization_id from warehouse.marts.dim_organizations where organization_id = ?",
            [organization_id],
        )
    )
    if not found:
        raise NotFound(NO_ORGANIZATION)
