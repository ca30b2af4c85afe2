"""A chart as a PNG, for mails: with the bundled fonts alone, on opaque white, the same bytes every time."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from markupsafe import Markup

from reports import ReportError

FONTS = Path(__file__).parent / "fonts"
# Of the picture's own width: white around it, which dark mode leaves white.
_MARGIN = 0.03


def png(svg: Markup, *, width_px: int) -> bytes:
    """The picture `width_px` wide, its height in proportion. Raises ReportError when it cannot be drawn."""
    import resvg_py  # a compiled library; only mails need it

    with _font_folder() as folder:
        try:
            return bytes(
                resvg_py.svg_to_bytes(
                    svg_string=_framed(svg),
                    width=width_px,
                    background="#ffffff",
                    font_dirs=[folder],
                    skip_system_fonts=True,
                    font_family="Report Sans",
                    sans_serif_family="Report Sans",
                )
            )
        except ValueError as error:
            raise ReportError(f"A picture could not be drawn as PNG: {error}") from error


def _framed(svg: Markup) -> str:
    """The picture with a margin: a wider view box, since it has no background of its own."""
    head, _, rest = str(svg).partition('viewBox="0 0 ')
    size, _, rest = rest.partition('"')
    width, height = (float(number) for number in size.split())
    margin = round(width * _MARGIN, 2)
    box = f"{-margin:g} {-margin:g} {width + 2 * margin:g} {height + 2 * margin:g}"
    rest = rest.replace(f' width="{width:g}" height="{height:g}"', "", 1)
    return f'{head}viewBox="{box}"{rest}'


@contextmanager
def _font_folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="almanac-fonts-") as folder:
        for name, content in _fonts().items():
            Path(folder, name).write_bytes(content)
        yield folder


@cache
def _fonts() -> dict[str, bytes]:
    """The bundled fonts, which are kept as WOFF2, as the library reads them; Inter under our own name."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    fonts = {}
    for path in sorted(FONTS.glob("*.woff2")):
        font = TTFont(path, recalcTimestamp=False)
        font.flavor = None
        if path.name.startswith("Inter-"):
            for record in font["name"].names:
                if record.nameID in (1, 16):
                    record.string = "Report Sans"
        plain = io.BytesIO()
        font.save(plain)
        fonts[path.with_suffix(".ttf").name] = plain.getvalue()
    return fonts
