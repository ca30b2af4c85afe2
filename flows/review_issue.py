"""Issuing reviews: an edition is drawn, kept, and put into the outbox for its recipients, all or nothing.

A review is issued once for each period; when published figures of an issued one have changed since, the next
edition says what changed and why. Whether a correction is mailed is decided by how much it changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flows.archive import (
    Edition,
    documents_of,
    keep_edition,
    newest_edition,
    newest_of_each,
    read_document,
)
from flows.errors import AlmanacError
from flows.failpoints import failpoint
from flows.outbox import HELD, Delivery, enqueue
from flows.progress import Progress
from flows.recipients import Recipients, load_recipients
from flows.review_documents import MEDIA_TYPES, Document, Envelope, Order, Sender
from flows.review_reader import figures_json, printed_figures, query, read_reviews, scopes_of
from flows.review_scopes import PLATFORM, Kind, Period, Scope, parse_scope
from flows.reviews import (
    FILE_DATES,
    Drawn,
    RenderedReview,
    draw_all,
    path_of,
    recap_of,
    source_of_figures,
    write_documents,
)
from flows.unsubscribes import is_unsubscribed, leave_headers
from flows.warehouse import Reader, open_warehouse
from reports import review as figures

if TYPE_CHECKING:
    from flows.ops_store import OpsStore
    from flows.settings import Settings

# A change of a figure by this share, or of a rate by so many points, is mailed as a correction; so is another
# status.
MATERIAL_SHARE = Decimal("0.01")
MATERIAL_POINTS = Decimal("0.001")

Figures = list[list[str | None]]


@dataclass(slots=True)
class IssueReport:
    """What was issued, what was put into the outbox, and what could not be drawn."""

    rendered: list[RenderedReview] = field(default_factory=list)
    editions: list[Edition] = field(default_factory=list)
    message_count: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: IssueReport) -> None:
        self.rendered += other.rendered
        self.editions += other.editions
        self.message_count += other.message_count
        self.failures += other.failures


@dataclass(frozen=True, slots=True)
class Issuer:
    """What issuing needs: where figures are, where editions are kept, who gets them."""

    settings: Settings
    store: OpsStore
    recipients: Recipients | None
    progress: Progress

    def issue(self, kind: Kind, period: Period, scopes: Sequence[Scope]) -> IssueReport:
        """Issue the reviews of a period that have not been, and anew those whose figures are others now."""
        with contextlib.closing(open_warehouse(self.settings)) as connection:
            there = set(scopes_of(connection, kind, period))
            wanted = [scope for scope in scopes if scope in there]
            source = source_of_figures(self.settings)
            recap = recap_of(self.settings, connection, kind, period)
            reviews = list(read_reviews(connection, kind, period, wanted, source, recap))
            orders: list[tuple[Order, Edition, Figures]] = []
            for scope, review in zip(wanted, reviews, strict=True):
                if not review.verdict.has_activity and scope != PLATFORM and self._skips_quiet():
                    continue
                if planned := self._plan(connection, kind, period, scope, review):
                    orders.append(planned)
        return self._draw_and_keep(kind, period, orders)

    def issue_restated(self, kinds: Sequence[Kind] = tuple(Kind)) -> IssueReport:
        """New editions of every issued review whose published figures have changed since."""
        report = IssueReport()
        with self.store.transaction() as connection:
            newest = newest_of_each(connection)
        by_period: dict[tuple[Kind, Period], dict[Scope, str]] = {}
        for (kind_name, scope, label), edition in newest.items():
            if (kind := Kind(kind_name)) in kinds:
                of_period = by_period.setdefault((kind, kind.parse(label)), {})
                of_period[parse_scope(scope)] = edition.figures_sha256
        changed: list[tuple[Kind, Period, list[Scope]]] = []
        with contextlib.closing(open_warehouse(self.settings)) as reader:
            for (kind, period), issued in sorted(by_period.items(), key=lambda item: item[0][1].start_date):
                now = _printed_now(reader, kind, period)
                scopes = [
                    scope for scope, digest in sorted(issued.items()) if scope in now and now[scope] != digest
                ]
                if scopes:
                    changed.append((kind, period, scopes))
        for kind, period, scopes in changed:
            report.add(self.issue(kind, period, scopes))
        return report

    def _skips_quiet(self) -> bool:
        return self.recipients is not None and self.recipients.quiet_periods == "none"

    def _plan(
        self, reader: Reader, kind: Kind, period: Period, scope: Scope, review: Any
    ) -> tuple[Order, Edition, Figures] | None:
        """The next edition of a review; None when the newest one says the same."""
        printed = printed_figures(review.kpis, review.statement)
        digest = hashlib.sha256(figures_json(printed)).hexdigest()
        with self.store.transaction() as connection:
            before = newest_edition(connection, kind.value, str(scope), period.label)
            if before is not None and before.figures_sha256 == digest:
                self._restore_files(connection, kind, period, scope, before)
                return None
            made_at = self.store.now(connection)
            old = json.loads(read_document(connection, before.figures_sha256)) if before else []
            edition = Edition(
                kind=kind.value,
                scope=str(scope),
                period=period.label,
                edition=before.edition + 1 if before else 1,
                as_of=review.verdict.built_at_as_of,
                made_at=made_at,
                figures_sha256=digest,
                reason=_reason(reader, review, before) if before else None,
                is_material=before is None or _is_material(old, printed),
            )
            envelopes = self._envelopes(connection, kind, scope, edition)
        if before is not None:
            review = replace(
                review,
                edition=figures.Edition(
                    number=edition.edition,
                    supersedes_made_at=before.as_of,
                    reason=edition.reason,
                    changes=_changes(old, printed),
                ),
            )
        dates = tuple(dict.fromkeys([FILE_DATES, *(envelope.dates for envelope in envelopes)]))
        order = Order(review, str(scope), period.label, dates, self._sender(), tuple(envelopes))
        return order, edition, printed

    def _restore_files(
        self, connection: Any, kind: Kind, period: Period, scope: Scope, edition: Edition
    ) -> None:
        """Write the files of an issued edition that are gone, or were never written, as they were."""
        kept = [
            Document(document.name, document.dates, read_document(connection, document.sha256))
            for document in documents_of(connection, edition)
            if document.name in MEDIA_TYPES
            and not path_of(self.settings, kind, period, scope, document.name).exists()
        ]
        write_documents(self.settings, kind, period, scope, kept)

    def _sender(self) -> Sender | None:
        if self.recipients is None:
            return None
        sender = self.recipients.sender
        return Sender(sender.address, sender.reply_to, sender.list_domain)

    def _envelopes(self, connection: Any, kind: Kind, scope: Scope, edition: Edition) -> list[Envelope]:
        if self.recipients is None:
            return []
        is_correction = edition.edition > 1
        wanted = self.recipients.corrections
        if is_correction and (wanted == "none" or (wanted == "material" and not edition.is_material)):
            return []
        sender = self.recipients.sender
        envelopes = []
        for address, dates in self.recipients.of(kind, scope):
            if is_unsubscribed(connection, address, kind.value):
                continue
            headers, link = leave_headers(
                address,
                kind.value,
                secret=self.settings.link_secret,
                url=sender.unsubscribe_url,
                mailto=sender.unsubscribe_mailto,
            )
            envelopes.append(Envelope(address, dates, link, headers))
        return envelopes

    def _draw_and_keep(
        self, kind: Kind, period: Period, planned: list[tuple[Order, Edition, Figures]]
    ) -> IssueReport:
        report = IssueReport()
        orders = [order for order, _, _ in planned]
        stage = f"{kind.value.capitalize()} reviews {period.label}"
        for drawn, (_, edition, printed) in zip(
            draw_all(orders, self.progress, stage) if orders else (), planned, strict=True
        ):
            if drawn.documents is None:
                report.failures.append(f"{kind} review {period.label} of {drawn.order.scope}: {drawn.error}")
                continue
            if drawn.pdf_error:
                report.failures.append(
                    f"{kind} review {period.label} of {drawn.order.scope} went without its PDF: "
                    f"{drawn.pdf_error}"
                )
            report.message_count += self._keep(drawn, edition, printed)
            report.editions.append(edition)
            report.rendered.append(
                write_documents(
                    self.settings, kind, period, parse_scope(drawn.order.scope), drawn.documents.files
                )
            )
        return report

    def _keep(self, drawn: Drawn, edition: Edition, printed: Figures) -> int:
        """The edition, its documents and its messages become true at once."""
        assert drawn.documents is not None
        failpoint("issue.before_kept")
        with self.store.transaction() as connection:
            contents = [
                (file.name, file.dates, file.media_type, file.content) for file in drawn.documents.files
            ]
            figures_document = ("figures.json", "", "application/json", figures_json(printed))
            keep_edition(connection, edition, [*contents, figures_document])
            channel = self.recipients.channel if self.recipients else "file"
            count = enqueue(
                connection,
                self.store.now(connection),
                [
                    Delivery(
                        kind=edition.kind,
                        scope=edition.scope,
                        period=edition.period,
                        edition=edition.edition,
                        recipient=message.address,
                        channel=channel,
                        message_id=message.message_id,
                        content=message.content,
                    )
                    for message in drawn.documents.messages
                ],
            )
        failpoint("issue.kept")
        return count


def hold(
    store: OpsStore, recipients: Recipients, kind: Kind, period: Period, reason: str, as_of: datetime
) -> int:
    """Tell the operators, once, that a review that is due cannot go out; how many are told now."""
    from reports import mail, message

    parts = mail.held_mail(kind=kind.value, period=period.label, reason=reason)
    with store.transaction() as connection:
        if newest_edition(connection, kind.value, str(PLATFORM), period.label) is not None:
            return 0  # it went out already; what fails now concerns a later one
        entries = []
        for address in recipients.operators:
            identity = message.message_id(
                recipients.sender.list_domain, HELD, str(PLATFORM), period.label, 1, address
            )
            content = message.build(
                message.Mail(
                    sender=recipients.sender.address,
                    recipient=address,
                    reply_to=recipients.sender.reply_to,
                    subject=parts.subject,
                    html=parts.html,
                    text=parts.text,
                    message_id=identity,
                    date=as_of,
                    headers={"Auto-Submitted": "auto-generated"},
                )
            )
            entries.append(
                Delivery(HELD, str(PLATFORM), period.label, 1, address, recipients.channel, identity, content)
            )
        return enqueue(connection, store.now(connection), entries)


def recipients_of(settings: Settings) -> Recipients | None:
    """The recipients file, read and checked; None when there is none, and nobody gets anything."""
    return load_recipients(settings.recipients) if settings.recipients else None


def _printed_now(reader: Reader, kind: Kind, period: Period) -> dict[Scope, str]:
    """The hash of what each review of a period would print now."""
    kpis: dict[Scope, list[Any]] = {}
    for scope_kind, scope_id, *row in query(
        reader,
        "select scope_kind, scope_id, metric, label, unit, value, status from warehouse.reviews.review_kpis "
        "where review_kind = ? and period_start_date = ? order by metric_position",
        [kind.value, period.start_date],
    ):
        kpis.setdefault(Scope(scope_kind, scope_id), []).append(_PrintedKpi(*row))
    lines: dict[Scope, list[Any]] = {}
    for scope_kind, scope_id, *row in query(
        reader,
        "select scope_kind, scope_id, line_position, line, credits from warehouse.reviews.review_statements "
        "where review_kind = ? and period_start_date = ? order by line_position",
        [kind.value, period.start_date],
    ):
        lines.setdefault(Scope(scope_kind, scope_id), []).append(figures.StatementLine(*row))
    return {
        scope: hashlib.sha256(figures_json(printed_figures(rows, lines.get(scope, ())))).hexdigest()
        for scope, rows in kpis.items()
    }


@dataclass(frozen=True, slots=True)
class _PrintedKpi:
    metric: str
    label: str
    unit: str
    value: Decimal | None
    status: str


def _reason(reader: Reader, review: Any, before: Edition) -> str:
    """Why a period's figures are others now, from what the nights since have noted."""
    verdict = review.verdict
    whose = {"platform": "", "organization": "teams.organization_id = ? and", "team": "noted.team_id = ? and"}
    parameters: list[Any] = [] if verdict.scope_kind == "platform" else [verdict.scope_id]
    rows = query(
        reader,
        "select noted.cause, count(distinct noted.period_start_date) "
        "from warehouse.marts.restatements as noted "
        "left join warehouse.marts.dim_teams as teams on noted.team_id = teams.team_id "
        f"where {whose[verdict.scope_kind]} noted.period_start_date >= ? and noted.period_start_date < ? "
        "and noted.restated_as_of > ? group by noted.cause order by noted.cause",
        [*parameters, verdict.period_start_date, verdict.period_end_date, before.as_of],
    )
    words = {
        "rows_added": "rows came late",
        "rows_removed": "rows were removed",
        "values_changed": "rows were corrected",
    }
    told = [
        f"{words.get(cause, cause.replace('_', ' '))} on {days} day{'' if days == 1 else 's'}"
        for cause, days in rows
    ]
    if told:
        return f"{', '.join(told)} of it."
    return "earlier periods, by which it is judged, or the way to count changed."


def _by_key(rows: Figures) -> dict[str, list[str | None]]:
    return {str(row[0]): row for row in rows}


def _changes(old: Figures, new: Figures) -> tuple[tuple[str, str, Decimal | None, Decimal | None], ...]:
    """The figures that are others now: label, unit, before, now."""
    before = _by_key(old)
    changed = []
    for key, row in _by_key(new).items():
        was = before.get(key)
        if was is not None and was[3] != row[3]:
            changed.append((str(row[1]), str(row[2]), _decimal(was[3]), _decimal(row[3])))
    return tuple(changed)


def _is_material(old: Figures, new: Figures) -> bool:
    before = _by_key(old)
    for key, (_, _, unit, now, status) in _by_key(new).items():
        was = before.get(key)
        if was is None or was[4] != status or (was[3] is None) != (now is None):
            return True
        if was[3] is None or now is None:
            continue
        first, second = Decimal(was[3]), Decimal(now)
        if unit == "rate":
            if abs(second - first) >= MATERIAL_POINTS:
                return True
        elif first != second and abs(second - first) >= MATERIAL_SHARE * abs(first):
            return True
    return False


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def require_all(report: IssueReport) -> None:
    """Raise AlmanacError when something could not be drawn; what could is issued."""
    if report.failures:
        raise AlmanacError(
            f"{len(report.failures)} reviews could not be drawn whole; the others are issued. "
            + "; ".join(report.failures[:5])
        )
