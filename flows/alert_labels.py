"""What is known to have happened, as people write it down for a backtest, and which rules cover it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from flows import PROJECT_DIR
from flows.errors import UsageError
from flows.source_location import parse_source

if TYPE_CHECKING:
    from flows.settings import Settings

BUILT_IN_RULES = PROJECT_DIR / "demo" / "label_rules.csv"
DEMO_SOURCE = PROJECT_DIR / "demo" / "platform-tape"
FILE_NAME = "labels.json"
# What people call the same thing; the first name is the one that the messages use.
_TEAM, _TEAMS = ("team", "team_id"), ("teams", "team_ids")
_ORGANIZATION = ("org", "organization", "organization_id", "org_id")
_USER, _CLIENT = ("user", "user_id", "admin_user"), ("client", "client_ip")
_SHAPE = (
    "It must be JSON: a list, or an object with a list `labels`, of objects with kind, start, end (or null), "
    "and perhaps team, teams, org, user or client."
)


@dataclass(frozen=True, slots=True)
class Label:
    """Something that is known to have happened; moments are naive UTC, an empty set is any."""

    kind: str
    start: datetime
    end: datetime
    teams: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()
    # as the label names them: an id, a name, an address of mail
    user: str | None = None
    client: str | None = None
    # the ids of `user`; empty where no admin is known by that name
    users: frozenset[str] = frozenset()

    def __str__(self) -> str:
        whom = (
            ", ".join(sorted(self.teams)) or self.user or self.client or ", ".join(sorted(self.organizations))
        )
        return f"{self.kind} of {whom or 'the platform'}, {self.start:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class LabelRules:
    """By kind of label: the rules that are to find it, and those whose incidents it explains (these too)."""

    covering: Mapping[str, tuple[str, ...]]
    explaining: Mapping[str, tuple[str, ...]]


# --- where they are -----------------------------------------------------------------------------------------


def find_labels(settings: Settings) -> tuple[Path | None, str]:
    """The labels of what is landed, where they are known, and what was looked at, for people."""
    if settings.source is not None:
        source = parse_source(settings.source)
        if not isinstance(source, Path):
            return None, "the source is a database; a file of labels is given with --labels FILE"
        path = source / FILE_NAME
        if path.is_file():
            return path, ""
        return None, f"there is no {path}; another file is given with --labels FILE"
    if _last_landed(settings) == "demo":
        return DEMO_SOURCE / FILE_NAME, ""
    return None, f"no source is set (ALMANAC_SOURCE) whose folder may hold {FILE_NAME}; give --labels FILE"


def _last_landed(settings: Settings) -> str | None:
    """What kind of run landed last."""
    from flows.ops_store import open_ops_store, runs

    with open_ops_store(settings).transaction() as connection:
        newest = select(runs.c.kind).where(runs.c.kind.in_(("demo", "nightly", "land")))
        return connection.scalar(newest.order_by(runs.c.token.desc()).limit(1))


# --- labels -------------------------------------------------------------------------------------------------


def read_labels(path: Path) -> list[Label]:
    """The labels of a file. UsageError that names the place of whatever is not as it should be."""
    content = _json(path)
    items = content.get("labels") if isinstance(content, dict) else content
    if not isinstance(items, list):
        found = (
            f"an object without a list `labels` (it has {_names(content)})"
            if isinstance(content, dict)
            else (f"not a list but {_what(content)}")
        )
        raise UsageError(f"{path} holds no labels: {found}. {_SHAPE}")
    return [_label(item, f"{path}: labels[{number}]") for number, item in enumerate(items)]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{path}, line {error.lineno}, column {error.colno}: no JSON: {error.msg}."
        ) from None
    except (ValueError, RecursionError):
        raise UsageError(
            f"{path} is no JSON that can be read: it is nested too deeply, or a number too long."
        ) from None


def _label(item: Any, place: str) -> Label:
    if not isinstance(item, dict):
        raise UsageError(f"{place} is {_what(item)}, not an object. {_SHAPE}")
    kind = _text(item, ("kind",), place)
    if kind is None:
        raise UsageError(f"{place}: `kind` is missing (it has {_names(item)}). {_SHAPE}")
    start, start_end = _moments(item, "start", place)
    if start is None or start_end is None:
        raise UsageError(f"{place} ({kind}): `start` is missing. {_SHAPE}")
    _, end = _moments(item, "end", place)
    if end is None:
        end = start_end
    if end < start:
        raise UsageError(f"{place} ({kind}): it ends before it starts.")
    team, organization = _text(item, _TEAM, place), _text(item, _ORGANIZATION, place)
    return Label(
        kind,
        start,
        end,
        _texts(item, _TEAMS, place) | ({team} if team else set()),
        frozenset({organization} if organization else ()),
        _text(item, _USER, place),
        _text(item, _CLIENT, place),
    )


def _text(item: Mapping[str, Any], names: Collection[str], place: str) -> str | None:
    for name in names:
        value = item.get(name)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise UsageError(f"{place}: `{name}` is {_what(value)}, not a text.")
        return value
    return None


def _texts(item: Mapping[str, Any], names: Collection[str], place: str) -> frozenset[str]:
    for name in names:
        value = item.get(name)
        if value is None:
            continue
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            raise UsageError(f"{place}: `{name}` is {_what(value)}, not a list of texts.")
        return frozenset(value)
    return frozenset()


def _moments(item: Mapping[str, Any], name: str, place: str) -> tuple[datetime | None, datetime | None]:
    """A moment twice; of a day without a time when it begins and when it ends."""
    text = _text(item, (name,), place)
    if text is None:
        return None, None
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = datetime.combine(date.fromisoformat(text), time())
            if not 1970 <= day.year <= 9000:
                raise ValueError
            return day, day + timedelta(days=1)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        if not 1970 <= moment.year <= 9000:
            raise ValueError
    except (ValueError, OverflowError):
        raise UsageError(
            f"{place}: `{name}` {text[:40]!r} is no moment such as 2026-10-21T03:17:00Z, and no day such as "
            "2026-10-21."
        ) from None
    return moment, moment


def _names(item: Mapping[str, Any]) -> str:
    return ", ".join(str(name)[:30] for name in list(item)[:8]) or "nothing"


def _what(value: Any) -> str:
    named = {
        type(None): "null", bool: "a yes or no", int: "a number", float: "a number", str: "a text",
        list: "a list",
    }  # fmt: skip
    return named.get(type(value), "an object")


def placed(labels: list[Label], *, homes: Mapping[str, str], admins: Mapping[str, str]) -> list[Label]:
    """The labels with what is known here: `homes` are the organizations of teams, `admins` names by id."""
    told = {
        team: next(iter(label.organizations))
        for label in labels
        for team in label.teams
        if len(label.organizations) == 1
    }
    return [
        replace(
            label,
            organizations=label.organizations
            or frozenset(home for team in label.teams if (home := homes.get(team) or told.get(team))),
            users=frozenset(
                key for key, name in admins.items() if label.user and _is_called(label.user, key, name)
            ),
        )
        for label in labels
    ]


def _is_called(given: str, user_id: str, name: str) -> bool:
    """Whether a label's user is this admin. Mail addresses are never landed: their words stand for them."""
    given, name = given.casefold(), name.casefold()
    if given in (user_id.casefold(), name):
        return True
    words = set(re.findall(r"\w+", given.partition("@")[0].replace("_", " ")))
    return "@" in given and bool(words) and words <= set(re.findall(r"\w+", name))


# --- which rules cover which kinds --------------------------------------------------------------------------


def read_rules(path: Path | None, *, known: Collection[str]) -> LabelRules:
    """The built-in map, with a file of kind: [rules] before it; UsageError for a rule that is not `known`."""
    covering: dict[str, list[str]] = {}
    explaining: dict[str, list[str]] = {}
    with BUILT_IN_RULES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            explaining.setdefault(row["kind"], []).append(row["rule"])
            if row["is_covered"] == "true":
                covering.setdefault(row["kind"], []).append(row["rule"])
    for kind, rules in (_given_rules(path, known) if path else {}).items():
        covering[kind], explaining[kind] = rules, rules
    return LabelRules(_frozen(covering), _frozen(explaining))


def _given_rules(path: Path, known: Collection[str]) -> dict[str, list[str]]:
    from flows.checked_yaml import read_yaml

    if path.suffix.lower() == ".json":
        data = _json(path)
    else:
        data = read_yaml(path, name="file of label rules", setting="--label-rules").data
    if not isinstance(data, dict):
        raise UsageError(
            f"{path} is {_what(data)}. It must be JSON or YAML that names the rules of each kind of label, "
            'such as {"provider_outage": ["error_rate_high", "latency_high"]}.'
        )
    return {kind: _rules_of(value, f"{path}: {kind}", known) for kind, value in data.items()}


def _rules_of(value: Any, place: str, known: Collection[str]) -> list[str]:
    rules = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(rules, list) or not all(isinstance(rule, str) for rule in rules):
        raise UsageError(f"{place}: {_what(value)} is no list of rules.")
    strange = [rule for rule in rules if rule not in known]
    if strange:
        raise UsageError(f"{place}: there is no rule {strange[0]!r}. The rules: {', '.join(sorted(known))}.")
    return list(dict.fromkeys(rules))


def _frozen(rules: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {kind: tuple(names) for kind, names in rules.items()}
