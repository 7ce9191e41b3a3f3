"""Marked blocks of documents, rewritten from stored figures: no number in them is typed by hand.

A block has a kind and a subject, each mark on a line of its own:

    <!-- results:beauty -->
    (whatever stands here is replaced)
    <!-- /results -->

A kind of block is a name and the function that writes such blocks: `KINDS = {"results": write}`, where
`write(folder, "beauty")` gives the Markdown between the marks, made of the stored runs in a folder.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from sidkit._files import write_text
from sidkit.errors import DataError, SidkitError

__all__ = ["Write", "renew_documents", "run_renewal"]

#: Makes the text of a block of the folder of stored runs and the block's subject.
Write = Callable[[Path, str], str]


def renew_documents(
    kinds: Mapping[str, Write],
    results: str | os.PathLike[str],
    documents: Iterable[str | os.PathLike[str]],
    *,
    check: bool = False,
) -> list[Path]:
    """Rewrite the marked blocks of documents; blocks of other kinds are left as they are.

    Args:
        kinds: what writes the blocks of each kind.
        results: the folder of stored runs.
        documents: Markdown files; those without a mark are left as they are.
        check: only tell which documents would change.

    Returns:
        The documents that changed, or with `check` would.

    Raises:
        DataError: if a mark has no end, or has a subject that the kind does not know.
    """
    names = "|".join(map(re.escape, kinds))
    mark = re.compile(rf"^<!-- ({names}):", re.MULTILINE)
    block = re.compile(
        rf"^<!-- (?P<kind>{names}):(?P<subject>[\w./-][\w./ -]*?) -->\n.*?^<!-- /(?P=kind) -->$",
        re.MULTILINE | re.DOTALL,
    )

    def renewed(found: re.Match[str]) -> str:
        kind, subject = found["kind"], found["subject"]
        text = kinds[kind](Path(results), subject).strip("\n")
        return f"<!-- {kind}:{subject} -->\n\n{text}\n\n<!-- /{kind} -->"

    changed = []
    for document in map(Path, documents):
        old = document.read_text(encoding="utf-8")
        if len(mark.findall(old)) != len(block.findall(old)):
            needs = (
                f"every `<!-- {kind}:NAME -->` needs a line `<!-- /{kind} -->` after its table"
                for kind in kinds
            )
            raise DataError(f"{document}: {'; '.join(needs)}")
        new = block.sub(renewed, old)
        if new != old:
            changed.append(document)
            if not check:
                write_text(document, new)
    return changed


def run_renewal(kinds: Mapping[str, Write], arguments: Sequence[str] | None, *, prog: str, of: str) -> int:
    """Be the command `prog RESULTS DOCUMENT... [--check]`.

    Args:
        kinds: what writes the blocks of each kind.
        arguments: of the command line; those of this process if None.
        prog: how the command is called.
        of: what its tables show, for the help.

    Returns:
        The exit status: 1 if `--check` found a document out of date, else 0. After an error
        the process ends with 2.
    """
    parser = argparse.ArgumentParser(prog=prog, description=f"Rewrite tables of {of} in documents.")
    parser.add_argument("results", type=Path, help="folder of stored runs")
    parser.add_argument("documents", type=Path, nargs="+", help="Markdown files with marked tables")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table is out of date")
    options = parser.parse_args(arguments)
    try:
        changed = renew_documents(kinds, options.results, options.documents, check=options.check)
    except (SidkitError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    for document in changed:
        sys.stdout.write(f"{document}: {'out of date' if options.check else 'renewed'}\n")
    return 1 if options.check and changed else 0
