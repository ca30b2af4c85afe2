"""A message says what was meant, to one person, whatever people typed; the same parts, the same bytes."""

from __future__ import annotations

import io
import os
import re
import smtplib
import subprocess
import sys
from datetime import datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from PIL import Image

from reports import ReportError, charts
from reports.message import Attachment, Mail, Picture, build, header_text, message_id
from reports.png import png
from tests.smtp_servers import Inbox, smtp_server

ROOT = Path(__file__).resolve().parents[2]
PDF = b"%PDF-1.7 \r\n.\n" * 100


def mail(subject: str = "Weekly review 2026-W47", **more: object) -> Mail:
    parts: dict[str, object] = {
        "sender": "LLM Almanac <almanac@example.com>",
        "recipient": "ann@example.com",
        "subject": subject,
        "html": '<p>5,678 jobs – ok</p><img src="cid:chart-1" alt="up">',
        "text": "5,678 jobs – ok\n.\nFrom here on\n" + "x" * 2000,
        "message_id": message_id("example.com", "weekly", "platform", "2026-W47", 1, "ann@example.com"),
        "date": datetime(2026, 11, 23, 2, 30),
        "reply_to": "ops@example.com",
        "pictures": (Picture("chart-1", b"\x89PNG", "up"),),
        "attachments": (Attachment("review.pdf", "application/pdf", PDF),),
        "headers": {"List-Id": "<weekly-review.example.com>", "Auto-Submitted": "auto-generated"},
    }
    return Mail(**{**parts, **more})  # type: ignore[arg-type]


def test_the_tree_is_one_that_mail_programs_show_right() -> None:
    read = message_from_bytes(build(mail()), policy=default)
    tree = [(part.get_content_type(), part.get_content_disposition()) for part in read.walk()]
    assert tree == [
        ("multipart/mixed", None),
        ("multipart/alternative", None),
        ("text/plain", None),
        ("multipart/related", None),
        ("text/html", None),
        ("image/png", "inline"),
        ("application/pdf", "attachment"),
    ]
    parts = list(read.walk())
    assert parts[5]["Content-ID"] == "<chart-1>"
    assert parts[6].get_payload(decode=True) == PDF
    assert parts[6].get_filename() == "review.pdf"
    assert parts[2].get_content().replace("\r\n", "\n") == mail().text + "\n"
    assert read["Date"].datetime.isoformat() == "2026-11-23T02:30:00+00:00"


def test_it_is_lines_of_ascii_that_every_server_takes() -> None:
    built = build(mail(subject="Bericht für Zürich: Ausfälle – " + "ü" * 120))
    assert built.isascii()
    assert max(len(line) for line in built.split(b"\r\n")) < 998
    assert b"\n" not in built.replace(b"\r\n", b"")


def test_the_same_mail_is_the_same_bytes_anywhere() -> None:
    code = (
        "import sys; from tests.unit.test_message import build, mail;sys.stdout.buffer.write(build(mail()))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "TZ": zone, "LC_ALL": locale, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for zone, locale, seed in (("Pacific/Apia", "C", "1"), ("America/New_York", "de_DE.UTF-8", "2"))
    }
    assert runs == {build(mail())}


def test_an_id_is_the_same_for_the_same_edition_and_person_only() -> None:
    first = message_id("example.com", "weekly", "team:a", "2026-W47", 1, "Ann@example.com")
    assert first == message_id("example.com", "weekly", "team:a", "2026-W47", 1, "ann@example.com")
    others = {
        message_id("example.com", kind, scope, period, edition, person)
        for kind, scope, period, edition, person in (
            ("monthly", "team:a", "2026-W47", 1, "ann@example.com"),
            ("weekly", "team:b", "2026-W47", 1, "ann@example.com"),
            ("weekly", "team:a", "2026-W46", 1, "ann@example.com"),
            ("weekly", "team:a", "2026-W47", 2, "ann@example.com"),
            ("weekly", "team:a", "2026-W47", 1, "bob@example.com"),
        )
    }
    assert first not in others
    assert len(others) == 5
    assert "team:a" not in first, "an id is seen by servers on the way"


HOSTILE = (
    "=?utf-8?q?a=0D=0ABcc:_evil@x.example?=",
    "a\r\nBcc: evil@x.example",
    "a\nSubject: other",
    "a\x00b",
    "\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe",
    "x" * 10_000,
    "\N{GRINNING FACE} \N{ZERO WIDTH JOINER}",
    "\u2028Bcc: evil@x.example",
    "=?iso-8859-1?B?Qmxh?= =?utf-8?b?DQpCY2M6IGV2aWxAeA==?=",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_people_type_is_no_header(text: str) -> None:
    read = message_from_bytes(build(mail(subject=f"Weekly review: {header_text(text)}")), policy=default)
    assert read["Bcc"] is None
    assert read.get_all("Subject") == [read["Subject"]]
    assert len(str(read["Subject"])) < 300


@given(st.text(max_size=300))
def test_any_text_reads_back_as_it_was_meant(text: str) -> None:
    subject = header_text(text)
    read = message_from_bytes(build(mail(subject=subject)), policy=default)
    assert " ".join(str(read["Subject"]).split()) == " ".join(subject.split())


@pytest.mark.parametrize("text", HOSTILE[:4], ids=range(4))
def test_text_that_nobody_made_safe_stops_the_mail(text: str) -> None:
    with pytest.raises(ReportError):
        build(mail(subject=text))


PIECES = st.sampled_from(
    (
        *("=?utf-8?q?", "?=", "=0D=0A", "\r\n", "\n", "Bcc: e@x", "a@b.example", "x" * 400),
        *("@", "<", ">", ",", ";", ":", '"', "(", ")", "\\", " ", "é", "\x00", "\udc80"),
        *("\N{RIGHT-TO-LEFT OVERRIDE}", "\N{GRINNING FACE}"),
    )
)
FIELDS = ("sender", "recipient", "reply_to", "subject", "message_id", "header", "file")


@settings(max_examples=500)
@given(st.sampled_from(FIELDS), st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=12).map("".join)))
def test_whatever_a_part_holds_the_mail_goes_to_one_person_or_not_at_all(field: str, text: str) -> None:
    more: dict[str, object] = {field: text}
    if field == "header":
        more = {"headers": {"X-Team": text}}
    elif field == "file":
        more = {"attachments": (Attachment(text, "application/pdf", b"x"),)}
    try:
        built = build(mail(**more))  # type: ignore[arg-type]
    except ReportError:
        return
    read = message_from_bytes(built, policy=default)
    expected = {"from", "to", "reply-to", "subject", "date", "message-id", "mime-version", "content-type"}
    expected |= {"x-team"} if field == "header" else {"list-id", "auto-submitted"}
    assert {name.lower() for name in read} | {"reply-to"} == expected
    assert len(read["To"].addresses) == 1
    assert built.isascii()
    assert max(map(len, built.split(b"\r\n"))) < 998
    assert b"\n" not in built.replace(b"\r\n", b"")


def test_a_mail_is_for_one_person() -> None:
    with pytest.raises(ReportError, match="must name one address"):
        build(mail(recipient="ann@example.com, bob@example.com"))


def test_a_server_takes_it_as_it_is() -> None:
    built = build(mail(subject="Bericht für Zürich – " + "ü" * 120))
    inbox = Inbox()
    with smtp_server(inbox) as port, smtplib.SMTP("127.0.0.1", port) as client:
        assert client.sendmail("almanac@example.com", ["ann@example.com"], built) == {}
    (arrived,) = inbox.arrived
    assert arrived.recipients == ("ann@example.com",)
    assert arrived.parsed["Subject"] == "Bericht für Zürich – " + "ü" * 120
    files = {part.get_filename(): part.get_content() for part in arrived.parsed.iter_attachments()}
    assert files["review.pdf"] == PDF
    assert arrived.content.replace(b"\r\n", b"\n").rstrip() == built.replace(b"\r\n", b"\n").rstrip()


def test_a_page_that_would_be_clipped_stops_the_mail() -> None:
    with pytest.raises(ReportError, match="bytes"):
        build(mail(html="x" * 60_001))


# --- pictures -----------------------------------------------------------------------------------------------


def drawn() -> Markup:
    return charts.process_chart("k", "t", "d", [1, 2, 3], ["W1", "W2", "W3"], figure=str)


def test_a_picture_is_opaque_white_with_its_text() -> None:
    svg = drawn()
    width, height = map(float, re.findall(r'viewBox="0 0 (\S+) (\S+)"', svg)[0])
    picture = Image.open(io.BytesIO(png(svg, width_px=1200)))
    assert picture.width == 1200
    assert abs(picture.height / picture.width - height / width) < 0.03
    assert min(picture.convert("RGBA").getchannel("A").tobytes()) == 255
    assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    labels = picture.convert("L").crop((0, int(picture.height * 0.9), 1200, picture.height))
    assert min(labels.tobytes()) < 120, "the labels are missing: the fonts were not found"


def test_a_picture_is_the_same_bytes_in_another_process() -> None:
    code = (
        "import sys; from tests.unit.test_message import drawn; from reports.png import png;"
        "sys.stdout.buffer.write(png(drawn(), width_px=600))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert run.stdout == png(drawn(), width_px=600)
