"""Contract suite of tokenizers: a test class subclasses `TokenizerContract` and makes its tokenizer."""

import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sidkit.errors import ConfigError, DataError, FormatError, NotFittedError
from sidkit.ids import SidTable
from sidkit.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer, quality_report

ROWS, DIM = 400, 12


def clustered(rows=ROWS, dim=DIM, seed=0):
    """Eight well separated clusters, each with some shape inside; dimensions of very different scale."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(8, dim)) * 6
    x = centres[rng.integers(8, size=rows)] + rng.normal(size=(rows, dim))
    return (x * np.logspace(-2, 2, dim)).astype(np.float32)


class TokenizerContract:
    """Small on purpose: 400 vectors, 3 levels of 8, and few fits for each class."""

    #: Maximum share of the variance that is lost.
    loses = 0.5

    def make(self, **settings) -> Tokenizer:
        """An unfitted tokenizer of 3 levels of 8 codes."""
        raise AssertionError("a subclass of the contract makes its tokenizer")

    def inputs(self, x) -> dict:
        """What `fit` needs besides the vectors `x`."""
        return {}

    def learn(self, tokenizer, x, **options) -> Tokenizer:
        return tokenizer.fit(x, **self.inputs(x), **options)

    @pytest.fixture(scope="class")
    @classmethod
    def x(cls):
        x = clustered()
        x.flags.writeable = False
        return x

    @pytest.fixture(scope="class")
    @classmethod
    def steps(cls):
        """The calls of `progress` while `fitted` was fitted."""
        return []

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, x, steps):
        def progress(done, total, /, **figures):
            steps.append((done, total, figures))

        tokenizer = cls().make()
        assert cls().learn(tokenizer, x, progress=progress) is tokenizer
        return tokenizer

    @pytest.fixture
    def saved(self, fitted, tmp_path):
        path = tmp_path / "tokenizer.safetensors"
        fitted.save(path)
        return path

    def test_codes_have_shape_type_and_range(self, fitted, x):
        codes = fitted.encode(x)
        assert codes.dtype == np.uint16
        assert codes.shape == (ROWS, len(fitted.codebook_sizes))
        assert (codes < np.array(fitted.codebook_sizes)).all()
        assert fitted.dim == DIM
        assert fitted.encode(x[:0]).shape == (0, len(fitted.codebook_sizes))

    def test_same_seed_same_codes(self, fitted, x):
        """Also as a clone that is the last step of a pipeline, and for columns in memory order."""
        pipeline = make_pipeline(FunctionTransformer(), clone(fitted))
        name, again = pipeline.steps[-1]
        inputs = {f"{name}__{key}": value for key, value in self.inputs(x).items()}
        assert (pipeline.fit_transform(np.asfortranarray(x), **inputs) == fitted.encode(x)).all()
        assert (pipeline.transform(x[:5]) == fitted.encode(x[:5])).all()
        assert again.fingerprint == fitted.fingerprint

    def test_other_data_other_fingerprint(self, fitted):
        assert self.learn(self.make(), clustered(seed=5)).fingerprint != fitted.fingerprint

    def test_codes_do_not_depend_on_the_batch(self, fitted, x):
        whole = fitted.encode(x)
        singles = np.concatenate([fitted.encode(x[row : row + 1]) for row in range(0, ROWS, 13)])
        assert (singles == whole[::13]).all()
        shuffled = np.random.default_rng(1).permutation(ROWS)
        assert (fitted.encode(x[shuffled]) == whole[shuffled]).all()
        assert (fitted.encode(x[7:300]) == whole[7:300]).all()

    def test_a_single_vector_is_encoded_as_in_a_batch(self, fitted, x):
        whole = fitted.encode(x)
        for row in (0, 7, ROWS - 1):
            codes = fitted.encode(x[row])
            assert codes.shape == (len(fitted.codebook_sizes),) and codes.dtype == np.uint16
            assert (codes == whole[row]).all()
            assert (fitted.encode(x[row].astype(np.float64).tolist()) == whole[row]).all()

    def test_other_float_types_and_strides(self, fitted, x):
        whole = fitted.encode(x)
        assert (fitted.encode(x.astype(np.float64)) == whole).all()
        assert (fitted.encode(np.asfortranarray(x)) == whole).all()

    def test_the_argument_is_left_alone(self, fitted, x):
        assert not x.flags.writeable  # of `fit` too
        fitted.encode(x)
        assert (x == clustered()).all()

    def test_decode_is_nearer_than_the_mean(self, fitted, x):
        decoded = fitted.decode(fitted.encode(x))
        assert decoded.dtype == np.float32
        assert decoded.shape == x.shape
        scale = x.std(axis=0)
        assert np.square((x - decoded) / scale).mean() < self.loses
        assert fitted.decode(np.zeros((0, len(fitted.codebook_sizes)), np.uint16)).shape == (0, DIM)

    def test_decode_takes_the_first_levels_alone(self, fitted, x):
        codes = fitted.encode(x)
        assert fitted.decode(codes[:, :1]).shape == x.shape
        errors = [level.mse for level in quality_report(fitted, x).levels]
        assert errors == sorted(set(errors), reverse=True)
        assert errors[0] < 1

    def test_alternatives_are_distinct_and_begin_near(self, fitted, x):
        choices = fitted.alternatives(x[:20], 30)
        assert choices.dtype == np.uint16
        assert choices.shape[0] == 20
        assert 1 < choices.shape[1] <= 30
        assert choices.shape[2] == len(fitted.codebook_sizes)
        for row in choices.tolist():
            assert len(set(map(tuple, row))) == len(row)
        assert fitted.alternatives(x[:0], 5).shape[0] == 0
        with pytest.raises(ConfigError, match="`count` is invalid: expected an integer >= 1, got 0"):
            fitted.alternatives(x, 0)

    def test_semantic_ids_of_items(self, fitted, x):
        ids = [f"item{row}" for row in range(ROWS)]
        steps = []
        sids = fitted.semantic_ids(x, ids, progress=lambda done, total, **_: steps.append((done, total)))
        assert steps[-1] == (ROWS, ROWS)
        expected = SidTable.from_codes(fitted.encode(x), ids, fitted.codebook_sizes)
        assert (sids.tokens == expected.tokens).all() and sids.item_ids.to_list() == ids
        assert (sids.codes == fitted.encode(x)).all()
        shared = fitted.semantic_ids(x, np.arange(ROWS), collisions="share")
        assert (shared.tokens == fitted.encode(x)).all()
        with pytest.raises(DataError, match="item ids"):
            fitted.semantic_ids(x, ids[1:])

    @pytest.mark.parametrize("reassign", ["first", "nearest"])
    def test_collisions_are_reassigned_to_near_codes(self, fitted, x, reassign):
        few, own = x[:6], fitted.encode(x[:6])
        sids = fitted.semantic_ids(few, range(6), collisions="reassign", reassign=reassign, capacity=1)
        assert len(np.unique(sids.tokens, axis=0)) == 6
        alone = [(own == row).all(axis=1).sum() == 1 for row in own]
        assert (sids.tokens[alone] == own[alone]).all()

    def test_round_trip_through_a_file(self, fitted, x, saved):
        for again in (load_tokenizer(saved), type(fitted).load(saved), pickle.loads(pickle.dumps(fitted))):
            assert type(again) is type(fitted)
            assert repr(again) == repr(fitted)
            assert (again.codebook_sizes, again.dim) == (fitted.codebook_sizes, fitted.dim)
            assert again.fingerprint == fitted.fingerprint
            assert (again.encode(x) == fitted.encode(x)).all()
            assert (again.decode(again.encode(x)) == fitted.decode(fitted.encode(x))).all()

    def test_damaged_files(self, fitted, saved):
        whole = saved.read_bytes()
        for cut in (0, 4, 100, len(whole) - 1):
            saved.write_bytes(whole[:cut])
            with pytest.raises(FormatError, match="expected a complete safetensors file"):
                load_tokenizer(saved)
        saved.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(FormatError, match=r"is damaged|is invalid"):
            load_tokenizer(saved)

    def test_files_of_another_version(self, saved):
        arrays, metadata = load_file(saved), metadata_of(saved)
        for version in (True, 1.0, "1", 2, None):
            described = {**json.loads(metadata["sidkit.tokenizer"]), "version": version}
            save_file(arrays, saved, {"sidkit.tokenizer": json.dumps(described)})
            with pytest.raises(FormatError, match="has an unsupported version: expected 1, got"):
                load_tokenizer(saved)

    def test_files_of_another_method(self, fitted, saved):
        arrays, described = load_file(saved), json.loads(metadata_of(saved)["sidkit.tokenizer"])
        assert TOKENIZERS[fitted.method] is type(fitted)
        described["method"] += "x"
        save_file(arrays, saved, {"sidkit.tokenizer": json.dumps(described)})
        with pytest.raises(FormatError, match=rf"`{fitted.method}x`.*did you mean `{fitted.method}`"):
            load_tokenizer(saved)

    def test_files_with_other_arrays(self, saved):
        arrays, metadata = load_file(saved), metadata_of(saved)
        for name, array in arrays.items():
            save_file({key: value for key, value in arrays.items() if key != name}, saved, metadata)
            with pytest.raises(FormatError, match=f"`{name}` is missing|missing or invalid"):
                load_tokenizer(saved)
            save_file(arrays | {name: array[..., :-1].copy()}, saved, metadata)
            with pytest.raises(FormatError, match=r"is invalid|is damaged"):
                load_tokenizer(saved)

    def test_a_constant_dimension_survives(self, x):
        x = x.copy()
        x[:, 3] = 7.25
        x[:, 5] = 0
        tokenizer = self.learn(self.make(), x)
        decoded = tokenizer.decode(tokenizer.encode(x))
        assert np.isfinite(decoded).all()
        np.testing.assert_allclose(decoded[:, 3], 7.25, rtol=1e-4)
        assert quality_report(tokenizer, x).levels[-1].mse < self.loses

    def test_progress_is_reported(self, fitted, steps):
        assert steps
        assert all(0 < done <= total for done, total, _ in steps)
        assert steps[-1][0] == steps[-1][1]

    def test_parameters_as_in_scikit_learn(self, fitted):
        again = clone(fitted)
        assert again is not fitted and type(again) is type(fitted)
        assert again.get_params() == fitted.get_params()
        assert repr(again) == repr(fitted)
        assert repr(fitted).startswith(f"{type(fitted).__name__}(")
        with pytest.raises(NotFittedError):
            again.encode(clustered(1))
        assert again.set_params(**fitted.get_params(deep=False)) is again
        with pytest.raises(ConfigError, match=r"unknown parameter: expected one of .*, got `codebok_size`"):
            again.set_params(codebok_size=3)
        if "threads" in again.get_params():
            assert again.set_params(threads=2).threads == 2
            with pytest.raises(ConfigError, match="`threads` is invalid: expected an integer >= 1, got 0"):
                again.set_params(threads=0)
            assert again.threads == 2

    def test_parameters_that_change_need_another_fit(self, fitted, saved):
        tokenizer = load_tokenizer(saved)
        if "threads" in tokenizer.get_params():
            tokenizer.set_params(threads=1)
            assert tokenizer.fingerprint == fitted.fingerprint
        if "seed" in tokenizer.get_params():
            with pytest.raises(NotFittedError):
                tokenizer.set_params(seed=17).encode(clustered(1))

    def test_inputs_of_fit_are_named(self, fitted, x):
        assert set(fitted.fit_inputs) == self.inputs(x).keys()
        if fitted.fit_inputs:
            with pytest.raises(DataError, match=r"missing: expected .*, got None"):
                self.make().fit(x)

    def test_settings_of_a_wrong_type(self):
        known = self.make().get_params()
        for wrong in ("2", 1.5, True, 0):
            for name in {"threads", "iterations", "epochs", "batch_size", "seed"} & known.keys():
                if (name, wrong) != ("seed", 0):
                    with pytest.raises(ConfigError, match=f"`{name}` is invalid: expected an integer"):
                        type(self.make())(**{**known, name: wrong})

    def test_not_fitted(self, x, tmp_path):
        tokenizer = self.make()
        codes = np.zeros((1, 3), np.uint16)
        for use in (
            lambda: tokenizer.encode(x),
            lambda: tokenizer.decode(codes),
            lambda: tokenizer.alternatives(x),
            lambda: tokenizer.semantic_ids(x, range(ROWS)),
            lambda: tokenizer.save(tmp_path / "no.safetensors"),
            lambda: tokenizer.fingerprint,
            lambda: tokenizer.dim,
        ):
            with pytest.raises(NotFittedError, match=r"is not fitted\. Call fit\(x\) first\."):
                use()
        assert not list(tmp_path.iterdir())

    def test_wrong_vectors(self, fitted, x):
        with pytest.raises(DataError, match="wrong number of dimensions: expected 12, got 11"):
            fitted.encode(x[:, :-1])
        with pytest.raises(DataError, match="wrong number of dimensions: expected 12, got 11"):
            fitted.encode(x[0, :-1])
        for wrong in (x[None], np.arange(12).reshape(1, 12), x.astype(np.complex64), np.array([["a"]])):
            with pytest.raises(DataError, match=r"wrong type or shape: expected a float array \(n, dim\)"):
                fitted.encode(wrong)
        inputs = self.inputs(x)
        for value in (np.nan, np.inf, -np.inf):
            bad = x.copy()
            bad[41, 2] = value
            for use in (fitted.encode, lambda bad: self.make().fit(bad, **inputs)):
                with pytest.raises(
                    DataError, match=r"not finite: expected .*, got .* in row 41 at dimension 2"
                ):
                    use(bad)
        with pytest.raises(DataError, match=r"got 1e\+300 in row 0 at dimension 0"):
            fitted.encode(np.full((1, DIM), 1e300))

    def test_vectors_that_are_finite_but_overflow(self, fitted, x):
        """`fit` refuses them by name; afterwards they have finite codes, or an error names the row."""
        huge = np.full((3, DIM), [[0], [0], [3e38]], np.float32)
        repeated = np.repeat(huge, [10, 10, 1], axis=0)
        with pytest.raises(DataError, match=r"row 20 of `x` is too large to learn from: .*, got 3e\+38"):
            self.make().fit(repeated, **self.inputs(x))
        for use, levels in ((fitted.encode, 1), (fitted.alternatives, 2)):
            try:
                codes = use(huge)
            except DataError as error:
                assert str(error).startswith("row 2 of `x` is too large: expected finite ")
                codes = use(huge[:2])
                assert len(codes) == 2
            else:
                assert len(codes) == 3
            assert codes.dtype == np.uint16 and codes.ndim == levels + 1
            assert (codes < np.array(fitted.codebook_sizes)).all()
            assert (codes[0] == codes[1]).all()
            assert (codes[0] == use(huge[:1])[0]).all()

    def test_wrong_codes(self, fitted):
        levels, size = len(fitted.codebook_sizes), fitted.codebook_sizes[0]
        with pytest.raises(
            DataError, match=f"code of row 1 at level 0 is out of range: expected 0 to {size - 1}, got {size}"
        ):
            fitted.decode([[0] * levels, [size] * levels])
        for wrong in ([[0] * (levels + 1)], [0], [[0.5] * levels], np.zeros((1, 0), np.uint16)):
            with pytest.raises(DataError, match="codes have the wrong type or shape: expected integers"):
                fitted.decode(wrong)

    def test_fewer_vectors_than_codes(self, x):
        with pytest.raises(DataError, match=r"expected at least 8, .*, got 7\. Set codebook_size=1 or less"):
            self.make().fit(x[:7], **self.inputs(x))

    def test_a_failed_fit_leaves_the_old_state(self, fitted, x, saved):
        tokenizer = load_tokenizer(saved)
        with pytest.raises(DataError):
            tokenizer.fit(x[:7], **self.inputs(x))
        assert tokenizer.fingerprint == fitted.fingerprint


def metadata_of(path):
    header = path.read_bytes()
    metadata = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]
    metadata.pop("checksum", None)
    return metadata
