"""The pictures of the reports: pure functions from figures to SVG.

Presentation attributes carry the light theme, which WeasyPrint and mail converters read; the class on
each mark lets a browser's CSS recolour it for dark mode. No `style=`, no CSS variables, no scripts, so a
strict content policy holds. Coordinates have two decimals and stay inside the view box; ids come from the
caller's key. Gaps are left as gaps.
"""

from reports.charts.columns import Column, columns
from reports.charts.marks import Scale, Value
from reports.charts.rows import bar_pair, bars, bullet, contribution, spread
from reports.charts.series import process_chart, sparkline
from reports.charts.wide import bridge, six_twelve

__all__ = [
    "Column",
    "Scale",
    "Value",
    "bar_pair",
    "bars",
    "bridge",
    "bullet",
    "columns",
    "contribution",
    "process_chart",
    "six_twelve",
    "sparkline",
    "spread",
]
