"""Results of a run, shown on the terminal."""

from rich.console import Console

from sidkit.report import print_report
from sidkit.run import RunDirectory

__all__ = ["show_results"]


def show_results(directory: RunDirectory, console: Console) -> None:
    """Print the tables of a run, as far as they exist, and the paths of all its files."""
    if "evaluate" in directory.records or "tokenize" in directory.records:
        console.print()
        print_report(directory.path, console=console)
    console.print(f"\nwritten to {directory.path}:", highlight=False)
    for stage, record in directory.records.items():
        for name in record.outputs:
            console.print(f"  {stage:<18} {directory.path / name}", highlight=False, soft_wrap=True)
