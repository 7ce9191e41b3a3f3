"""A function whose worker is killed once, in the middle of the job."""

import os
import signal
from pathlib import Path


class KilledOnce:
    """Kills its process at the task with a number, unless a file says that it has happened before."""

    def __init__(self, function, number, flag):
        self.function = function
        self.number = number
        self.flag = str(flag)

    def __call__(self, fragment):
        if fragment.number == self.number and not Path(self.flag).exists():
            Path(self.flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.function(fragment)


def twice(number):
    """Return twice a number, for engines."""
    return 2 * number
