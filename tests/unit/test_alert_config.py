"""The alerts file: every mistake with its line, no secret in it, and who gets what of a notice."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.alert_config import KINDS, AlertConfig, ChannelPart, load_alert_config
from flows.alert_delivery import deliveries_of, require_sender, wanted_part
from flows.doctor import examine
from flows.errors import UsageError
from flows.recipients import Recipients
from flows.settings import Settings, load_settings, read_secret, unknown_names
from reports.notice import Notice
from tests.notice_samples import member, notice

GOOD = """\
runbook_base_url: https://wiki.example.com/alerts
channels:
  ops:
    kind: slack
    url_from: ALMANAC_ALERT_SLACK_URL
    min_severity: error
  siem:
    kind: webhook
    url_from: ALMANAC_ALERT_SIEM_URL
    secret_from: ALMANAC_ALERT_SIEM_SECRET
    families: [security]
    allow_private: true
  phones:
    kind: apprise
    url_from: ALMANAC_ALERT_PHONES_URL
    organizations: [acme]
  people: {kind: mail, to: [ann@example.com]}
  audit: {kind: file}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "alerts.yml"


def load(file: Path, text: str) -> AlertConfig:
    file.write_text(text)
    return load_alert_config(file)


def recipients(**changes: Any) -> Recipients:
    sender = {"from": "almanac@example.com", "bounces": "b@example.com", "list_domain": "example.com"}
    return Recipients.model_validate({"sender": sender, "operators": ["op@example.com"], **changes})


def test_a_good_file_is_read(file: Path) -> None:
    config = load(file, GOOD)
    assert list(config.channels) == ["ops", "siem", "phones", "people", "audit"]
    assert config.secrets == {
        *("ALMANAC_ALERT_SLACK_URL", "ALMANAC_ALERT_SIEM_URL"),
        *("ALMANAC_ALERT_SIEM_SECRET", "ALMANAC_ALERT_PHONES_URL"),
    }


def test_the_documented_file_is_a_good_one(file: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    (documented,) = (part for part in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "url_from" in part)
    config = load(file, documented)
    assert {part.kind for part in config.channels.values()} == set(KINDS)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kind: slack", "kind: slak", "line 3: channels.ops: is of no kind that is known"),
        ("    kind: slack\n", "", "line 3: channels.ops: has no `kind`"),
        ("    secret_from: ALMANAC_ALERT_SIEM_SECRET\n", "", "line 7: channels.siem.secret_from: is missing"),
        ("min_severity: error", "min_severity: loud", "line 6: channels.ops.min_severity: "),
        ("families: [security]", "families: [security, money]", "line 11: channels.siem.families.1: "),
        ("families: [security]", "families: []", "line 11: channels.siem.families: "),
        (
            "allow_private: true",
            "allow_privat: true",
            "line 12: channels.siem.allow_privat: there is no such setting",
        ),
        ("allow_private: true", "allow_http: true", "line 12: channels.siem.allow_http: unencrypted HTTP"),
        ("allow_private: true", "allow_private: perhaps", "line 12: channels.siem.allow_private: "),
        ("ann@example.com", "ann", "line 17: channels.people.to.0: 'ann' is not a mail address"),
        ("  ops:", "  Ops Team:", "line 3: channels.Ops Team: a channel's name is up to 40 small letters"),
        ("https://wiki", "http://wiki", "line 1: runbook_base_url: it must be a link"),
        ("/alerts", "/alerts|<!channel>", "line 1: runbook_base_url: it must be a link"),
        ("PHONES_URL", "SLACK_URL", "line 15: channels.phones.url_from: channel ops posts there too"),
        ("  audit: {kind: file}", "  audit: {kind: file}\n  audit: {kind: file}", "line 19: not YAML"),
    ],
)
def test_every_mistake_is_told_with_its_line(file: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        load(file, GOOD.replace(old, new))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "secret", ["https://hooks.slack.com/services/T0/B0/SECRET", "ALMANAC_SMTP_URL", "HOME", "almanac_alert_x"]
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(file: Path, secret: str) -> None:
    with pytest.raises(
        UsageError, match=r"line 5: channels\.ops\.url_from: it must be the name of an env"
    ) as refused:
        load(file, GOOD.replace("ALMANAC_ALERT_SLACK_URL", secret))
    assert "SECRET" not in str(refused.value).replace("ALMANAC_ALERT_SIEM_SECRET", "")


def test_many_mistakes_are_told_at_once(file: Path) -> None:
    with pytest.raises(UsageError) as refused:
        load(file, GOOD.replace("kind: webhook", "kind: x").replace("error", "loud"))
    assert "line 6:" in str(refused.value)
    assert "line 7:" in str(refused.value)
    with pytest.raises(UsageError, match=r"line 1: channels: is missing"):
        load(file, "runbook_base_url: https://wiki.example.com/alerts\n")


def test_secrets_come_from_the_environment_or_the_env_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file.parent / ".env").write_text("ALMANAC_ALERT_A=from-file\nALMANAC_ALERT_B=from-file\n")
    monkeypatch.setenv("ALMANAC_ALERT_A", " from-environment\n")
    monkeypatch.setenv("ALMANAC_ALERT_C", "")
    assert [read_secret(f"ALMANAC_ALERT_{letter}") for letter in "ABCD"] == [
        *("from-environment", "from-file", None, None)
    ]
    with pytest.raises(ValueError, match="does not begin"):
        read_secret("HOME")
    assert unknown_names() == ["ALMANAC_ALERT_A", "ALMANAC_ALERT_C"]
    assert unknown_names({"ALMANAC_ALERT_A", "ALMANAC_ALERT_C"}) == []


def test_the_doctor_knows_the_channels_and_tells_no_secret(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(file, GOOD.replace("  phones", "  phones2"))
    monkeypatch.setenv("ALMANAC_ALERTS", str(file))
    monkeypatch.setenv("ALMANAC_ALERT_SLACK_URL", "https://hooks.slack.com/services/T0/B0/HIDDENHIDDEN")
    monkeypatch.setenv("ALMANAC_ALERT_SIEM_URL", "https://user:HIDDENHIDDEN@siem.example.com/")
    monkeypatch.setenv("ALMANAC_ALERT_SIEM_SECRET", "HIDDENHIDDEN")

    def found() -> dict[str, str]:
        return {check.name: check.detail for check in examine(load_settings())}

    assert "ALMANAC_RECIPIENTS" in found()["alert channels"]
    (file.parent / "recipients.yml").write_text("sender: {from: a@b.c, bounces: a@b.c, list_domain: b.c}\n")
    monkeypatch.setenv("ALMANAC_RECIPIENTS", str(file.parent / "recipients.yml"))
    told = found()["alert channels"]
    assert "channel siem: ALMANAC_ALERT_SIEM_URL holds a user" in told
    assert "channel phones2: ALMANAC_ALERT_PHONES_URL, which the alerts file names, is not set" in told
    monkeypatch.setenv("ALMANAC_ALERT_SIEM_URL", "https://siem.example.com/")
    assert "ALMANAC_ALERT_SIEM_SECRET holds no signing secret" in found()["alert channels"]
    monkeypatch.setenv("ALMANAC_ALERT_SIEM_SECRET", "whsec_" + "QUFB" * 8)
    monkeypatch.setenv("ALMANAC_ALERT_PHONES_URL", "nosuchservice://HIDDENHIDDEN")
    assert "Apprise knows no service" in found()["alert channels"]
    monkeypatch.setenv("ALMANAC_ALERT_PHONES_URL", "ntfys://ntfy.example.com/HIDDENHIDDEN")
    findings = found()
    assert (
        findings["alert channels"]
        == "ops (slack), siem (webhook), phones2 (apprise), people (mail), audit (file)"
    )
    assert "every ALMANAC_* variable" in findings["settings"]
    assert "HIDDEN" not in str(findings)


def part(**values: Any) -> ChannelPart:
    return ChannelPart.model_validate(values)


MIXED = notice(
    member(severity="critical", incident_id="c", organization_id="acme"),
    member(severity="info", incident_id="i", organization_id=None),
    omitted={"info": 3, "warning": 1},
    replies_to="before",
)


@pytest.mark.parametrize(
    ("given", "values", "ids", "omitted"),
    [
        (MIXED, {}, "ci", {"info": 3, "warning": 1}),
        (MIXED, {"min_severity": "warning"}, "c", {"warning": 1}),
        (MIXED, {"families": ["usage"]}, "ci", {"info": 3, "warning": 1}),
        (MIXED, {"families": ["security"]}, "", {}),
        (MIXED, {"organizations": ["acme"]}, "c", {}),
        (MIXED, {"organizations": ["other"]}, "", {}),
        (notice(member(incident_id="w"), family="digest"), {"families": ["security"]}, "w", {}),
        (
            notice(member(incident_id="t"), family="test"),
            {"min_severity": "critical", "organizations": ["x"]},
            "t",
            {},
        ),
    ],
)
def test_a_channel_gets_what_it_wants(
    given: Notice, values: dict[str, Any], ids: str, omitted: dict[str, int]
) -> None:
    found = wanted_part(given, part(**values))
    if not ids:
        assert found is None
        return
    assert found is not None
    assert ["".join(one.incident_id for one in found.members), found.omitted] == [ids, omitted]
    assert found.replies_to == given.replies_to


def test_what_follows_up_something_that_a_channel_did_not_get_does_not_refer_to_it() -> None:
    found = wanted_part(MIXED, part(organizations=["acme"]))
    assert found is not None
    assert found.replies_to == "before"
    other = notice(member(severity="info"), member(severity="error"), replies_to="before")
    found = wanted_part(other, part(min_severity="error"))
    assert found is not None
    assert found.replies_to is None


def test_one_message_per_channel_with_ids_that_stay(file: Path) -> None:
    config = load(file, GOOD)
    given = notice(member(severity="critical"), family="security")
    first, again = (dict(deliveries_of(given, recipients(), config)) for _ in range(2))
    assert first == again
    assert {name: len(entries) for name, entries in first.items()} == dict.fromkeys(config.channels, 1)
    sent = {name: entries[0] for name, entries in first.items()}
    assert {name: entry.channel for name, entry in sent.items()} == {
        "ops": "slack:ops",
        "siem": "webhook:siem",
        "phones": "apprise:phones",
        "people": "file",
        "audit": "file",
    }
    assert len({entry.message_id for entry in sent.values()}) == 5
    assert sent["people"].media_type == "message/rfc822"
    assert b"https://wiki.example.com/alerts#credit_low" in sent["siem"].content
    assert {entry.recipient for entry in sent.values()} == {
        "ops",
        "siem",
        "phones",
        "ann@example.com",
        "audit",
    }


def test_an_address_of_two_channels_gets_one_mail_with_what_both_want(file: Path) -> None:
    page = "page: {kind: mail, to: [ann@example.com], min_severity: critical}"
    both = "all: {kind: mail, to: [ann@example.com, bob@example.com], families: [usage]}"
    warning = member(incident_id="inc-warning")
    given = notice(member(incident_id="inc-critical", severity="critical"), warning, omitted={"info": 3})
    for channels in (f"{page}, {both}", f"{both}, {page}"):
        config = load(file, f"channels: {{{channels}}}\n")
        found = {
            entry.recipient: (name, entry)
            for name, entries in deliveries_of(given, recipients(), config)
            for entry in entries
        }
        assert sum(len(entries) for _, entries in deliveries_of(given, recipients(), config)) == 2
        for address in ("ann@example.com", "bob@example.com"):
            content = found[address][1].content
            assert b"inc-critical" in content
            assert b"inc-warning" in content
        assert found["ann@example.com"][0] == next(iter(config.channels))
    # what one of them alone wants is told by itself
    ((_, first), (_, second)) = deliveries_of(
        replace(given, family="security"), recipients(), load(file, f"channels: {{{page}, {both}}}\n")
    )
    assert (len(first), b"inc-warning" in first[0].content, second) == (1, False, [])


def test_without_the_file_operators_are_mailed_as_before() -> None:
    ((name, entries),) = deliveries_of(notice(), recipients(), None)
    assert (name, [entry.recipient for entry in entries]) == ("operators", ["op@example.com"])
    assert b"docs/alerts.md#credit_low" in entries[0].content
    assert list(deliveries_of(notice(), None, None)) == []


def test_the_setting_says_where_runbooks_are_unless_the_file_does(file: Path) -> None:
    ours = "https://ours.example.com/alerts"
    ((_, (mail,)),) = deliveries_of(notice(), recipients(), None, runbook_url=ours)
    assert f'href=3D"{ours}#credit_low"'.encode() in mail.content.replace(b"=\r\n", b"")
    config = load(file, "channels: {audit: {kind: file}}\n")
    ((_, (entry,)),) = deliveries_of(notice(), None, config, runbook_url=ours)
    assert f"{ours}#credit_low".encode() in entry.content
    config = load(file, GOOD)
    for name, entries in deliveries_of(notice(), recipients(), config, runbook_url=ours):
        assert all(b"https://wiki.example.com/alerts#credit_low" in one.content for one in entries), name
        assert all(b"ours.example.com" not in one.content for one in entries), name


def test_a_channel_that_mails_needs_a_sender_and_people(file: Path) -> None:
    config = load(file, "channels: {people: {kind: mail}}\n")
    with pytest.raises(UsageError, match="ALMANAC_RECIPIENTS"):
        require_sender(config, None)
    with pytest.raises(UsageError, match="names none"):
        require_sender(config, recipients(operators=[]))
    require_sender(config, recipients())
    ((_, entries),) = deliveries_of(notice(), recipients(), config)
    assert [entry.recipient for entry in entries] == ["op@example.com"]


def test_the_setting_is_an_absolute_path(file: Path) -> None:
    assert Settings(alerts=Path("alerts.yml")).alerts == file
