"""The training of an RQ-VAE, with torch."""

import hashlib
import math
import os
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit._core import assign_codes
from sidkit.errors import FormatError
from sidkit.quantize.files import read_arrays, write_arrays
from sidkit.quantize.kmeans import residual_kmeans
from sidkit.quantize.perceptron import Perceptron
from sidkit.quantize.quality import perplexity
from sidkit.quantize.tokenizer import Progress, Vectors

if TYPE_CHECKING:
    from sidkit.quantize.rqvae import RQVAE

__all__ = ["Learned", "Network", "Training"]

_WARM_UP = 0.05
_SECONDS_BETWEEN_CHECKPOINTS = 20.0
_KMEANS_ITERATIONS = {"start": 10, "end": 25}
_CHECKPOINT = "sidkit.rqvae-checkpoint"


@dataclass(frozen=True)
class Learned:
    """What a training gives."""

    encoder: Perceptron
    decoder: Perceptron
    codebooks: list[Vectors]
    history: list[dict[str, float]]


@dataclass(frozen=True)
class Losses:
    """The losses of one batch, scalars, and the codes it chose, uint16 (batch, levels)."""

    reconstruction: Tensor
    codebook: Tensor
    commitment: Tensor
    codes: npt.NDArray[np.uint16]


class Network(nn.Module):
    """Encoder, codebooks, decoder.

    Args:
        widths: from the input to the latent vector.
        sizes: codes of each level.
        threads: of the assignment of codes.
    """

    def __init__(self, widths: list[int], sizes: tuple[int, ...], threads: int | None = None) -> None:
        super().__init__()
        self.encoder = _layers(widths)
        self.decoder = _layers(widths[::-1])
        self.codebooks = nn.ParameterList(torch.zeros(size, widths[-1]) for size in sizes)
        self.threads = threads

    def plain(self, x: Tensor) -> Tensor:
        """Reconstruction error, a scalar, without quantization."""
        return F.mse_loss(self.decoder(self.encoder(x)), x)

    def forward(self, x: Tensor) -> Losses:
        """Losses of vectors, float32 (batch, dim)."""
        latent = self.encoder(x)  # (batch, latent)
        words = [codebook.detach().numpy() for codebook in self.codebooks]
        codes = assign_codes(latent.detach().numpy(), words, threads=self.threads)  # (batch, levels)
        chosen = torch.from_numpy(codes.astype(np.int64))
        residual, total = latent, torch.zeros_like(latent)
        codebook = commitment = torch.zeros(())
        for level, table in enumerate(self.codebooks):
            word = table[chosen[:, level]]  # (batch, latent)
            codebook = codebook + F.mse_loss(word, residual.detach())
            commitment = commitment + F.mse_loss(residual, word.detach())
            residual, total = residual - word.detach(), total + word.detach()
        through = latent + (total - latent).detach()  # straight through: the gradient skips the quantization
        return Losses(F.mse_loss(self.decoder(through), x), codebook, commitment, codes)


class Training:
    """One training of an RQ-VAE on standardized vectors, float32 (n, dim).

    Every random choice depends on the seed and the epoch only, so a training that goes on from a checkpoint
    ends where an uninterrupted one does.
    """

    def __init__(self, settings: "RQVAE", x: Vectors) -> None:
        self.settings = settings
        self.x = torch.from_numpy(x)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            widths = [x.shape[1], *settings.hidden, settings.latent]
            self.network = Network(widths, settings.sizes, settings.threads)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.epoch = 0
        self.history: list[dict[str, float]] = []

    def run(self, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> Learned:
        """Train to the end; with `checkpoint`, go on from there and leave the state there now and then."""
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and path.exists():
            self._load(path)
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(self.settings.threads or threads)
            self._run(progress, path)
        except BaseException:  # an interrupt above all
            if path is not None and self.history:
                self._save(path)
            raise
        finally:
            torch.set_num_threads(threads)
        if path is not None:
            path.unlink(missing_ok=True)
        return self._learned()

    def _run(self, progress: Progress | None, path: Path | None) -> None:
        saved = time.monotonic()
        while self.epoch < self.settings.epochs:
            figures = self._one_epoch()
            self.epoch += 1
            self.history.append(figures)
            if progress is not None:
                progress(self.epoch, self.settings.epochs, figures)
            if path is not None and time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                self._save(path)
                saved = time.monotonic()

    def _one_epoch(self) -> dict[str, float]:
        plain = self.epoch < self.settings.plain_epochs
        if self.epoch == self.settings.plain_epochs:
            self._start_codebooks()
        order = np.random.default_rng([self.settings.seed, self.epoch]).permutation(len(self.x))
        counts = [np.zeros(size, np.int64) for size in self.settings.sizes]
        sums = np.zeros(2)
        batches = np.array_split(order, max(1, round(len(order) / self.settings.batch_size)))
        for number, rows in enumerate(batches):
            self._set_rate(self.epoch + number / len(batches))
            batch = self.x[torch.from_numpy(rows)]
            if plain:
                loss = self.network.plain(batch)
                sums += [loss.item() * len(rows), 0]
            else:
                losses = self.network(batch)
                loss = losses.reconstruction + losses.codebook + self.settings.commitment * losses.commitment
                sums += [losses.reconstruction.item() * len(rows), losses.codebook.item() * len(rows)]
                for level, count in enumerate(counts):
                    count += np.bincount(losses.codes[:, level], minlength=len(count))
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            self.optimizer.step()
        return self._figures(sums / len(order), counts, plain)

    def _figures(
        self, means: npt.NDArray[np.float64], counts: list[npt.NDArray[np.int64]], plain: bool
    ) -> dict[str, float]:
        figures = {"reconstruction": float(means[0]), "quantization": float(means[1])}
        if not plain:
            figures |= {f"perplexity.{level}": perplexity(count) for level, count in enumerate(counts)}
            figures["reset"] = float(self._revive(counts))
        return figures

    def _set_rate(self, epoch: float) -> None:
        part = epoch / self.settings.epochs
        rate = min(1.0, part / _WARM_UP + 1e-3) * (0.5 + 0.5 * math.cos(math.pi * part))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * rate

    @torch.no_grad()
    def _latents(self) -> Vectors:
        return np.concatenate([self.network.encoder(part).numpy() for part in torch.split(self.x, 4096)])

    @torch.no_grad()
    def _start_codebooks(self) -> None:
        found = self._kmeans(self._latents(), _KMEANS_ITERATIONS["start"])
        for codebook, words in zip(self.network.codebooks, found, strict=True):
            codebook.copy_(torch.from_numpy(words))

    def _kmeans(self, latents: Vectors, iterations: int) -> list[Vectors]:
        settings = self.settings
        found = residual_kmeans(
            latents, settings.sizes, iterations=iterations, seed=settings.seed, threads=settings.threads
        )
        return list(found)

    @torch.no_grad()
    def _revive(self, counts: list[npt.NDArray[np.int64]]) -> int:
        """Set codes that nothing chose for an epoch to residuals of random vectors; return how many."""
        dead = [np.flatnonzero(count == 0) for count in counts]
        if not sum(map(len, dead)):
            return 0
        rng = np.random.default_rng([self.settings.seed, self.epoch, 1])
        residual = self._latents()
        for codebook, unused in zip(self.network.codebooks, dead, strict=True):
            words = codebook.detach().numpy()
            codes = assign_codes(residual, [words], threads=self.settings.threads)[:, 0]
            following = residual - words[codes]
            if len(unused):
                rows = rng.choice(len(residual), len(unused), replace=False)
                codebook[torch.from_numpy(unused)] = torch.from_numpy(residual[rows])
                for moment in ("exp_avg", "exp_avg_sq"):
                    self.optimizer.state[codebook][moment][torch.from_numpy(unused)] = 0
            residual = following
        return sum(map(len, dead))

    def _learned(self) -> Learned:
        encoder = Perceptron(_weights(self.network.encoder))
        # Codewords follow moving latents by small steps and lag behind. Now that the encoder stands still,
        # k-means uses the codes more evenly and loses less.
        codebooks = self._kmeans(encoder(self.x.numpy()), _KMEANS_ITERATIONS["end"])
        return Learned(encoder, Perceptron(_weights(self.network.decoder)), codebooks, self.history)

    def _identity(self) -> str:
        """Of settings and data: a checkpoint of others must not be continued."""
        digest = hashlib.blake2b(repr(sorted(self.settings.settings().items())).encode(), digest_size=16)
        digest.update(self.x.numpy().tobytes())
        return digest.hexdigest()

    def _save(self, path: Path) -> None:
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name, parameter in self.network.named_parameters():
            arrays[f"value.{name}"] = parameter.detach().numpy()
            for key, value in self.optimizer.state.get(parameter, {}).items():
                arrays[f"{key}.{name}"] = np.atleast_1d(value.numpy())
        described = {"identity": self._identity(), "epoch": self.epoch, "history": self.history}
        write_arrays(path, _CHECKPOINT, described, arrays)

    @torch.no_grad()
    def _load(self, path: Path) -> None:
        described, arrays = read_arrays(path, _CHECKPOINT)
        if described.get("identity") != self._identity():
            raise FormatError(
                f"{path} is the checkpoint of a training with other settings or data; "
                "hint: delete it to start anew"
            )
        try:
            for name, parameter in self.network.named_parameters():
                parameter.copy_(torch.from_numpy(arrays[f"value.{name}"]))
                if f"step.{name}" in arrays:
                    self.optimizer.state[parameter] = {
                        "step": torch.from_numpy(arrays[f"step.{name}"])[0],
                        "exp_avg": torch.from_numpy(arrays[f"exp_avg.{name}"]),
                        "exp_avg_sq": torch.from_numpy(arrays[f"exp_avg_sq.{name}"]),
                    }
            self.epoch, self.history = int(described["epoch"]), list(described["history"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FormatError(
                f"{path} is a damaged checkpoint: {error}; hint: delete it to start anew"
            ) from error


def _layers(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _weights(layers: nn.Sequential) -> list[tuple[Vectors, Vectors]]:
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()) for layer in linear]
