"""The probes file: which components are probed, how, and how often.

YAML, read whole and checked whole: every mistake is told at once, with its line. It holds no secret:
databases are named by the setting that holds their URL.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from flows.checked_yaml import Mistake, load

# What an answer means, by the kind of component: http is any URL that answers 200 when it is up.
Kind = Literal["http", "saas_api", "litellm_liveliness", "litellm_readiness", "database"]

MOST_COMPONENTS = 50

_PROBLEMS = {
    "extra_forbidden": "there is no such setting; docs/operations.md lists them under Health probes",
    "missing": "is missing",
}
# LiteLLM's own health page asks every model something, which is billed
_BILLED_PATH = "/health"


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("it must be a URL such as http://localhost:8003/health")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it must not hold a name or a password: probe a path that asks for none")
    _ = parts.port  # raises ValueError when it is none
    return text


def _file(path: Path) -> Path:
    if not path.expanduser().is_absolute():
        raise ValueError("it must be a whole path, such as /etc/ssl/own-ca.pem")
    return path.expanduser()


class Component(BaseModel):
    """One thing that is probed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # what people read, and what marts and incidents go by
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    kind: Kind = "http"
    url: Annotated[str, AfterValidator(_url)] | None = None
    # of a database: whose URL it is, ALMANAC_SOURCE's or ALMANAC_WAREHOUSE_URL's
    database: Literal["source", "warehouse"] | None = None
    # an optional component that is down makes the platform degraded, never unhealthy
    required: bool = True
    # milliseconds: an answer that takes longer is `degraded`
    slow_ms: Annotated[int, Field(ge=1, le=60_000)] = 1000
    # seconds for everything: name, connection, answer
    deadline_seconds: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    # whom to trust besides the authorities of this system
    ca_file: Annotated[Path, AfterValidator(_file)] | None = None


class Probes(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # how often somebody probes: what was seen counts until the next probe is due, and not much longer
    interval_seconds: Annotated[int, Field(ge=30, le=3600)] = 300
    components: Annotated[list[Component], Field(min_length=1, max_length=MOST_COMPONENTS)]


def load_probes(path: Path) -> Probes:
    """Read the file. Raises UsageError that names each mistake with its line."""
    return load(
        path,
        Probes,
        name="probes file",
        setting="ALMANAC_PROBES",
        problems=_PROBLEMS,
        contradictions=_contradictions,
        ending="nothing was probed",
    )


def _contradictions(probes: Probes) -> Iterator[Mistake]:
    names = Counter(component.name for component in probes.components)
    for number, component in enumerate(probes.components):
        place = ("components", number)
        if names[component.name] > 1:
            yield ((*place, "name"), f"{component.name} is here {names[component.name]} times")
        if component.kind == "database":
            if component.database is None:
                yield ((*place, "database"), "is missing: say source or warehouse")
            for setting in ("url", "ca_file"):
                if getattr(component, setting) is not None:
                    yield ((*place, setting), "does not go with a database; its URL is that of a setting")
            continue
        if component.url is None:
            yield ((*place, "url"), "is missing")
        if component.database is not None:
            yield ((*place, "database"), "goes with kind: database alone")
        if component.url and component.kind.startswith("litellm") and _is_billed(component.url):
            yield (
                (*place, "url"),
                "LiteLLM's /health asks every model, which is billed; "
                "use /health/liveliness or /health/readiness",
            )


def _is_billed(url: str) -> bool:
    return unquote(urlsplit(url).path).rstrip("/").endswith(_BILLED_PATH)
