"""Campaign against files, arguments and interruptions, by topics.

A topic is a module with a function `run(seconds, seed)` that attacks one part of sidkit and returns counts.
A count whose name begins with `bad_` must be 0. `python -m tests.campaign` runs topics for minutes and
records the counts; `test_slice.py` runs each for a moment.
"""
