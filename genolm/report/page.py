"""A page of HTML: sections of tables, charts and text, everything escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 780px; margin: 2em auto; padding: 0 1em;
       color: #1a202c; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { padding: .2em .8em .2em 0; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.ours td { font-weight: 600; } tr + tr { border-top: 1px solid #edf2f7; }
pre { background: #f7fafc; padding: .8em; overflow-x: auto; }
svg { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: #4a5568; }
figure { margin: 0; } figcaption span { margin-right: 1.2em; }
p.note { color: #4a5568; }
"""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, ours: str = "") -> str:
    """Return a table.

    Args:
        columns: Headings.
        rows: Cells; numbers stand to the right, with four decimals where they have any, and None
            is a dash.
        ours: First cell of the row that is set in bold.
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr{' class=ours' if ours and str(row[0]) == ours else ''}>"
        + "".join(map(_cell, row))
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def facts(values: Mapping[str, object]) -> str:
    """Return names and values as a table without headings."""
    shown = {name: f"{v:,}" if isinstance(v, int) else str(v) for name, v in values.items()}
    return table((), shown.items())


def preformatted(text: str) -> str:
    """Return text as it stands."""
    return f"<pre>{escape(text)}</pre>"


def note(text: str) -> str:
    """Return a sentence in grey."""
    return f'<p class="note">{escape(text)}</p>'


def page(title: str, sections: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return the whole page.

    Args:
        title: Of the page.
        sections: Each a heading and what stands under it, as HTML; those with nothing are left out.
    """
    parts = [
        f"<h2>{escape(heading)}</h2>\n" + "\n".join(content)
        for heading, content in sections
        if content
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _cell(value: object) -> str:
    if value is None:
        return '<td class="number">&ndash;</td>'
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{escape(str(value))}</td>"
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
    return f'<td class="number">{text}</td>'
