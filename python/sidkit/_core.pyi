"""The Rust core: quantization assignment, SID packing, n-gram hashing, the trie."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt

from sidkit.decode import TrieTensors

__all__ = [
    "Assignment",
    "Codebooks",
    "ItemSet",
    "LiveTrie",
    "Perceptron",
    "SidLayout",
    "Trie",
    "TrieStates",
    "__version__",
    "_trie_from_bytes",
    "_trie_from_file",
    "assign_codes",
    "assign_details",
    "code_ranks",
    "kmeans_fit",
    "learn_pieces",
    "ngram_rows",
    "ngram_windows",
    "place_codes",
    "segment_pieces",
    "shuffle_actions",
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
    """Codebooks of a residual quantizer, copied, checked and prepared once.

    Immutable: share one between threads, pickle it, pass it wherever codebooks are asked for. Worth making
    where the same codebooks serve many calls, since a call with plain arrays prepares them anew.

    Args:
        codebooks: float32 (levels, codes, dim), or a list or tuple with one float32 (codes, dim) array a
            level, whose sizes may differ. One to 65,536 codes a level.
        kernel: which instructions assignment is to use: `vnni`, `avx512`, `avx2`, `neon` or `portable`; the
            fastest that the CPU has if None. The codes are the same.

    Raises:
        TypeError: not float32 arrays.
        ValueError: no level, a level without codes or with too many, unequal dims, NaN or infinity, or a kernel
            that this CPU cannot run.
    """

    def __new__(
        cls,
        codebooks: npt.NDArray[np.float32] | Sequence[npt.NDArray[np.float32]],
        *,
        kernel: str | None = None,
    ) -> Codebooks: ...
    @property
    def kernel(self) -> str:
        """What assignment to these codebooks is computed with."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Codes per level, first level first."""

    @property
    def dim(self) -> int:
        """How many numbers a codeword has."""

    def __len__(self) -> int:
        """The number of levels."""

    def __getitem__(self, level: int, /) -> npt.NDArray[np.float32]:
        """A copy of one level's codewords, float32 (codes, dim)."""

    def decode(self, codes: npt.NDArray[np.uint16], /) -> npt.NDArray[np.float32]:
        """The sums of the codewords that `codes` name, level after level in float32.

        Args:
            codes: uint16 (n, levels).

        Returns:
            float32 (n, dim).

        Raises:
            TypeError: another dtype.
            ValueError: another shape, or a code that its level does not have.
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
    """The code of the nearest codeword at every level, for every row.

    Level after level, the code is the row of the codeword nearest the residual (squared distance in float64,
    summed in index order; the lowest code on a tie), and that codeword is then subtracted from the residual
    in float32. A vector has the same codes in any batch, on any number of threads, on any CPU. A residual
    that overflows float32 has code 0 at every further level, since all its distances are infinite.

    With a beam, the `beam` best prefixes are kept at each level: of all extensions of those kept, the ones with
    the least squared distance, where a tie goes to the better prefix, then to the lower code (Babenko and
    Lempitsky, CVPR 2014, search so for additive codes). The best one's codes are returned.

    Args:
        x: float32, float64, float16 or bfloat16 (of `ml_dtypes`) of shape (n, dim), C-contiguous; may be
            read-only. A row is what its values are in float32, rounded to nearest.
        codebooks: prepared `Codebooks`, or what makes them.
        beam: how many prefixes to keep, 1 to 64.
        out: uint16 (n, levels) to write the codes into; a new array if None.
        threads: how many threads may work; all cores if None. Small calls run on the calling thread.
        copy: copy an `x` that is strided or unaligned, instead of refusing it.

    Returns:
        uint16 (n, levels): `out`, or a new array.

    Raises:
        TypeError: another dtype than named above.
        ValueError: shapes that do not fit, a strided array, or a row with NaN or infinity, which is named;
            then `out` holds nothing of use.
    """

@final
class Assignment:
    """Codes with what is known about them, from `assign_details`."""

    @property
    def codes(self) -> npt.NDArray[np.uint16]:
        """The code at every level, (n, levels)."""

    @property
    def errors(self) -> npt.NDArray[np.float64]:
        """The squared length of what is left of each row after the last level, (n,)."""

    @property
    def nearest(self) -> npt.NDArray[np.uint16]:
        """The nearest codes of each residual, nearest first, (n, levels, alternatives).

        The first is the code; where a level has fewer codes than asked for, the last one is repeated.
        """

    @property
    def distances(self) -> npt.NDArray[np.float64]:
        """The squared distances to the nearest codes, (n, levels, alternatives)."""

    @property
    def decisions(self) -> int:
        """How many decisions were made: rows times levels, and times the prefixes in a beam."""

    @property
    def second_looks(self) -> int:
        """How many of them needed float32 distances, since the filter left several codes."""

    @property
    def exact_looks(self) -> int:
        """How many of them needed the float64 definition, since float32 left several codes."""

def assign_details(
    x: npt.NDArray[Any],
    codebooks: Codebooks | npt.NDArray[np.float32] | Sequence[npt.NDArray[np.float32]],
    *,
    beam: int = 1,
    alternatives: int = 0,
    threads: int | None = None,
    copy: bool = False,
) -> Assignment:
    """As `assign_codes`, with the error of every row, the nearest codes of every level, and how they were found.

    Args:
        x: as for `assign_codes`.
        codebooks: as for `assign_codes`.
        beam: as for `assign_codes`.
        alternatives: how many of the nearest codes to give for each row and level; only without a beam.
        threads: as for `assign_codes`.
        copy: as for `assign_codes`.

    Raises:
        TypeError: as `assign_codes`.
        ValueError: as `assign_codes`, and for alternatives with a beam.
    """

def kmeans_fit(
    x: npt.NDArray[np.float32],
    codes: int,
    *,
    iterations: int = 25,
    init: Literal["random", "k-means++", "k-means||", "bisect"] | npt.NDArray[np.float32] | None = None,
    seed: int = 0,
    batch: int | None = None,
    capacity: int | None = None,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint16], float]:
    """Clusters the rows of `x` around `codes` centroids: one level of an RQ-KMeans tokenizer.

    Lloyd's iterations with the assignment of `assign_codes`; centroids are means in float64, rounded to
    float32. A centroid without rows is put on the row farthest from its own. Stops early when no row changes its
    centroid. The result depends on the arguments alone, not on `threads` or the machine.

    Args:
        x: float32 (n, dim), C-contiguous, `codes` rows at least.
        codes: the number of centroids, 1 to 65,536.
        iterations: the most iterations, or the number of mini-batches.
        init: `random` takes different rows. `k-means++` (Arthur and Vassilvitskii, 2007) works on a random
            sample of 32 rows a code; `k-means||` (Bahmani et al., 2012), the default, on all rows. `bisect`
            takes means of parts: of a random sample of 256 rows a code, always the part with the largest
            squared error is cut in two at its mean, across its principal direction; codes are used evenly
            even where rows have no clusters. An array, float32 (codes, dim), is taken as it is.
        seed: determines every random choice; 0 to 2**64 - 1.
        batch: rows of a mini-batch (Sculley, 2010); all rows in every iteration if None.
        capacity: the most rows that a centroid may take; no limit if None. Rows and centroids are then
            matched stably, nearer rows first, and the assignment returned keeps the limit, which
            `assign_codes` with the same centroids may not.
        threads: how many threads may work; all cores if None.

    Returns:
        The centroids, float32 (codes, dim); the centroid of every row, uint16 (n,); the sum of the squared
        distances of the rows to their centroids.

    Raises:
        TypeError: `x` is no float32 array, or `init` neither a name nor one.
        ValueError: fewer rows than `codes`, a row with NaN or infinity, which is named, an `init` of another
            shape, a capacity that does not hold all rows, or another argument that makes no sense.
        KeyboardInterrupt: within an iteration or so, if the user asks for it.
    """

@final
class Perceptron:
    """Linear layers with ReLU between them, copied, checked and prepared once.

    Every output is summed in float32 from its bias on, in the order of the inputs, each product and its addition
    rounded once together: a row has the same result, bit for bit, in any batch, on any number of threads, on any
    CPU. Immutable: share one between threads.

    Args:
        layers: weight, float32 (outputs, inputs), and bias, float32 (outputs,), of each layer.
        kernel: as for `Codebooks`; the results are the same.

    Raises:
        TypeError: not float32 arrays.
        ValueError: no layer, layers whose widths do not fit, NaN or infinity, or a kernel that this CPU cannot run.
    """

    def __new__(
        cls,
        layers: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]],
        *,
        kernel: str | None = None,
    ) -> Perceptron: ...
    @property
    def kernel(self) -> str:
        """What the layers are computed with."""

    def __call__(self, x: npt.NDArray[Any], /, *, threads: int | None = None) -> npt.NDArray[np.float32]:
        """The results of rows.

        Args:
            x: float32, float64, float16 or bfloat16 (n, inputs of the first layer).
            threads: how many may work; all if None.

        Returns:
            float32 (n, outputs of the last layer).

        Raises:
            TypeError: another dtype.
            ValueError: another width, NaN or infinity, or no thread.
        """

@final
class SidLayout:
    """How many codes each level of a Semantic ID has, and so how it packs into one or two 64-bit words.

    A level of K codes takes ceil(log2 K) bits. The first level sits in the highest bits in use and the last one
    ends at bit 0, so that the order of packed SIDs is the order of their tokens and every prefix is one
    contiguous range.

    Packed SIDs are arrays of `uint64`: of shape (n,) up to 64 bits, of shape (n, 2) with the high word first up
    to 128 bits. Tokens are `uint16` arrays of shape (n, levels). Arrays must be C-contiguous; one of another
    dtype is refused with `TypeError` rather than converted, since a conversion could wrap silently.

    >>> layout = SidLayout([256, 256, 256, 32])
    >>> layout.total_bits
    29
    >>> codes = np.array([[12, 200, 7, 0]], np.uint16)
    >>> layout.unpack(layout.pack(codes))
    array([[ 12, 200,   7,   0]], dtype=uint16)

    Two layouts are equal if their sizes are; layouts can be hashed and pickled.
    """

    def __new__(cls, sizes: Iterable[int]) -> SidLayout:
        """Lay out levels of so many codes each.

        Args:
            sizes: the number of codes of each level, 1 to 65536; up to 128 levels, 128 bits together.

        Raises:
            ConfigError: if a size is out of range or the levels do not fit into 128 bits.
        """

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many codes each level has."""

    @property
    def bits(self) -> tuple[int, ...]:
        """How many bits each level takes: ceil(log2 size)."""

    @property
    def total_bits(self) -> int:
        """How many bits a whole SID takes."""

    @property
    def words(self) -> int:
        """How many 64-bit words a packed SID takes: 1 or 2."""

    @property
    def levels(self) -> int:
        """How many tokens a SID has."""

    def pack(
        self, codes: npt.NDArray[np.uint16], out: npt.NDArray[np.uint64] | None = None
    ) -> npt.NDArray[np.uint64]:
        """Pack rows of tokens.

        Args:
            codes: the tokens, (n, levels).
            out: where to write; (n,) or (n, 2). If an error is raised it may be half filled.

        Returns:
            The packed SIDs: `out`, or a new array.

        Raises:
            TypeError: if an array has another dtype.
            ValueError: if a shape does not fit, or a token is not one of its level's codes.
        """

    def unpack(
        self, packed: npt.NDArray[np.uint64], out: npt.NDArray[np.uint16] | None = None
    ) -> npt.NDArray[np.uint16]:
        """Unpack SIDs into rows of tokens.

        Args:
            packed: the packed SIDs, (n,) or (n, 2).
            out: where to write; (n, levels). If an error is raised it may be half filled.

        Returns:
            The tokens: `out`, or a new array.

        Raises:
            TypeError: if an array has another dtype.
            ValueError: if a shape does not fit, or a SID is not one of this layout's; names the row.
        """

    def prefix_range(self, tokens: Iterable[int]) -> tuple[int, int]:
        """Give the first and the last packed SID, both inclusive, that begin with `tokens`.

        Raises:
            ValueError: if there are more tokens than levels, or one is not one of its level's codes.
        """

    def prefix(self, packed: npt.NDArray[np.uint64], depth: int) -> npt.NDArray[np.uint64]:
        """Cut packed SIDs down to their first `depth` tokens; the tokens below become 0.

        Equal results mean equal prefixes, and each result is the first SID of its prefix's range.

        Raises:
            TypeError: if `packed` has another dtype.
            ValueError: if its shape does not fit, a SID is not of this layout, or it has fewer levels.
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
    """The Semantic IDs that exist and the items under each: what keeps generation to real items.

    There are no nodes: the distinct packed SIDs stand in sorted order, a prefix is a range of them, and a
    step narrows the range. A trie does not change; see `LiveTrie` for a catalogue that does.

    A trie can be pickled, so it works in spawned processes: one that was opened from a file as the path of that
    file while it is the same, so that workers share a mapped one; any other as its bytes.

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
    ) -> Trie:
        """Build the trie of packed SIDs in any order; several items may share one SID.

        Args:
            source: packed SIDs, uint64 (n,) or (n, 2) for a layout of two words; or, without `layout`,
                anything that has them as `packed` beside their `layout`, such as a `SidTable`.
            layout: the layout of the packed SIDs.
            items: the number of the item of each row, below 2**32; by default 0 to n - 1.
            storage: `fast`, about two bytes a SID and the quickest steps; or `compact`, within about half a bit of
                the least that random SIDs can take, several times slower to walk.

        Raises:
            TypeError: if an array has another dtype, or `source` is neither.
            ValueError: if a shape does not fit, a SID is not of the layout, or an item comes twice.
        """

    @staticmethod
    def open(path: str | os.PathLike[str], mmap: bool = False, trusted: bool = False) -> Trie:
        """Read a trie that `save` wrote.

        Args:
            path: the file.
            mmap: map the file instead of reading it, so that it is read only where it is walked. It must not be
                changed in place or cut while the trie lives (`save` never does: it puts a new file there).
            trusted: skip the checksum and the checks of the content. A damaged file may then give wrong
                answers or an exception later.

        Raises:
            OSError: if the file cannot be read.
            FormatError: if it is not a trie, or truncated, damaged or of another version.
        """

    def __reduce__(self) -> tuple[Any, ...]: ...
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trie to a file, whole or not at all.

        Raises:
            OSError: if the file cannot be written.
        """

    @property
    def layout(self) -> SidLayout:
        """The layout of the SIDs."""

    @property
    def storage(self) -> str:
        """How the SIDs are stored: `fast` or `compact`."""

    @property
    def nbytes(self) -> int:
        """How many bytes the trie takes without the numbers of its items."""

    @property
    def item_count(self) -> int:
        """How many items there are; at least as many as SIDs."""

    def __len__(self) -> int:
        """Count the distinct SIDs."""

    def start(self, batch: int) -> TrieStates:
        """Give a batch of empty prefixes."""

    def find(self, packed: npt.NDArray[np.uint64], depth: int | None = None) -> TrieStates:
        """Walk the first `depth` tokens of each SID, by default all; dead where nothing begins so.

        Raises:
            TypeError: if `packed` has another dtype.
            ValueError: if its shape does not fit, a SID is not of the layout, or it has fewer levels.
        """

    def lookup(self, packed: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Give the items of each SID, as `items` of the states that `find` gives."""

    def allowed(
        self,
        states: TrieStates,
        out: npt.NDArray[np.bool_] | None = None,
        *,
        exclude: _Ragged | None = None,
        within: ItemSet | Sequence[ItemSet] | None = None,
        rows_per_group: int = 1,
    ) -> npt.NDArray[np.bool_]:
        """Mark the codes that lead on from each state; a dead state has none.

        Args:
            states: states that have not read all levels.
            out: where to write; (states, codes of the next level).
            exclude: items that do not count, ragged: row g for the g-th group of states.
            within: a set of items, or one for each group, that a request must stay within.
            rows_per_group: how many states each group has.

        Returns:
            The mask, (states, codes of the next level): `out`, or a new array.

        Raises:
            TypeError: if `out` has another dtype.
            ValueError: if the states are complete or another trie's, or the shape of `out` does not fit.
        """

    def bitmask(self, states: TrieStates, out: npt.NDArray[np.int32] | None = None) -> npt.NDArray[np.int32]:
        """Mark the codes that lead on from each state, one bit a code.

        The layout is that of xgrammar's and vLLM's bitmasks: code c is bit c % 32 of word c // 32.

        Args:
            states: states that have not read all levels.
            out: where to write; (states, ceil(codes of the next level / 32)).

        Raises:
            TypeError: if `out` has another dtype.
            ValueError: as `allowed`.
        """

    def mask_logits(self, states: TrieStates, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Set the logits of codes that lead nowhere to -inf, in place.

        Args:
            states: states that have not read all levels.
            logits: (states, codes of the next level).

        Returns:
            `logits`. The row of a dead state is all -inf.

        Raises:
            TypeError: if `logits` have another dtype.
            ValueError: as `allowed`.
        """

    def item_set(self, items: npt.NDArray[np.integer]) -> ItemSet:
        """Make the set of these items; those that are not in the trie are ignored."""

    def sids(self, items: npt.NDArray[np.integer]) -> npt.NDArray[np.uint64]:
        """Give the packed SID of each item, (n,) or (n, 2).

        Raises:
            TypeError: if `items` are no integers.
            ValueError: if an item is not in the trie; names the row.
        """

    def step(self, states: TrieStates, codes: npt.NDArray[np.integer]) -> TrieStates:
        """Read one more code for each state. A code that leads nowhere gives a dead state, whatever it is.

        Raises:
            TypeError: if `codes` are no integers.
            ValueError: if there is not one code for each state, or the states are complete or another trie's.
        """

    def count(self, states: TrieStates) -> npt.NDArray[np.int64]:
        """Count the items under each state, (n,)."""

    def items(
        self,
        states: TrieStates,
        *,
        exclude: _Ragged | None = None,
        within: ItemSet | Sequence[ItemSet] | None = None,
        rows_per_group: int = 1,
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Give the items under each state, ordered by SID and then by number.

        Args:
            states: states of any depth.
            exclude: items to leave out, ragged: row g for the g-th group of states.
            within: a set of items, or one for each group, that a request must stay within.
            rows_per_group: how many states each group has.

        Returns:
            Values and offsets: row i is `values[offsets[i]:offsets[i + 1]]`.

        Raises:
            ValueError: if the states are another trie's, or `exclude` has not one row a group.
        """

    def longest_prefix(self, packed: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Count the leading tokens of each SID that begin one of the catalogue; all of them for one that exists.

        Returns:
            The counts, (n,), from 0 to the number of levels.

        Raises:
            TypeError: if `packed` has another dtype.
            ValueError: if its shape does not fit, or a SID is not of the layout.
        """

    def neighbours(
        self, items: npt.NDArray[np.integer], k: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """Give the items that share the most leading tokens with each item, nearest first.

        First come the other items of its own SID, then those that share all tokens but the last, and so on up to
        those that share none; ties by SID and then by item. An item is no neighbour of itself.

        Args:
            items: item numbers, (n,).
            k: how many neighbours to give.

        Returns:
            Items and how many leading tokens each shares, both (n, k); filled up with -1 and 0 where the trie has
            fewer items.

        Raises:
            TypeError: if `items` are no integers.
            ValueError: if an item is not in the trie, which names the row, or a number does not fit into int32.
        """

    def sample(self, states: TrieStates, k: int, *, seed: int) -> npt.NDArray[np.int32]:
        """Draw up to `k` different items under each state, each as likely as any other.

        Args:
            states: states of any depth.
            k: how many items to draw.
            seed: 0 to 2**64 - 1. A row's items depend on the seed, the row's number and what is under its state.

        Returns:
            Items in the order drawn, (states, k), filled up with -1 where a state has fewer.

        Raises:
            ValueError: if the states are another trie's, or an item number does not fit into int32.
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
        within: ItemSet | Sequence[ItemSet] | None = None,
        renormalize: bool = False,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64], TrieStates]:
        """Take one exact step of beam search for many requests at once.

        Each group of `rows_per_group` consecutive rows is one request. Of all children of its rows that the trie
        allows and under which not every item is excluded, it keeps the `beam` with the highest
        `scores[row] + log_probs[row, code]`; ties go to the lower row, then to the lower code.

        Args:
            log_probs: (states, codes of the next level).
            states: the prefixes so far.
            scores: the sum of log-probabilities of each prefix, (states,); -inf for one that is out.
            rows_per_group: how many rows a request has now; 1 at the start, then `beam`.
            beam: how many prefixes a request keeps.
            exclude: items that a request must not get, ragged: row g for group g, as `(values, offsets)` or an
                object with these attributes. Items that are not in the trie are ignored.
            within: a set of items, or one for each group, that a request must stay within.
            renormalize: make the probabilities of the allowed codes of each row add up to 1 first.

        Returns:
            Scores, parent rows, codes, each (groups * beam,), and states: exactly `beam` a group, by falling score.
            A group with fewer live prefixes is filled up with dead ones: score -inf, its first row as parent, code 0.

        Raises:
            TypeError: if an array has another dtype.
            ValueError: if a shape does not fit, rows do not fall into groups, the states are complete or another
                trie's, or the score of an allowed code is NaN.
        """

    def to_torch(self, device: Any = None) -> TrieTensors:
        """Copy the trie to a device as tensors, where batches of states are masked and stepped without the host.

        Args:
            device: what `torch` takes for one; the CPU if None.

        Raises:
            MissingExtraError: without torch.
        """

    def top_items(
        self,
        states: TrieStates,
        scores: npt.NDArray[np.float32],
        *,
        rows_per_group: int,
        k: int,
        exclude: _Ragged | None = None,
        within: ItemSet | Sequence[ItemSet] | None = None,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Give the first `k` items of each group's finished beams, counting items, not SIDs.

        Args:
            states: distinct prefixes, such as `beam_step` gives.
            scores: their scores, (states,).
            rows_per_group: how many states each group has.
            k: how many items to give.
            exclude: items that a group must not get, as for `beam_step`.
            within: a set of items, or one for each group, that a request must stay within.

        Returns:
            Items and scores, both (groups, k), by falling score, ties by row and then by item; filled up with -1
            and -inf where a group leads to fewer items.

        Raises:
            ValueError: as `beam_step`, and if an item number does not fit into int32.
        """

@final
class LiveTrie:
    """A trie whose items come and go, in batches, while others read it.

    Readers take a `snapshot`, which is a `Trie` like any other, equal to one built from the items that are left, and
    stays as it is. A batch is seen whole or not at all; the SIDs of items it does not name do not change. Batches wait for
    one another, readers for nobody. All calls release the GIL. In a folder (`create`, `open`), a batch is on the disk
    before it is seen, and survives a crash at any moment.

    >>> layout = SidLayout([4, 4])
    >>> live = LiveTrie(Trie.build(np.array([3, 9], np.uint64), layout))
    >>> before = live.snapshot()
    >>> live.update(sids=np.array([12], np.uint64), items=np.array([7]), remove=np.array([0]))
    >>> live.snapshot().item_count
    2
    >>> before.sids(np.array([0]))
    array([3], dtype=uint64)

    Args:
        trie: what it begins as; kept in memory, shared and not changed.
        unique: refuse two items with one SID, as after the collision policies `suffix` and `reassign`.

    Raises:
        CollisionError: `unique`, but items of `trie` share a SID.
    """

    def __new__(cls, trie: Trie, *, unique: bool = False) -> LiveTrie: ...
    @staticmethod
    def create(
        path: str | os.PathLike[str], trie: Trie, *, unique: bool = False, mmap: bool = False
    ) -> LiveTrie:
        """Make a folder that begins as `trie`, and open it.

        Args:
            path: the folder; made where there is none.
            trie: what it begins as.
            unique: refuse two items with one SID; remembered in the folder.
            mmap: as for `open`.

        Raises:
            CollisionError: as the constructor.
            OSError: if the folder cannot be written, or holds a live trie already.
        """

    @staticmethod
    def open(path: str | os.PathLike[str], mmap: bool = False, trusted: bool = False) -> LiveTrie:
        """Open a folder: its base, and the batches since. One LiveTrie at a time may have it open.

        Args:
            path: the folder.
            mmap: map the base instead of reading it, here and after `compact`.
            trusted: skip the check of the base, as for `Trie.open`; the journal is always checked.

        Raises:
            OSError: if a file cannot be read, or the folder is open already (BlockingIOError).
            FormatError: if the base or a finished batch is damaged. A last batch that was never finished is no damage:
                it is cut off, see `torn`.
        """

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trie as it is now to a new folder, for `open`.

        Raises:
            OSError: as `create`.
        """

    @property
    def layout(self) -> SidLayout:
        """The layout of the SIDs."""

    @property
    def unique(self) -> bool:
        """Whether no two items may share a SID."""

    @property
    def torn(self) -> int:
        """How many bytes of an unfinished batch were cut off when the folder was opened."""

    @property
    def batches(self) -> int:
        """How many batches there have been, in all processes that had the folder open."""

    @property
    def pending(self) -> tuple[int, int]:
        """Items gone from the base, and items come since: what the next `compact` settles."""

    def snapshot(self) -> Trie:
        """Give the trie as it is now. States and item sets belong to the snapshot that made them."""

    def add(self, sids: npt.NDArray[np.uint64], items: npt.NDArray[np.integer]) -> None:
        """Add items, as `update`."""

    def remove(self, items: npt.NDArray[np.integer]) -> None:
        """Remove items, as `update`."""

    def update(
        self,
        *,
        sids: npt.NDArray[np.uint64] | None = None,
        items: npt.NDArray[np.integer] | None = None,
        remove: npt.NDArray[np.integer] | None = None,
    ) -> None:
        """Remove items and add others as one batch: all of it or, where an error is raised, nothing.

        Args:
            sids: the packed SIDs of the items that come, (n,) or (n, 2).
            items: their numbers, (n,), 0 to 2**32 - 1; such as go in the same batch may come again, with another SID.
            remove: the items that go, (m,).

        Raises:
            TypeError: if an array has another dtype.
            ValueError: if an item to remove is not there, one to add is, one is named twice, a SID is not of the layout, or the
                shapes do not fit.
            CollisionError: `unique`, but two items would share a SID.
            OSError: if the journal cannot be written.
        """

    def compact(self) -> None:
        """Make the trie as it is now the base, and empty the journal; in one moment, as far as a crash can tell.

        Takes about as long as writing the trie to the disk. Readers go on, batches wait; call it from a thread of its own
        where that matters.

        Raises:
            OSError: if the folder cannot be written.
        """

@final
class ItemSet:
    """A set of a trie's items, such as stock, a category or what is fresh; one bit an item.

    Sets of one trie combine: `fresh & in_stock - seen`, `a | b`, `a ^ b`, `~a`. Handed to `Trie.beam_step` as
    `within`, a set makes a prefix dead as soon as none of its items is in the set.
    """

    def __len__(self) -> int:
        """Count the items in the set."""

    def items(self) -> npt.NDArray[np.uint32]:
        """Give the items in the set, ascending."""

    def __and__(self, other: ItemSet, /) -> ItemSet: ...
    def __rand__(self, value: ItemSet, /) -> ItemSet: ...
    def __or__(self, other: ItemSet, /) -> ItemSet: ...
    def __ror__(self, value: ItemSet, /) -> ItemSet: ...
    def __xor__(self, other: ItemSet, /) -> ItemSet: ...
    def __rxor__(self, value: ItemSet, /) -> ItemSet: ...
    def __sub__(self, other: ItemSet, /) -> ItemSet: ...
    def __rsub__(self, value: ItemSet, /) -> ItemSet: ...
    def __invert__(self) -> ItemSet: ...

def _trie_from_bytes(bytes: bytes) -> Trie: ...
def _trie_from_file(
    path: str | os.PathLike[str], mmap: bool, trusted: bool, was: tuple[int, int]
) -> Trie: ...

@final
class TrieStates:
    """A batch of prefixes of one depth in one trie, of `Trie.start`, `step` and `find`; never changed."""

    def __len__(self) -> int:
        """Count the states."""

    @property
    def depth(self) -> int:
        """How many tokens each state has read."""

    @property
    def dead(self) -> npt.NDArray[np.bool_]:
        """Whether no SID is under a state, (n,)."""

    def select(self, rows: npt.NDArray[np.integer]) -> TrieStates:
        """Give the states of these rows, in this order; a row may come several times.

        Raises:
            TypeError: if `rows` are no integers.
            ValueError: if there is no such row.
        """

def code_ranks(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """For each packed code, how many earlier rows are equal to it.

    Args:
        keys: uint64 (n, words): rows of one word or two, the high one first, as `SidLayout.pack` gives them.

    Returns:
        uint32 (n,).

    Raises:
        `TypeError`, `ValueError`: if `keys` is not such an array.
    """

def place_codes(
    settled: npt.NDArray[np.uint64],
    wishes: npt.NDArray[np.uint64],
    *,
    choices: int,
    capacity: int,
    method: str = "first",
    costs: npt.NDArray[np.float64] | None = None,
    epsilon: float = 0.1,
    iterations: int = 50,
) -> npt.NDArray[np.uint32]:
    """Give items without a place one of the codes they wish for.

    Args:
        settled: uint64 (s, words), packed codes of the items that stay.
        wishes: uint64 (m * choices, words), packed codes that m items wish for, best first.
        choices: wishes of each item.
        capacity: items that have room under one code, the settled among them.
        method: "first": round by round, whoever asks first in the order of the items; "nearest": a code keeps those to
            whom it costs the least; "sinkhorn": by entropic transport, rounded.
        costs: float64 (m * choices,), what each wish costs; for "nearest" and "sinkhorn".
        epsilon: of "sinkhorn", see `sidkit.ids.reassign`.
        iterations: of "sinkhorn".

    Returns:
        uint32 (m,), the number of the wish that was granted, 4294967295 where none was.

    Raises:
        `TypeError`, `ValueError`: if the arrays do not fit one another, or there is no such method.
    """

def ngram_windows(layout: SidLayout, kind: str) -> list[tuple[int, int]]:
    """List the windows `(start, length)` of a named kind of n-gram, in the order of the columns of `ngram_rows`.

    Args:
        layout: the layout of the SIDs.
        kind: "unigram", "bigram", "trigram", "4gram" and so on: every window of that many levels, from the left;
            "all": every window of every length, the short ones first; "prefix": the windows that start at
            level 0, the short ones first.

    Raises:
        ConfigError: if there is no such kind, or its windows are longer than the SIDs.
    """

def learn_pieces(
    actions: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64], base: int, merges: int
) -> npt.NDArray[np.uint32]:
    """Learns which tokens of histories to merge, the vocabulary of `ActionPiece`.

    Every step merges the pair of tokens with the largest count, weighted by how likely the two are adjacent when
    each action's tokens are put in random order; of equal counts, that with the smallest tokens.

    Args:
        actions: uint32 (n, features), the tokens of the actions of all histories, each below `base`.
        offsets: int64 (histories + 1,), where each history begins in `actions`, and their number.
        base: the number of tokens before any merge.
        merges: how many merges to learn, at most.

    Returns:
        uint32 (merges, 2): the tokens of each merge, the smaller first; merge k makes token `base + k`. Fewer
        than asked for if nothing is left to merge.

    Raises:
        ValueError: if the arrays do not fit each other.
    """

def segment_pieces(
    tokens: npt.NDArray[np.uint32],
    offsets: npt.NDArray[np.int64],
    merges: npt.NDArray[np.uint32],
    base: int,
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Merges adjacent tokens of histories, the earliest learned merge first, then the leftmost place.

    Args:
        tokens: uint32 (n,), the tokens of all histories in the order in which they are read, below `base`.
        offsets: int64 (histories + 1,), where each history begins in `tokens`, and their number.
        merges: uint32 (merges, 2), as `learn_pieces` gives them.
        base: the number of tokens before any merge.

    Returns:
        Tokens, uint32, and offsets, int64 (histories + 1,), of the same kind.

    Raises:
        ValueError: if the arrays do not fit each other.
    """

def shuffle_actions(
    actions: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64], seeds: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint32]:
    """Puts the tokens of each action in a random order.

    What comes out depends on the set of an action's tokens, its place in its history and the history's seed:
    not on the order in which the tokens are given, nor on other histories.

    Args:
        actions: uint32 (n, features), the tokens of the actions of all histories.
        offsets: int64 (histories + 1,), where each history begins in `actions`, and their number.
        seeds: uint64 (histories,).

    Returns:
        uint32 (n, features).

    Raises:
        ValueError: if the arrays do not fit each other, or there are no features.
    """

def ngram_rows(
    packed: npt.NDArray[np.uint64],
    layout: SidLayout,
    *,
    kind: str | Sequence[tuple[int, int]],
    rows: int,
    seed: int = 0,
    mode: Literal["mix", "modulo", "murmur3"] = "mix",
    out: npt.NDArray[np.int64] | None = None,
    threads: int | None = None,
) -> npt.NDArray[np.int64]:
    """Find the rows of the n-grams of packed SIDs in one embedding table of `rows` rows.

    All n-grams of a call share the one table: an item's embedding is the sum of its rows. Equal tokens at different
    levels are different n-grams. A window whose n-grams are few (no more than an equal share of the rows that
    smaller windows have left) gets a range of rows of its own, one for each n-gram in mixed-radix order, without
    collisions. The other windows are hashed onto the rows behind those ranges.

    The n-grams are those of arXiv 2306.08121, "prefix" those of arXiv 2504.02137.

    >>> layout = SidLayout([256, 256, 256, 32])
    >>> packed = layout.pack(np.array([[12, 200, 7, 0]], np.uint16))
    >>> ngram_rows(packed, layout, kind="unigram", rows=1000)
    array([[ 12, 456, 519, 768]])

    Args:
        packed: the packed SIDs, (n,) or (n, 2).
        layout: their layout.
        kind: a name that `ngram_windows` knows, or windows `(start, length)` of your own, such as
            `[(0, 2), (2, 2)]` for bigrams that do not overlap.
        rows: how many rows the table has, 1 to 2**63 - 1.
        seed: which hash of the family; 0 to 2**64 - 1.
        mode: how n-grams without a row of their own find one. "mix", the default, is a 64-bit mix reduced by
            multiply-high, the same forever; "modulo" (no seed) and "murmur3" (MurmurHash3 x64, then modulo) are
            for tables that were trained with those.
        out: where to write; (n, grams).
        threads: how many threads work; None for all cores. The result does not depend on it.

    Returns:
        The row numbers, (n, grams): `out`, or a new array. Its flat view is at once the `values` of a jagged
        tensor; a bag of SIDs `a` to `b` is `values[a * grams : b * grams]`.

    Raises:
        TypeError: if an array has another dtype, or `kind` is neither a name nor windows.
        ValueError: if a shape does not fit, a SID is not one of the layout's, a window not within its levels, or
            `rows`, `kind` or `mode` is none that exists.
    """
