"""HTML to PDF: the only module that knows WeasyPrint. Same HTML, same bytes.

Closed on purpose: a document's assets come from memory, any other address stops the render; the machine's
own fonts are hidden from it; a WeasyPrint warning is an error, since what it ignores goes out as a hole
in the page.
"""

from __future__ import annotations

import io
import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from reports import ReportError

_ONE_AT_A_TIME = threading.Lock()  # the environment below is the process's own
_PACKAGES = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fontconfig"
_MEDIA = {".css": "text/css", ".woff2": "font/woff2"}


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file that the document carries."""

    name: str
    description: str
    content: bytes


def write_pdf(
    html: str,
    *,
    assets: Mapping[str, bytes],
    fallback_font: Path,
    as_of: datetime,
    attachments: Sequence[AttachedFile] = (),
) -> bytes:
    """The PDF of `html`, tagged.

    `assets` are what its `asset:` addresses may name, `fallback_font` (WOFF2) draws what the document's
    own fonts lack, `as_of` is its only date.
    """
    with _ONE_AT_A_TIME, _closed_environment(as_of, fallback_font), _warnings() as warnings:
        weasyprint = _weasyprint()
        moment = as_of.replace(tzinfo=UTC)
        pdf: bytes = weasyprint.HTML(string=html, base_url="asset:/", url_fetcher=_fetcher(assets)).write_pdf(
            font_config=_font_configuration(),
            pdf_variant="pdf/ua-1",
            finisher=_finish,
            attachments=[
                # without its dates it would carry the present moment
                weasyprint.Attachment(
                    string=file.content,
                    name=file.name,
                    description=file.description,
                    created=moment,
                    modified=moment,
                )
                for file in attachments
            ],
        )
    if warnings:
        raise ReportError("WeasyPrint could not draw all of the document: " + "; ".join(warnings[:5]))
    return pdf


def _weasyprint() -> Any:
    try:
        import weasyprint  # 0.6 s, and it loads system libraries
        from weasyprint.text.ffi import harfbuzz_subset
    except OSError as error:
        raise ReportError(
            f"PDF needs system libraries that are missing ({str(error).splitlines()[0]}). "
            f"Install Debian's packages: apt-get install {_PACKAGES}"
        ) from error
    if harfbuzz_subset is None:
        raise ReportError(
            "PDF needs libharfbuzz-subset: without it two renders of one review differ. "
            f"Install Debian's packages: apt-get install {_PACKAGES}"
        )
    return weasyprint


def _fetcher(assets: Mapping[str, bytes]) -> Any:
    from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

    class InMemoryAssets(URLFetcher):  # type: ignore[misc]
        """Serve the report's own assets from memory; refuse everything else and stop the render."""

        def fetch(self, url: str, headers: Any = None) -> URLFetcherResponse:
            name = url.removeprefix("asset:").lstrip("/")
            if not url.startswith("asset:") or name not in assets:
                # a BaseException in WeasyPrint, so that nothing on the way swallows it
                raise FatalURLFetchingError(url)
            return URLFetcherResponse(url, assets[name], {"Content-Type": _MEDIA[Path(name).suffix]})

    return InMemoryAssets()


def _font_configuration() -> Any:
    from weasyprint.text.fonts import FontConfiguration

    return FontConfiguration()


@cache
def _decompressed(font: Path) -> bytes:
    from fontTools.ttLib import woff2  # type: ignore[import-untyped]

    plain = io.BytesIO()
    woff2.decompress(io.BytesIO(font.read_bytes()), plain)
    return plain.getvalue()


@contextmanager
def _closed_environment(as_of: datetime, fallback_font: Path) -> Iterator[None]:
    """A fontconfig that lists one font and none of this machine's, and a clock that stands at `as_of`."""
    with tempfile.TemporaryDirectory(prefix="almanac-fonts-") as folder:
        configuration = Path(folder, "fonts.conf")
        configuration.write_text(
            f"<fontconfig><dir>{folder}</dir><cachedir>{folder}/cache</cachedir></fontconfig>\n",
            encoding="utf-8",
        )
        # Pango crashes the process where it finds no font at all, and cannot read WOFF2 from a folder
        Path(folder, "fallback.ttf").write_bytes(_decompressed(fallback_font))
        wanted = {
            "FONTCONFIG_FILE": str(configuration),
            "SOURCE_DATE_EPOCH": str(int(as_of.replace(tzinfo=UTC).timestamp())),
        }
        before = {name: os.environ.get(name) for name in wanted}
        # loaded with the machine's fonts: WeasyPrint warns on import when it finds none
        _weasyprint()
        os.environ.update(wanted)
        try:
            yield
        except BaseException as error:
            if type(error).__name__ == "FatalURLFetchingError":
                raise ReportError(
                    f"the document asked for {str(error)[:200]!r}, which is not one of its assets"
                ) from None
            raise
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Whatever WeasyPrint logs at warning or above while the block runs."""
    seen: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    logger, handler = logging.getLogger("weasyprint"), Collect(logging.WARNING)
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield seen
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _finish(_document: Any, pdf: Any) -> None:
    """Add what WeasyPrint leaves out and readers need: of tags, and of attached files."""
    _scope_headers(pdf)
    _pair_definitions(pdf)
    _take_margins_out(pdf)
    _relate_files(pdf)


def _object(pdf: Any, reference: Any) -> Any:
    return pdf.objects[int(reference.split()[0])]


def _children(pdf: Any, element: Any) -> list[Any]:
    """The elements below one; what is no element (content of a page by its number) is left out."""
    return [_object(pdf, kid) for kid in element.get("K", ()) if isinstance(kid, bytes)]


def _scope_headers(pdf: Any) -> None:
    """Give every header cell its /Scope."""
    for element in pdf.objects:
        if isinstance(element, dict) and element.get("S") == "/TH":
            section = _object(pdf, _object(pdf, element["P"])["P"])
            element["A"]["Scope"] = "/Column" if section.get("S") == "/THead" else "/Row"


def _pair_definitions(pdf: Any) -> None:
    """Make a `div` of a term and its definition one list item, which is what a list may hold.

    WeasyPrint makes an item of each of the two, and leaves the `div` between them and the list.
    """
    for element in pdf.objects:
        if not isinstance(element, dict) or element.get("S") != "/L":
            continue
        for pair in _children(pdf, element):
            if pair.get("S") != "/Div":
                continue
            pair["S"] = "/LI"
            for place, part in enumerate(_children(pdf, pair)):
                part["S"] = "/Lbl" if place == 0 else "/LBody"
                for body in _children(pdf, part):
                    if body.get("S") == "/LBody":
                        body["S"] = "/NonStruct"


def _take_margins_out(pdf: Any) -> None:
    """Mark running heads and feet as artifacts, so that no page is read out with them again.

    WeasyPrint tags their text like content, but leaves their elements out of the document's tree.
    """
    root = _object(pdf, pdf.catalog["StructTreeRoot"])
    read: set[bytes] = set()
    left = [kid for kid in root["K"] if isinstance(kid, bytes)]
    while left:
        reference = left.pop()
        if reference not in read:
            read.add(reference)
            element = _object(pdf, reference)
            left += [kid for kid in element.get("K", ()) if isinstance(kid, bytes)]
    numbers = _object(pdf, root["ParentTree"])["Nums"]
    for place, page in enumerate(pdf.page_references):
        elements = numbers[2 * place + 1]
        tokens = _object(pdf, _object(pdf, page)["Contents"]).stream
        for index, token in enumerate(tokens):
            if not isinstance(token, dict) or elements[token["MCID"]] in read:
                continue
            elements[token["MCID"]] = "null"
            tokens[index - 1] = "/Artifact"
            tokens[index] = type(token)({"Type": "/Pagination"})


def _relate_files(pdf: Any) -> None:
    """Say of attached files that they are the document's data, which WeasyPrint says in PDF/A only."""
    for element in pdf.objects:
        if isinstance(element, dict) and element.get("Type") == "/Filespec":
            element["AFRelationship"] = "/Data"
