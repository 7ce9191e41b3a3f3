"""Fit tokenizers of 3 x 256 codes to 32,892 vectors of 768 dimensions: sidkit's, and those of semantic-id.

    python benches/python/compare_tokenizers.py --vectors vectors.npy --out benches/record/tokenizers.json

The vectors are synthetic: normal along random orthogonal directions, with the variances that real vectors
have along their principal components (those of `--vectors`, float (n, dim), after standardization; stretched
to 768 dimensions by the share of the rank). They have the spectrum of real vectors, none of their clusters.

Every tokenizer is fitted in a process of its own, on `--threads` threads, on the same standardized vectors.
RQ-VAEs have the same number of epochs, batch size and widths. `mse` is the squared error of the decoded
vectors as a part of the variance, `collision_rate` the part of the items whose codes another item has before
it. A contender that is not done after `--minutes` is stopped, and recorded as such. Takes an hour at full
size; `--rows 3000 --epochs 12` takes minutes.
"""

import argparse
import contextlib
import io
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROWS, DIM, LEVELS, CODES = 32_892, 768, 3, 256
HIDDEN, LATENT, BATCH = [512, 256, 128], 32, 1024
#: What must hold of sidkit's RQVAE at full size.
MINUTES, PERPLEXITY = 15, 200


def synthesize(vectors, rows, dim=DIM):
    """Vectors, float32 (rows, dim), with the spectrum of others, standardized."""
    real = np.asarray(vectors, dtype=np.float64)
    real = (real - real.mean(axis=0)) / np.maximum(real.std(axis=0), 1e-12)
    spectrum = np.maximum(np.linalg.eigvalsh(np.cov(real.T))[::-1], 1e-9)
    places = np.linspace(0, 1, dim)
    stretched = np.exp(np.interp(places, np.linspace(0, 1, len(spectrum)), np.log(spectrum)))
    rng = np.random.default_rng(0)
    directions, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
    x = (rng.normal(size=(rows, dim)) * np.sqrt(stretched)) @ directions.T
    return ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)


def sidkit_rqkmeans(epochs, threads):
    from sidkit.tokenizers import RQKMeans

    return RQKMeans(LEVELS, CODES, threads=threads)


def sidkit_rqvae(epochs, threads, **settings):
    from sidkit.tokenizers import RQVAE

    sizes = {"latent_dim": LATENT, "hidden_dims": HIDDEN, "batch_size": BATCH, "epochs": epochs}
    return RQVAE(LEVELS, CODES, threads=threads, **sizes, **settings)


def sidkit_rqvae_rotation(epochs, threads):
    return sidkit_rqvae(epochs, threads, estimator="rotation")


def peer_rqkmeans(epochs, threads):
    from semantic_id import RQKMeans

    return RQKMeans(LEVELS, CODES, random_state=0)


def peer_rqvae(epochs, threads, **settings):
    from semantic_id import RQVAE

    # Without `verbose`, it measures no collisions and gives back the network of its first epoch.
    sizes = {"in_dim": DIM, "num_emb_list": [CODES] * LEVELS, "batch_size": BATCH, "layers": HIDDEN}
    return RQVAE(**sizes, epochs=epochs, verbose=10**9, **settings)


def peer_rqvae_tuned(epochs, threads, **settings):
    """What sidkit does too, as far as it has it: k-means at the start, a cosine, a higher learning rate."""
    warm = {"lr_scheduler": "cosine", "warmup_epochs": max(1, epochs // 20), "weight_decay": 1e-2}
    return peer_rqvae(epochs, threads, kmeans_init=True, lr=2e-3, e_dim=LATENT, **warm, **settings)


def peer_rqvae_sinkhorn(epochs, threads):
    return peer_rqvae_tuned(epochs, threads, sk_epsilons=[0.0] * (LEVELS - 1) + [0.003])


CONTENDERS = {
    "sidkit RQKMeans": sidkit_rqkmeans,
    "sidkit RQVAE": sidkit_rqvae,
    "sidkit RQVAE, rotation": sidkit_rqvae_rotation,
    "semantic-id RQKMeans": peer_rqkmeans,
    "semantic-id RQVAE, defaults": peer_rqvae,
    "semantic-id RQVAE, tuned": peer_rqvae_tuned,
    "semantic-id RQVAE, tuned, Sinkhorn": peer_rqvae_sinkhorn,
}


def perplexity(counts):
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def measure(name, path, epochs, threads):
    """Fit one contender in this process; figures as JSON can hold them."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    x = np.load(path)
    tokenizer = CONTENDERS[name](epochs, threads)
    began, before = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        tokenizer.fit(x)
    fit, processor = time.perf_counter() - began, time.process_time() - before
    seconds, spent = [], []
    for _ in range(3):
        began, before = time.perf_counter(), time.process_time()
        with contextlib.redirect_stderr(io.StringIO()):
            codes = np.asarray(tokenizer.encode(x))
        seconds.append(time.perf_counter() - began)
        spent.append(time.process_time() - before)
    assert codes.shape == (len(x), LEVELS) and codes.min() >= 0 and codes.max() < CODES, "wrong codes"
    errors = np.square(x - np.asarray(tokenizer.decode(codes))).mean()
    counts = [np.bincount(codes[:, level], minlength=CODES) for level in range(LEVELS)]
    return {
        "name": name,
        "fit_seconds": fit,
        "fit_processor_seconds": processor,
        "encode_seconds": sorted(seconds)[1],
        "encode_processor_seconds": sorted(spent)[1],
        "mse": float(errors / x.var(axis=0).mean()),
        "collision_rate": 1 - len(np.unique(codes, axis=0)) / len(x),
        "perplexity": [perplexity(count) for count in counts],
        "dead": [int((count == 0).sum()) for count in counts],
        "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def race(command, environment, minutes):
    """What a contender's own process measured, or that it was not done in time."""
    try:
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=environment, timeout=60 * minutes
        )
    except subprocess.TimeoutExpired:
        return {"stopped_after_seconds": 60 * minutes}
    return json.loads(done.stdout)


def line(found):
    """A row of the table."""
    if "stopped_after_seconds" in found:
        return f"{found['name']:<36}not done after {found['stopped_after_seconds']:.0f} s"
    levels = "/".join(f"{value:.0f}" for value in found["perplexity"])
    return (
        f"{found['name']:<36}{found['fit_seconds']:>7.1f}{found['encode_seconds']:>10.3f}{found['mse']:>6.3f}"
        f"{found['collision_rate']:>12.4f}  {levels:<16}  {'/'.join(map(str, found['dead']))}"
    )


def check(found):
    """What sidkit promises of its RQVAE at full size."""
    assert found["fit_seconds"] < 60 * MINUTES, f"fitted in {found['fit_seconds']:.0f} s"
    assert found["perplexity"][0] >= PERPLEXITY, f"perplexity {found['perplexity']}"
    assert not any(found["dead"]), f"dead codes {found['dead']}"


def record(path, arguments, figures):
    """Write what was measured so far."""
    facts = {
        "machine": platform.processor() or platform.machine(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "torch", "semantic-id")},
        "vectors": f"normal, with the spectrum of {arguments.vectors.name}",
        "rows": arguments.rows,
        "dim": DIM,
        "levels": LEVELS,
        "codebook_size": CODES,
        "epochs": arguments.epochs,
        "threads": arguments.threads,
    }
    path.write_text(json.dumps({**facts, "figures": figures}, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--vectors", type=Path, required=True, help="real vectors (.npy) to take the spectrum of"
    )
    parser.add_argument("--out", type=Path, help="where to keep the figures as JSON")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=30, help="the most that a contender may take")
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(measure(arguments.one, arguments.vectors, arguments.epochs, arguments.threads)))
        return
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        np.save(path, synthesize(np.load(arguments.vectors), arguments.rows))
        print(f"{'':<36}  fit s  encode s   mse  collisions  perplexity        dead codes")
        for name in arguments.only:
            threads = str(arguments.threads)
            command = [sys.executable, __file__, "--vectors", str(path), "--one", name, "--threads", threads]
            command += ["--epochs", str(arguments.epochs)]
            environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
            found = race(command, environment, arguments.minutes) | {"name": name}
            print(line(found), flush=True)
            figures.append(found)
            if arguments.out is not None:
                record(arguments.out, arguments, figures)
    if arguments.rows >= ROWS:
        for found in figures:
            if found["name"] == "sidkit RQVAE":
                check(found)


if __name__ == "__main__":
    main()
