"""Show a run: tables in the terminal, one HTML page, tables for documents.

write_page(run)       report.html: self-contained, no scripts, light and dark, printable
write_comparison(runs) several runs side by side
print_report(run)     the tables in a terminal
read_run(run)         what both are made of
sidkit.report.stored  runs kept as results, grouped for a table; `sidkit store` keeps them
sidkit.report.tables  Markdown tables from these; also a command
sidkit.report.documents  renews the marked blocks of documents, whatever their kind
"""

from sidkit._extras import require

require("polars", extra="report")
require("rich", extra="report")
require("safetensors", extra="report")

from sidkit.report.collect import RunData, read_history, read_run
from sidkit.report.comparison import comparison_page, write_comparison
from sidkit.report.page import page, write_page
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
