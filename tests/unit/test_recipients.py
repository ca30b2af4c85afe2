"""The recipients file: what it may say, and how its mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import UsageError
from flows.recipients import Recipients, load_recipients
from flows.review_scopes import PLATFORM, Kind, Scope

GOOD = """\
sender:
  from: "LLM Almanac <almanac@Example.com>"
  bounces: bounces@example.com
  list_domain: example.com
  unsubscribe_url: https://almanac.example.com/unsubscribe
channel: mail
operators: [ops@example.com]
reviews:
  - scope: platform
    to: [ann@example.com, "bob@example.com"]
    send: [weekly]
    dates: iso
  - scope: team:acme-docs
    to: [cat@example.com]
"""


def load(folder: Path, text: str) -> Recipients:
    path = folder / "recipients.yml"
    path.write_text(text, encoding="utf-8")
    return load_recipients(path)


def test_who_gets_what(tmp_path: Path) -> None:
    recipients = load(tmp_path, GOOD)
    team = Scope("team", "acme-docs")
    assert recipients.of(Kind.WEEKLY, PLATFORM) == [("ann@example.com", "iso"), ("bob@example.com", "iso")]
    assert recipients.of(Kind.MONTHLY, PLATFORM) == []
    assert recipients.of(Kind.MONTHLY, team) == [("cat@example.com", "en-GB")]
    assert recipients.scopes(Kind.MONTHLY) == [team]
    assert recipients.scopes(Kind.WEEKLY) == [PLATFORM, team]
    assert recipients.sender.address == "LLM Almanac <almanac@example.com>"


def test_the_least_file_sends_nothing_and_writes_files(tmp_path: Path) -> None:
    recipients = load(tmp_path, "sender: {from: a@b.c, bounces: a@b.c, list_domain: b.c}")
    assert (recipients.channel, recipients.reviews, recipients.operators) == ("file", [], [])


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("ann@example.com", "ann.example.com", 10, "not a mail address"),
        ("ann@example.com", '"ann@example.com\\r\\nBcc: eve@evil.x"', 10, "not a mail address"),
        ("ann@example.com", '"ann@example.com, eve@evil.x"', 10, "not a mail address"),
        ("ann@example.com", "'=?utf-8?q?a?=@example.com'", 10, "not a mail address"),
        ("ann@example.com", "bob@example.com", 10, "twice"),
        ("send: [weekly]", "send: [daily]", 11, "weekly"),
        ("send: [weekly]", "sned: [weekly]", 11, "no such setting"),
        ("dates: iso", "dates: klingon", 12, "en-GB"),
        ("scope: platform", "scope: plattform", 9, "no scope"),
        ("channel: mail", "channel: pigeon", 6, "file"),
        ("https://", "http://", 5, "https"),
        ("  bounces: bounces@example.com\n", "", 1, "is missing"),
        ("list_domain: example.com", "list_domain: 'a b'", 4, "pattern"),
        ('"LLM Almanac <almanac@Example.com>"', '"a\\nb <almanac@example.com>"', 2, "not a mail address"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, told: str) -> None:
    assert old in GOOD
    with pytest.raises(UsageError) as wrong:
        load(tmp_path, GOOD.replace(old, new, 1))
    message = str(wrong.value)
    assert f"line {line}:" in message
    assert told in message
    assert "recipients.yml" in message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as wrong:
        load(tmp_path, GOOD.replace("weekly", "daily").replace("team:", "crew:").replace("mail\n", "post\n"))
    assert [f"line {line}:" in str(wrong.value) for line in (6, 11, 13)] == [True] * 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &x [1]\nb: *x", "line 2.*aliases"),
        ("channel: file\nchannel: mail", "line 2.*twice"),
        ("a: [", "line 1|line 2"),
        ("!!python/object/apply:os.system ['true']", "line 1"),
        ("[" * 5000, "nested|not YAML"),
        ("x" * 1_000_001, "larger"),
        ("", "file"),
        ("? [a]\n: b", "line 1.*no name of a setting"),
        ("channel: !!timestamp x", "line 1.*tags"),
        ("<<: {channel: file}", "no such setting"),
        ("channel: 2026-13-45", "line 1: channel"),
        ("channel: \0", "not YAML"),
    ],
    ids=str.split("alias twice open python deep large empty key tag merge date nul"),
)
def test_what_is_no_plain_yaml_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yml.*ALMANAC_RECIPIENTS"):
        load_recipients(tmp_path / "nowhere.yml")
    (tmp_path / "latin.yml").write_bytes(b"channel: \xff")
    with pytest.raises(UsageError, match="UTF-8"):
        load_recipients(tmp_path / "latin.yml")


@given(st.text(st.sampled_from("a:-?!&*<>[]{}|~'\",# \n\t%@`0123456789."), max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        load_recipients(path)


def test_a_file_without_end_is_not_read_to_it() -> None:
    with pytest.raises(UsageError, match="larger"):
        load_recipients(Path("/dev/zero"))


@given(st.text(max_size=80))
def test_no_address_carries_a_line_end_or_a_second_address(text: str) -> None:
    from flows.recipients import _address

    try:
        address = _address(text)
    except ValueError:
        return
    assert address.isprintable()
    assert address.count("@") == 1
    assert not set(address) & set(', ;<>"\r\n\0')
