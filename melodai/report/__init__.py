"""Stored results of runs as a page for people, a table in Markdown and single figures."""

from melodai.report.build import (
    ceiling_of,
    draw_figures,
    markdown_table,
    read_run,
    run_report,
    write_report,
)
from melodai.report.songs import ReportedRun

__all__ = [
    "ReportedRun",
    "ceiling_of",
    "draw_figures",
    "markdown_table",
    "read_run",
    "run_report",
    "write_report",
]
