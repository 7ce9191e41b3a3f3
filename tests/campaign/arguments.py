"""Argument fuzzing: every public callable with hostile arguments.

A call may return, or raise an error of sidkit, of the operating system, or MemoryError; anything else comes
from the inside. One argument at a time is damaged, most often, so that the others are accepted.
"""

import faulthandler
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from tests.campaign.parts.hostile import damaged, value
from tests.campaign.parts.surface import Examples, callables

from sidkit._arguments import shown
from sidkit.errors import SidkitError

__all__ = ["LATEST", "fuzz", "run"]

#: File of the present call.
LATEST = Path(tempfile.gettempdir()) / "sidkit-latest-call.txt"

#: Seconds after which a call counts as a hang.
_LIMIT = 5
#: Seconds after which the process ends with a traceback, because the call cannot be interrupted.
_END = 60


class _Hang(BaseException):
    """A call that took too long."""


def _alarm(signum, frame):
    raise _Hang


def fuzz(calls, seed, *, directory, names=None, on_call=None):
    """Make hostile calls until `calls` are made.

    Args:
        calls: number of calls, or a function that returns False at the end.
        seed: seed of all choices.
        directory: an empty directory for files.
        names: only callables whose dotted name contains one of these.
        on_call: called with the number, the name and the arguments before every call.

    Returns:
        Counts by outcome, and the last traceback of every distinct exception from the inside, with the
        arguments of each callable that was interrupted.
    """
    rng = np.random.default_rng(seed)
    examples = Examples(directory)
    chosen = [each for each in callables() if names is None or any(one in each.name for one in names)]
    counts, inside = Counter(), {}
    valid = Counter()
    going = calls if callable(calls) else lambda: counts["calls"] < calls
    previous = signal.signal(signal.SIGALRM, _alarm)
    origin = Path.cwd()
    os.chdir(directory)  # relative paths among the hostile arguments name files there
    try:
        while going():
            call = chosen[int(rng.integers(len(chosen)))]
            made = _arguments(call, examples, rng)
            if made is None:
                counts["without_example"] += 1
                continue
            target, arguments, changed = made
            if on_call is not None:
                on_call(counts["calls"], call.name, arguments)
            outcome, error = _outcome(target, arguments)
            if outcome == "interrupted":
                inside.setdefault((call.name, "interrupted", f"{_LIMIT} s"), (_listed(arguments), changed))
            counts["calls"] += 1
            counts[outcome] += 1
            if outcome == "returned" and not changed:
                valid[call.name] += 1
            if error is not None:
                inside.setdefault((call.name, *error[:2]), (error[2], changed))
    finally:
        signal.signal(signal.SIGALRM, previous)
        os.chdir(origin)
    counts["latest_callables"] = len(chosen)
    counts["latest_callables_that_returned"] = len(valid)
    return counts, inside


def _arguments(call, examples, rng):
    """Return the target, the arguments and the names of the damaged ones; None without an object."""
    arguments = {}
    for one in call.parameters:
        if one.default is one.empty or rng.random() < 0.3:
            arguments[one.name] = examples.of(call, one, rng)
    names = [one.name for one in call.parameters]
    changed = []
    if names and rng.random() > 0.03:
        for name in rng.choice(names, size=min(len(names), int(rng.choice([1, 1, 1, 2, 3]))), replace=False):
            valid = arguments.get(name)
            if valid is None:
                parameter = next(one for one in call.parameters if one.name == name)
                valid = examples.of(call, parameter, rng)
            arguments[str(name)] = damaged(valid, rng) if rng.random() < 0.5 else value(rng)
            changed.append(str(name))
    target = call.target
    if call.owner is not None:
        owner = examples.owner(call, rng)
        if owner is None:
            return None
        target = getattr(owner, call.name.rpartition(".")[2])
    return target, arguments, changed


def _outcome(target, arguments):
    signal.setitimer(signal.ITIMER_REAL, _LIMIT)
    faulthandler.dump_traceback_later(_END, exit=True, file=sys.__stderr__)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with np.errstate(all="ignore"):
                target(**arguments)
    except SidkitError:
        return "sidkit_errors", None
    except MemoryError:
        return "MemoryError", None
    except OSError as error:
        if error.errno is not None or isinstance(
            error, FileNotFoundError | NotADirectoryError | FileExistsError
        ):
            return "OSError", None
        return "bad_from_inside", _described(error)
    except _Hang:
        return "interrupted", None
    except RuntimeError as error:
        if "can't allocate memory" in str(error):  # torch has no other error for it
            return "MemoryError", None
        return "bad_from_inside", _described(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return "bad_from_inside", _described(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
    return "returned", None


def _listed(arguments):
    """Describe arguments in a line each; some refuse a representation."""
    return "".join(f"  {name}: {shown(each)}\n" for name, each in arguments.items())


def _described(error):
    frames = [each for each in traceback.extract_tb(error.__traceback__) if "sidkit" in each.filename]
    place = frames[-1] if frames else None
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=-6))
    where = "" if place is None else f"{Path(place.filename).name}:{place.lineno}"
    return type(error).__name__, where, text[-1800:]


def run(seconds, seed):
    """Fuzz for some time in this process; see `fuzz`. A call that never ends is in the file `LATEST`."""
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as directory, LATEST.open("w", buffering=1) as latest:

        def on_call(number, name, arguments):
            latest.seek(0)
            latest.truncate()
            latest.write(f"call {number}: {name}\n{_listed(arguments)}")

        counts, inside = fuzz(lambda: time.monotonic() < end, seed, directory=directory, on_call=on_call)
    for (name, kind, where), (text, changed) in inside.items():
        print(f"{name} {kind} at {where} ({', '.join(changed)})\n{text}", file=sys.stderr)
    distinct = sum(kind != "interrupted" for _, kind, _ in inside)
    return {"bad_from_inside": 0, **counts, "distinct_from_inside": distinct}
