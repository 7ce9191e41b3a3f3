"""What every tokenizer promises: a kind subclasses `TokenizerContract` and says how it is made."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sidkit.errors import ConfigError, DataError, FormatError, NotFittedError
from sidkit.tokenizers import Tokenizer, load_tokenizer, quality_report

ROWS, DIM = 400, 12


def clustered(rows=ROWS, dim=DIM, seed=0):
    """Eight well separated clusters, each with some shape inside; dimensions of very different scale."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(8, dim)) * 6
    x = centres[rng.integers(8, size=rows)] + rng.normal(size=(rows, dim))
    return (x * np.logspace(-2, 2, dim)).astype(np.float32)


class TokenizerContract:
    """Fast on purpose: 400 vectors, 3 levels of 8."""

    #: At most this part of the variance is lost.
    loses = 0.5

    def make(self, **settings) -> Tokenizer:
        """An unfitted tokenizer of 3 levels of 8 codes."""
        raise AssertionError("a contract's subclass says how to make its tokenizer")

    def learn(self, tokenizer, x, **options) -> Tokenizer:
        """Fit it; a kind that learns from more than vectors gives it that here."""
        return tokenizer.fit(x, **options)

    @pytest.fixture(scope="class")
    @classmethod
    def x(cls):
        return clustered()

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, x):
        return cls().learn(cls().make(), x)

    def test_fit_gives_itself(self, x):
        tokenizer = self.make()
        assert self.learn(tokenizer, x) is tokenizer

    def test_codes_have_shape_type_and_range(self, fitted, x):
        codes = fitted.encode(x)
        assert codes.dtype == np.uint16
        assert codes.shape == (ROWS, len(fitted.sizes))
        assert (codes < np.array(fitted.sizes)).all()
        assert fitted.dim == DIM
        assert fitted.encode(x[:0]).shape == (0, len(fitted.sizes))

    def test_same_seed_same_codes(self, fitted, x):
        again = self.learn(self.make(), x.copy())
        assert (again.encode(x) == fitted.encode(x)).all()
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

    def test_other_float_types_and_strides(self, fitted, x):
        whole = fitted.encode(x)
        assert (fitted.encode(x.astype(np.float64)) == whole).all()
        assert (fitted.encode(np.asfortranarray(x)) == whole).all()

    def test_the_argument_is_left_alone(self, x):
        mine = x.copy()
        mine.flags.writeable = False
        self.learn(self.make(), mine).encode(mine)
        assert (mine == x).all()

    def test_decode_is_nearer_than_the_mean(self, fitted, x):
        decoded = fitted.decode(fitted.encode(x))
        assert decoded.dtype == np.float32
        assert decoded.shape == x.shape
        scale = x.std(axis=0)
        assert np.square((x - decoded) / scale).mean() < self.loses
        assert fitted.decode(np.zeros((0, len(fitted.sizes)), np.uint16)).shape == (0, DIM)

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
        assert choices.shape[2] == len(fitted.sizes)
        for row in choices.tolist():
            assert len(set(map(tuple, row))) == len(row)
        assert fitted.alternatives(x[:0], 5).shape[0] == 0
        with pytest.raises(ConfigError, match="count must be at least 1, not 0"):
            fitted.alternatives(x, 0)

    def test_round_trip_through_a_file(self, fitted, x, tmp_path):
        path = tmp_path / "tokenizer.safetensors"
        fitted.save(path)
        for again in (load_tokenizer(path), type(fitted).load(path)):
            assert type(again) is type(fitted)
            assert again.settings() == fitted.settings()
            assert (again.sizes, again.dim) == (fitted.sizes, fitted.dim)
            assert again.fingerprint == fitted.fingerprint
            assert (again.encode(x) == fitted.encode(x)).all()
            assert (again.decode(again.encode(x)) == fitted.decode(fitted.encode(x))).all()

    def test_damaged_files(self, fitted, tmp_path):
        path = tmp_path / "tokenizer.safetensors"
        fitted.save(path)
        whole = path.read_bytes()
        for cut in (0, 4, 100, len(whole) - 1):
            path.write_bytes(whole[:cut])
            with pytest.raises(FormatError, match="is not a whole safetensors file"):
                load_tokenizer(path)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(FormatError, match=r"is damaged|holds settings or arrays"):
            load_tokenizer(path)

    def test_files_of_another_version(self, fitted, tmp_path):
        path = tmp_path / "tokenizer.safetensors"
        fitted.save(path)
        arrays, header = load_file(path), path.read_bytes()
        metadata = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]
        for version in (True, 1.0, "1", 2, None):
            described = {**json.loads(metadata["sidkit.tokenizer"]), "version": version}
            save_file(arrays, path, {"sidkit.tokenizer": json.dumps(described)})
            with pytest.raises(FormatError, match="is of another version than 1"):
                load_tokenizer(path)

    def test_files_with_other_arrays(self, fitted, tmp_path):
        path = tmp_path / "tokenizer.safetensors"
        fitted.save(path)
        arrays = load_file(path)
        header = path.read_bytes()
        metadata = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]
        for name, array in arrays.items():
            save_file({key: value for key, value in arrays.items() if key != name}, path, metadata)
            with pytest.raises(FormatError, match="lacks the array"):
                load_tokenizer(path)
            save_file(arrays | {name: array[..., :-1].copy()}, path, metadata)
            with pytest.raises(FormatError, match="must be"):
                load_tokenizer(path)

    def test_a_constant_dimension_survives(self, x):
        x = x.copy()
        x[:, 3] = 7.25
        x[:, 5] = 0
        tokenizer = self.learn(self.make(), x)
        decoded = tokenizer.decode(tokenizer.encode(x))
        assert np.isfinite(decoded).all()
        np.testing.assert_allclose(decoded[:, 3], 7.25, rtol=1e-4)
        assert quality_report(tokenizer, x).levels[-1].mse < self.loses

    def test_progress_is_told(self, x):
        told = []
        self.learn(
            self.make(), x, progress=lambda done, total, figures: told.append((done, total, dict(figures)))
        )
        assert told
        assert all(0 < done <= total for done, total, _ in told)
        assert told[-1][0] == told[-1][1]

    def test_settings_and_repr(self, fitted):
        assert type(fitted)(**fitted.settings()).settings() == fitted.settings()
        assert repr(fitted).startswith(f"{type(fitted).__name__}(")
        json.dumps(fitted.settings())

    def test_settings_of_a_wrong_type(self):
        known = self.make().settings()
        for wrong in ("2", 1.5, True, 0):
            for name in {"threads", "iterations", "epochs", "batch_size", "seed"} & known.keys():
                if (name, wrong) != ("seed", 0):
                    with pytest.raises(ConfigError, match=f"{name} must be "):
                        type(self.make())(**{**known, name: wrong})

    def test_not_fitted(self, x, tmp_path):
        tokenizer = self.make()
        codes = np.zeros((1, 3), np.uint16)
        for use in (
            lambda: tokenizer.encode(x),
            lambda: tokenizer.decode(codes),
            lambda: tokenizer.alternatives(x),
            lambda: tokenizer.save(tmp_path / "no.safetensors"),
            lambda: tokenizer.fingerprint,
            lambda: tokenizer.dim,
        ):
            with pytest.raises(
                NotFittedError, match=r"has not learned anything yet; hint: call fit\(x\) first"
            ):
                use()
        assert not list(tmp_path.iterdir())

    def test_wrong_vectors(self, fitted, x):
        with pytest.raises(DataError, match="vectors must have 12 dimensions, not 11"):
            fitted.encode(x[:, :-1])
        for wrong in (x[0], np.arange(12).reshape(1, 12), x.astype(np.complex64), np.array([["a"]])):
            with pytest.raises(DataError, match=r"vectors must be a float array \(n, dim\)"):
                fitted.encode(wrong)
        for value in (np.nan, np.inf, -np.inf):
            bad = x.copy()
            bad[41, 2] = value
            for use in (fitted.encode, self.make().fit):
                with pytest.raises(
                    DataError, match=r"must be finite float32, but row 41 has .* at dimension 2"
                ):
                    use(bad)
        with pytest.raises(DataError, match=r"row 0 has 1e\+300 at dimension 0"):
            fitted.encode(np.full((1, DIM), 1e300))

    def test_vectors_that_are_finite_but_overflow(self, fitted):
        huge = np.full((3, DIM), [[0], [0], [3e38]], np.float32)
        with pytest.raises(DataError, match=r"row 20 of `x` is too large to learn from: it has 3e\+38"):
            self.make().fit(np.repeat(huge, [10, 10, 1], axis=0))
        for use in (fitted.encode, fitted.alternatives):
            try:
                codes = use(huge)
            except DataError as error:
                assert "row 2 of `x` is too large: its " in str(error)
            else:
                assert codes.shape[0] == 3

    def test_wrong_codes(self, fitted, x):
        levels = len(fitted.sizes)
        with pytest.raises(
            DataError, match=f"the code of row 1 at level 0 is {fitted.sizes[0]}, but that level has"
        ):
            fitted.decode([[0] * levels, [fitted.sizes[0]] * levels])
        for wrong in ([[0] * (levels + 1)], [0], [[0.5] * levels], np.zeros((1, 0), np.uint16)):
            with pytest.raises(DataError, match="codes must be integers"):
                fitted.decode(wrong)

    def test_fewer_vectors_than_codes(self, x):
        with pytest.raises(
            DataError, match="a level of 8 codes cannot be learned from 7 vectors; hint: codes=1 or less"
        ):
            self.make().fit(x[:7])

    def test_a_failed_fit_leaves_the_old_state(self, x):
        tokenizer = self.learn(self.make(), x)
        before = tokenizer.fingerprint
        with pytest.raises(DataError):
            tokenizer.fit(x[:7])
        assert tokenizer.fingerprint == before
