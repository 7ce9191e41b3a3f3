"""Generated blocks of Markdown documents.

A block has a kind and a subject. Each mark is on a separate line:

    <!-- results:beauty -->
    (replaced by the generated text)
    <!-- /results -->

A kind is a name and a function: `{"results": write}`, where `write(directory, "beauty")` returns the Markdown
between the marks from the stored runs in a directory.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from sidkit._files import write_text
from sidkit.errors import DataError, SidkitError

__all__ = ["Write", "run_update", "update_documents"]

#: Writes the text of a block from the directory of stored runs and the subject of the block.
Write = Callable[[Path, str], str]


def update_documents(
    kinds: Mapping[str, Write],
    results: str | os.PathLike[str],
    documents: Iterable[str | os.PathLike[str]],
    *,
    check: bool = False,
) -> list[Path]:
    """Rewrite the generated blocks of documents; blocks of other kinds are kept.

    Args:
        kinds: functions that write the blocks of each kind.
        results: directory of stored runs.
        documents: Markdown files; files without marks are kept.
        check: whether files are compared only, not written.

    Returns:
        The documents that changed, or with `check` would change.

    Raises:
        DataError: if a mark has no end, or its subject is unknown.
    """
    names = "|".join(map(re.escape, kinds))
    mark = re.compile(rf"^<!-- ({names}):", re.MULTILINE)
    block = re.compile(
        rf"^<!-- (?P<kind>{names}):(?P<subject>[\w./-][\w./ -]*?) -->\n.*?^<!-- /(?P=kind) -->$",
        re.MULTILINE | re.DOTALL,
    )

    def updated(found: re.Match[str]) -> str:
        kind, subject = found["kind"], found["subject"]
        text = kinds[kind](Path(results), subject).strip("\n")
        return f"<!-- {kind}:{subject} -->\n\n{text}\n\n<!-- /{kind} -->"

    changed = []
    for document in map(Path, documents):
        old = document.read_text(encoding="utf-8")
        if len(mark.findall(old)) != len(block.findall(old)):
            rules = (
                f"every `<!-- {kind}:NAME -->` must have a line `<!-- /{kind} -->` after its table"
                for kind in kinds
            )
            raise DataError(f"{document}: {'; '.join(rules)}")
        new = block.sub(updated, old)
        if new != old:
            changed.append(document)
            if not check:
                write_text(document, new)
    return changed


def run_update(kinds: Mapping[str, Write], arguments: Sequence[str] | None, *, prog: str) -> int:
    """Run the command `prog RESULTS DOCUMENT... [--check]`.

    Args:
        kinds: functions that write the blocks of each kind.
        arguments: arguments of the command line; those of this process if None.
        prog: name of the command.

    Returns:
        The exit status: 1 if `--check` found a document out of date, else 0. The process exits with 2 after
        an error.
    """
    parser = argparse.ArgumentParser(prog=prog, description="Update generated tables in documents.")
    parser.add_argument("results", type=Path, help="directory of stored runs")
    parser.add_argument("documents", type=Path, nargs="+", help="Markdown files with marked blocks")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table is out of date")
    options = parser.parse_args(arguments)
    try:
        changed = update_documents(kinds, options.results, options.documents, check=options.check)
    except (SidkitError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    for document in changed:
        sys.stdout.write(f"{document}: {'out of date' if options.check else 'updated'}\n")
    return 1 if options.check and changed else 0
