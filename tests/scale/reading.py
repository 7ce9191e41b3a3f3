"""Reading of what jobs write."""

import pyarrow.parquet as pq


def parts(directory):
    """Names of the parts of a directory."""
    return sorted(path.name for path in directory.glob("part-*.parquet"))


def read(directory):
    """All rows of the parts of a directory, in order."""
    return pq.read_table([str(directory / name) for name in parts(directory)])


def digests(directory):
    """Content of every part."""
    return {name: (directory / name).read_bytes() for name in parts(directory)}
