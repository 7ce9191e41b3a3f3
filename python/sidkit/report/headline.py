"""Selection of the metrics that a report shows."""

from sidkit.evaluate import Metrics

__all__ = ["cutoffs", "headline_metric", "shown_metrics"]


def headline_metric(metrics: Metrics) -> str | None:
    """Choose the main metric: NDCG@10, else the NDCG with the highest cut-off; None without NDCG."""
    found = sorted(cutoffs(metrics, "ndcg"))
    if not found:
        return None
    return f"ndcg@{10 if 10 in found else found[-1]}"


def shown_metrics(metrics: Metrics) -> list[str]:
    """Choose the metrics of the main table: Recall and NDCG at two cut-offs, MRR and coverage at one."""
    found = sorted(cutoffs(metrics, "ndcg"))
    pair = [5, 10] if {5, 10} <= set(found) else found[-2:]
    names = [f"{kind}@{k}" for k in pair for kind in ("recall", "ndcg")]
    names += [f"{kind}@{pair[-1]}" for kind in ("mrr", "coverage")] if pair else []
    present = {result.metric for result in metrics.results}
    return [name for name in names if name in present]


def cutoffs(metrics: Metrics, kind: str) -> set[int]:
    """List the cut-offs at which a kind of metric, such as `ndcg`, was measured."""
    parts = (result.metric.partition("@") for result in metrics.results)
    return {int(k) for name, _, k in parts if name == kind and k.isdigit()}
