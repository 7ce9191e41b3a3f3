"""Balanced code assignment by entropic optimal transport."""

import numpy as np
import numpy.typing as npt

__all__ = ["balanced_codes"]


def balanced_codes(
    residual: npt.NDArray[np.float32], words: npt.NDArray[np.float32], epsilon: float, iterations: int = 50
) -> npt.NDArray[np.uint16]:
    """Assign codes, uint16 (n,), that are used about equally often.

    Solves the entropy-regularized transport of n residuals to codewords with equal shares (Cuturi, 2013);
    each residual has the code with its largest share. LC-Rec (Zheng et al., 2024) uses it at the last level.

    Args:
        residual: float32 (n, dim).
        words: float32 (codes, dim), the codewords.
        epsilon: weight of the entropy, in units of half the range of distances; at least 0.003. A larger
            value tolerates more distant codewords.
        iterations: iterations of Sinkhorn's algorithm.
    """
    wide, table = residual.astype(np.float64), words.astype(np.float64)
    distances = np.square(wide).sum(axis=1)[:, None] - 2 * wide @ table.T + np.square(table).sum(axis=1)
    span = float(np.ptp(distances)) / 2
    if span == 0:  # equal distances: assign codes in turn
        return (np.arange(len(wide)) % len(table)).astype(np.uint16)
    # Rows and columns may be scaled freely: the smallest distance of each row becomes 0.
    kernel = np.exp(-(distances - distances.min(axis=1, keepdims=True)) / (span * epsilon))
    columns = np.ones(len(table))
    tiny = np.finfo(np.float64).tiny
    for _ in range(iterations):
        rows = 1 / np.maximum(kernel @ columns, tiny)
        columns = len(wide) / len(table) / np.maximum(kernel.T @ rows, tiny)
        columns /= columns.max()  # rows absorb the scale, so that neither overflows
    codes: npt.NDArray[np.uint16] = (kernel * columns).argmax(axis=1).astype(np.uint16)
    return codes
