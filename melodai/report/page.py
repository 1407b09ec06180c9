"""Pieces of the report's HTML page: style, script, tables, timelines. All text is escaped here."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from melodai.legible import legible
from melodai.palette import colour_of

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1180px; padding: 1rem 1.5rem 6rem; color: #1b1b1b; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd; } .about { color: #555; margin-top: .2rem; }
table { border-collapse: collapse; font-size: 13.5px; margin: .6rem 0; } th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid #e6e6e6; }
thead th { position: sticky; top: 0; background: #f4f4f4; } th button { font: inherit; font-weight: 600; border: 0; background: none; padding: 0; cursor: pointer; text-align: left; }
th[aria-sort=ascending] button::after { content: " \\25B2"; } th[aria-sort=descending] button::after { content: " \\25BC"; }
small { color: #555; white-space: nowrap; } td.number { text-align: right; font-variant-numeric: tabular-nums; } tr.wrong td.said { color: #B00020; font-weight: 600; }
.scroll { overflow-x: auto; } img { max-width: 100%; height: auto; } figure { margin: 1rem 0; }
.key { display: inline-block; width: .85em; height: .85em; margin: 0 .3em 0 .9em; border-radius: 2px; }
.play { cursor: pointer; border: 1px solid #999; border-radius: 4px; background: #fff; }
#player { position: fixed; bottom: 0; left: 0; right: 0; background: #f4f4f4; border-top: 1px solid #ccc; padding: .5rem 1.5rem; display: none; align-items: center; gap: 1rem; }
#player.open { display: flex; } #player audio { flex: 1; height: 36px; } input[type=search] { font: inherit; padding: .25rem .5rem; width: 18rem; }
"""  # noqa: E501

SCRIPT = """
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, row = head.parentElement, table = head.closest("table");
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    for (const other of row.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const value = line => line.children[head.cellIndex].dataset.value ?? "";
    const rows = [...table.tBodies[0].rows];
    const numbers = rows.every(line => value(line) === "" || !isNaN(value(line)));
    rows.sort((a, b) => {
      const one = value(a), other = value(b);
      if (one === "" || other === "") return (one === "") - (other === "");  // unknown comes last
      const order = numbers ? one - other : one.localeCompare(other);
      return ascending ? order : -order;
    });
    table.tBodies[0].append(...rows);
  });
}
for (const search of document.querySelectorAll("input[type=search]")) {
  search.addEventListener("input", () => {
    const wanted = search.value.toLowerCase();
    for (const row of document.getElementById(search.dataset.table).tBodies[0].rows)
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}
const player = document.getElementById("player");
for (const button of document.querySelectorAll("button.play")) {
  button.addEventListener("click", () => {
    const audio = player.querySelector("audio"), told = player.querySelector("span");
    player.classList.add("open");
    told.textContent = button.title;
    audio.src = button.dataset.source;
    audio.play().catch(() => { told.textContent = "cannot play " + button.title; });
  });
}
"""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its HTML, what it is sorted by, and its class."""

    html: str
    value: str = ""
    kind: str = ""


def text(value: object, kind: str = "") -> Cell:
    """A cell of words."""
    return Cell(escape(str(value)), str(value), kind)


def number(value: float, digits: int = 3) -> Cell:
    """A cell of a number, sorted as one; empty where it is undefined."""
    if not np.isfinite(value):
        return Cell("–", "", "number")
    return Cell(f"{value:.{digits}f}", f"{value:.6g}", "number")


def interval(value: float, low: float, high: float) -> Cell:
    """A cell of a number and, below, its interval; sorted by the number."""
    cell = number(value)
    if not np.isfinite(low + high):
        return cell
    return Cell(f"{cell.html}<br><small>{low:.3f} to {high:.3f}</small>", cell.value, "number")


def table(
    columns: Sequence[str], rows: Iterable[tuple[str, Sequence[Cell]]], identity: str = ""
) -> str:
    """A table whose columns sort at a click; each row has a class and its cells."""
    head = "".join(f"<th><button>{escape(name)}</button></th>" for name in columns)
    body = "\n".join(
        f'<tr class="{kind}">'
        + "".join(
            f'<td class="{cell.kind}" data-value="{escape(cell.value)}">{cell.html}</td>'
            for cell in cells
        )
        + "</tr>"
        for kind, cells in rows
    )
    named = f' id="{escape(identity)}"' if identity else ""
    return (
        f'<div class="scroll"><table{named}><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def timeline(
    starts: np.ndarray, lengths: np.ndarray, probabilities: np.ndarray, moods: Sequence[str]
) -> str:
    """Probabilities over time as stacked bars, an inline SVG.

    A segment reaches to the start of the next one, the last to its end.

    Args:
        starts, lengths: (segment,) in seconds.
        probabilities: (segment, class).
    """
    order = np.argsort(starts, kind="stable")
    starts, lengths, shares = starts[order], lengths[order], probabilities[order]
    ends = np.append(starts[1:], starts[-1] + lengths[-1])
    begin, total = starts[0], max(ends[-1] - starts[0], 1e-6)
    width, height = 200, 34
    bars = []
    for start, end, row in zip(starts, ends, shares, strict=True):
        left = (start - begin) / total * width
        wide = max((end - start) / total * width - 0.6, 0.4)
        tops = np.cumsum(row) - row
        told = ", ".join(f"{mood} {share:.0%}" for mood, share in zip(moods, row, strict=True))
        bars.append(f"<g><title>{start:.0f}–{end:.0f} s: {escape(told)}</title>")
        bars += [
            f'<rect x="{left:.1f}" y="{height * top:.1f}" width="{wide:.1f}" '
            f'height="{height * share:.1f}" fill="{colour_of(index)}"/>'
            for index, (top, share) in enumerate(zip(tops, row, strict=True))
        ]
        bars.append("</g>")
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="probabilities over {total:.0f} seconds">{"".join(bars)}</svg>'
    )


def mood_key(moods: Sequence[str]) -> str:
    """Which colour is which mood."""
    return "".join(
        f'<span class="key" style="background:{colour_of(index)}"></span>{escape(mood)}'
        for index, mood in enumerate(moods)
    )


def picture(figure, told: str) -> str:
    """A figure of matplotlib, embedded."""
    buffer = io.BytesIO()
    legible(figure).savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<figure><img alt="{escape(told)}" src="data:image/png;base64,{data}"></figure>'


def page(title: str, about: str, body: str) -> str:
    """The whole page; nothing in it is loaded from elsewhere but the songs that are played."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'; media-src 'self' file:">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p class="about">{escape(about)}</p>
{body}
<div id="player"><span></span><audio controls preload="none"></audio></div>
<script>{SCRIPT}</script>
</body>
</html>
"""
