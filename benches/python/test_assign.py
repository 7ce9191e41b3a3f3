"""Assignment and k-means against their rivals, on the same vectors and codebooks, two threads each.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python -m pytest -W ignore benches/python/test_assign.py \\
        --benchmark-json benches/record/assign.json

Every rival runs at the best settings we found: batches that fit the cache where it materializes distances, a
beam of one, codebooks already in its own form. Its codes are held against ours before it is timed.
`agreement` is the share of rows with the same codes at all levels: rivals round, so ties and near-ties may
fall otherwise, and bfloat16 falls short. A rival that is not installed is skipped.

All of it takes some ten minutes; SIDKIT_BENCH_SHRINK=50 divides the rows by 50, to see that every case works.
"""

import os
import time

import numpy as np
import pytest

from sidkit import Codebooks, assign_codes
from sidkit._core import assign_details, kmeans_fit

THREADS = 2
BATCH = 4096
SHRINK = int(os.environ.get("SIDKIT_BENCH_SHRINK", "1"))

# Rows, dimensions, levels, codes.
SHAPES = {
    "768 3x256": (32_892 // SHRINK, 768, 3, 256),
    "32 3x256": (200_000 // SHRINK, 32, 3, 256),
    "768 8x2048": (16_384 // SHRINK, 768, 8, 2048),
}
BEAM = (100_000 // SHRINK, 128, 4, 256)
CLUSTERED = (100_000 // SHRINK, 384, 1, 256)

#: Rows whose codes are held against ours before a rival is timed.
CHECKED = 4096
#: Seconds that the rounds of one contender may take, unless it takes longer once.
PATIENCE = 6

_worlds = {}


def world(rows, dim, levels, codes):
    """Vectors in clusters, like embeddings of text, and codebooks learnt from them level by level."""
    key = rows, dim, levels, codes
    if key not in _worlds:
        rng = np.random.default_rng(0)
        scale = 1 / (1 + 8 * np.arange(dim) / dim)
        centers = rng.normal(size=(64, dim)) * scale
        made = max(rows, 8 * codes)
        x = (centers[rng.integers(64, size=made)] + rng.normal(size=(made, dim)) * scale).astype(np.float32)
        residual, codebooks, x = x[: 8 * codes].copy(), [], x[:rows]
        for _ in range(levels):
            words, assigned, _ = kmeans_fit(residual, codes, iterations=3, init="random")
            residual -= words[assigned]
            codebooks.append(words)
        codebooks = np.stack(codebooks)
        _worlds[key] = x, codebooks, assign_codes(x, Codebooks(codebooks))
    return _worlds[key]


def torch_with_threads():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(THREADS)
    return torch


def faiss_with_threads():
    faiss = pytest.importorskip("faiss")
    faiss.omp_set_num_threads(THREADS)
    return faiss


def rounds_of(run, x, rows):
    """Runs it on the rows that are checked; gives what it found, and how often to time it on all."""
    began = time.perf_counter()
    found = run(x[:rows])
    seconds = (time.perf_counter() - began) * len(x) / rows
    return found, int(np.clip(PATIENCE / seconds, 1, 3))


def in_batches(x, encode):
    return np.concatenate([encode(x[start : start + BATCH]) for start in range(0, len(x), BATCH)])


def sidkit_with(kernel):
    def contender(codebooks):
        prepared = Codebooks(codebooks, kernel=kernel)
        return lambda x: assign_codes(x, prepared, threads=THREADS)

    return contender


def one_thread(codebooks):
    prepared = Codebooks(codebooks)
    return lambda x: assign_codes(x, prepared, threads=1)


def faiss_quantizer(lut, beam=1):
    def contender(codebooks):
        faiss = faiss_with_threads()
        levels, codes, dim = codebooks.shape
        bits = codes.bit_length() - 1
        quantizer = faiss.ResidualQuantizer(dim, levels, bits)
        faiss.copy_array_to_vector(codebooks.ravel(), quantizer.codebooks)
        quantizer.is_trained = True
        quantizer.max_beam_size = beam
        quantizer.use_beam_LUT = int(lut)
        if lut:
            quantizer.compute_codebook_tables()
        return lambda x: faiss.unpack_bitstrings(quantizer.compute_codes(x), levels, bits)

    return contender


def torch_gemm(name):
    def contender(codebooks):
        torch = torch_with_threads()
        dtype, words = getattr(torch, name), torch.from_numpy(codebooks)
        low = words.to(dtype)
        bias = (words.square().sum(-1) / 2).to(dtype)

        @torch.inference_mode()
        def encode(x):
            residual, codes = torch.from_numpy(x).clone(), []
            for level in range(len(words)):
                code = torch.addmm(bias[level], residual.to(dtype), low[level].T, alpha=-1).argmin(1)
                residual -= words[level][code]
                codes.append(code)
            return torch.stack(codes, 1).numpy()

        return lambda x: in_batches(x, encode)

    return contender


def residual_vq(codebooks):
    torch = torch_with_threads()
    module = pytest.importorskip("vector_quantize_pytorch")
    levels, codes, dim = codebooks.shape
    model = module.ResidualVQ(dim=dim, num_quantizers=levels, codebook_size=codes).eval()
    for layer, words in zip(model.layers, codebooks, strict=True):
        layer._codebook.embed.data.copy_(torch.from_numpy(words)[None])

    @torch.inference_mode()
    def encode(x):
        return model(torch.from_numpy(x))[1].numpy()

    return lambda x: in_batches(x, encode)


def scikit_learn(codebooks):
    nearest = pytest.importorskip("sklearn.metrics").pairwise_distances_argmin

    def encode(x):
        residual, codes = x.copy(), []
        for words in codebooks:
            codes.append(nearest(residual, words))
            residual -= words[codes[-1]]
        return np.stack(codes, 1)

    return encode


def semantic_id(codebooks):
    torch_with_threads()
    module = pytest.importorskip("semantic_id")
    levels, codes, dim = codebooks.shape
    model = module.RQKMeans(n_levels=levels, n_clusters=codes)
    model.codebooks_, model.D_ = list(codebooks), dim
    return lambda x: model.encode(x, batch_size=BATCH)


def rectokens(codebooks):
    torch = torch_with_threads()
    module = pytest.importorskip("rectokens.ops.nn_quantize")
    # Its import lowers the precision of everyone's products.
    torch.set_float32_matmul_precision("highest")
    words = torch.from_numpy(codebooks)

    @torch.inference_mode()
    def encode(x):
        residual, codes = torch.from_numpy(x).clone(), []
        for level in words:
            codes.append(module.nearest_neighbor_quantize(residual, level))
            residual -= level[codes[-1]]
        return torch.stack(codes, 1).numpy()

    return lambda x: in_batches(x, encode)


CONTENDERS = {
    "sidkit": sidkit_with(None),
    "sidkit, 1 thread": one_thread,
    "sidkit avx512 (f32)": sidkit_with("avx512"),
    "sidkit avx2 (f32)": sidkit_with("avx2"),
    "faiss": faiss_quantizer(lut=False),
    "faiss LUT": faiss_quantizer(lut=True),
    "torch f32": torch_gemm("float32"),
    "torch bf16": torch_gemm("bfloat16"),
    "ResidualVQ": residual_vq,
    "scikit-learn": scikit_learn,
    "semantic-id": semantic_id,
    "rectokens": rectokens,
}


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_greedy(benchmark, shape, contender):
    x, codebooks, expected = world(*SHAPES[shape])
    encode = CONTENDERS[contender](codebooks)
    codes, rounds = rounds_of(encode, x, min(CHECKED, len(x)))
    agreement = (codes == expected[: len(codes)]).all(1).mean()
    # Rows that differ are near-ties for rivals in f32; bfloat16 decides more of them otherwise at each level.
    least = 0.3 ** (codes.shape[1] / 3) if "bf16" in contender else 0.97
    assert agreement == 1 if "sidkit" in contender else agreement > least
    benchmark.extra_info.update(rows=len(x), agreement=float(agreement), group="greedy", shape=shape)
    if contender == "sidkit":
        details = assign_details(x[:10_000], codebooks)
        benchmark.extra_info.update(
            second_looks=details.second_looks / details.decisions,
            exact_looks=details.exact_looks / details.decisions,
        )
    benchmark.pedantic(encode, (x,), rounds=rounds, warmup_rounds=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_product_alone(benchmark, shape):
    """The matrix products of all levels in f32, by the BLAS of torch: what f32 assignment cannot beat."""
    torch = torch_with_threads()
    rows, _, levels, _ = SHAPES[shape]
    x, codebooks, _ = world(*SHAPES[shape])
    x, words = torch.from_numpy(x), torch.from_numpy(codebooks)
    batch = min(1024, rows)
    target = torch.empty(batch, words.shape[1])

    def multiply():
        for start in range(0, rows - rows % batch, batch):
            for level in range(levels):
                torch.mm(x[start : start + batch], words[level].T, out=target)

    assert torch.allclose(x[:9] @ words[0].T, (x[:9].double() @ words[0].double().T).float(), atol=1e-2)
    benchmark.extra_info.update(rows=rows - rows % batch, group="product", shape=shape)
    benchmark.pedantic(multiply, rounds=3, warmup_rounds=1)


def sidkit_beam(codebooks):
    prepared = Codebooks(codebooks)
    return lambda x: assign_codes(x, prepared, beam=5, threads=THREADS)


BEAMS = {
    "sidkit": sidkit_beam,
    "faiss": faiss_quantizer(lut=False, beam=5),
    "faiss LUT": faiss_quantizer(lut=True, beam=5),
}


@pytest.mark.parametrize("contender", BEAMS)
def test_beam(benchmark, contender):
    x, codebooks, _ = world(*BEAM)
    encode = BEAMS[contender](codebooks)
    codes, rounds = rounds_of(encode, x, min(CHECKED, len(x)))
    agreement = (codes == assign_codes(x[: len(codes)], codebooks, beam=5)).all(1).mean()
    assert agreement > 0.99
    benchmark.extra_info.update(
        rows=len(x), agreement=float(agreement), group="beam", shape="128 4x256 beam 5"
    )
    benchmark.pedantic(encode, (x,), rounds=rounds)


def fit_sidkit(init):
    return lambda x: kmeans_fit(x, 256, init=init, threads=THREADS)[0]


def fit_faiss():
    faiss = faiss_with_threads()

    def fit(x):
        kmeans = faiss.Kmeans(x.shape[1], 256, niter=25, seed=0, max_points_per_centroid=10**9)
        kmeans.train(x)
        return kmeans.centroids

    return fit


def fit_scikit_learn():
    cluster = pytest.importorskip("sklearn.cluster")
    limit = pytest.importorskip("threadpoolctl").threadpool_limits
    kmeans = cluster.KMeans(256, init="random", n_init=1, max_iter=25, tol=0, random_state=0)

    def fit(x):
        with limit(THREADS):
            return kmeans.fit(x).cluster_centers_

    return fit


FITS = {
    "sidkit random": lambda: fit_sidkit("random"),
    "sidkit k-means++": lambda: fit_sidkit("k-means++"),
    "sidkit k-means||": lambda: fit_sidkit("k-means||"),
    "sidkit bisect": lambda: fit_sidkit("bisect"),
    "faiss random": fit_faiss,
    "scikit-learn random": fit_scikit_learn,
}


def objective(x, centroids):
    """The sum of the squared distances, by the definition, whoever found the centroids."""
    return float(assign_details(x, [np.ascontiguousarray(centroids, np.float32)]).errors.sum())


_reference = []


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("contender", FITS)
def test_kmeans(benchmark, contender):
    """Twenty-five iterations on all rows; every objective is within 1 % of that of our random start."""
    x, _, _ = world(*CLUSTERED)
    fit = FITS[contender]()
    if not _reference:
        _reference.append(objective(x, fit_sidkit("random")(x)))
    reached = objective(x, benchmark.pedantic(fit, (x,), rounds=1))
    # Small samples, of some rows a code, depend on the start far more.
    assert abs(reached / _reference[0] - 1) < (0.01 if SHRINK == 1 else 0.2)
    benchmark.extra_info.update(
        rows=len(x), objective=reached, group="k-means", shape="384 256 25 iterations"
    )


def test_one_row(benchmark):
    """What a call costs: one row of two numbers, prepared codebooks, the caller's buffer."""
    codebooks = Codebooks(np.zeros((1, 2, 2), np.float32))
    x, out = np.ones((1, 2), np.float32), np.empty((1, 1), np.uint16)
    assert benchmark(lambda: assign_codes(x, codebooks, out=out)) is out
    benchmark.extra_info.update(rows=1, group="overhead", shape="2 1x2")
