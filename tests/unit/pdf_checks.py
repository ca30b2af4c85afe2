"""What must hold of every PDF that leaves the house."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject

FONTS = {"Inter", "Report-Sans", "DejaVu-Sans", "DejaVuSans"}
# Findings of outloud that are no fault here; each with the text it must have.
ACCEPTED = {
    # it counts: a table of two columns with a head has more header cells than others
    "TBL-010": r"header cells look shredded: \d+ header cells against \d+ data cells",
    # running heads and feet, which PDF/UA wants outside the content; only in the margins, see below
    "TAG-002": r"\d+ line\(s\) of prose are marked /Artifact",
    # it looks at the order of painting; readers follow the tags
    "ORD-001": r"\d+ page\(s\) paint tagged content out of tag-tree order",
    # each of the two has a caption, which is its text
    "TBL-013": r"two tables sit side by side",
    # names of models are no language
    "FIG-012": r"\d+ figure\(s\) have alternative text that does not read as language",
}
# Points: the height of A4, and of what is no content above and below.
PAGE_HEIGHT, MARGIN = 841.9, 54.0
OVERLAP = 0.8  # points by which the ink of two letters may meet


def check_accessibility(document: bytes) -> None:
    """No checkpoint of PDF/UA-1 fails, and no other rule of outloud but those accepted above."""
    from outloud import check

    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        Path(file.name).write_bytes(document)
        result = check(file.name)
    assert result.error is None, result.error
    assert [run.rule for run in result.runs if run.status == "crashed"] == []
    for finding in result.findings:
        if finding.severity == "info":
            continue
        assert finding.rule in ACCEPTED, f"{finding.rule} on page {finding.page}: {finding.message}"
        assert re.match(ACCEPTED[finding.rule], finding.message), finding.message
        if finding.rule == "TAG-002":
            for box in finding.boxes:
                is_in_margin = box["y1"] < MARGIN or box["y0"] > PAGE_HEIGHT - MARGIN
                assert is_in_margin, f"content is marked as an artifact: {finding.evidence}"


def check_document(document: bytes, *, title_start: str) -> None:
    """Tagged, in English, titled, with bookmarks and page numbers; bundled fonts, nothing active."""
    reader = PdfReader(io.BytesIO(document), strict=True)
    root: Any = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert reader.metadata is not None
    assert str(reader.metadata.title).startswith(title_start)
    assert reader.outline, "a document of several sections has bookmarks"
    texts = [" ".join(page.extract_text().split()) for page in reader.pages]
    for number, text in enumerate(texts, start=1):
        assert f"Page {number} of {len(texts)}" in text
    fonts = {str(font["/BaseFont"]) for font in _dictionaries(reader) if font.get("/Type") == "/Font"}
    assert fonts
    for font in fonts:
        name = re.fullmatch(r"/[A-Z]{6}\+(.+)", font)
        assert name, f"{font} is not an embedded subset"
        assert any(name[1].startswith(known) for known in FONTS), font
    for dictionary in _dictionaries(reader):
        for key in ("/JS", "/JavaScript", "/OpenAction", "/AA", "/URI", "/Launch", "/RichMedia"):
            assert key not in dictionary, f"{key} in {dictionary}"
        assert dictionary.get("/S") not in ("/JavaScript", "/Launch", "/URI", "/GoToR", "/SubmitForm")


def printed_over(document: bytes) -> list[str]:
    """Characters that lie on others, each with those around it."""
    found = []
    with pypdfium2.PdfDocument(document) as opened:
        for number, page in enumerate(opened, start=1):
            text = page.get_textpage()
            boxes = sorted((text.get_charbox(index), index) for index in range(text.count_chars()))
            reaching: list[tuple[float, float, float]] = []  # right, bottom, top of what ends further right
            for (left, bottom, right, top), index in boxes:
                reaching = [one for one in reaching if one[0] > left + OVERLAP]
                if right - left < OVERLAP:
                    continue
                if any(min(top, high) - max(bottom, low) > OVERLAP for _, low, high in reaching):
                    around = text.get_text_range(max(index - 15, 0), 30)
                    found.append(f"page {number}: {' '.join(around.split())}")
                reaching.append((right, bottom, top))
    return found


def attached_files(document: bytes) -> dict[str, tuple[bytes, Any]]:
    """File name: its content, and what the document says of it."""
    reader = PdfReader(io.BytesIO(document), strict=True)
    found = {}
    for dictionary in _dictionaries(reader):
        if dictionary.get("/Type") == "/Filespec":
            said: Any = dictionary
            found[str(said["/UF"])] = (said["/EF"]["/F"].get_object().get_data(), said)
    return found


def _dictionaries(reader: PdfReader) -> Iterator[DictionaryObject]:
    """Every dictionary that can be reached from the trailer, streams' included."""
    left: list[Any] = [reader.trailer]
    seen: set[int] = set()
    while left:
        value = left.pop()
        if isinstance(value, IndirectObject):
            if value.idnum in seen:
                continue
            seen.add(value.idnum)
            value = value.get_object()
        if isinstance(value, DictionaryObject):
            yield value
            left += [value.raw_get(key) for key in value]
        elif isinstance(value, ArrayObject):
            left += list(value)
