"""Rendered reviews as files in the data folder, for whoever wants to look, without sending anything.

Editions, mails and the archive are flows.review_issue's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from flows.build import published_coverage
from flows.errors import AlmanacError
from flows.failpoints import failpoint
from flows.progress import Progress, SilentProgress
from flows.review_documents import HTML, PARTS, PDF, Document, Documents, Order, make_documents
from flows.review_reader import Source, query, read_reviews
from flows.review_scopes import Kind, Period, Scope, parse_scope
from flows.warehouse import Reader, open_warehouse
from flows.whole_files import write_whole

if TYPE_CHECKING:
    from flows.alert_recap import Recap
    from flows.settings import Settings

FILE_DATES = "en-GB"  # of files; a recipient chooses their own

# Fewer are drawn in this process: starting others takes two seconds.
ALONE_UP_TO = 2


@dataclass(frozen=True, slots=True)
class RenderedReview:
    """Where the documents of one review are."""

    scope: Scope
    html_path: Path
    pdf_path: Path


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of an order: documents, or why there are none; `pdf_error`: they are without the PDF."""

    order: Order
    documents: Documents | None
    error: str | None
    pdf_error: str | None = None


def render(
    settings: Settings,
    kind: Kind,
    period: Period,
    scopes: Sequence[Scope],
    *,
    progress: Progress | None = None,
) -> list[RenderedReview]:
    """Render the reviews of some scopes in one period; same published figures, same bytes.

    Raises AlmanacError when any cannot be rendered whole, after the others are.
    """
    with closing(open_warehouse(settings)) as connection:
        recap = recap_of(settings, connection, kind, period)
        reviews = list(read_reviews(connection, kind, period, scopes, source_of_figures(settings), recap))
    orders = [
        Order(review, str(scope), period.label, (FILE_DATES,))
        for scope, review in zip(scopes, reviews, strict=True)
    ]
    failures: list[str] = []
    rendered: list[RenderedReview] = []
    for drawn in draw_all(orders, progress or SilentProgress(), f"Rendering {period.label}"):
        if drawn.documents is not None:
            scope = parse_scope(drawn.order.scope)
            rendered.append(write_documents(settings, kind, period, scope, drawn.documents.files))
        if error := drawn.error or drawn.pdf_error:
            failures.append(f"{drawn.order.scope}: {error}")
    if failures:
        raise AlmanacError(
            f"{len(failures)} of {len(orders)} reviews of {period.label} could not be rendered whole: "
            + "; ".join(failures[:5])
        )
    return rendered


def draw_all(orders: Sequence[Order], progress: Progress, stage: str) -> Iterator[Drawn]:
    """Draw every order, in their order, a failed PDF once more without it; one failure stops no other."""
    with progress.stage(stage, len(orders)) as advance:
        for drawn in _draw(orders):
            if drawn.error is not None and drawn.order.with_pdf:
                # the page and the mail may well be drawn without it
                (second,) = _draw([replace(drawn.order, with_pdf=False)])
                drawn = replace(second, pdf_error=drawn.error) if second.documents else drawn
            advance(1, drawn.order.scope)
            yield drawn


def _draw(orders: Sequence[Order]) -> Iterable[Drawn]:
    from reports import ReportError

    if len(orders) <= ALONE_UP_TO:
        for order in orders:
            try:
                yield Drawn(order, make_documents(order), None)
            except ReportError as error:
                yield Drawn(order, None, str(error))
        return
    from flows.render_workers import run_all

    for result in run_all(orders, make_documents):
        yield Drawn(result.job, result.value, result.error)


def recap_of(settings: Settings, connection: Reader, kind: Kind, period: Period) -> Recap | None:
    """The period's alerts; None where nothing was ever kept of any."""
    from flows.alert_recap import Recap, rule_names
    from flows.ops_store import open_ops_store

    if settings.target == "duckdb" and not settings.ops_path.exists():
        return None
    rules = rule_names(query(connection, "select rule, title, for_tenants from warehouse.alerts.alert_rules"))
    return Recap(open_ops_store(settings), kind, period, settings.reporting_timezone, rules)


def source_of_figures(settings: Settings) -> Source:
    """What every review of the published night has in common."""
    coverage = published_coverage(settings)
    return Source(
        models_hash=coverage.models_fingerprint if coverage else "unknown",
        program_version=version("llm-almanac"),
    )


def paths(settings: Settings, kind: Kind, period: Period, scope: Scope) -> RenderedReview:
    """Where the documents of a review are written."""
    folder = settings.reviews_dir / kind.value / period.label
    return RenderedReview(scope, folder / f"{scope.file_name}.html", folder / f"{scope.file_name}.pdf")


def path_of(settings: Settings, kind: Kind, period: Period, scope: Scope, name: str) -> Path:
    """Where one document of a review is written."""
    suffix = ".parts.csv" if name == PARTS else f".{name.partition('.')[2]}"
    return paths(settings, kind, period, scope).html_path.with_suffix(suffix)


def write_documents(
    settings: Settings, kind: Kind, period: Period, scope: Scope, files: Sequence[Document]
) -> RenderedReview:
    """Put the files of one edition in place, each whole or not at all; those in the locale of files."""
    where = paths(settings, kind, period, scope)
    for file in files:
        if file.dates != FILE_DATES:
            continue
        if file.name in (HTML, PDF):
            failpoint("review.before_html" if file.name == HTML else "review.before_pdf")
        write_whole(
            path_of(settings, kind, period, scope, file.name),
            file.content,
            before_replace=lambda: failpoint("review.before_replace"),
        )
    failpoint("review.done")
    return where
