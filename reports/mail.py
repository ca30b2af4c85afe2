"""A review as a mail: a subject that carries the verdict, a page, a text that is a report of its own."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup

from reports import formats
from reports.formats import safe_label
from reports.message import Attachment, header_text
from reports.pictures import finding, process
from reports.render import environment, in_order, inline_plain
from reports.review import Driver, Kpi, Review

HERE = Path(__file__).parent
MOST_PICTURES = 2
TEXT_WIDTH = 78  # columns

STATEMENT_NAMES = {
    "opening": "Opening balance",
    "allocated": "Allocated",
    "purchased": "Purchased",
    "adjusted": "Adjusted",
    "used": "Used, refunds taken off",
    "unexplained": "Not explained by any row",
    "closing": "Closing balance",
}


@dataclass(frozen=True, slots=True)
class MailPicture:
    """A chart of the mail, before it is a PNG."""

    name: str
    title: str
    svg: Markup
    alt: str


@dataclass(frozen=True, slots=True)
class MailParts:
    """What a mail says, before it is a message."""

    subject: str
    preheader: str
    html: str
    text: str
    pictures: tuple[MailPicture, ...] = ()
    attachments: tuple[Attachment, ...] = ()


def review_mail(
    review: Review, *, dates: str, has_pdf: bool, unsubscribe_url: str | None = None
) -> MailParts:
    """The mail of one review; `has_pdf` says whether it comes with it."""
    verdict = review.verdict
    kind = verdict.review_kind
    name = scope_name(review)
    issue = "" if review.edition.number == 1 else f", corrected (edition {review.edition.number})"
    subject = header_text(
        f"{kind.capitalize()} review {formats.period_name(verdict.period_start_date, kind)}, {name}{issue}: "
        f"{_lower_first(verdict.verdict_sentence.rstrip('.'))}"
    )
    headlines = in_order(review.kpis, lambda kpi: kpi.headline_position)
    preheader = "; ".join(f"{kpi.label} {formats.figure(kpi.value, kpi.unit)}" for kpi in headlines[:2])
    pictures = _pictures(review) if verdict.has_activity else ()
    drivers = _drivers(review)
    given = {
        "review": review,
        "scope_name": name,
        "subject": subject,
        "preheader": preheader,
        "headlines": headlines,
        "pictures": pictures,
        "drivers": drivers,
        "changes": review.edition.changes[:5],
        "statement_names": STATEMENT_NAMES,
        "has_pdf": has_pdf,
        "unsubscribe_url": unsubscribe_url,
    }
    page = environment(dates).get_template("mail.html.j2").render(given)
    return MailParts(
        subject, preheader, inlined(page), _text(review, name, headlines, drivers, dates, given), pictures
    )


def held_mail(*, kind: str, period: str, reason: str) -> MailParts:
    """What operators are told, once, when a review that is due cannot go out."""
    subject = header_text(f"Held: the {kind} review {period} is not sent")
    said = " ".join(reason.split())
    steps = (
        "Nothing was sent to anybody. The review goes out by itself once a night is good again: correct the "
        "reason, then run `almanac nightly`. `almanac status` says what is published."
    )
    page = (
        environment("en-GB")
        .get_template("held.html.j2")
        .render(subject=subject, kind=kind, period=period, reason=said, steps=steps)
    )
    text = "\n\n".join([f"The {kind} performance review {period} is held.", f"Reason: {said}", steps, ""])
    return MailParts(subject, said[:120], inlined(page), wrapped(text))


def scope_name(review: Review) -> str:
    """Whose review it is, as people name it."""
    verdict = review.verdict
    if verdict.scope_kind == "platform":
        return "platform"
    if verdict.scope_kind == "organization":
        return safe_label(verdict.organization_name or verdict.scope_id, 60)
    return safe_label(verdict.scope_id, 60)


def _pictures(review: Review) -> tuple[MailPicture, ...]:
    """The charts of the first signals, or of the first headline when it was quiet."""
    signals = in_order(review.kpis, lambda kpi: kpi.signal_position)
    chosen = signals[:MOST_PICTURES] or in_order(review.kpis, lambda kpi: kpi.headline_position)[:1]
    return tuple(
        MailPicture(
            f"chart-{place}",
            kpi.label,
            process(kpi, review.verdict.review_kind),
            f"{kpi.label}: {finding(kpi)}",
        )
        for place, kpi in enumerate(chosen, start=1)
        if any(point.value is not None for point in kpi.points)
    )


def _drivers(review: Review) -> tuple[Driver, ...]:
    """What moved the cost: by team where there are several, else by model."""
    wanted = "model" if review.verdict.scope_kind == "team" else "team"
    cost = next((kpi for kpi in review.kpis if kpi.metric == "client_cost_usd"), None)
    if cost is None or cost.previous_value is None or cost.value is None:
        return ()
    return tuple(driver for driver in review.drivers if driver.dimension == wanted)


def _text(
    review: Review,
    name: str,
    headlines: Sequence[Kpi],
    drivers: Sequence[Driver],
    dates: str,
    given: dict[str, object],
) -> str:
    verdict = review.verdict
    kind = verdict.review_kind
    days = formats.days_between(verdict.period_start_date, verdict.period_end_date, dates=dates)
    this = formats.short_period(verdict.period_start_date, kind)
    before = formats.short_period(verdict.previous_period_start_date, kind)
    period = formats.period_name(verdict.period_start_date, kind)
    parts = [
        f"{kind.capitalize()} performance review, {name}\n{period} ({days}, {verdict.reporting_timezone})",
        verdict.verdict_sentence,
    ]
    if review.edition.number > 1:
        parts.append(
            f"Edition {review.edition.number}, in place of that of "
            f"{formats.moment(review.edition.supersedes_made_at)} UTC: {review.edition.reason}"
        )
    if verdict.has_activity or verdict.scope_kind == "platform":
        rows = [
            (
                kpi.label,
                formats.figure(kpi.value, kpi.unit),
                formats.change_figure(kpi.change, kpi.change_kind),
                formats.limits(kpi.lower_limit, kpi.upper_limit, kpi.unit),
                kpi.status,
            )
            for kpi in review.kpis
        ]
        parts.append(_table(("Metric", this, "Change", "Natural limits", "Status"), rows))
        if review.decisions:
            template = environment(dates).get_template("_decision.html.j2")
            sentences = [
                f"- {_plain(template.render(row=row, inline=inline_plain, noun=_noun(kind)))}"
                for row in review.decisions
            ]
            is_advice = kind == "monthly" and verdict.scope_kind != "platform"
            parts.append("\n".join(["RECOMMENDED" if is_advice else "NEEDS A DECISION", *sentences]))
        if review.statement:
            parts.append(
                _table(
                    ("Credit statement", "Credits"),
                    [
                        (
                            STATEMENT_NAMES[row.line],
                            formats.count(row.credits)
                            if row.line in ("opening", "closing")
                            else formats.signed_count(row.credits),
                        )
                        for row in review.statement
                    ],
                )
            )
        if drivers:
            moved = [
                (
                    safe_label(driver.part_name, 40)
                    if driver.row_kind == "member"
                    else "rounding"
                    if driver.row_kind == "rounding"
                    else f"everything else ({formats.count(driver.member_count)})",
                    formats.signed_usd(driver.change_usd),
                )
                for driver in drivers
            ]
            total = ("Change", formats.signed_usd(verdict.client_cost_change_usd))
            parts.append(_table(("Cost, " + f"{this} against {before}", "USD"), [*moved, total]))
    else:
        left = (
            f" Credits left: {formats.count(review.credits[0].credits_remaining, 'not known')}."
            if review.credits
            else ""
        )
        parts.append(f"{name} created no job and made no model call in {period}.{left}")
    closing = [
        "The whole review is attached as PDF."
        if given["has_pdf"]
        else "The PDF could not be made this time.",
        f"Data as of {formats.moment(verdict.built_at_as_of)} UTC, figures {review.provenance.run_id}, "
        f"edition {review.edition.number}.",
        f"You get this because you are listed as a recipient of the {kind} review of {name}.",
    ]
    parts.append(" ".join(closing))
    if given["unsubscribe_url"]:
        parts.append(f"To stop {kind} reviews: {given['unsubscribe_url']}")
    return "\n\n".join(wrapped(part) for part in parts) + "\n"


def _noun(kind: str) -> str:
    return "week" if kind == "weekly" else "month"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned table: the first column to the left, the others to the right."""
    cells = [[_cell(text) for text in row] for row in (head, *rows)]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "  ".join(
            text + " " * (width - _width(text)) if column == 0 else " " * (width - _width(text)) + text
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]])


def _cell(text: str) -> str:
    return text.replace(formats.THIN, " ")


def _width(text: str) -> int:
    """Columns of a terminal: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def wrapped(text: str) -> str:
    lines = []
    for line in text.replace(formats.THIN, " ").splitlines():
        if _width(line) <= TEXT_WIDTH or "  " in line.strip():
            lines.append(line)
            continue
        under = "  " if line.startswith("- ") else ""
        lines += textwrap.wrap(
            line, TEXT_WIDTH, subsequent_indent=under, break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines)


def _plain(html: str) -> str:
    """A sentence of a template as text."""
    return " ".join(Markup(html).striptags().split())


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


@cache
def _style() -> str:
    return (HERE / "styles" / "mail.css").read_text(encoding="utf-8")


def inlined(page: str) -> str:
    """The page with its style on each element, nothing fetched, the media rules kept."""
    import css_inline  # a compiled library; only mails need it

    inliner = css_inline.CSSInliner(
        load_remote_stylesheets=False,
        keep_style_tags=False,
        keep_at_rules=True,
        minify_css=True,
        extra_css=_style(),
    )
    inlined: str = inliner.inline(page)
    return re.sub(r"\n\s*\n+", "\n", inlined)
