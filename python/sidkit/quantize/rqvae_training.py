"""The training of an RQ-VAE, with torch."""

import hashlib
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sidkit._core import assign_codes
from sidkit.errors import ConfigError, FormatError
from sidkit.quantize.extra_loss import CodebookLoss, ExtraLoss
from sidkit.quantize.files import read_arrays, write_arrays
from sidkit.quantize.kmeans import residual_kmeans
from sidkit.quantize.perceptron import Perceptron
from sidkit.quantize.quality import perplexity
from sidkit.quantize.rqvae_network import Losses, Network
from sidkit.quantize.tokenizer import Progress, Vectors

if TYPE_CHECKING:
    from sidkit.quantize.rqvae import RQVAE

__all__ = ["Learned", "Training"]

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


class Training:
    """One training of an RQ-VAE on standardized vectors, float32 (n, dim).

    Every random choice depends on the seed and the epoch only, so a training that goes on from a checkpoint
    ends where an uninterrupted one does. That holds for extra losses too, if all that they learn is in their
    parameters.
    """

    def __init__(self, settings: "RQVAE", x: Vectors, extra_losses: Sequence[ExtraLoss] = ()) -> None:
        self.settings = settings
        self.extra_losses = extra_losses
        self.x = torch.from_numpy(x)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            widths = [x.shape[1], *settings.hidden, settings.latent]
            self.network = Network(widths, settings.sizes, settings.threads)
        self._parameters = dict(self.network.named_parameters())
        for number, term in enumerate(extra_losses):
            self._parameters |= {f"extra.{number}.{at}": one for at, one in enumerate(term.parameters())}
        self._identity = self._digest()  # now, since it covers the initial parameters of the extra losses
        self.optimizer = torch.optim.AdamW(
            self._parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay
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
        sums = np.zeros(2 + len(self.extra_losses))
        batches = np.array_split(order, max(1, round(len(order) / self.settings.batch_size)))
        for number, rows in enumerate(batches):
            self._set_rate(self.epoch + number / len(batches))
            at = torch.from_numpy(rows)
            losses = self.network.plain(self.x[at]) if plain else self.network(self.x[at])
            extra = self._extra(at, losses, plain)
            loss = losses.reconstruction + losses.codebook + self.settings.commitment * losses.commitment
            for one in extra:
                loss = loss + one
            sums += [one.item() * len(rows) for one in (losses.reconstruction, losses.codebook, *extra)]
            for level in range(losses.codes.shape[1]):
                counts[level] += np.bincount(losses.codes[:, level], minlength=len(counts[level]))
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            self.optimizer.step()
        return self._figures(sums / len(order), counts, plain)

    def _extra(self, rows: Tensor, losses: Losses, plain: bool) -> list[Tensor]:
        found = []
        for number, term in enumerate(self.extra_losses):
            if not isinstance(term, CodebookLoss):
                found.append(term(rows, losses.latent, losses.quantized, losses.reconstructed))
            elif plain:
                found.append(torch.zeros(()))
            else:
                codes = torch.from_numpy(losses.codes.astype(np.int64))
                found.append(term.codebook_loss(list(self.network.codebooks), codes))
            if found[-1].ndim or not torch.isfinite(found[-1]):
                raise ConfigError(
                    f"extra_losses[{number}] ({type(term).__name__}) must give a finite scalar, "
                    f"but in epoch {self.epoch} it gave {found[-1].detach()}"
                )
        return found

    def _figures(
        self, means: npt.NDArray[np.float64], counts: list[npt.NDArray[np.int64]], plain: bool
    ) -> dict[str, float]:
        figures = {"reconstruction": float(means[0]), "quantization": float(means[1])}
        figures |= {f"extra.{number}": float(mean) for number, mean in enumerate(means[2:])}
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

    def _digest(self) -> str:
        """Of settings, data and extra losses: a checkpoint of others must not be continued."""
        digest = hashlib.blake2b(repr(sorted(self.settings.settings().items())).encode(), digest_size=16)
        digest.update(self.x.numpy().tobytes())
        for term in self.extra_losses:
            digest.update(type(term).__qualname__.encode())
            for parameter in term.parameters():
                digest.update(parameter.detach().numpy().tobytes())
        return digest.hexdigest()

    def _save(self, path: Path) -> None:
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name, parameter in self._parameters.items():
            arrays[f"value.{name}"] = parameter.detach().numpy()
            for key, value in self.optimizer.state.get(parameter, {}).items():
                arrays[f"{key}.{name}"] = np.atleast_1d(value.numpy())
        described = {"identity": self._identity, "epoch": self.epoch, "history": self.history}
        write_arrays(path, _CHECKPOINT, described, arrays)

    @torch.no_grad()
    def _load(self, path: Path) -> None:
        described, arrays = read_arrays(path, _CHECKPOINT)
        if described.get("identity") != self._identity:
            raise FormatError(
                f"{path} is the checkpoint of a training with other settings or data; "
                "hint: delete it to start anew"
            )
        try:
            for name, parameter in self._parameters.items():
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


def _weights(layers: nn.Sequential) -> list[tuple[Vectors, Vectors]]:
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()) for layer in linear]
