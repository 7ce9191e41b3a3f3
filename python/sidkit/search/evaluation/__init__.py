"""Evaluation of search: metrics per query, intervals, paired tests and TREC run files."""

from sidkit.search.evaluation.metrics import METRICS, metric_name, query_metrics
from sidkit.search.evaluation.results import Comparison, SearchEvaluation
from sidkit.search.evaluation.trec import read_trec_run, write_trec_qrels, write_trec_run

__all__ = [
    "METRICS",
    "Comparison",
    "SearchEvaluation",
    "metric_name",
    "query_metrics",
    "read_trec_run",
    "write_trec_qrels",
    "write_trec_run",
]
