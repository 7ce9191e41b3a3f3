"""Codes of a batch that are used about equally often, by optimal transport."""

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST_EPSILON", "balanced_codes"]

#: Below this, the kernel of the transport underflows float64.
LEAST_EPSILON = 0.003


def balanced_codes(
    residual: npt.NDArray[np.float32], words: npt.NDArray[np.float32], epsilon: float, iterations: int = 50
) -> npt.NDArray[np.uint16]:
    """Codes, uint16 (n,), of residuals, float32 (n, dim), none of them much more often than another.

    The entropy-regularized transport of n residuals to codewords, float32 (codes, dim), of equal shares
    (Cuturi, 2013); each residual has the code it sends most to. LC-Rec (Zheng et al., 2024) uses it at the
    last level.

    Args:
        residual: the residuals.
        words: the codewords.
        epsilon: weight of the entropy, in units of half the range of distances; at least 0.003. The larger,
            the less a residual minds how far its codeword is.
        iterations: of Sinkhorn's algorithm.
    """
    wide, table = residual.astype(np.float64), words.astype(np.float64)
    distances = np.square(wide).sum(axis=1)[:, None] - 2 * wide @ table.T + np.square(table).sum(axis=1)
    span = float(np.ptp(distances)) / 2
    if span == 0:  # all alike: deal them out
        return (np.arange(len(wide)) % len(table)).astype(np.uint16)
    # The scales of rows and columns are free: each row's least distance becomes 0.
    kernel = np.exp(-(distances - distances.min(axis=1, keepdims=True)) / (span * epsilon))
    columns = np.ones(len(table))
    tiny = np.finfo(np.float64).tiny
    for _ in range(iterations):
        rows = 1 / np.maximum(kernel @ columns, tiny)
        columns = len(wide) / len(table) / np.maximum(kernel.T @ rows, tiny)
        columns /= columns.max()  # the scale that rows take up, so that neither overflows
    codes: npt.NDArray[np.uint16] = (kernel * columns).argmax(axis=1).astype(np.uint16)
    return codes
