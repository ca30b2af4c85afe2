"""Labels of a backtest as people write them, and how incidents are judged by them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flows import alert_backtest
from flows.alert_backtest import EARLY, LATE, Backtest, Incident
from flows.alert_labels import Label, find_labels, placed, read_labels, read_rules
from flows.alert_rules import Key
from flows.alert_scopes import known_rules
from flows.errors import UsageError
from flows.ops_store import open_ops_store, runs
from flows.settings import Settings

AT = datetime(2026, 10, 1, 12)
HOUR = timedelta(hours=1)
RULES = known_rules()

Written = Callable[[Any], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(content: Any, name: str = "labels.json") -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            path.write_text(text, encoding="utf-8")
        return path

    return write


# --- reading ------------------------------------------------------------------------------------------------


def test_a_file_is_a_list_or_holds_one(written: Written) -> None:
    items = [{"kind": "outage", "start": "2026-10-01T12:00:00Z", "end": None, "team": "a", "org": "o"}]
    (label,) = read_labels(written({"seed": 1, "labels": items}))
    assert read_labels(written(items)) == [label]
    assert label == Label("outage", AT, AT, frozenset({"a"}), frozenset({"o"}))
    assert read_labels(written([])) == []


def test_a_label_may_name_several_teams_a_user_or_a_client(written: Written) -> None:
    labels = read_labels(
        written(
            [
                {"kind": "k", "start": "2026-10-01", "teams": ["a", "b"], "team": "c"},
                {"kind": "k", "start": "2026-10-01T14:00:00+02:00", "user": "ann@example.com"},
                {"kind": "k", "start": "2026-10-01T12:00:00", "teams": None, "client": "192.0.2.7"},
                {"kind": "k", "start": "2026-10-01", "team_id": "d", "organization_id": "o"},
            ]
        )
    )
    assert [label.teams for label in labels] == [{"a", "b", "c"}, frozenset(), frozenset(), {"d"}]
    assert (labels[1].start, labels[1].user, labels[2].client) == (AT, "ann@example.com", "192.0.2.7")
    assert labels[3].organizations == {"o"}


def test_a_day_without_a_time_is_the_whole_day(written: Written) -> None:
    one, two = read_labels(
        written(
            [
                {"kind": "k", "start": "2026-10-01"},
                {"kind": "k", "start": "2026-10-01", "end": "2026-10-03"},
            ]
        )
    )
    assert (one.start, one.end) == (datetime(2026, 10, 1), datetime(2026, 10, 2))
    assert two.end == datetime(2026, 10, 4)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "line 1, column 1: no JSON"),
        ('{"labels": [\n{"kind": }]}', "line 2, column 10: no JSON"),
        (b'["\xff"]', "byte 2 is not UTF-8"),
        ("kind,start,end\n", "line 1, column 1: no JSON"),
        ("3", "not a list but a number"),
        ("null", "not a list but null"),
        ({"incidents": []}, "an object without a list `labels` (it has incidents)"),
        ({"labels": {"a": 1}}, "an object without a list `labels`"),
        (["outage"], "labels[0] is a text, not an object"),
        ([{"type": "outage", "start": "2026-10-01"}], "labels[0]: `kind` is missing (it has type, start)"),
        ([{"kind": 7, "start": "2026-10-01"}], "labels[0]: `kind` is a number, not a text"),
        ([{"kind": "k"}], "labels[0] (k): `start` is missing"),
        ([{"kind": "k", "start": "2026-10-01"}, {"kind": "k", "start": "soon"}], "[1]: `start` 'soon' is"),
        ([{"kind": "k", "start": 1759320000}], "labels[0]: `start` is a number"),
        ([{"kind": "k", "start": "0001-01-01T00:00:00+14:00"}], "labels[0]: `start`"),
        ([{"kind": "k", "start": "2026-10-01", "end": "9999-12-31T00:00:00Z"}], "labels[0]: `end`"),
        ([{"kind": "k", "start": "9999-12-31"}], "labels[0]: `start`"),
        ([{"kind": "k", "start": "2026-10-02", "end": "2026-10-01T00:00:00"}], "it ends before it starts"),
        ([{"kind": "k", "start": "2026-10-01", "team": ["a"]}], "labels[0]: `team` is a list, not a text"),
        ([{"kind": "k", "start": "2026-10-01", "teams": "a"}], "labels[0]: `teams` is a text, not a list"),
        ([{"kind": "k", "start": "2026-10-01", "teams": [1]}], "`teams` is a list, not a list of texts"),
        ("[" * 100_000, "no JSON that can be read"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_labels_is_refused_with_the_place(
    written: Written, content: Any, told: str
) -> None:
    with pytest.raises(UsageError) as refused:
        read_labels(written(content))
    assert told in str(refused.value)
    assert "labels.json" in str(refused.value)


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            read_labels(path)


# --- which rules cover what ---------------------------------------------------------------------------------


def test_a_file_of_label_rules_stands_before_the_built_in_ones(tmp_path: Path) -> None:
    yaml = tmp_path / "rules.yml"
    yaml.write_text(
        "provider_outage: [error_rate_high, latency_high]\ncost_spike:\n  - cost_spike\nholiday:\n"
    )
    found = read_rules(yaml, known=RULES)
    assert found.covering["provider_outage"] == ("error_rate_high", "latency_high")
    assert found.explaining["cost_spike"] == ("cost_spike",)
    assert found.covering["holiday"] == ()
    built_in = read_rules(None, known=RULES)
    assert found.covering["latency_x5"] == built_in.covering["latency_x5"]
    as_json = tmp_path / "rules.json"
    as_json.write_text('{"provider_outage":\t["error_rate_high", "latency_high"], "one": "latency_high"}')
    assert read_rules(as_json, known=RULES).covering["one"] == ("latency_high",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("outage: [error_rate_hihg]", "outage: there is no rule 'error_rate_hihg'. The rules: auth_failures"),
        ("- outage", "is a list. It must be"),
        ("outage: {rule: x}", "outage: an object is no list of rules"),
        ("outage: [[x]]", "outage: a list is no list of rules"),
        ("outage: [x", "line 1"),
    ],
)
def test_label_rules_that_are_none_are_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        read_rules(path, known=RULES)
    assert told in str(refused.value)


def test_the_built_in_label_rules_name_rules_that_there_are() -> None:
    found = read_rules(None, known=RULES)
    assert {rule for rules in found.explaining.values() for rule in rules} <= RULES


# --- judging ------------------------------------------------------------------------------------------------


def label(kind: str = "outage", start: datetime = AT, hours: float = 0, **named: Any) -> Label:
    sets = {name: frozenset(value) for name, value in named.items() if name in ("teams", "organizations")}
    return Label(kind, start, start + hours * HOUR, **{**named, **sets})


def incident(
    scope: str = "platform:platform",
    opened_at: datetime = AT,
    *,
    rule: str = "error_rate_high",
    org: str | None = None,
    seen_from: datetime | None = None,
) -> Incident:
    kind, _, scope_id = scope.partition(":")
    return Incident(
        Key(rule, kind, scope_id), scope_id, org, "warning", "share", Decimal(1), Decimal(1),
        seen_from or opened_at, opened_at, opened_at + 240 * HOUR,
    )  # fmt: skip


def judged(incidents: list[Incident], labels: list[Label], tmp_path: Path, **more: Any) -> Backtest:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"outage": ["error_rate_high"], "both": ["latency_high", "cost_spike"]}))
    result = Backtest(AT - 30 * 24 * HOUR, AT + 30 * 24 * HOUR, 1, incidents, tuple(sorted(RULES)), **more)
    result.labels = placed(labels, homes={"a": "o", "b": "p"}, admins={"u1": "Ann Lee", "u2": "Bob"})
    alert_backtest._judge(result, read_rules(rules, known=RULES))
    return result


@pytest.mark.parametrize(
    ("opened_at", "is_found"),
    [
        (AT - EARLY, True),
        (AT - EARLY - HOUR, False),
        (AT + 3 * HOUR + LATE, True),
        (AT + 4 * HOUR + LATE, False),
    ],
)
def test_an_incident_finds_a_label_only_when_it_opens_in_its_time(
    tmp_path: Path, opened_at: datetime, is_found: bool
) -> None:
    # it is open for ten days: since when decides
    result = judged([incident(opened_at=opened_at)], [label(hours=3)], tmp_path)
    assert (result.found["error_rate_high"] == 1) is is_found
    assert (result.false_alarms("error_rate_high") == []) is is_found


def test_an_incident_on_data_of_a_labels_time_is_explained_and_finds_nothing(tmp_path: Path) -> None:
    late = incident(opened_at=AT + 120 * HOUR, seen_from=AT + 23 * HOUR)
    long_before = incident("team:a", AT - 200 * HOUR, org="o", seen_from=AT - 224 * HOUR)
    result = judged([late], [label()], tmp_path)
    assert (result.false_alarms("error_rate_high"), len(result.missed)) == ([], 1)
    result = judged([long_before], [label(teams=["a"])], tmp_path)
    assert result.false_alarms("error_rate_high") == [long_before]
    assert (result.missed, result.found["error_rate_high"], len(result.held)) == ([], 0, 1)
    assert (
        "not found by error_rate_high: outage of a, 2026-10-01 12:00 UTC: an incident was open since "
        "2026-09-23 04:00 UTC" in str(result)
    )


@pytest.mark.parametrize(
    ("scope", "org", "named", "fits"),
    [
        ("platform:platform", None, {"teams": ["a"]}, True),
        ("organization:o", "o", {}, True),
        ("organization:o", "o", {"teams": ["a"]}, True),
        ("organization:o", "o", {"teams": ["b"]}, False),
        ("organization:o", "o", {"teams": ["nobody knows"]}, False),
        ("organization:o", "o", {"teams": ["b", "a"]}, True),
        ("organization:o", "o", {"organizations": ["o"]}, True),
        ("team:a", "o", {"teams": ["b", "a"]}, True),
        ("team:c", "o", {"teams": ["b", "a"]}, False),
        ("team:c", "o", {"organizations": ["o"]}, True),
        ("team:c", "o", {"organizations": ["p"]}, False),
        ("team:a", "o", {"user": "u1"}, False),
        ("admin_user:u1", None, {"user": "u1"}, True),
        ("admin_user:u1", None, {"user": "ann lee"}, True),
        ("admin_user:u1", None, {"user": "ann@example.com"}, True),
        ("admin_user:u2", None, {"user": "ann@example.com"}, False),
        ("admin_user:u2", None, {"user": "nobody.knows@example.com"}, True),
        ("admin_user:u1", None, {"teams": ["a"]}, False),
        ("admin_user:u1", None, {}, True),
        ("client:192.0.2.7", None, {"client": "192.0.2.7"}, True),
        ("client:192.0.2.8", None, {"client": "192.0.2.7"}, False),
        ("client:192.0.2.8", None, {"teams": ["a"]}, True),
        ("key:k", "p", {"teams": ["a"]}, False),
        ("key:k", None, {"teams": ["a"]}, True),
    ],
)
def test_a_label_is_of_the_scopes_that_it_names(
    tmp_path: Path, scope: str, org: str | None, named: dict[str, Any], fits: bool
) -> None:
    result = judged([incident(scope, org=org)], [label(**named)], tmp_path)
    assert (result.found["error_rate_high"] == 1) is fits


def test_every_rule_has_its_figures_with_labels_and_without(tmp_path: Path) -> None:
    result = judged(
        [incident(), incident("team:a", org="o", rule="credit_low")],
        [
            label(),
            label(start=AT + 20 * 24 * HOUR),
            label("strange"),
            label("strange"),
            label("model_denied"),
        ],
        tmp_path,
        labels_path=tmp_path / "labels.json",
        mute={"auth_failures": "no source: the access log"},
    )
    told = str(result)
    figures = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line.split()[:1]}
    assert figures["error_rate_high"] == ["1", "2", "1", "0.500", "0"]
    # nobody wrote labels of it: each of its incidents is unexplained
    assert figures["credit_low"] == ["1", "0", "0", "-", "1"]
    assert figures["cost_spike"] == ["0", "0", "0", "-", "0"]
    assert set(figures) >= RULES - {"pipeline_stale"}
    assert f"labels of {tmp_path / 'labels.json'}: 5, of which 5 start in that time" in told
    assert "missed by error_rate_high: outage of the platform, 2026-10-21 12:00 UTC" in told
    assert "labels that no rule covers: strange (2, a kind that is not known), model_denied (1)" in told
    assert "--label-rules FILE" in told
    assert "not replayed: pipeline_stale" in told
    assert "nothing to say: auth_failures: no source: the access log" in told
    assert "24 hours before the label starts to 48 hours after it ends" in told
    result.labels, result.without_labels = None, "there is no /x/labels.json"
    told = str(result)
    assert "no labels: there is no /x/labels.json" in told
    assert "\ncredit_low                           1\n" in told


# --- where labels are ---------------------------------------------------------------------------------------


def test_labels_are_found_in_the_folder_of_the_source(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", source=str(tmp_path))
    path, why = find_labels(settings)
    assert path is None
    assert str(tmp_path / "labels.json") in why
    (tmp_path / "labels.json").write_text("[]")
    assert find_labels(settings) == (tmp_path / "labels.json", "")
    path, why = find_labels(settings.model_copy(update={"source": "postgresql://u:secret@h/db"}))
    assert path is None
    assert "secret" not in why


def test_the_demos_labels_are_for_the_demos_data_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, source=None)
    assert find_labels(settings)[0] is None
    record_run(settings, "demo", token=1)
    record_run(settings, "review", token=2)
    path, _ = find_labels(settings)
    assert path is not None
    assert path.parts[-2:] == ("platform-tape", "labels.json")
    assert path.is_file()
    record_run(settings, "nightly", token=3)
    assert find_labels(settings)[0] is None


def record_run(settings: Settings, kind: str, *, token: int) -> None:
    with open_ops_store(settings).transaction() as connection:
        connection.execute(
            runs.insert().values(
                run_id=f"{kind}-{token}", kind=kind, as_of=AT, token=token, phase="done", started_at=AT,
                heartbeat_at=AT, lease_until=AT, lease_until_uptime=0.0, outcome="done", host="h", pid=1,
                process_started="",
            )
        )  # fmt: skip
