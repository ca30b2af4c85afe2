"""Each sink over all that a notice must carry: opened, as a reminder and resolved, with long SQL."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from flows.alert_config import load_alert_config
from flows.alert_delivery import deliveries_of
from flows.alert_evaluator import MAX_NOTICES
from flows.outbox import Delivery
from flows.recipients import Recipients
from reports.message import LARGEST_HTML
from reports.notice import Member, Notice
from reports.notice_json import LARGEST_DOCUMENT, notice_json
from reports.notice_lines import IN_FULL, lines_of, value_text
from reports.notice_mail import LARGEST_SQL_FILES, notice_mail
from reports.notice_slack import slack_payload
from reports.notice_text import notice_text
from tests.notice_samples import member, notice

BASE = "https://wiki.example.com/alerts"
SHOWN = datetime(2026, 11, 23, 0, 0)
OPENED = datetime(2026, 11, 30, 9, 12)
INCIDENT = "inc-20261130T091200-0123abcd"
QUERY = (
    "select job_id, team_id, job_type, count(*) as calls, sum(total_tokens) as tokens, "
    "sum(client_cost_usd) as client_cost_usd from marts.fct_llm_calls "
    "where $scope_id in ('platform', organization_id, team_id, model) "
    "and created_at >= $window_start and created_at < $window_end "
    "group by job_id, team_id, job_type order by client_cost_usd desc nulls last, job_id limit 5"
)
SQL = (
    "with calls as (\n"
    + "    select a_column_of_some_length from marts.fct_llm_calls\n" * 350
    + ")\nselect 'end'"
)
SINKS = ("mail HTML", "mail text", "slack", "webhook", "apprise", "file")


def spike(**changes: Any) -> Member:
    """An organization's cost on the day before jumped, as the evaluator tells it a week later."""
    values: dict[str, Any] = {
        "incident_id": INCIDENT,
        "rule": "cost_spike",
        "title": "Cost jumped",
        "owner": "finance",
        "severity": "error",
        "scope_kind": "organization",
        "scope_id": "org_acme",
        "scope_name": "Acme Corporation",
        "organization_id": "org_acme",
        "organization_name": "Acme Corporation",
        "measure": "increase of client cost over the usual",
        "observed_value": Decimal("4.09"),
        "unit": "increase",
        "comparison": ">",
        "threshold": Decimal(2),
        "clear_threshold": Decimal(1),
        "baseline_value": Decimal("7.80"),
        "actual_value": Decimal("39.70"),
        "counted_unit": "USD",
        "window_start": SHOWN - timedelta(days=1),
        "window_end": SHOWN,
        "shown_at": SHOWN,
        "opened_at": OPENED,
        "happened_at": OPENED,
        "evidence_columns": ("job_id", "client_cost_usd"),
        "evidence_rows": tuple((f"job-{number}", f"{9 - number}.5") for number in range(5)),
        "evidence_query": QUERY,
        "sql": SQL,
        "parameters": {
            "almanac_as_of": "2026-11-30 09:12:00",
            "scope_id": "org_acme",
            "window_start": "2026-11-22 00:00:00",
            "window_end": "2026-11-23 00:00:00",
        },
    }
    return member(**{**values, **changes})


GIVEN = {
    "opened": notice(spike(), organization_id="org_acme", organization_name="Acme Corporation"),
    "reminded": notice(
        spike(
            event="reminded",
            happened_at=OPENED + timedelta(hours=24),
            previous_value=Decimal("3.50"),
            reminder_number=2,
            untold_changes=3,
            note="the rows are of the opening",
        ),
        organization_id="org_acme",
        organization_name="Acme Corporation",
        replies_to="notice-0",
    ),
    "resolved": notice(
        spike(
            event="resolved",
            happened_at=OPENED + timedelta(days=3),
            previous_value=Decimal("3.50"),
            observed_value=Decimal("0.1"),
            actual_value=Decimal("8.58"),
        ),
        organization_id="org_acme",
        organization_name="Acme Corporation",
        replies_to="notice-0",
    ),
}
# In words: what each of the three must say, in every sink that is read by people.
WORDS = [
    *("Cost jumped", "Acme Corporation", "org_acme", "increase of client cost over the usual"),
    *("error", "fires above +200 % on the usual", "clears at or below +100 % on the usual", "usually $7.80"),
    *("from 2026-11-22 00:00 to 2026-11-23 00:00 UTC", "2026-11-23 00:00 UTC in the data"),
    *("incident opened 2026-11-30 09:12 UTC", "job-0", "job-4", "9.5", INCIDENT),
    *("almanac_as_of", "2026-11-30 09:12:00", "2026-11-22 00:00:00", f"almanac alerts explain {INCIDENT}"),
]
OF_EVENT = {
    "opened": ["Firing", "+409 % on the usual", "$39.70"],
    "reminded": [
        *("Still firing", "+409 % on the usual", "$39.70", "reminder 2", "for 24 h"),
        *("+350 % on the usual in the last notice, a change of +59.0 pp", "it changed 3 times since"),
        "the rows are of the opening",
    ],
    "resolved": ["Resolved", "+10 % on the usual", "$8.58", "for 3 days", "in the last notice"],
}


def recipients() -> Recipients:
    sender = {"from": "almanac@example.com", "bounces": "b@example.com", "list_domain": "example.com"}
    return Recipients.model_validate({"sender": sender, "operators": ["op@example.com"]})


def delivered(given: Notice, kind: str, tmp_path: Path) -> Delivery:
    """The one message of a channel of that kind, as the outbox has it."""
    part = {
        "mail": "kind: mail",
        "slack": "kind: slack, url_from: ALMANAC_ALERT_URL",
        "webhook": "kind: webhook, url_from: ALMANAC_ALERT_URL, secret_from: ALMANAC_ALERT_SECRET",
        "apprise": "kind: apprise, url_from: ALMANAC_ALERT_URL",
        "file": "kind: file",
    }[kind]
    file = tmp_path / "alerts.yml"
    file.write_text(f"channels: {{it: {{{part}}}}}\n", encoding="utf-8")
    ((_, (entry,)),) = deliveries_of(given, recipients(), load_alert_config(file), runbook_url=BASE)
    return entry


def visible(sink: str, given: Notice, tmp_path: Path) -> str:
    """What people or programs read of a message of a sink."""
    entry = delivered(given, sink.split()[0], tmp_path)
    if sink.startswith("mail"):
        mail = message_from_bytes(entry.content, policy=default)
        wanted = mail.get_body((("html" if sink == "mail HTML" else "plain"),))
        assert wanted is not None
        said = wanted.get_content()
        links = " ".join(re.findall(r'href="([^"]*)"', said))
        return (
            unescape(re.sub(r"<[^>]+>", "", said.partition("<body")[2])) + links if "<body" in said else said
        )
    document = json.loads(entry.content)
    if sink == "slack":
        blocks = document["attachments"][0]["blocks"]
        parts = [part for one in blocks for part in ([one["text"]] if "text" in one else one["elements"])]
        return unescape("\n".join(part["text"] for part in parts))
    return document["body"] if sink == "apprise" else json.dumps(document)


@pytest.mark.parametrize("event", GIVEN)
@pytest.mark.parametrize("sink", ["mail HTML", "mail text", "slack", "apprise"])
def test_a_sink_for_people_says_all_of_it(sink: str, event: str, tmp_path: Path) -> None:
    said = " ".join(visible(sink, GIVEN[event], tmp_path).replace("\u2009", " ").split()).casefold()
    for wanted in (*WORDS, *OF_EVENT[event], f"{BASE}#cost_spike", "notice-1"):
        assert wanted.casefold() in said, f"{sink} of {event} lacks {wanted!r}"
    if sink == "apprise":
        assert QUERY[:200].casefold() in said
        assert "(cut; all of it: almanac alerts explain" in said or QUERY.casefold() in said
    else:
        assert QUERY.casefold() in said


@pytest.mark.parametrize("event", GIVEN)
@pytest.mark.parametrize("sink", ["webhook", "file"])
def test_a_sink_for_programs_has_all_of_it(sink: str, event: str, tmp_path: Path) -> None:
    data = json.loads(visible(sink, GIVEN[event], tmp_path))["data"]
    (found,) = data["incidents"]
    given = GIVEN[event].members[0]
    assert (data["organization_id"], data["organization_name"]) == ("org_acme", "Acme Corporation")
    assert found["scope"] == {
        "kind": "organization",
        "id": "org_acme",
        "name": "Acme Corporation",
        "organization_id": "org_acme",
        "organization_name": "Acme Corporation",
    }
    assert (found["event"], found["rule"], found["severity"]) == (event, "cost_spike", "error")
    assert (found["incident_id"], found["runbook"]) == (INCIDENT, f"{BASE}#cost_spike")
    for name in ("observed_value", "previous_value", "threshold", "clear_threshold", "baseline_value"):
        value = getattr(given, name)
        assert found[name] == (None if value is None else str(value))
    assert (found["unit"], found["counted_unit"]) == ("increase", "USD")
    assert found["actual_value"] == str(given.actual_value)
    assert (found["shown_at"], found["opened_at"]) == ("2026-11-23T00:00:00Z", "2026-11-30T09:12:00Z")
    assert found["happened_at"] > found["opened_at"] or event == "opened"
    assert (found["reminder_number"], found["untold_changes"], found["note"]) == (
        ("2", "3", "the rows are of the opening") if event == "reminded" else ("0", "0", None)
    )
    evidence = found["evidence"]
    assert (evidence["query"], evidence["sql"], evidence["left_out"]) == (QUERY, SQL, [])
    assert evidence["parameters"] == given.parameters
    assert evidence["rows"] == [list(row) for row in given.evidence_rows]
    assert data["follows_notice_id"] == (None if event == "opened" else "notice-0")


def test_the_whole_sql_of_a_rule_comes_with_the_mail(tmp_path: Path) -> None:
    hostile = "x'; drop table jobs;\n--\r\ndrop table teams;\u2028drop"
    given = notice(spike(parameters={"almanac_as_of": "2026-11-30 09:12:00", "scope_id": hostile}))
    mail = message_from_bytes(delivered(given, "mail", tmp_path).content, policy=default)
    (file,) = mail.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == (f"{INCIDENT}.sql", "text/plain")
    assert file.get_content_charset() == "utf-8"
    content = file.get_content()
    assert SQL in content
    assert QUERY in content
    assert f"--   scope_id = {json.dumps(hostile)}" in content.splitlines()
    # what people typed stays in its comment
    outside = [line for line in content.splitlines() if line and not line.startswith("--")]
    assert outside == [*f"{QUERY};".splitlines(), *f"{SQL};".splitlines()]


def test_files_of_sql_are_bounded_and_the_rest_is_said() -> None:
    many = [spike(incident_id=f"inc-{number:04}") for number in range(50)]
    mail = notice_mail(notice(*many), runbooks=BASE)
    files = {file.file_name: file.content for file in mail.attachments}
    assert 1 < sum(name.endswith(".sql") for name in files) <= IN_FULL
    assert sum(map(len, files.values())) <= LARGEST_SQL_FILES + 10_000
    for number in range(IN_FULL):
        name = f"inc-{number:04}"
        where = (
            f"the attached {name}.sql"
            if f"{name}.sql" in files
            else "is not attached: almanac alerts explain"
        )
        assert f"The rule's whole SQL{':' if name + '.sql' in files else ''} {where}" in mail.text
        assert f"almanac alerts explain {name}" in mail.html


def test_json_has_the_sql_of_every_rule_once_and_says_what_it_left_out() -> None:
    many = [spike(incident_id=f"inc-{number:04}", sql=f"{SQL} {number % 2}") for number in range(40)]
    content = notice_json(notice(*many), runbooks=BASE)
    assert len(content) < LARGEST_DOCUMENT + 2_000
    found = json.loads(content)["data"]["incidents"]
    assert len(found) == 40
    whole = {one["incident_id"]: one["evidence"]["sql"] for one in found if one["evidence"]["sql"]}
    assert list(whole)[:2] == ["inc-0000", "inc-0001"]
    for number, one in enumerate(found):
        evidence = one["evidence"]
        assert (evidence["query"], evidence["left_out"]) == (QUERY, [])
        kept = evidence["sql"] or whole[evidence["sql_incident_id"]]
        assert kept == f"{SQL} {number % 2}"
    # too long for the document, all of them
    many = [spike(incident_id=f"inc-{number}", sql=f"{'x' * 300_000}{number}") for number in range(3)]
    content = notice_json(notice(*many), runbooks=BASE)
    assert len(content) < LARGEST_DOCUMENT
    evidences = [one["evidence"] for one in json.loads(content)["data"]["incidents"]]
    assert [(one["sql"], one["left_out"]) for one in evidences] == [(None, ["sql"])] * 3


def test_what_is_cut_says_so_and_where_all_of_it_is() -> None:
    long = "select " + "<column>, " * 1_000
    given = notice(spike(evidence_query=long))
    cut = f"… (cut; all of it: almanac alerts explain {INCIDENT})"
    assert cut in notice_mail(given, runbooks=BASE).text
    assert cut in notice_mail(given, runbooks=BASE).html
    assert cut in json.dumps(json.loads(slack_payload(given, runbooks=BASE)), ensure_ascii=False)
    assert cut in json.loads(notice_text(given, runbooks=BASE))["body"]
    (one,) = json.loads(notice_json(given, runbooks=BASE))["data"]["incidents"]
    assert (one["evidence"]["query"], one["evidence"]["left_out"]) == (None, ["query"])


HOSTILE_ORGANIZATION = (
    "<!channel> <http://evil.example|Acme> @everyone *b* `c` \u202ex"
    "\r\nBcc: a@example.com <script>alert(1)</script>"
)


@pytest.mark.parametrize("sink", SINKS)
def test_a_hostile_name_of_an_organization_stays_text(sink: str, tmp_path: Path) -> None:
    one = spike(
        organization_name=HOSTILE_ORGANIZATION,
        scope_name=HOSTILE_ORGANIZATION,
    )
    team = replace(one, scope_kind="team", scope_id="t", scope_name="t", incident_id="inc-2")
    given = notice(one, team, organization_id="org_acme", organization_name=HOSTILE_ORGANIZATION)
    entry = delivered(given, sink.split()[0], tmp_path)
    if sink in ("webhook", "file"):
        data = json.loads(entry.content)["data"]
        assert data["organization_name"] == HOSTILE_ORGANIZATION
        assert {one["scope"]["organization_name"] for one in data["incidents"]} == {HOSTILE_ORGANIZATION}
    elif sink == "slack":
        document = json.loads(entry.content)
        assert not re.search(r"[<>@*`]|://", document["text"])
        for block in document["attachments"][0]["blocks"]:
            for part in [block["text"]] if "text" in block else block["elements"]:
                assert (
                    part["type"] == "plain_text"
                    or part["text"] == f"<{BASE}#cost_spike|Runbook of this rule>"
                )
                assert part["type"] != "plain_text" or not re.search("[<>\u202e]", part["text"])
    elif sink == "apprise":
        document = json.loads(entry.content)
        body = document["body"].replace(QUERY, "").replace(BASE, "")
        assert not re.search(
            r"[<@`|\u202e]|://|evil\.example", document["title"] + body.partition("query of")[0]
        )
    else:
        mail = message_from_bytes(entry.content, policy=default)
        assert mail["Bcc"] is None
        assert "\n" not in mail["Subject"]
        body = mail.get_body((("html" if sink == "mail HTML" else "plain"),))
        assert body is not None
        said = body.get_content()
        assert "\u202e" not in said
        assert not re.search(r"(?m)^\s*Bcc:", said)
        if sink == "mail HTML":
            assert "<script" not in said
            assert set(re.findall(r'href="([^"]*)"', said)) == {f"{BASE}#cost_spike"}


@pytest.mark.parametrize("count", [1, 8, 200, 1_000])
@pytest.mark.parametrize("name", ["Team", "<&>" * 1_000])
def test_a_mail_stays_small_however_many_there_are(count: int, name: str) -> None:
    rows = (tuple(name for _ in range(6)),) * 5
    many = [
        spike(
            severity="critical",
            incident_id=f"inc-{number:04}",
            scope_name=name,
            evidence_columns=tuple("abcdef"),
            evidence_rows=rows,
            evidence_query="<" * 3_000,
            note=name,
        )
        for number in range(count)
    ]
    mail = notice_mail(notice(*many, family="digest"), runbooks=BASE)
    assert len(mail.html.encode()) <= LARGEST_HTML
    assert len(mail.text.encode()) <= 200_000
    assert sum(len(file.content) for file in mail.attachments) < LARGEST_SQL_FILES + count * 250
    # none is lost: each is in the mail, or in the file that it says
    kept = mail.text + "".join(file.content.decode() for file in mail.attachments)
    in_full = re.findall(r"almanac alerts explain (inc-\d{4})", mail.text)
    if "incidents.txt" in mail.text:
        assert {f"inc-{number:04}" for number in range(count)} <= set(re.findall(r"inc-\d{4}", kept))
    else:
        assert len(set(in_full)) + mail.text.count("\nFiring (critical)") == count
    assert MAX_NOTICES * (LARGEST_HTML + LARGEST_SQL_FILES) < 5_000_000


def test_since_is_said_once_when_data_and_clock_agree() -> None:
    (line,) = lines_of(notice(spike(shown_at=OPENED - timedelta(minutes=5))), BASE)
    assert line.since == "2026-11-30 09:12 UTC"
    (line,) = lines_of(notice(spike(shown_at=OPENED - timedelta(minutes=6))), BASE)
    assert line.since == "2026-11-30 09:06 UTC in the data; incident opened 2026-11-30 09:12 UTC"
    (line,) = lines_of(notice(spike(shown_at=None, happened_at=OPENED + timedelta(hours=3))), BASE)
    assert line.since == "2026-11-30 09:12 UTC, for 3 h"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unit": "share", "baseline_value": Decimal("0.02")}, "usually 2.0 %"),
        ({"unit": "ms", "baseline_value": Decimal(812)}, "usually 812 ms"),
        ({"unit": "fall", "counted_unit": "jobs", "actual_value": Decimal(3)}, "3 jobs, usually 7.8 jobs"),
        ({"counted_unit": None, "actual_value": None}, "usually 7.8 (unit not kept)"),
        ({"baseline_value": None, "actual_value": None}, None),
    ],
)
def test_a_baseline_has_its_unit(changes: dict[str, Any], said: str | None) -> None:
    (line,) = lines_of(notice(spike(**changes)), BASE)
    assert (line.baseline or "").replace("\u2009", " ") == (said or "")


@pytest.mark.parametrize(
    ("unit", "before", "now", "said"),
    [
        ("USD", "2", "3.5", "$2.00 in the last notice, a change of +$1.50"),
        ("credits", "40", "37", "40 credits in the last notice, a change of −3 credits"),
        ("ms", "5000", "6200", "5.00 s in the last notice, a change of +1.20 s"),
        ("share", "0.06", "0.08", "6.0 % in the last notice, a change of +2.0 pp"),
        ("jobs", "5", "5", "unchanged since the last notice"),
        ("jobs", "5", None, "5 jobs in the last notice"),
    ],
)
def test_the_change_since_the_last_notice(unit: str, before: str, now: str | None, said: str) -> None:
    given = spike(
        unit=unit, previous_value=Decimal(before), observed_value=None if now is None else Decimal(now)
    )
    (line,) = lines_of(notice(given), BASE)
    assert (line.change or "").replace("\u2009", " ") == said


def test_a_value_that_is_not_known_says_so() -> None:
    assert value_text(None, "jobs") == "not known"
    assert value_text(Decimal("2.5"), "days") == "2.5 days"
