"""What a run has made, shown on the terminal."""

from rich.console import Console

from sidkit.run import RunDirectory

__all__ = ["show_results"]


def show_results(folder: RunDirectory, console: Console) -> None:
    """Print the tables of a run, as far as it has come, and the path of everything that it made."""
    if "evaluate" in folder.records or "tokenize" in folder.records:
        from sidkit.report import print_report

        console.print()
        print_report(folder.path, console=console)
    console.print(f"\nmade in {folder.path}:", highlight=False)
    for stage, record in folder.records.items():
        for name in record.outputs:
            console.print(f"  {stage:<18} {folder.path / name}", highlight=False, soft_wrap=True)
