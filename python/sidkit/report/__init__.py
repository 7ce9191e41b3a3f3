"""Reports of runs: tables in the terminal, an HTML page, and Markdown tables for documents.

write_page(run)         `report.html`: one self-contained file without scripts, light and dark, printable
write_comparison(runs)  one page that compares several runs
print_report(run)       tables in the terminal
read_run(run)           contents of a run directory
sidkit.report.tables    Markdown tables from stored results; also a command
"""

from sidkit._extras import require

require("polars", extra="report")
require("rich", extra="report")
require("safetensors", extra="report")

from sidkit.report.collect import RunData, read_history, read_run
from sidkit.report.html.comparison import comparison_page, write_comparison
from sidkit.report.html.page import page, write_page
from sidkit.report.terminal import print_report

__all__ = [
    "RunData",
    "comparison_page",
    "page",
    "print_report",
    "read_history",
    "read_run",
    "write_comparison",
    "write_page",
]
