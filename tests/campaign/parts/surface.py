"""The public API with a valid example of every argument.

`callables` finds the public functions, constructors and methods by introspection; `Examples` provides valid
arguments by the name and the type of a parameter, so that a call fails because of one damaged argument only.
"""

import copy
import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import torch
from pydantic import BaseModel
from tests.campaign.parts.particular import more_objects, particular

import sidkit
from sidkit import data, decode, evaluate, ids, ranking, recommenders, rerank, tokenizers, train
from sidkit.data.synthetic import cyclic_world

__all__ = ["PACKAGES", "Call", "Examples", "callables"]

PACKAGES = (
    *("data", "embed", "tokenizers", "ids", "train", "decode", "rerank", "recommenders", "ranking"),
    *("evaluate", "experiments", "run", "report"),
)

#: Calls that write outside a temporary directory, start processes, or wait for anything.
_SKIPPED = {
    "sidkit.train.processes.join",
    "sidkit.data.sources.fetch",
    "sidkit.data.sources._fetch.fetch",
    "sidkit.train.throughput.gemm_peak",
    "sidkit.data.markov_world.MarkovWorld.write",
    "sidkit.evaluate.protocol.Protocol.of",  # needs further keywords
}
#: Modules of other campaigns.
_ELSEWHERE = (
    *("sidkit.train.align", "sidkit.recommenders.alignment", "sidkit.recommenders.inference"),
    *("sidkit.search", "sidkit.serve", "sidkit.models", "sidkit._core"),
)


@dataclass(frozen=True)
class Call:
    """A public function, constructor or method.

    Attributes:
        name: dotted name.
        target: what is called; of a method, the function that takes the object first.
        owner: class of a method, or None.
        parameters: its parameters, without that of the object.
    """

    name: str
    target: object
    owner: type | None
    parameters: tuple[inspect.Parameter, ...]


def _packages(module):
    yield module
    for each in pkgutil.iter_modules(getattr(module, "__path__", [])):
        if each.ispkg:
            yield from _packages(importlib.import_module(f"{module.__name__}.{each.name}"))


def _exported():
    registries = (recommenders.RECOMMENDERS, tokenizers.TOKENIZERS, rerank.RERANKERS)
    yield from (registry[name] for registry in registries for name in registry)
    yield from (getattr(sidkit, name) for name in sidkit.__all__)
    for package in PACKAGES:
        for module in _packages(importlib.import_module(f"sidkit.{package}")):
            for name in getattr(module, "__all__", ()):
                member = getattr(module, name)
                if inspect.ismodule(member):
                    yield from (getattr(member, each) for each in getattr(member, "__all__", ()))
                else:
                    yield member


def _call(name, target, owner=None, *, bound=False):
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except ValueError:
        return None
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [one for one in parameters[1 if bound else 0 :] if one.kind not in kinds]
    return Call(name, target, owner, tuple(named))


def callables():
    """Every public callable of the packages, once, in a fixed order."""
    found = {}
    for member in _exported():
        module = getattr(member, "__module__", "") or ""
        if not module.startswith("sidkit") or module.startswith(_ELSEWHERE):
            continue
        name = f"{module}.{getattr(member, '__qualname__', '')}"
        if inspect.isfunction(member):
            found[name] = _call(name, member)
        elif inspect.isclass(member) and not issubclass(member, BaseException | BaseModel):
            if not getattr(member, "_is_protocol", False) and not inspect.isabstract(member):
                found[name] = _call(name, member)
            for key, each in vars(member).items():  # those of a parent are called on objects of its children
                if key.startswith("_") or key in ("forward", "on_progress"):
                    continue
                if inspect.isfunction(each) and each.__module__.startswith("sidkit"):
                    found[f"{name}.{key}"] = _call(f"{name}.{key}", each, member, bound=True)
                elif isinstance(each, classmethod | staticmethod):
                    bound = getattr(member, key)
                    if getattr(bound, "__module__", "").startswith("sidkit"):
                        found[f"{name}.{key}"] = _call(f"{name}.{key}", bound)
    return [
        found[name]
        for name in sorted(found)
        if found[name] is not None and name not in _SKIPPED and "train.align" not in name
    ]


class Examples:
    """Valid arguments for the public API, made from one small world."""

    def __init__(self, directory):
        self.directory = Path(directory)
        rng = np.random.default_rng(0)
        self.world = cyclic_world(users=40, items=24, clusters=4, dim=8, seed=1)
        self.dataset = self.world.dataset
        self.split = self.dataset.split("leave_last_out")
        self.codes = np.stack([self.world.clusters, np.arange(24) % 6 // 2], axis=1).astype(np.uint16)
        self.table = ids.SidTable.from_codes(self.codes, self.dataset.item_ids, (4, 3), collision_size=4)
        self.examples = self.split.test
        rows = len(self.examples)
        self.lists = rng.permuted(np.tile(np.arange(24), (rows, 1)), axis=1)[:, :5].astype(np.int32)
        self.scores = -np.sort(-rng.random((rows, 5)), axis=1).astype(np.float32)
        self.counts = np.bincount(self.split.train.values, minlength=24).astype(np.int64)
        self.vectors = self.world.vectors
        self.tokenizer = tokenizers.RQKMeans(2, 4, iterations=2).fit(self.vectors)
        self.popularity = recommenders.Popularity().fit(self.split.train)
        self.rated = self.dataset.interactions.with_columns(
            rating=pl.Series(rng.integers(1, 6, self.dataset.interactions.height).astype(np.float64))
        )

    @cached_property
    def predictions(self):
        return evaluate.Predictions("m", self.examples.users, self.lists, self.scores, self.examples.targets)

    @cached_property
    def impressions(self):
        named = self.dataset.interactions.columns
        time = [] if "timestamp" in named else [pl.Series("timestamp", np.arange(self.rated.height) * 100)]
        rated = data.Dataset.from_frames(self.rated.with_columns(time), self.dataset.items, name="ring")
        return ranking.impressions(rated, liked=3.0, history=4)

    @cached_property
    def ranked_items(self):
        return ranking.RankedItems(self.dataset.item_ids, self.vectors, self.table.tokens, self.table.layout)

    @cached_property
    def time_split(self):
        return ranking.split_by_time(self.impressions, 24)

    @cached_property
    def action_piece(self):
        return tokenizers.ActionPiece(20).fit(self.split.train, self.codes)

    @cached_property
    def objects(self):
        """Valid objects by the name of their class."""
        found = {name: list(objects) for name, objects in self.basic.items()}
        return _add(found, more_objects(self))

    @cached_property
    def basic(self):
        """Those objects that are made without others of them."""
        found = [
            *(self.dataset, self.split, self.split.train, self.examples, self.table, self.predictions),
            *(self.world, self.tokenizer, self.popularity, self.table.trie, self.table.layout),
            data.Sequences(self.split.train.values, self.split.train.offsets),
            self.dataset.catalogue(),
            evaluate.Protocol(candidates=24, users=40),
            evaluate.ListFacts(counts=self.counts, vectors=self.vectors),
            evaluate.Result("m", "all", "recall@10", 0.5),
            evaluate.TargetRanks.of([self.predictions], 24),
            evaluate.Evaluation.of([self.predictions], evaluate.Protocol(candidates=24, users=40), ks=[5]),
            evaluate.DR(),
            evaluate.IPS(),
            evaluate.SNIPS(),
            rerank.ItemFeatures(
                item_ids=self.dataset.item_ids, counts=self.counts, learned=lambda: self.vectors
            ),
            rerank.ItemAttribute(("a", "b"), data.Sequences.from_rows([[k % 2] for k in range(24)])),
            rerank.MMR(),
            decode.SearchOptions(),
            decode.RankOptions(),
            decode.Diversity(),
            ids.Vocabulary(self.table.layout),
            ids.Reassignment(np.repeat(self.codes[:, None], 3, axis=1)),
            ids.drift(self.codes, self.codes),
            self.impressions,
            self.time_split,
            self.ranked_items,
            ranking.RankSettings(num_embeddings=16, dim=4, seeds=(0,), epochs=1),
            ranking.Pieces(self.table.layout, 20).fit(self.table.tokens),
            ranking.SidEmbedding(self.table.layout, 4, num_embeddings=16),
            train.TrainSettings(max_steps=2),
            train.Checkpoint(self.directory / "checkpoint"),
            train.History("m", 10),
            train.Processes(),
            recommenders.Query(),
            self.action_piece,
            *(recommenders.RECOMMENDERS[name]() for name in recommenders.RECOMMENDERS),
            *(tokenizers.TOKENIZERS[name]() for name in tokenizers.TOKENIZERS),
            *self._fitted_recommenders,
            *self._rerankers,
        ]
        return _add({}, found)

    @cached_property
    def particular(self):
        return particular(self)

    @cached_property
    def _fitted_recommenders(self):
        fitted = [
            recommenders.ItemKNN().fit(self.split.train),
            recommenders.ContentKNN().fit(self.split.train, item_vectors=self.vectors),
            recommenders.TransitionGraph().fit(self.split.train),
        ]
        small = {"d_model": 8, "heads": 2, "layers": 1, "max_items": 4, "max_steps": 2, "precision": "f32"}
        sasrec = recommenders.SASRec(**small, measure_gemm=False).fit(self.split.train)
        tiger = {"d_head": 4, "d_ff": 8, "encoder_layers": 1, "decoder_layers": 1}
        tiger |= {key: value for key, value in small.items() if key != "layers"}
        return [
            *fitted,
            sasrec,
            recommenders.TIGER(**tiger, measure_gemm=False).fit(self.split.train, sids=self.table),
        ]

    @cached_property
    def _rerankers(self):
        attribute = {item: ["a", "b"][row % 2] for row, item in enumerate(self.dataset.item_ids.to_list())}
        return [
            rerank.DPP(),
            rerank.Deduplicate(),
            rerank.AttributeCap(attribute=attribute, at_most=2),
            rerank.MinimumShare(attribute=attribute, shares={"a": 0.2}),
            rerank.PopularityCorrection(),
            rerank.SlotPolicy(min=0, max=2, items=[self.dataset.item_ids[0]]),
            rerank.Boost(values=[1.0] * 24),
        ]

    @cached_property
    def named(self):
        """Valid values by the name of a parameter, the likeliest first."""
        item_ids = self.dataset.item_ids
        attribute = {item: ["a", "b"][row % 2] for row, item in enumerate(item_ids.to_list())}
        rows = len(self.examples)
        codes = self.codes
        return {
            "x": [self.vectors],
            "vectors": [self.vectors],
            "item_vectors": [self.vectors, None],
            "content": [self.vectors],
            "collaborative": [self.vectors],
            "collaborative_embeddings": [self.vectors],
            "codes": [codes, self.table.tokens],
            "tokens": [self.table.tokens, codes],
            "earlier": [codes],
            "later": [codes[::-1].copy()],
            "sizes": [(4, 3), [4, 3]],
            "item_ids": [item_ids, item_ids.to_list()],
            "ids": [item_ids.to_list()[:3], item_ids[0]],
            "item_id": [item_ids[0]],
            "user_id": [self.dataset.user_ids[0]],
            "user_ids": [self.dataset.user_ids.to_list()[:2], None],
            "histories": [self.split.train, self.examples, [item_ids.to_list()[:3]]],
            "history": [item_ids.to_list()[:3], np.array([1, 2, 3]), 4],
            "examples": [self.examples],
            "train": [self.split.train],
            "rows": [np.array([0, 2, 1]), [[1, 2], [0]], 3],
            "row": [0],
            "k": [5],
            "ks": [(5, 10)],
            "n": [3],
            "n_items": [24],
            "items": [self.lists, self.dataset.items, 24],
            "interactions": [self.dataset.interactions],
            "scores": [self.scores, np.linspace(0, 1, rows).astype(np.float32)],
            "targets": [self.examples.targets],
            "users": [self.examples.users, 40],
            "counts": [self.counts],
            "popularity": [self.counts],
            "target_popularity": [self.counts[self.examples.targets]],
            "history_lengths": [self.examples.histories.lengths],
            "mask": [self.counts > 3],
            "known": [self.counts > 3],
            "labels": [(np.arange(rows) % 2).astype(np.float32)],
            "probabilities": [np.linspace(0.1, 0.9, rows)],
            "propensities": [np.linspace(0.1, 0.9, rows)],
            "rewards": [np.linspace(0, 1, rows)],
            "predicted": [np.linspace(0, 1, rows)],
            "expected": [np.linspace(0, 1, rows)],
            "gain": [np.linspace(-1, 1, rows)],
            "values": [
                np.linspace(0, 1, rows),
                self.split.train.values,
                {item: 1.0 for item in attribute},
                {"split": "leave_last_out"},
            ],
            "offsets": [self.split.train.offsets],
            "lengths": [self.split.train.lengths],
            "length": [3],
            "filling": [-1],
            "attribute": [attribute, data.Sequences.from_rows([[each % 2] for each in range(24)])],
            "given": [attribute],
            "shares": [{"a": 0.2}],
            "at_most": [2],
            "least": [1],
            "name": ["ring", "a", "content"],
            "model": ["m", self.predictions],
            "baseline": [self.predictions, "b"],
            "metric": ["recall@5"],
            "slice": ["all"],
            "condition": ["item_id = 'item-01'"],
            "columns": [{"user": "user_id"}],
            "texts": [[f"item number {row}" for row in range(24)]],
            "categories": [[["a", "b"][row % 2 :] for row in range(24)]],
            "features": [codes, self.objects_of("ItemFeatures")[0]],
            "feature_sizes": [(4, 3)],
            "num_embeddings": [16],
            "dim": [4],
            "packed": [self.table.packed],
            "level": [1],
            "levels": [2],
            "codebook_size": [4],
            "prefix": [self.table.sids[0]],
            "token_id": [3],
            "token_ids": [np.array([[3, 8]])],
            "users_": [3],
            "layout": [self.table.layout],
            "seed": [0],
            "count": [3],
            "stage": ["embed"],
            "pieces": [20],
            "protocol": [evaluate.Protocol(candidates=24, users=40)],
            "predictions": [self.predictions, [self.predictions]],
            "sids": [self.table],
            "kind": ["leave_last_out"],
            "ties": ["source"],
            "times": [np.arange(len(self.split.train.values)) * 10.0, None],
            "labels_": [None],
            "device": ["cpu"],
            "precision": ["f32"],
            "batch_size": [8],
            "max_items": [4],
            "padding": [24],
            "network": [recommender.network_ for recommender in self._fitted_recommenders[-2:]][::-1],
            "trie": [self.table.trie],
            "alternatives": [np.repeat(codes[:, None], 3, axis=1)],
            "occupied": [None, codes[:1]],
            "rng": [np.random.default_rng(0)],
            "path": [self.directory / "file"],
            "directory": [self.directory / "made"],
            "source": [str(self.directory / "dataset")],
            "text": ["a = 1"],
            "events": [self.impressions],
            "collisions": ["suffix"],
            "policy": ["suffix"],
            "loss": [0.5],
            "arguments": [["--help"]],
            "data": [self.dataset],
            "resamples": [20],
            "permutations": [3],
        }

    def objects_of(self, name):
        """Objects of a class, by its name; none if there are no examples."""
        if name == "ItemFeatures":
            return [rerank.ItemFeatures(item_ids=self.dataset.item_ids, counts=self.counts)]
        return self.objects.get(name, [])

    def of(self, call, parameter, rng):
        """Return a valid value for a parameter, or `parameter.default`, or None if there is no example."""
        name = f"{call.name}.{parameter.name}".split(".")
        for key in (".".join(name[-3:]), ".".join(name[-2:]), "ks" if name[-1] == "ks" else ""):
            if key in self.particular:
                options = self.particular[key]
                return options[rng.integers(len(options))]
        text = parameter.annotation
        text = text if isinstance(text, str) else inspect.formatannotation(text)
        for name in sorted(self.objects, key=len, reverse=True):
            if text.rpartition(".")[2].split(" ")[0].rstrip("]|") == name:
                options = self.objects[name]
                return options[rng.integers(len(options))]
        if parameter.name in self.named or parameter.name in self.particular:
            options = self.named.get(parameter.name) or self.particular[parameter.name]
            fitting = [each for each in options if _fits(each, text)] or options
            return fitting[int(rng.integers(len(fitting)))]
        return None if parameter.default is parameter.empty else parameter.default

    def owner(self, call, rng):
        """Return an object to call a method on, which may change it; None if there is no example."""
        options = self.objects.get(call.owner.__name__, [])
        if not options:
            return None
        chosen = options[int(rng.integers(len(options)))]
        return copy.deepcopy(chosen) if hasattr(chosen, "fit") or "Checkpoint" in call.name else chosen


def _add(by_class, objects):
    """Add objects under the names of their classes, those of their parents included."""
    for each in objects:
        for cls in type(each).__mro__:
            if cls.__module__.startswith("sidkit"):
                by_class.setdefault(cls.__name__, []).append(each)
    return by_class


def _fits(value, annotation):
    """Return whether an example may be of an annotated type, by its text."""
    if isinstance(value, np.ndarray):
        if "uint16" in annotation or "integer" in annotation or "int32" in annotation:
            return value.dtype.kind in "iu"
        return (
            "ndarray" in annotation
            or "NDArray" in annotation
            or "Like" in annotation
            or "_Supports" in annotation
        )
    if isinstance(value, bool | int):
        return "int" in annotation
    if isinstance(value, str):
        return "str" in annotation
    if isinstance(value, pl.Series):
        return "Series" in annotation or "Any" in annotation
    if isinstance(value, pl.DataFrame):
        return "DataFrame" in annotation or "Any" in annotation
    if isinstance(value, torch.nn.Module):
        return True
    return True
