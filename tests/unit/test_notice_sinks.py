"""A notice in every form says what it must; what people type stays text: in Slack, JSON, chats and mails."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reports.notice_json import LARGEST_DOCUMENT, notice_json
from reports.notice_mail import notice_mail
from reports.notice_slack import COLORS, slack_payload
from reports.notice_text import LONGEST_BODY, LONGEST_TITLE, notice_text
from tests.notice_samples import member, notice

BASE = "https://wiki.example.com/alerts"
HOSTILE = [
    "<!channel>",
    "<!here|now>",
    "<@U012AB3CD>",
    "@everyone",
    "<http://evil.example|Acme>",
    "http://evil.example/x",
    "www.evil.example",
    "[Acme](http://evil.example)",
    "*bold* _it_ ~no~ `code` ```pre```",
    "> quote & <b>html</b>",
    "line\nSubject: other\r\nBcc: all@example.com",
    "\u202eevil\u202c \u2066x\u2069 \u200f",
    "=?utf-8?q?x=0D=0ABcc:?=",
    "\ud800 half",
    "a" * 4000,
    "<" * 4000,
    "&amp;" * 800,
    "{{7*7}} {% x %} %s {0}",
    "\x00\x07\x1b[31m",
    "",
]


def slack(given: Any, runbooks: str = BASE) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    payload = json.loads(slack_payload(given, runbooks=runbooks))
    return payload, payload["attachments"][0]["blocks"]


def texts(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every text object of the blocks."""
    return [part for block in blocks for part in ([block["text"]] if "text" in block else block["elements"])]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_plain_text_in_slack(name: str) -> None:
    hostile = member(scope_name=name, evidence_rows=((name, name),), parameters={"scope_id": name}, note=name)
    payload, blocks = slack(notice(hostile, organization_name=name, organization_id=name))
    assert not re.search(r"[<>@*`]|://", payload["text"])
    assert "evil.example" not in payload["text"]
    assert (payload["mrkdwn"], payload["link_names"], payload["unfurl_links"]) == (False, False, False)
    for part in texts(blocks):
        assert len(part["text"]) <= 3000
        if part["type"] == "plain_text":
            assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", part["text"])
            assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\x00\x07\x1b]", part["text"])
        else:
            assert part == {
                "type": "mrkdwn",
                "text": f"<{BASE}#credit_low|Runbook of this rule>",
                "verbatim": True,
            }


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_makes_no_mention_link_or_mark_in_a_chat(name: str) -> None:
    document = json.loads(notice_text(notice(member(scope_name=name)), runbooks="docs/alerts.md"))
    assert set(document) == {"title", "body", "type"}
    assert "\n" not in document["title"]
    assert len(document["title"]) <= LONGEST_TITLE
    assert len(document["body"]) <= LONGEST_BODY
    for text in (document["title"].removeprefix("[WARNING]"), document["body"].partition("\nincident")[0]):
        assert not re.search(r"[@*`\[\]~|]|://|<http|www\.\w|evil\.example", text)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\x00\x07\x1b\ud800]", text)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_whole_in_json_and_no_more_than_a_value(name: str) -> None:
    content = notice_json(notice(member(scope_name=name)), runbooks=BASE)
    assert content.isascii()
    assert b"\n" not in content
    (incident,) = json.loads(content)["data"]["incidents"]
    kept = incident["scope"]["name"]
    kept.encode("utf-8")
    assert kept == name.replace("\ud800", "?") or (len(name) > 500 and kept == name[:499] + "…")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_escaped_in_a_mail_and_no_header(name: str) -> None:
    parts = notice_mail(notice(member(scope_name=name)), runbooks=BASE)
    assert "\n" not in parts.subject
    assert "=?" not in parts.subject
    assert not re.search(r"<(b>html|http|!ch|!he|@U)", parts.html.partition("<body")[2])
    assert parts.html.count('href="') == 1


def test_the_bar_has_the_colour_of_the_severity() -> None:
    assert COLORS == {"info": "#36a64f", "warning": "#ff9800", "error": "#f44336", "critical": "#9c27b0"}
    for severity, color in COLORS.items():
        payload, _ = slack(notice(member(severity=severity), member(severity="info")))
        assert payload["attachments"][0]["color"] == color
        assert payload["text"].startswith(f"[{severity.upper()}]")
    payload, _ = slack(notice(member(severity="critical", event="resolved"), replies_to="notice-0"))
    assert payload["attachments"][0]["color"] == COLORS["info"]
    assert payload["text"].startswith("[RESOLVED]")


def test_every_form_says_what_a_notice_must() -> None:
    given = notice(member(event="resolved"), replies_to="notice-0")
    forms = {
        "slack": slack_payload(given, runbooks=BASE).decode(),
        "json": notice_json(given, runbooks=BASE).decode(),
        "text": notice_text(given, runbooks=BASE).decode(),
    }
    for name, form in forms.items():
        for wanted in (
            *("Credits run low", "Acme Docs", "credits remaining", "warning", "notice-1", "notice-0"),
            *("inc-20261123T120000-0123abcd", f"{BASE}#credit_low"),
        ):
            assert wanted in form, f"{name} lacks {wanted}"
    assert "8.1" in forms["slack"]
    assert "8.1" in forms["text"]
    for form in forms.values():
        assert "select team_id, credits from marts.x where team_id = $scope_id" in form


def test_without_a_base_url_the_runbook_is_text() -> None:
    _, blocks = slack(notice(), runbooks="docs/alerts.md")
    assert all(part["type"] == "plain_text" for part in texts(blocks))
    assert "docs/alerts.md#credit_low" in json.dumps(blocks)


@pytest.mark.parametrize("count", [1, 8, 9, 40, 200])
@pytest.mark.parametrize("name", ["Acme", "<" * 4000])
def test_slack_takes_it_however_many_there_are(count: int, name: str) -> None:
    rows = tuple((name, name) for _ in range(9))
    many = [
        member(scope_name=name, incident_id=f"inc-{n}", evidence_rows=rows, sql="select " * 400)
        for n in range(count)
    ]
    content = slack_payload(notice(*many, omitted={"warning": 412}), runbooks=BASE)
    payload = json.loads(content)
    blocks = payload["attachments"][0]["blocks"]
    assert len(blocks) <= 50
    assert len(content) < 14_000
    assert all(0 < len(part["text"]) <= 3000 for part in texts(blocks))
    said = json.dumps(blocks)
    assert "412 more are not listed here" in said
    told = said.count("Credits run low")
    left_out = re.search(r"([\d,]+) more do not fit here", said)
    assert told + int(left_out[1].replace(",", "") if left_out else 0) == count


@pytest.mark.parametrize("count", [1, 7, 30])
def test_a_short_text_is_short_and_ends_with_its_notice(count: int) -> None:
    many = [member(incident_id=f"inc-{n}", scope_name="x" * 4000) for n in range(count)]
    body = json.loads(notice_text(notice(*many, omitted={"info": 3}), runbooks=BASE))["body"]
    assert len(body) <= LONGEST_BODY
    assert body.endswith("Notice notice-1")


def test_the_schema_of_the_json() -> None:
    given = notice(
        member(observed_value=Decimal("0.1000000000000000055"), volume=12, baseline_value=Decimal("1E+3")),
        omitted={"warning": 2},
    )
    document = json.loads(notice_json(given, runbooks=BASE))
    assert (document["type"], document["timestamp"]) == ("alerts.firing", "2026-11-23T12:00:00Z")
    assert set(document["data"]) == {
        *("notice_id", "follows_notice_id", "severity", "family", "organization_id", "organization_name"),
        *("as_of", "incidents", "incidents_in_short", "omitted"),
    }
    (incident,) = document["data"]["incidents"]
    assert set(incident) == {
        *("incident_id", "event", "rule", "title", "owner", "severity", "scope", "measure", "unit"),
        *("observed_value", "previous_value", "comparison", "threshold", "clear_threshold", "baseline_value"),
        *("actual_value", "volume", "counted_unit", "window_start", "window_end", "shown_at", "opened_at"),
        *("happened_at", "reminder_number", "untold_changes", "runbook", "note", "evidence"),
    }
    assert incident["observed_value"] == "0.1000000000000000055"
    assert (incident["volume"], incident["baseline_value"]) == ("12", "1000")
    assert incident["window_start"] is None
    assert document["data"]["omitted"] == {"warning": "2"}
    assert (
        json.loads(notice_json(notice(member(event="resolved")), runbooks=BASE))["type"] == "alerts.resolved"
    )
    assert json.loads(notice_json(notice(family="test"), runbooks=BASE))["type"] == "alerts.test"


def shape(value: Any) -> Any:
    """The names in a document; what evidence holds is the rule's."""
    if isinstance(value, dict):
        return {
            name: None if name in ("parameters", "omitted") else shape(one) for name, one in value.items()
        }
    return [shape(value[0])] if isinstance(value, list) and value else None


def test_the_documented_json_is_what_is_sent() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    documented = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert documented is not None
    sent = json.loads(notice_json(notice(omitted={"info": 1}), runbooks="docs/alerts.md"))
    assert shape(json.loads(documented[1])) == shape(sent)


def test_a_document_is_never_too_large_and_counts_what_it_leaves_out() -> None:
    many = [member(sql="x" * 20_000, evidence_rows=(("y" * 500,) * 20,) * 5) for _ in range(100)]
    content = notice_json(notice(*many), runbooks=BASE)
    data = json.loads(content)["data"]
    assert len(content) < LARGEST_DOCUMENT + 2_000
    assert len(data["incidents"]) + int(data["omitted"]["warning"]) == 100


def critical_and_others(count: int, name: str = "Team") -> Any:
    """A digest of so many critical incidents, with evidence, and a thousand warnings."""
    changes = {
        "evidence_columns": ("a", "b", "c"),
        "evidence_rows": (("x" * 40,) * 3,) * 5,
        "sql": "select 1 " * 100,
    }
    members = [
        member(
            severity=severity,
            incident_id=f"inc-{severity}-{number:04}",
            scope_id=f"{severity}-{number:04}",
            scope_name=f"{name} {severity} {number:04}",
            **changes,
        )
        for severity, many in (("critical", count), ("warning", 1000))
        for number in range(many)
    ]
    return notice(*members, family="digest", organization_id=None, omitted={"info": 7})


def named(said: str) -> list[str]:
    """The critical incidents that are named, by number."""
    return re.findall(r"\bTeam critical (\d{4})", said)


def numbers(count: int) -> list[str]:
    return [f"{number:04}" for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 60, 600])
def test_json_and_mail_name_every_critical_incident(count: int) -> None:
    given = critical_and_others(count)
    content = notice_json(given, runbooks=BASE)
    data = json.loads(content)["data"]
    assert len(content) < LARGEST_DOCUMENT + 2_000
    full, short = data["incidents"], data["incidents_in_short"]
    assert named(content.decode()) == numbers(count)
    assert data["omitted"] == {"info": "7", "warning": str(1000 + count - len(full) - len(short))}
    assert all(set(one) == {"incident_id", "event", "rule", "severity", "scope"} for one in short)
    assert (short != []) == (count == 600)
    mail = notice_mail(given, runbooks=BASE)
    listed = b"".join(file.content for file in mail.attachments if file.file_name == "incidents.txt").decode()
    for said in (mail.text, mail.html):
        assert sorted({*named(said), *named(listed)}) == numbers(count)
        assert len(set(named(said))) >= min(count, 200)
        assert "are named in the attached incidents.txt" in said


@pytest.mark.parametrize(("count", "sent"), [(1, 1), (9, 9), (60, 60), (100, 100), (600, 100)])
def test_slack_names_critical_incidents_as_far_as_it_goes(count: int, sent: int) -> None:
    given = critical_and_others(count)
    content = slack_payload(given, runbooks=BASE)
    blocks = json.loads(content)["attachments"][0]["blocks"]
    said = "\n".join(part["text"] for part in texts(blocks))
    found = named(said)
    assert found == numbers(len(found))
    assert len(found) >= sent
    assert ("more do not fit here" in said, len(blocks) <= 50, len(content) < 14_000) == (True, True, True)


@pytest.mark.parametrize(("count", "sent"), [(1, 1), (7, 7), (15, 15), (600, 15)])
def test_a_short_text_names_critical_incidents_as_far_as_it_goes(count: int, sent: int) -> None:
    body = json.loads(notice_text(critical_and_others(count), runbooks=BASE))["body"]
    found = named(body)
    assert found == numbers(len(found))
    assert len(found) >= sent
    assert len(body) <= LONGEST_BODY
    more = re.search(r"([\d,]+) more: almanac", body)
    assert more is not None
    assert int(more[1].replace(",", "")) == 1000 + count - len(re.findall("Team (?:critical|warning)", body))
    assert body.endswith("Notice notice-1")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_in_a_short_line_is_no_mark(name: str) -> None:
    many = [member(severity="critical", scope_name=name, incident_id=f"inc-{n}") for n in range(30)]
    body = json.loads(notice_text(notice(*many), runbooks="docs/alerts.md"))["body"]
    assert not re.search(r"[<>@*`\[]|://", body)
    assert "evil.example" not in body
    payload, blocks = slack(notice(*many), runbooks="docs/alerts.md")
    assert all(part["type"] == "plain_text" for part in texts(blocks))
    assert "<" not in json.dumps(payload)


def test_a_test_says_so_in_every_form() -> None:
    given = notice(member(severity="info"), family="test")
    assert slack(given)[0]["text"].startswith("[TEST]")
    assert json.loads(notice_text(given, runbooks=BASE))["title"].startswith("[TEST]")
    assert notice_mail(given, runbooks=BASE).subject.startswith("[TEST]")
