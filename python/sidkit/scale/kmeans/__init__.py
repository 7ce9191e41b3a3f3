"""Fitting of RQ-KMeans on vectors that are divided among processes or machines."""

from sidkit.scale.kmeans.fit import fit_shards
from sidkit.scale.kmeans.source import VectorSource

__all__ = ["VectorSource", "fit_shards"]
