"""One line of a reverse proxy's access log: JSON of nginx, Caddy or Traefik, or common or combined.

What must not be kept is not read: no query, no header but the ids of team and key, no user agent.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

# A longer path is cut.
LONGEST_PATH = 300
LONGEST_ID = 255
# The ids of a team or key that are longer, or look like a key itself, become a short hash of it.
LONGEST_KEY_ID = 64

# Where each field is looked for, in this order; names in lower case with _ for - and for the dot of an object
# inside. nginx has names of its own choice, Caddy nests, Traefik writes its own.
TIMES = (
    "time_iso8601",
    "time",
    "ts",
    "timestamp",
    "@timestamp",
    "time_local",
    "startutc",
    "starttime",
    "msec",
)
STATUSES = ("status", "downstreamstatus", "status_code", "response_status")
CLIENTS = (
    "client_ip", "request_client_ip", "remote_addr", "request_remote_ip", "clienthost", "remote_ip",
    "request_remote_addr", "clientaddr",
)  # fmt: skip
METHODS = ("request_method", "method", "requestmethod")
PATHS = ("request_uri", "uri", "path", "requestpath", "url")
TEAMS = (
    "x_team_id", "http_x_team_id", "request_headers_x_team_id", "request_x_team_id", "team_id",
)  # fmt: skip
KEYS = (
    "x_key_id", "http_x_key_id", "request_headers_x_key_id", "request_x_key_id", "key_id",
    "x_key_alias", "http_x_key_alias", "request_headers_x_key_alias", "request_x_key_alias", "key_alias",
)  # fmt: skip
MILLISECONDS = ("duration_ms", "latency_ms", "request_time_ms", "response_time_ms")
SECONDS = ("request_time", "duration", "latency")

# common; combined with two texts more (referer, agent); nginx's `main` with a third (X-Forwarded-For).
# Possessive: a line is read once from left to right, whatever a client wrote into it.
_QUOTED = r'"(?:[^"\\]++|\\.)*+"'
_LINE = re.compile(
    r'(?P<before>(?:[^"\\]++|\\.|""(?=\ \[))*+)'
    r'"(?P<request>(?:[^"\\]++|\\.)*+)"'
    r"\ (?P<status>[0-9]{3})\ (?:[0-9]+|-)"
    rf"(?:\ {_QUOTED}\ {_QUOTED}(?:\ {_QUOTED})?)?"
)
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))")
# with brackets: `[22/Nov/2026:10:00:00 +0100]`
LONGEST_TIME = 40

_SECRET = re.compile(r"(?i)^(?:bearer|basic)\b|^(?:sk|pk|rk)[-_]|^eyJ")
_HASH = re.compile(r"[0-9a-f]{64}")
# and halves of characters, which JSON can hold and no text can
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_METHOD = re.compile(r"[A-Za-z]{1,20}")
# An epoch of more is in milliseconds: in seconds it would be the year 5138.
_LARGEST_SECONDS = 100_000_000_000
_EPOCH = datetime(1970, 1, 1)


class NoRequest(ValueError):
    """The line is no request that can be read."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; the moment is naive UTC, what the line does not say is None."""

    happened_at: datetime
    client: str | None
    method: str | None
    path: str | None
    status: int
    team_id: str | None
    key_id: str | None
    duration_ms: Decimal | None


def read_line(line: str) -> Request:
    """The request of a line without its line end; NoRequest when it holds none."""
    return _of_json(line) if line.startswith("{") else _of_text(line)


# --- JSON --------------------------------------------------------------------------------------------------


def _of_json(line: str) -> Request:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        raise NoRequest from None
    if not isinstance(given, dict):
        raise NoRequest
    fields = _flat(given)
    method, path = _first(fields, METHODS), _first(fields, PATHS)
    if method is None and path is None and isinstance(request := fields.get("request"), str):
        method, _, path = request.partition(" ")
    return Request(
        happened_at=_moment(_first(fields, TIMES)),
        client=_client(_first(fields, CLIENTS)),
        method=_method(method),
        path=_path(path),
        status=_status(_first(fields, STATUSES)),
        team_id=_id(_first(fields, TEAMS)),
        key_id=_id(_first(fields, KEYS)),
        duration_ms=_duration(fields),
    )


def _flat(given: dict[str, Any]) -> dict[str, Any]:
    """The fields by one name each: `request` and its `headers` are objects inside in Caddy's lines."""
    flat: dict[str, Any] = {}
    inner: list[tuple[str, dict[str, Any]]] = [("", given)]
    for depth in range(3):
        deeper = []
        for prefix, values in inner:
            for name, value in values.items():
                key = prefix + str(name).lower().replace("-", "_").replace(".", "_")
                if isinstance(value, dict):
                    deeper.append((f"{key}_", value))
                elif isinstance(value, list):
                    flat.setdefault(key, value[0] if value and depth == 2 else None)
                else:
                    flat.setdefault(key, value)
        inner = deeper
    return flat


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) not in (None, "", "-")), None)


def _duration(fields: dict[str, Any]) -> Decimal | None:
    if (given := _first(fields, MILLISECONDS)) is not None:
        return _number(given, Decimal(1))
    # Traefik's Duration is in nanoseconds
    unit = Decimal("0.000001") if "downstreamstatus" in fields else Decimal(1000)
    return _number(_first(fields, SECONDS), unit)


def _number(given: Any, milliseconds: Decimal) -> Decimal | None:
    if given is None or isinstance(given, bool):
        return None
    try:
        value = Decimal(str(given)) * milliseconds
        return round(value, 3) if value.is_finite() and 0 <= value < 10**12 else None
    except ArithmeticError:
        return None


# --- common and combined -----------------------------------------------------------------------------------


def _of_text(line: str) -> Request:
    found = _LINE.fullmatch(line)
    if found is None:
        raise NoRequest
    # host, ident and user; a user may hold spaces and brackets, the time is what stands last
    names, _, moment = found["before"].rpartition(" [")
    if len(moment) > LONGEST_TIME or not moment.endswith("] ") or names.count(" ") < 2:
        raise NoRequest
    first, second, _ = names.split(" ", 2)
    # the virtual host stands before the client's address
    client = second if not _is_address(first) and _is_address(second) else first
    parts = _unescaped(found["request"]).split(" ")
    is_request = len(parts) in (2, 3) and _METHOD.fullmatch(parts[0]) is not None
    return Request(
        happened_at=_moment(moment.removesuffix("] ")),
        client=_client(client),
        method=_method(parts[0]) if is_request else None,
        path=_path(parts[1]) if is_request else None,
        status=_status(found["status"]),
        team_id=None,
        key_id=None,
        duration_ms=None,
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _unescaped(text: str) -> str:
    r"""What a proxy wrote as \x and two digits, or with a backslash before it."""

    def byte(escape: re.Match[bytes]) -> bytes:
        if escape[1]:
            return bytes.fromhex(escape[1].decode())
        return b"" if escape[2] in b"bfnrtv" else escape[2]

    return _ESCAPE.sub(byte, text.encode(errors="replace")).decode(errors="replace")


# --- fields ------------------------------------------------------------------------------------------------


def _moment(given: Any) -> datetime:
    try:
        if isinstance(given, str) and not re.fullmatch(r"[0-9.]+", given):
            moment = _moment_of_text(given)
        else:
            seconds = float(given)
            seconds = seconds / 1000 if seconds > _LARGEST_SECONDS else seconds
            moment = _EPOCH + timedelta(seconds=seconds)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (TypeError, ValueError, OverflowError):
        raise NoRequest from None
    if not 2000 <= moment.year <= 9998:
        raise NoRequest
    return moment


def _moment_of_text(text: str) -> datetime:
    if "/" in text:
        return datetime.strptime(text.strip("[]"), "%d/%b/%Y:%H:%M:%S %z")
    return datetime.fromisoformat(text)


def _status(given: Any) -> int:
    text = str(given)
    if isinstance(given, bool) or not re.fullmatch(r"[1-9][0-9]{2}", text, re.ASCII):
        raise NoRequest
    return int(text)


def _client(given: Any) -> str | None:
    """The address without a port; a name where the proxy wrote names."""
    if not isinstance(given, str):
        return None
    text = _CONTROL.sub("", given).strip()
    bare = re.sub(r"^\[(.*)\](?::\d+)?$|^([^:]*):\d+$", r"\1\2", text)
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare[:LONGEST_ID] or None


def _method(given: Any) -> str | None:
    return given.upper() if isinstance(given, str) and _METHOD.fullmatch(given) else None


def _path(given: Any) -> str | None:
    """Without the query and without an address before it: both may hold a secret."""
    if not isinstance(given, str):
        return None
    text = given.split(" ")[0]
    text = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", text)
    text = _CONTROL.sub("", re.split(r"[?#;]|%3[fF]|%23", text, maxsplit=1)[0])
    # an address without a scheme, as CONNECT has it, may hold a password too
    if "@" in text.split("/")[0]:
        return None
    return text[:LONGEST_PATH] or None


def _id(given: Any) -> str | None:
    """The id of a team or key. What looks like a key itself becomes the first digits of its hash."""
    if not isinstance(given, str | int) or isinstance(given, bool):
        return None
    text = _CONTROL.sub("", str(given)).strip()
    if not text or text == "-":
        return None
    if _HASH.fullmatch(text.lower()):
        return text[:8].lower()
    if _SECRET.search(text) or len(text) > LONGEST_KEY_ID:
        return hashlib.sha256(text.encode()).hexdigest()[:8]
    return text
