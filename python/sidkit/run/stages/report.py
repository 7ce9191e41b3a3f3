"""The stage `report`: the page of a run."""

from sidkit.report import write_page
from sidkit.run.engine import Outcome, Stage, Task
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import REPORT

__all__ = ["report_stage"]


def report_stage(context: Context) -> Stage:
    """Describe the stage."""

    def work(task: Task) -> Outcome:
        write_page(context.directory.path, dataset=context.dataset)
        return Outcome((REPORT,))

    return Stage("report", {}, ("evaluate",), work, cheap=True)
