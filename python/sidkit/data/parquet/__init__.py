"""Parquet files of any size: their division into fragments, and histories that are read from them."""

from sidkit.data.parquet.histories import ParquetHistories

__all__ = ["ParquetHistories"]
