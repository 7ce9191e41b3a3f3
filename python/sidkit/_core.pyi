"""The Rust core: assignment of codes, packing of Semantic IDs, n-gram hashing, and the trie."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt

from sidkit.decode import TrieTensors

__all__ = [
    "Assignment",
    "Codebooks",
    "InferenceModel",
    "InferenceState",
    "ItemSet",
    "KMeansShard",
    "LiveTrie",
    "Perceptron",
    "SidLayout",
    "Trie",
    "TrieStates",
    "TrieWriter",
    "__version__",
    "_trie_from_bytes",
    "_trie_from_file",
    "assign_codes",
    "assign_details",
    "code_ranks",
    "distinct_select",
    "dpp_select",
    "kmeans_choose",
    "kmeans_fit",
    "kmeans_places",
    "kmeans_sample",
    "kmeans_start",
    "learn_pieces",
    "max_sum_select",
    "mmr_select",
    "ngram_rows",
    "ngram_windows",
    "place_codes",
    "segment_pieces",
    "shuffle_actions",
    "write_inference",
]

__version__: Final[str]

class _HasRaggedRows(Protocol):
    @property
    def values(self) -> npt.NDArray[np.integer]: ...
    @property
    def offsets(self) -> npt.NDArray[np.integer]: ...

_Ragged: TypeAlias = tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]] | _HasRaggedRows

@final
class Codebooks:
    """Codebooks of a residual quantizer, checked and prepared for repeated use.

    Immutable and picklable; threads can share one. Prepare codebooks once if many calls use them, since a call with
    plain arrays prepares them every time.

    Args:
        codebooks: float32 (levels, codes, dim), or a list or tuple with one float32 array (codes, dim) per level,
            whose sizes may differ; 1 to 65,536 codes per level.
        kernel: instruction set of the assignment: `vnni`, `avx512`, `avx2`, `neon` or `portable`; by default the
            fastest one of this CPU. All of them give the same codes.

    Raises:
        TypeError: if the arrays are not float32.
        ValueError: if there is no level, a level is empty or too large, the dims differ, or a value is not finite.
        ConfigError: if this CPU cannot run the kernel.
    """

    def __new__(
        cls,
        codebooks: npt.NDArray[np.float32] | Sequence[npt.NDArray[np.float32]],
        *,
        kernel: str | None = None,
    ) -> Codebooks: ...
    @property
    def kernel(self) -> str:
        """Instruction set of the assignment."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes per level, first level first."""

    @property
    def dim(self) -> int:
        """Width of a codeword."""

    def __len__(self) -> int:
        """Return the number of levels."""

    def __getitem__(self, level: int, /) -> npt.NDArray[np.float32]:
        """Return a copy of the codewords of one level, float32 (codes, dim)."""

    def decode(self, codes: npt.NDArray[np.uint16], /) -> npt.NDArray[np.float32]:
        """Add up the codewords of each row of codes, level by level in float32.

        Args:
            codes: uint16 (n, levels).

        Returns:
            float32 (n, dim).

        Raises:
            TypeError: if `codes` has another dtype.
            ValueError: if the shape does not fit, or a code is out of range for its level.
        """

def assign_codes(
    x: npt.NDArray[Any],
    codebooks: Codebooks | npt.NDArray[np.float32] | Sequence[npt.NDArray[np.float32]],
    *,
    beam: int = 1,
    out: npt.NDArray[np.uint16] | None = None,
    threads: int | None = None,
    copy: bool = False,
) -> npt.NDArray[np.uint16]:
    """Assign each row to its nearest codeword at every level.

    At each level, the code is the index of the codeword nearest to the residual (squared distance in float64, summed
    in index order; the lowest code on a tie), and this codeword is subtracted from the residual in float32. A vector
    gets the same codes in any batch, with any number of threads, on any CPU. If a residual overflows float32, the
    remaining codes are 0, since all distances are infinite.

    With a beam, the `beam` best prefixes are kept at each level: those with the least squared distance among all
    extensions of the kept prefixes, on a tie the better prefix, then the lower code (as for additive codes in Babenko
    and Lempitsky, CVPR 2014). The codes of the best one are returned.

    Args:
        x: float32, float64, float16 or bfloat16 (of `ml_dtypes`), (n, dim), C-contiguous; may be read-only. Values
            are rounded to the nearest float32.
        codebooks: `Codebooks`, or their arguments.
        beam: number of prefixes to keep, 1 to 64.
        out: uint16 (n, levels), array to write to; by default a new one.
        threads: maximum number of threads; by default all cores. Small calls use the calling thread.
        copy: copy a strided or unaligned `x` instead of raising an error.

    Returns:
        uint16 (n, levels): `out`, or a new array.

    Raises:
        TypeError: if an array has an unsupported dtype.
        ValueError: if shapes do not fit, an array is strided, or a row has NaN or infinity, which the message names;
            the content of `out` is then undefined.
    """

@final
class Assignment:
    """Result of `assign_details`: codes, errors and nearest codes."""

    @property
    def codes(self) -> npt.NDArray[np.uint16]:
        """Codes, uint16 (n, levels)."""

    @property
    def errors(self) -> npt.NDArray[np.float64]:
        """Squared length of the residual of each row after the last level, float64 (n,)."""

    @property
    def nearest(self) -> npt.NDArray[np.uint16]:
        """Nearest codes of each residual, nearest first, uint16 (n, levels, alternatives).

        The first one is the code. If a level has fewer codes than alternatives, its last one is repeated.
        """

    @property
    def distances(self) -> npt.NDArray[np.float64]:
        """Squared distances to the nearest codes, float64 (n, levels, alternatives)."""

    @property
    def decisions(self) -> int:
        """Number of decisions: rows times levels, with a beam also times its prefixes."""

    @property
    def second_looks(self) -> int:
        """Number of decisions that needed float32 distances, since the filter left several codes."""

    @property
    def exact_looks(self) -> int:
        """Number of decisions that needed float64 distances, since float32 left several codes."""

def assign_details(
    x: npt.NDArray[Any],
    codebooks: Codebooks | npt.NDArray[np.float32] | Sequence[npt.NDArray[np.float32]],
    *,
    beam: int = 1,
    alternatives: int = 0,
    threads: int | None = None,
    copy: bool = False,
) -> Assignment:
    """Assign codes as `assign_codes` does, and return errors, nearest codes and statistics.

    Args:
        x: as for `assign_codes`.
        codebooks: as for `assign_codes`.
        beam: as for `assign_codes`.
        alternatives: number of nearest codes to return per row and level; only without a beam.
        threads: as for `assign_codes`.
        copy: as for `assign_codes`.

    Raises:
        TypeError: as for `assign_codes`.
        ValueError: as for `assign_codes`, and for alternatives with a beam.
    """

def kmeans_fit(
    x: npt.NDArray[np.float32],
    codebook_size: int,
    *,
    iterations: int = 25,
    init: Literal["random", "k-means++", "k-means||", "bisect"] | npt.NDArray[np.float32] | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    capacity: int | None = None,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint16], float]:
    """Cluster the rows of `x` around `codebook_size` centroids: one level of residual k-means.

    Lloyd's algorithm with the assignment of `assign_codes`; centroids are means in float64, rounded to float32. A
    centroid without rows moves to the row farthest from its own centroid. The algorithm stops when no row changes its
    centroid. The result depends on the arguments only, not on `threads` or the machine.

    Args:
        x: float32 (n, dim), C-contiguous, at least `codebook_size` rows.
        codebook_size: number of centroids, 1 to 65,536.
        iterations: maximum number of iterations, or number of mini-batches.
        init: `random` takes distinct rows. `k-means++` (Arthur and Vassilvitskii, 2007) uses a random sample of 32 rows
            per centroid; `k-means||` (Bahmani et al., 2012), the default, all rows. `bisect` splits a random sample of
            256 rows per centroid: the part with the largest squared error is split at its mean across its principal
            direction, repeatedly; it gives even clusters where the data has none. An array, float32
            (codebook_size, dim), is used as it is.
        seed: seed of all random choices, 0 to 2**64 - 1.
        batch_size: rows per mini-batch (Sculley, 2010); by default every iteration uses all rows.
        capacity: maximum number of rows per centroid; by default unlimited. Rows and centroids are then matched stably,
            nearer rows first. The returned assignment keeps the limit, `assign_codes` with these centroids may not.
        threads: maximum number of threads; by default all cores.

    Returns:
        Centroids, float32 (codebook_size, dim); the centroid of every row, uint16 (n,); the sum of the squared distances
        of the rows to their centroids.

    Raises:
        TypeError: if `x` is not a float32 array, or `init` is neither a name nor one.
        ValueError: if there are too few rows, a row has NaN or infinity, which the message names, or `init` has another
            shape.
        ConfigError: if an argument is out of range, or the capacity does not hold all rows.
        KeyboardInterrupt: on Ctrl-C, within about one iteration.
    """

def kmeans_sample(
    count: int,
    codebook_size: int,
    *,
    init: Literal["random", "k-means++", "bisect"] = "bisect",
    seed: int = 0,
) -> npt.NDArray[np.int64]:
    """Choose the rows from which the first centroids are made.

    With `kmeans_start`, this gives the first centroids of `kmeans_fit` where the rows lie in several places.

    Args:
        count: number of rows in all.
        codebook_size: number of centroids.
        init: initialization, see `kmeans_fit`.
        seed: seed of all random choices.

    Returns:
        int64 (m,), numbers of different rows.

    Raises:
        ValueError: if there are fewer rows than centroids, or `init` is unknown.
    """

def kmeans_start(
    sample: npt.NDArray[np.float32],
    count: int,
    codebook_size: int,
    *,
    init: Literal["random", "k-means++", "bisect"] = "bisect",
    seed: int = 0,
    threads: int | None = None,
) -> npt.NDArray[np.float32]:
    """Make the first centroids from the rows of `kmeans_sample`.

    Args:
        sample: float32 (m, dim), the rows that `kmeans_sample` chose with the same other arguments.
        count: number of rows in all.
        codebook_size: number of centroids.
        init: initialization, see `kmeans_fit`.
        seed: seed of all random choices.
        threads: maximum number of threads; by default all cores.

    Returns:
        float32 (codebook_size, dim).

    Raises:
        TypeError: if `sample` is not a float32 array.
        ValueError: if it has another number of rows, or values that are not finite.
        ConfigError: if a number is out of range.
    """

def kmeans_places(count: int, seed: int, many: int) -> npt.NDArray[np.int64]:
    """Draw rows for k-means||: the first candidate, and those that fill up too few candidates.

    Args:
        count: number of rows in all.
        seed: seed of all random choices.
        many: number of rows to draw.

    Returns:
        int64 (many,), numbers of rows, which may repeat.
    """

def kmeans_choose(
    candidates: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float64],
    codebook_size: int,
    *,
    drawn: int,
    seed: int = 0,
    threads: int | None = None,
) -> npt.NDArray[np.float32]:
    """Choose centroids among the candidates of k-means||, by weighted k-means++.

    Args:
        candidates: float32 (m, dim).
        weights: float64 (m,), number of rows nearest to each candidate.
        codebook_size: number of centroids, at most m.
        drawn: number of rows that `kmeans_places` has drawn.
        seed: seed of all random choices.
        threads: maximum number of threads; by default all cores.

    Returns:
        float32 (codebook_size, dim).

    Raises:
        TypeError: if an array has another type.
        ValueError: if the arrays do not fit together, or a value is not finite.
        ConfigError: if a number is out of range.
    """

@final
class KMeansShard:
    """Consecutive rows of a k-means whose rows lie in several processes.

    A driver sends the same centroids to all shards, and adds up their counts and sums. The steps of
    `sidkit.scale.fit_shards` give the result of `kmeans_fit` on all rows, bit for bit.

    Args:
        x: float32 (n, dim), C-contiguous; kept, not copied, and not to be changed.
        codebook_size: number of centroids.
        first: number of the first row among the rows of all shards, a multiple of 65,536.
        threads: maximum number of threads; by default all cores.

    Raises:
        TypeError: if `x` is not a float32 array.
        ConfigError: if a number is out of range.
    """

    def __new__(
        cls, x: npt.NDArray[np.float32], codebook_size: int, *, first: int = 0, threads: int | None = None
    ) -> KMeansShard: ...
    @property
    def assignment(self) -> npt.NDArray[np.uint16]:
        """Centroid of every row, uint16 (n,)."""

    def assign(self, centroids: npt.NDArray[np.float32]) -> bool:
        """Assign the rows to centroids, float32 (codebook_size, dim), and return whether any moved.

        Raises:
            ValueError: if rows or centroids are not finite, or do not fit together.
        """

    def counts(self) -> npt.NDArray[np.uint64]:
        """Return the number of rows of each centroid, uint64 (codebook_size,)."""

    def sums(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return the sums of the rows of each centroid, under nodes of one tree.

        Rows are summed in blocks of 65,536, and blocks in a binary tree. The nodes of all shards, in order,
        can be added up to the same bits for any division of the rows.

        Returns:
            Level and number of every node, int64 (m, 2); sums, float64 (m, codebook_size, dim).
        """

    def farthest(
        self, most: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
        """Return the rows that are farthest from their centroids, farthest first.

        Returns:
            Squared distances, numbers of the rows among all, and their centroids; at most `most` of them.
        """

    def restart(self, row: int, code: int) -> None:
        """Give a row, by its number among all, to a centroid without rows.

        Raises:
            ConfigError: if the row is in another shard.
        """

    def objective(self) -> float:
        """Return the sum of the squared distances of the rows to their centroids."""

    def start_parallel(self, candidate: npt.NDArray[np.float32]) -> float:
        """Begin k-means|| with a candidate, float32 (dim,), and return the sum of the costs of the rows."""

    def draw_parallel(self, round: int, seed: int, total: float) -> npt.NDArray[np.int64]:
        """Draw candidates in a round, int64 (m,); `total` is the sum of the costs of all shards."""

    def add_parallel(self, candidates: npt.NDArray[np.float32], before: int) -> float:
        """Add candidates, float32 (m, dim), which follow `before` others, and return the sum of the costs."""

    def weights_parallel(self, candidates: int) -> npt.NDArray[np.float64]:
        """Return the number of rows nearest to each candidate, float64 (candidates,), and end k-means||."""

@final
class Perceptron:
    """Linear layers with ReLU between them, checked and prepared for repeated use.

    Every output is summed in float32 from its bias, in the order of the inputs; each product and its addition are
    rounded once together (fused multiply-add). A row gets the same result, bit for bit, in any batch, with any number of
    threads, on any CPU. Immutable; threads can share one.

    Args:
        layers: weight, float32 (outputs, inputs), and bias, float32 (outputs,), of each layer.
        kernel: as for `Codebooks`; all of them give the same result.

    Raises:
        TypeError: if the arrays are not float32.
        ValueError: if there is no layer, the widths do not fit, or a value is not finite.
        ConfigError: if this CPU cannot run the kernel.
    """

    def __new__(
        cls,
        layers: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]],
        *,
        kernel: str | None = None,
    ) -> Perceptron: ...
    @property
    def kernel(self) -> str:
        """Instruction set of the layers."""

    def __call__(self, x: npt.NDArray[Any], /, *, threads: int | None = None) -> npt.NDArray[np.float32]:
        """Apply the layers to rows.

        Args:
            x: float32, float64, float16 or bfloat16 (n, inputs of the first layer).
            threads: maximum number of threads; by default all cores.

        Returns:
            float32 (n, outputs of the last layer).

        Raises:
            TypeError: if `x` has an unsupported dtype.
            ValueError: if the width does not fit, or a row has NaN or infinity.
            ConfigError: if `threads` is less than 1.
        """

@final
class SidLayout:
    """Sizes of the levels of a Semantic ID, and their packing into one or two 64-bit words.

    A level of K tokens takes ceil(log2 K) bits. The first level has the highest bits in use and the last level ends at
    bit 0, so that the order of packed SIDs is the order of their tokens, and every prefix is one contiguous range.

    Packed SIDs are arrays of uint64, (n,) up to 64 bits, (n, 2) with the high word first up to 128 bits. Tokens are
    uint16 arrays (n, levels). Arrays must be C-contiguous. Another dtype raises a TypeError, since a conversion could
    wrap silently.

    >>> layout = SidLayout([256, 256, 256, 32])
    >>> layout.total_bits
    29
    >>> tokens = np.array([[12, 200, 7, 0]], np.uint16)
    >>> layout.unpack(layout.pack(tokens))
    array([[ 12, 200,   7,   0]], dtype=uint16)

    Layouts with the same sizes are equal; layouts can be hashed and pickled.
    """

    def __new__(cls, sizes: Iterable[int]) -> SidLayout:
        """Create a layout.

        Args:
            sizes: number of tokens of each level, 1 to 65536; up to 128 levels and 128 bits together.

        Raises:
            ConfigError: if a size is out of range or the levels do not fit into 128 bits.
        """

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of tokens of each level."""

    @property
    def bits(self) -> tuple[int, ...]:
        """Number of bits of each level: ceil(log2 size)."""

    @property
    def total_bits(self) -> int:
        """Number of bits of a SID."""

    @property
    def words(self) -> int:
        """Number of 64-bit words of a packed SID: 1 or 2."""

    @property
    def levels(self) -> int:
        """Number of tokens of a SID."""

    def pack(
        self, tokens: npt.NDArray[np.uint16], out: npt.NDArray[np.uint64] | None = None
    ) -> npt.NDArray[np.uint64]:
        """Pack rows of tokens.

        Args:
            tokens: uint16 (n, levels).
            out: uint64 (n,) or (n, 2), array to write to; partly written if an error is raised.

        Returns:
            The packed SIDs: `out`, or a new array.

        Raises:
            TypeError: if an array has another dtype.
            ValueError: if a shape does not fit, or a token is out of range for its level.
        """

    def unpack(
        self, packed: npt.NDArray[np.uint64], out: npt.NDArray[np.uint16] | None = None
    ) -> npt.NDArray[np.uint16]:
        """Unpack SIDs into rows of tokens.

        Args:
            packed: packed SIDs, uint64 (n,) or (n, 2).
            out: uint16 (n, levels), array to write to; partly written if an error is raised.

        Returns:
            The tokens: `out`, or a new array.

        Raises:
            TypeError: if an array has another dtype.
            ValueError: if a shape does not fit, or a SID does not belong to this layout; the message names the row.
        """

    def prefix_range(self, tokens: Iterable[int]) -> tuple[int, int]:
        """Return the first and the last packed SID, both inclusive, that begin with `tokens`.

        Raises:
            ValueError: if there are more tokens than levels, or a token is out of range for its level.
        """

    def prefix(self, packed: npt.NDArray[np.uint64], depth: int) -> npt.NDArray[np.uint64]:
        """Cut packed SIDs to their first `depth` tokens; the other tokens become 0.

        Two SIDs share the prefix if the results are equal; each result is the first SID of the range of its prefix.

        Raises:
            TypeError: if `packed` has another dtype.
            ValueError: if its shape does not fit, a SID does not belong to this layout, or `depth` exceeds the levels.
        """

    def common_prefix_length(
        self, a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.uint8]:
        """Count the leading tokens that `a` and `b` share, row by row.

        Returns:
            The counts, (n,), from 0 to `levels`.

        Raises:
            TypeError: if an array has another dtype.
            ValueError: if the shapes do not fit, or a SID is not one of this layout's.
        """

    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Trie:
    """Set of the existing Semantic IDs and their items; it restricts generation to real items.

    The trie has no nodes: the distinct packed SIDs are sorted, a prefix is a range of them, and a step narrows the range.
    A trie does not change; see `LiveTrie` for a catalogue that does.

    A trie can be pickled for other processes: if it was opened from a file that is unchanged, as the path of the file, so
    that processes share the mapped memory, otherwise as its bytes.

    >>> layout = SidLayout([256, 256, 4])
    >>> trie = Trie.build(layout.pack(np.array([[12, 200, 0], [12, 200, 1], [40, 7, 0]], np.uint16)), layout)
    >>> states = trie.start(2)
    >>> states = trie.step(states, np.array([12, 40]))
    >>> states = trie.step(states, np.array([200, 200]))
    >>> states.dead
    array([False,  True])
    >>> trie.allowed(states)
    array([[ True,  True, False, False],
           [False, False, False, False]])
    >>> trie.items(states)
    (array([0, 1], dtype=uint32), array([0, 2, 2]))
    """

    @staticmethod
    def build(
        source: Any,
        layout: SidLayout | None = None,
        items: npt.NDArray[np.integer] | None = None,
        *,
        storage: Literal["fast", "compact"] = "fast",
        item_ids: Any = None,
    ) -> Trie:
        """Build a trie from packed SIDs in any order; several items may share one SID.

        Args:
            source: packed SIDs, uint64 (n,), or (n, 2) for a layout of two words; without `layout`, an object with the
                attributes `packed` and `layout`, such as a `SidTable`.
            layout: layout of the packed SIDs.
            items: number of the item of each row, below 2**32; by default 0 to n - 1.
            storage: `fast`, with about two bytes per SID and the fastest steps, or `compact`, within about half a bit per SID
                of the theoretical minimum for random SIDs and several times slower.
            item_ids: ids of the items by number, such as a polars Series; kept as the attribute `item_ids`, and not
                saved or pickled.

        Raises:
            TypeError: if an array has another dtype, or `source` another type.
            ValueError: if a shape does not fit, a SID does not belong to the layout, or an item is repeated.
        """

    @staticmethod
    def open(path: str | os.PathLike[str], mmap: bool = False, trusted: bool = False) -> Trie:
        """Read a trie written by `save`.

        Args:
            path: path of the file.
            mmap: map the file into memory instead of reading it, so that only used parts are read. The file must not be
                changed in place or truncated while the trie exists; `save` replaces it.
            trusted: skip the checksum and the checks of the content. A damaged file may then cause wrong results or a
                FormatError later, but no crash and no call that does not end.

        Raises:
            OSError: if the file cannot be read.
            FormatError: if it is not a trie, or is truncated, damaged or of another version.
        """

    def __reduce__(self) -> tuple[Any, ...]: ...
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trie to a file, atomically.

        Raises:
            OSError: if the file cannot be written.
        """

    @property
    def layout(self) -> SidLayout:
        """Layout of the SIDs."""

    @property
    def storage(self) -> str:
        """Storage of the SIDs: `fast` or `compact`."""

    @property
    def nbytes(self) -> int:
        """Size of the trie in bytes, without the numbers of its items."""

    @property
    def item_count(self) -> int:
        """Number of items; at least the number of SIDs."""

    @property
    def item_ids(self) -> Any:
        """Ids of the items as given to `build`, or None."""

    def __len__(self) -> int:
        """Return the number of distinct SIDs."""

    def start(self, batch: int) -> TrieStates:
        """Return a batch of empty prefixes."""

    def find(self, packed: npt.NDArray[np.uint64], depth: int | None = None) -> TrieStates:
        """Return the states of the first `depth` tokens of each SID, by default all; dead if no SID has this prefix.

        Raises:
            TypeError: if `packed` has another dtype.
            ValueError: if its shape does not fit, a SID does not belong to the layout, or `depth` exceeds the levels.
        """

    def lookup(self, packed: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Return the items of each SID, in the form of `items`."""

    def allowed(
        self,
        states: TrieStates,
        out: npt.NDArray[np.bool_] | None = None,
        *,
        exclude: _Ragged | None = None,
        allow: ItemSet | Sequence[ItemSet] | None = None,
        rows_per_group: int = 1,
    ) -> npt.NDArray[np.bool_]:
        """Return a mask of the tokens that can follow each state; a dead state has none.

        Args:
            states: incomplete states.
            out: bool (states, tokens of the next level), array to write to.
            exclude: items to ignore, ragged: row g for the g-th group of states.
            allow: allowed items: a set for all groups, or one per group; by default all.
            rows_per_group: number of states per group.

        Returns:
            bool (states, tokens of the next level): `out`, or a new array.

        Raises:
            TypeError: if `out` has another dtype.
            ValueError: if the states are complete or belong to another trie, or the shape of `out` does not fit.
        """

    def bitmask(self, states: TrieStates, out: npt.NDArray[np.int32] | None = None) -> npt.NDArray[np.int32]:
        """Return a mask of the tokens that can follow each state, one bit per token.

        The format is that of the bitmasks of xgrammar and vLLM: token t is bit t % 32 of word t // 32.

        Args:
            states: incomplete states.
            out: int32 (states, ceil(tokens of the next level / 32)), array to write to.

        Raises:
            TypeError: if `out` has another dtype.
            ValueError: as for `allowed`.
        """

    def mask_logits(self, states: TrieStates, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Set the logits of tokens that cannot follow a state to -inf, in place.

        Args:
            states: incomplete states.
            logits: float32 (states, tokens of the next level).

        Returns:
            `logits`. The row of a dead state is all -inf.

        Raises:
            TypeError: if `logits` have another dtype.
            ValueError: as for `allowed`.
        """

    def item_set(self, items: npt.NDArray[np.integer]) -> ItemSet:
        """Return the set of these items; items that are not in the trie are ignored."""

    def sids(self, items: npt.NDArray[np.integer]) -> npt.NDArray[np.uint64]:
        """Return the packed SID of each item, uint64 (n,) or (n, 2).

        Raises:
            TypeError: if `items` are not integers.
            ValueError: if an item is not in the trie; the message names the row.
        """

    def step(self, states: TrieStates, tokens: npt.NDArray[np.integer]) -> TrieStates:
        """Append one token to each state. A token that leads nowhere, valid or not, gives a dead state.

        Raises:
            TypeError: if `tokens` are not integers.
            ValueError: if there is not one token per state, or the states are complete or belong to another trie.
        """

    def count(self, states: TrieStates) -> npt.NDArray[np.int64]:
        """Return the number of items under each state, int64 (n,)."""

    def items(
        self,
        states: TrieStates,
        *,
        exclude: _Ragged | None = None,
        allow: ItemSet | Sequence[ItemSet] | None = None,
        rows_per_group: int = 1,
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Return the items under each state, ordered by SID, then by number.

        Args:
            states: states of any depth.
            exclude: items to leave out, ragged: row g for the g-th group of states.
            allow: allowed items: a set for all groups, or one per group; by default all.
            rows_per_group: number of states per group.

        Returns:
            Values and offsets: row i is `values[offsets[i]:offsets[i + 1]]`.

        Raises:
            ValueError: if the states belong to another trie, or `exclude` has not one row per group.
        """

    def longest_prefix(self, packed: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Return the number of leading tokens of each SID that occur in the catalogue; all of them for an existing SID.

        Returns:
            uint8 (n,), from 0 to the number of levels.

        Raises:
            TypeError: if `packed` has another dtype.
            ValueError: if its shape does not fit, or a SID does not belong to the layout.
        """

    def neighbours(
        self, items: npt.NDArray[np.integer], k: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """Return the items that share the most leading tokens with each item, nearest first.

        The other items of the same SID come first, then those that share all tokens but the last, and so on; ties are ordered
        by SID, then by item. An item is not its own neighbour.

        Args:
            items: item numbers, (n,).
            k: number of neighbours per item.

        Returns:
            Items, int32, and numbers of shared tokens, uint8, both (n, k), padded with -1 and 0 if the trie has fewer items.

        Raises:
            TypeError: if `items` are not integers.
            ValueError: if an item is not in the trie, or a number does not fit int32; the message names the row.
        """

    def sample(self, states: TrieStates, k: int, *, seed: int) -> npt.NDArray[np.int32]:
        """Draw up to `k` distinct items under each state, uniformly at random.

        Args:
            states: states of any depth.
            k: number of items per state.
            seed: seed, 0 to 2**64 - 1. The items of a row depend on the seed, the row number and the state.

        Returns:
            int32 (states, k), items in the order drawn, padded with -1 where a state has fewer.

        Raises:
            ValueError: if the states belong to another trie, or an item number does not fit int32.
        """

    def beam_step(
        self,
        log_probs: npt.NDArray[np.float32],
        states: TrieStates,
        scores: npt.NDArray[np.float32],
        *,
        rows_per_group: int,
        beam: int,
        exclude: _Ragged | None = None,
        allow: ItemSet | Sequence[ItemSet] | None = None,
        renormalize: bool = False,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64], TrieStates]:
        """Perform one exact step of beam search for many requests.

        Every group of `rows_per_group` consecutive rows is one request. Among all children of its rows that exist in the trie
        and have an item that is neither excluded nor disallowed, it keeps the `beam` with the highest
        `scores[row] + log_probs[row, token]`; on a tie the lower row, then the lower token.

        Args:
            log_probs: float32 (states, tokens of the next level).
            states: current prefixes.
            scores: float32 (states,), sum of the log-probabilities of each prefix; -inf for one that is out.
            rows_per_group: number of rows per request: 1 at the start, then `beam`.
            beam: number of prefixes to keep per request.
            exclude: items that a request must not return, ragged: row g for group g, as `(values, offsets)` or an object with
                these attributes. Items that are not in the trie are ignored.
            allow: allowed items: a set for all requests, or one per request; by default all.
            renormalize: normalize the probabilities of the allowed tokens of each row to a sum of 1 first.

        Returns:
            Scores, parent rows and tokens, each (groups * beam,), and states: exactly `beam` per group, by descending score. A
            group with fewer live prefixes is padded with dead ones: score -inf, its first row as parent, token 0.

        Raises:
            TypeError: if an array has another dtype.
            ValueError: if a shape does not fit, the rows do not form groups, the states are complete or belong to another
                trie, or the score of an allowed token is NaN.
        """

    def to_torch(self, device: Any = None) -> TrieTensors:
        """Copy the trie to a device as tensors, where states are masked and stepped without the host.

        Args:
            device: a torch device; by default the CPU.

        Raises:
            MissingExtraError: if torch is not installed.
        """

    def top_items(
        self,
        states: TrieStates,
        scores: npt.NDArray[np.float32],
        *,
        rows_per_group: int,
        k: int,
        exclude: _Ragged | None = None,
        allow: ItemSet | Sequence[ItemSet] | None = None,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the best `k` items of each group of finished beams; items are counted, not SIDs.

        Args:
            states: distinct prefixes, such as those of `beam_step`.
            scores: float32 (states,), their scores.
            rows_per_group: number of states per group.
            k: number of items per group.
            exclude: items that a group must not return, as for `beam_step`.
            allow: allowed items: a set for all groups, or one per group; by default all.

        Returns:
            Items, int32, and scores, float32, both (groups, k), by descending score, ties by row, then by item; padded with
            -1 and -inf where a group has fewer items.

        Raises:
            ValueError: as for `beam_step`, and if an item number does not fit int32.
        """

@final
class LiveTrie:
    """Trie whose items are added and removed in batches while other threads read it.

    Readers take a `snapshot`, which is an immutable `Trie`, equal to one built from the current items. A batch becomes
    visible completely or not at all, and the SIDs of other items do not change. Batches wait for each other; readers never
    wait. All calls release the GIL. In a directory (`create`, `open`), a batch is on disk before it becomes visible, and
    survives a crash at any moment. After `os.fork`, the child process has a copy of a live trie in memory; it can read one
    in a directory, and gets an OSError if it changes it.

    >>> layout = SidLayout([4, 4])
    >>> live = LiveTrie(Trie.build(np.array([3, 9], np.uint64), layout))
    >>> before = live.snapshot()
    >>> live.update(sids=np.array([12], np.uint64), items=np.array([7]), remove=np.array([0]))
    >>> live.snapshot().item_count
    2
    >>> before.sids(np.array([0]))
    array([3], dtype=uint64)

    Args:
        trie: initial content; kept in memory, shared and unchanged.
        unique: reject two items with one SID, as after the collision policies `suffix` and `reassign`.

    Raises:
        CollisionError: if `unique` and items of `trie` share a SID.
    """

    def __new__(cls, trie: Trie, *, unique: bool = False) -> LiveTrie: ...
    @staticmethod
    def create(
        path: str | os.PathLike[str], trie: Trie, *, unique: bool = False, mmap: bool = False
    ) -> LiveTrie:
        """Create a directory with the content of `trie`, and open it.

        Args:
            path: directory; created if it does not exist.
            trie: initial content.
            unique: reject two items with one SID; stored in the directory.
            mmap: as for `open`.

        Raises:
            CollisionError: as for the constructor.
            OSError: if the directory cannot be written, or already holds a live trie.
        """

    @staticmethod
    def open(path: str | os.PathLike[str], mmap: bool = False, trusted: bool = False) -> LiveTrie:
        """Open a directory: its base and the batches since. Only one LiveTrie at a time can have it open.

        Args:
            path: directory.
            mmap: map the base into memory instead of reading it, here and after `compact`.
            trusted: skip the checksum of the base. Its content and the journal are always checked.

        Raises:
            OSError: if a file cannot be read, or the directory is already open (BlockingIOError).
            FormatError: if the base is damaged, or a batch other than the last; the message names the batch and its bytes. An
                incomplete last batch is cut off instead, see `torn`.
        """

    @staticmethod
    def recover(
        path: str | os.PathLike[str],
        report: Callable[[str], object] | None = None,
        *,
        mmap: bool = False,
    ) -> LiveTrie:
        """Open a directory whose journal is damaged, with every batch that is intact.

        Intact batches after a damaged one are applied as far as possible: items to remove that are missing are ignored, and
        items to add that exist get the new SID. With `unique`, the item added last keeps a SID. The result becomes the new
        base. A copy of the damaged journal remains as `journal.damaged`. An intact directory is opened unchanged.

        Args:
            path: directory.
            report: called with one line for each part of the journal that was skipped or changed; by default
                `warnings.warn`.
            mmap: as for `open`.

        Raises:
            OSError: as for `open`.
            FormatError: if the base is damaged.
        """

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the current content to a new directory, for `open`.

        Raises:
            OSError: as for `create`.
        """

    @property
    def layout(self) -> SidLayout:
        """Layout of the SIDs."""

    @property
    def unique(self) -> bool:
        """True if two items must not share a SID."""

    @property
    def torn(self) -> int:
        """Number of bytes that the last batch takes in the journal if it was incomplete and was cut off by `open`, else 0."""

    @property
    def batches(self) -> int:
        """Number of batches so far, in all processes that had the directory open."""

    @property
    def pending(self) -> tuple[int, int]:
        """Numbers of items removed from the base and of items added since, which the next `compact` merges."""

    def snapshot(self) -> Trie:
        """Return the current content as a trie. States and item sets belong to the snapshot that made them."""

    def add(self, sids: npt.NDArray[np.uint64], items: npt.NDArray[np.integer]) -> None:
        """Add items, see `update`."""

    def remove(self, items: npt.NDArray[np.integer]) -> None:
        """Remove items, see `update`."""

    def update(
        self,
        *,
        sids: npt.NDArray[np.uint64] | None = None,
        items: npt.NDArray[np.integer] | None = None,
        remove: npt.NDArray[np.integer] | None = None,
    ) -> None:
        """Remove and add items as one batch: if an error is raised, nothing changes.

        Args:
            sids: packed SIDs of the new items, uint64 (n,) or (n, 2).
            items: numbers of the new items, (n,), 0 to 2**32 - 1; an item removed by the same batch may be added with another
                SID.
            remove: items to remove, (m,).

        Raises:
            TypeError: if an array has another dtype.
            ValueError: if an item to remove is missing, an item to add exists, an item is repeated, a SID does not belong to
                the layout, or the shapes do not fit.
            CollisionError: if `unique` and two items would share a SID.
            OSError: if the journal cannot be written.
        """

    def compact(self) -> None:
        """Write the current content as the new base and empty the journal, atomically.

        Takes about as long as writing the trie to the disk. Readers continue, batches wait; call it from a separate thread
        where that matters.

        Raises:
            OSError: if the directory cannot be written.
        """

@final
class ItemSet:
    """Set of items of a trie, such as the items in stock or of a category; one bit per item.

    Sets of one trie can be combined: `fresh & in_stock - seen`, `a | b`, `a ^ b`, `~a`. With a set as `allow`,
    `Trie.beam_step` drops a prefix as soon as none of its items is in the set.
    """

    def __len__(self) -> int:
        """Return the number of items in the set."""

    def items(self) -> npt.NDArray[np.uint32]:
        """Return the items in the set, ascending, uint32."""

    @property
    def item_count(self) -> int:
        """Number of items of the trie, in the set or not."""

    @property
    def item_ids(self) -> Any:
        """Ids of the items of the trie by number, or None; see `Trie.item_ids`."""

    def __and__(self, other: ItemSet, /) -> ItemSet: ...
    def __rand__(self, value: ItemSet, /) -> ItemSet: ...
    def __or__(self, other: ItemSet, /) -> ItemSet: ...
    def __ror__(self, value: ItemSet, /) -> ItemSet: ...
    def __xor__(self, other: ItemSet, /) -> ItemSet: ...
    def __rxor__(self, value: ItemSet, /) -> ItemSet: ...
    def __sub__(self, other: ItemSet, /) -> ItemSet: ...
    def __rsub__(self, value: ItemSet, /) -> ItemSet: ...
    def __invert__(self) -> ItemSet: ...

@final
class InferenceModel:
    """A trained model in an inference file, mapped into memory; shared freely between threads.

    Items are named by their rows. `sidkit.Session` is the same for item ids. All calls release the GIL.
    """

    @staticmethod
    def open(path: str | os.PathLike[str], *, trusted: bool = False) -> InferenceModel:
        """Open an inference file.

        Args:
            path: the file; it must not be changed in place.
            trusted: skip the verification of its checksum and of every number.

        Raises:
            OSError: if the file cannot be read.
            FormatError: if it is foreign, of another version, truncated or damaged.
        """
    @property
    def method(self) -> str:
        """Method of the recommender."""
    @property
    def scorings(self) -> list[str]:
        """Rankings that the model offers, the default first."""
    @property
    def max_items(self) -> int:
        """Most recent items of a history that are encoded."""
    @property
    def items(self) -> int:
        """Number of items, removed ones included."""
    @property
    def version(self) -> int:
        """Number of edits since the file was opened."""
    @property
    def has_int_ids(self) -> bool:
        """True for integer ids, False for strings."""
    @property
    def content_dim(self) -> int | None:
        """Dimensions of the content vectors of new items, 0 for none; None if items cannot be added."""
    def __len__(self) -> int:
        """Number of items that can be recommended."""
    def find_ints(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Rows of integer ids, int64 (n,), -1 for unknown ones."""
    def find_texts(self, ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Rows of string ids, int64 (n,), -1 for unknown ones."""
    def ids(self, items: npt.NDArray[np.int32]) -> npt.NDArray[np.int64] | list[str | None]:
        """Ids of rows int32 (n,): int64 (n,), -1 for padding, or a list of strings, None for padding."""
    def counts(self) -> npt.NDArray[np.int64]:
        """Training events of each item, int64 (items,)."""
    def live(self) -> npt.NDArray[np.bool_]:
        """Items that can be recommended, bool (items,)."""
    def vectors(self) -> npt.NDArray[np.float32]:
        """Learned vectors of all items, float32 (items, d), as a copy."""
    def tokens(self, item: int) -> list[int] | None:
        """Tokens of an item's Semantic ID; None without Semantic IDs."""
    def recommend(
        self,
        histories: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]],
        *,
        k: int,
        scoring: str | None = None,
        beam: int = 50,
        exclude_seen: bool = True,
        exclude: npt.NDArray[np.uint32] | None = None,
        exclude_each: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]] | None = None,
        allow: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]] | None = None,
        threads: int = 0,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """The best items after each history: rows int32 (m, k) padded with -1, scores float32 (m, k) padded with -inf.

        Args:
            histories: values (n,) and offsets (m + 1,) of rows of items, oldest first; empty ones get popular items.
            k: number of items.
            scoring: one of `scorings`; None for the first.
            beam: prefixes kept at every level of a beam search; at least `k` are.
            exclude_seen: exclude the items of each history.
            exclude: items that no history gets.
            exclude_each: rows of items that each history does not get.
            allow: rows of items that may be returned, nothing else: one for all, or one for each.
            threads: most threads, 0 for one per core; one history runs on the calling thread.

        Raises:
            ConfigError: if `k` or `beam` is 0, or there is no such scoring.
            ValueError: if rows do not fit the histories, or an item does not exist.
        """
    def similar(
        self, items: npt.NDArray[np.uint32], *, k: int, threads: int = 0
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Items with the highest cosines to some items: rows int32 (n, k) and cosines float32 (n, k)."""
    def add_items(
        self,
        ids: list[int] | list[str],
        content: npt.NDArray[np.float32],
        tokens: npt.NDArray[np.uint16],
    ) -> None:
        """Add items, all or none.

        Args:
            ids: their ids.
            content: content vectors (n, `content_dim`).
            tokens: tokens of their Semantic IDs (n, levels).

        Raises:
            ConfigError: if the model has one vector per item.
            ValueError: if an item exists, or vectors and tokens do not fit.
        """
    def remove_items(self, items: npt.NDArray[np.uint32]) -> None:
        """Remove items (n,); they may still occur in histories."""
    def start(self, history: npt.NDArray[np.uint32]) -> InferenceState:
        """State after a history of items (n,)."""
    def append(self, state: InferenceState, items: npt.NDArray[np.uint32]) -> None:
        """Append items (n,) to a state."""
    def recommend_next(
        self,
        state: InferenceState,
        *,
        k: int,
        scoring: str | None = None,
        beam: int = 50,
        exclude_seen: bool = True,
        exclude: npt.NDArray[np.uint32] | None = None,
        allow: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]] | None = None,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """As `recommend` for the history of a state, (1, k)."""

@final
class InferenceState:
    """History of a user and its encoding so far; `InferenceModel.start` makes one."""

    @property
    def items(self) -> npt.NDArray[np.uint32]:
        """Items of the history, uint32 (n,)."""

def write_inference(path: str | os.PathLike[str], config: str, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write an inference file, whole or not at all.

    Args:
        path: the file.
        config: a JSON object, as text.
        arrays: named arrays of one or two dimensions: uint8, uint16, uint32, uint64, int64 or float32.

    Raises:
        OSError: if the file cannot be written.
    """

def _trie_from_bytes(bytes: bytes) -> Trie: ...
def _trie_from_file(
    path: str | os.PathLike[str], mmap: bool, trusted: bool, was: tuple[int, int]
) -> Trie: ...

@final
class TrieStates:
    """Immutable batch of prefixes of equal depth in one trie, from `Trie.start`, `step` and `find`."""

    def __len__(self) -> int:
        """Return the number of states."""

    @property
    def depth(self) -> int:
        """Number of tokens of each prefix."""

    @property
    def dead(self) -> npt.NDArray[np.bool_]:
        """Mask of the states without any SID, bool (n,)."""

    def select(self, rows: npt.NDArray[np.integer]) -> TrieStates:
        """Return the states of these rows, in this order; rows may repeat.

        Raises:
            TypeError: if `rows` are not integers.
            ValueError: if a row is out of range.
        """

def code_ranks(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """Count the earlier rows that are equal to each packed code.

    Args:
        keys: uint64 (n, words), packed codes of one or two words, the high one first, as from `SidLayout.pack`.

    Returns:
        uint32 (n,).

    Raises:
        `TypeError`, `ValueError`: if `keys` is not such an array.
    """

def place_codes(
    occupied: npt.NDArray[np.uint64],
    preferred: npt.NDArray[np.uint64],
    *,
    choices: int,
    capacity: int,
    method: str = "first",
    costs: npt.NDArray[np.float64] | None = None,
    epsilon: float = 0.1,
    iterations: int = 50,
) -> npt.NDArray[np.uint32]:
    """Move items to one of their preferred codes.

    Args:
        occupied: uint64 (s, words), packed codes of items that keep them.
        preferred: uint64 (m * choices, words), packed codes for each of m items, best first.
        choices: number of preferred codes per item.
        capacity: maximum number of items per code, those of `occupied` included.
        method: "first": round by round, in the order of the items; "nearest": a code keeps the items with the lowest
            costs; "sinkhorn": by entropic transport, rounded.
        costs: float64 (m * choices,), cost of each preferred code; for "nearest" and "sinkhorn".
        epsilon: regularization of "sinkhorn".
        iterations: number of iterations of "sinkhorn".

    Returns:
        uint32 (m,), place of the chosen code among the preferred ones, 4294967295 where all are full.

    Raises:
        `TypeError`, `ValueError`: if the arrays do not fit together, or there is no such method.
    """

def ngram_windows(layout: SidLayout, kind: str) -> list[tuple[int, int]]:
    """List the windows `(start, length)` of a kind of n-gram, in the order of the columns of `ngram_rows`.

    Args:
        layout: layout of the SIDs.
        kind: "unigram", "bigram", "trigram", "4gram" and so on: all windows of this length, from the left; "all": all
            windows of all lengths, short ones first; "prefix": the windows that start at level 0, short ones first.

    Raises:
        ConfigError: if there is no such kind, or its windows are longer than the SIDs.
    """

def learn_pieces(
    actions: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64], base: int, merges: int
) -> npt.NDArray[np.uint32]:
    """Learn which tokens of histories to merge, the vocabulary of `ActionPiece`.

    Every step merges the pair of tokens with the largest count, weighted by the probability that the two are adjacent
    after the tokens of each action are shuffled; of equal counts, the pair with the smallest tokens.

    Args:
        actions: uint32 (n, features), tokens of the actions of all histories, each below `base`.
        offsets: int64 (histories + 1,), start of each history in `actions`, and their number.
        base: number of tokens before any merge.
        merges: maximum number of merges.

    Returns:
        uint32 (merges, 2), tokens of each merge, the smaller first; merge k makes token `base + k`. Fewer rows if nothing
        is left to merge.

    Raises:
        ValueError: if the arrays do not fit together.
    """

def segment_pieces(
    tokens: npt.NDArray[np.uint32],
    offsets: npt.NDArray[np.int64],
    merges: npt.NDArray[np.uint32],
    base: int,
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Merge adjacent tokens of histories, the earliest learned merge first, then the leftmost place.

    Args:
        tokens: uint32 (n,), tokens of all histories in reading order, below `base`.
        offsets: int64 (histories + 1,), start of each history in `tokens`, and their number.
        merges: uint32 (merges, 2), from `learn_pieces`.
        base: number of tokens before any merge.

    Returns:
        Tokens, uint32, and offsets, int64 (histories + 1,).

    Raises:
        ValueError: if the arrays do not fit together.
    """

def shuffle_actions(
    actions: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64], seeds: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint32]:
    """Shuffle the tokens of each action.

    The result depends on the set of tokens of an action, its place in the history and the seed of the history, not on the
    order of the tokens or on other histories.

    Args:
        actions: uint32 (n, features), tokens of the actions of all histories.
        offsets: int64 (histories + 1,), start of each history in `actions`, and their number.
        seeds: uint64 (histories,).

    Returns:
        uint32 (n, features).

    Raises:
        ValueError: if the arrays do not fit together, or there are no features.
    """

def ngram_rows(
    packed: npt.NDArray[np.uint64],
    layout: SidLayout,
    *,
    kind: str | Sequence[tuple[int, int]],
    num_embeddings: int,
    seed: int = 0,
    mode: Literal["mix", "modulo", "murmur3"] = "mix",
    out: npt.NDArray[np.int64] | None = None,
    threads: int | None = None,
) -> npt.NDArray[np.int64]:
    """Return the rows of the n-grams of packed SIDs in an embedding table of `num_embeddings` rows.

    All n-grams of a call share one table: the embedding of an item is the sum of its rows. Equal tokens at different
    levels are different n-grams. A window with few n-grams (at most an equal share of the rows that smaller windows leave)
    gets its own range of rows, one per n-gram in mixed-radix order, without collisions. The other windows are hashed onto
    the remaining rows.

    The n-grams are those of arXiv 2306.08121, "prefix" those of arXiv 2504.02137.

    >>> layout = SidLayout([256, 256, 256, 32])
    >>> packed = layout.pack(np.array([[12, 200, 7, 0]], np.uint16))
    >>> ngram_rows(packed, layout, kind="unigram", num_embeddings=1000)
    array([[ 12, 456, 519, 768]])

    Args:
        packed: packed SIDs, uint64 (n,) or (n, 2).
        layout: layout of the SIDs.
        kind: a name of `ngram_windows`, or a list of windows `(start, length)`, such as `[(0, 2), (2, 2)]` for bigrams
            that do not overlap.
        num_embeddings: number of rows of the table, 1 to 2**63 - 1.
        seed: seed of the hash, 0 to 2**64 - 1.
        mode: hash of n-grams without their own row. "mix", the default, is a 64-bit mix reduced by multiply-high, which
            never changes; "modulo" (without seed) and "murmur3" (MurmurHash3 x64, then modulo) are for tables trained with
            these.
        out: int64 (n, grams), array to write to.
        threads: maximum number of threads; by default all cores. The result does not depend on it.

    Returns:
        int64 (n, grams): `out`, or a new array. Its flat view is the `values` of a jagged tensor; a bag of the SIDs `a` to
        `b` is `values[a * grams : b * grams]`.

    Raises:
        TypeError: if an array has another dtype, or `kind` is neither a name nor windows.
        ValueError: if a shape does not fit, or a SID does not belong to the layout.
        ConfigError: if `kind`, `num_embeddings` or a window is invalid.
    """

def mmr_select(
    items: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    k: int,
    *,
    diversity: float,
    keep: int | None = None,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Choose candidates by maximal marginal relevance.

    One after the other, the candidate with the highest `(1 - diversity) * score - diversity * m` is chosen, where m is
    its highest cosine with those chosen, at least 0, in float64; of equals the first. The result is the same with any
    number of threads, on any CPU.

    Args:
        items: int32 (m, candidates), rows of `vectors`; -1 is no candidate.
        scores: float32 (m, candidates).
        vectors: float32 (items, d).
        k: number of items to choose for each list.
        diversity: 0 to 1.
        keep: number of the first positions that go to the highest scores; none if None.
        threads: maximum number of threads; all cores if None.

    Returns:
        positions: int32 (m, k), places of the chosen candidates in their list; -1 where there are fewer.
        values: float32 (m, k), the values by which they were chosen; -inf where there are fewer.

    Raises:
        TypeError: if an array has another dtype.
        ValueError: if the arrays do not fit together, an item has no vector, or a score or a vector of a candidate is
            not finite.
        ConfigError: if `diversity` or `k` is out of range.
    """

def max_sum_select(
    items: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    k: int,
    *,
    diversity: float,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Choose candidates by greedy max-sum diversification.

    One after the other, the candidate with the highest `(1 - diversity) * score - diversity * s / (k - 1)` is chosen,
    where s is the sum of its cosines with those chosen, each at least 0, in float64; of equals the first. The result is
    the same with any number of threads, on any CPU.

    Args:
        items: as for `mmr_select`.
        scores: as for `mmr_select`.
        vectors: as for `mmr_select`.
        k: number of items to choose for each list.
        diversity: 0 to 1.
        threads: maximum number of threads; all cores if None.

    Returns:
        positions: int32 (m, k), in the order in which they were chosen, as `mmr_select`.
        values: float32 (m, k), as `mmr_select`.

    Raises:
        TypeError: as `mmr_select`.
        ValueError: as `mmr_select`.
        ConfigError: as `mmr_select`.
    """

def dpp_select(
    items: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    k: int,
    *,
    diversity: float,
    keep: int | None = None,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Choose candidates by greedy inference of a determinantal point process.

    One after the other, the candidate with the highest `(1 - diversity) * score + diversity * ln(d²)` is chosen, where
    d² is its variance given those chosen, under the cosines of the vectors as a kernel; of equals the first. A d² below
    1e-6 counts as that much.

    Args:
        items: as for `mmr_select`.
        scores: as for `mmr_select`.
        vectors: as for `mmr_select`.
        k: number of items to choose for each list.
        diversity: 0 to 1.
        keep: number of the first positions that go to the highest scores; none if None.
        threads: maximum number of threads; all cores if None.

    Returns:
        positions: int32 (m, k), as `mmr_select`.
        values: float32 (m, k), as `mmr_select`.

    Raises:
        TypeError: as `mmr_select`.
        ValueError: as `mmr_select`.
        ConfigError: as `mmr_select`.
    """

def distinct_select(
    items: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    k: int,
    *,
    threshold: float,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Choose the first candidates that are not similar to an earlier one.

    A candidate is skipped if its cosine with a chosen one, rounded to float32, is `threshold` or more.

    Args:
        items: as for `mmr_select`.
        scores: as for `mmr_select`.
        vectors: as for `mmr_select`.
        k: maximum number of items for each list.
        threshold: 0 to 1.
        threads: maximum number of threads; all cores if None.

    Returns:
        positions: int32 (m, k), places of the chosen candidates in their list; -1 where there are fewer.
        values: float32 (m, k), their scores; -inf where there are fewer.

    Raises:
        TypeError: as `mmr_select`.
        ValueError: as `mmr_select`.
        ConfigError: if `threshold` or `k` is out of range.
    """

@final
class TrieWriter:
    """Writer of a trie file from sorted Semantic IDs, in memory that does not grow with them.

    The file has the bytes of `Trie.build` and `Trie.save`. It appears when `finish` succeeds; until then, and
    after an error, there are temporary files next to it, which are removed with the writer.

    Args:
        path: file of the trie.
        layout: layout of the Semantic IDs.

    Raises:
        OSError: if a file cannot be written.
    """

    def __new__(cls, path: str | os.PathLike[str], layout: SidLayout) -> TrieWriter: ...
    def push(self, packed: npt.NDArray[np.uint64], items: npt.NDArray[np.integer] | None = None) -> None:
        """Add Semantic IDs in ascending order.

        Args:
            packed: uint64 (n,), or (n, 2) of a layout of two words; none smaller than those before.
            items: integers (n,), the item of each, ascending under one Semantic ID; by default, the number of
                Semantic IDs before it.

        Raises:
            ValueError: if a Semantic ID is out of order or not of the layout, or an item is repeated. Nothing
                can be added after an error.
            OSError: if the system refuses to write.
        """

    def finish(self) -> None:
        """Write the file; the writer cannot be used after that.

        Raises:
            ValueError: if `push` has failed, or the writer is finished.
            OSError: if the system refuses to write.
        """
