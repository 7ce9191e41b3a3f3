"""Gradient estimators of quantization: straight-through, rotation and Gumbel-softmax."""

import torch
from torch import Tensor

__all__ = ["gumbel_words", "rotated", "straight_through"]


def straight_through(latent: Tensor, quantized: Tensor) -> Tensor:
    """Return `quantized`, float32 (batch, latent), with the gradient of `latent` (Bengio et al., 2013)."""
    return latent + (quantized - latent).detach()


def rotated(latent: Tensor, quantized: Tensor) -> Tensor:
    """Return `quantized` as a rotation and scaling of `latent` that is constant for the gradient.

    The rotation trick (Fifty et al., 2024, arXiv 2410.06424, section 4): unlike the straight-through
    estimator, it preserves the angle between the gradient and the codeword. Rows where either vector is zero
    use the straight-through estimator.
    """
    length, target = latent.norm(dim=1, keepdim=True).detach(), quantized.norm(dim=1, keepdim=True).detach()
    turnable = (length > 1e-12) & (target > 1e-12)
    start = latent.detach() / length.clamp_min(1e-12)
    end = quantized.detach() / target.clamp_min(1e-12)
    middle = start + end
    middle = middle / middle.norm(dim=1, keepdim=True).clamp_min(1e-12)
    # The Householder form of the rotation from `start` to `end`: I - 2 m m' + 2 end start'.
    turned = latent - 2 * middle * (middle * latent).sum(1, keepdim=True)
    turned = (turned + 2 * end * (start * latent).sum(1, keepdim=True)) * (target / length.clamp_min(1e-12))
    moved = torch.where(turnable, turned, latent)
    return moved + (quantized - moved).detach()  # the value without the rounding errors of the rotation


def gumbel_words(residual: Tensor, table: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw mixtures of codewords, (batch, latent), near the residuals (Jang et al., 2017).

    The weights are a softmax of negative squared distances and Gumbel noise, divided by the temperature: the
    lower the temperature, the closer to one codeword. Gradients reach residuals and codewords.
    """
    distances = torch.cdist(residual, table, compute_mode="donot_use_mm_for_euclid_dist").square()
    noise = -torch.empty_like(distances).exponential_(generator=generator).clamp_min(1e-30).log()
    return torch.softmax((noise - distances) / temperature, dim=1) @ table
