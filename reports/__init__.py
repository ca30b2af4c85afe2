"""Performance reviews as HTML and PDF: data in, documents out.

Knows nothing of dbt, Prefect, DuckDB or the pipeline. `weekly.py` says what a review is given,
`render.py` makes the HTML, `pdf.py` the PDF, `charts.py` the pictures, `formats.py` every printed figure.
"""


class ReportError(RuntimeError):
    """A document could not be made; the message says what was wrong and what to do."""
