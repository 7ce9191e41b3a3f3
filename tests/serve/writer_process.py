"""A writer that acknowledges every record on standard output; killed by its test."""

import sys

from sidkit.serve.live.journal import Journal


def main(path):
    """Append records `NUMBER xxx…` without end, after those of earlier processes."""
    journal, number = Journal(path), 0
    while True:
        with journal.writing():
            number += len(journal.read())
            journal.append(b"%d " % number + b"x" * (number * 7919 % 4000))
        print(number, flush=True)
        number += 1


if __name__ == "__main__":
    main(sys.argv[1])
