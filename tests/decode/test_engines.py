"""Adapters of serving engines, driven by the protocols that the engines document."""

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum, auto
from importlib import import_module
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from sidkit._core import SidLayout, Trie
from sidkit.decode.adapters.engines import EngineMask
from sidkit.errors import ConfigError, DataError
from sidkit.ids import Vocabulary

TOKENS = np.array([[0, 1, 0], [0, 1, 1], [2, 3, 0], [3, 0, 0], [3, 2, 1]], np.uint16)
LAYOUT = SidLayout([4, 4, 2])
FIRST, EOS, SIZE = 40, 7, 64


class MoveDirectionality(Enum):
    UNIDIRECTIONAL = auto()
    SWAP = auto()


@dataclass(frozen=True)
class BatchUpdate:
    batch_size: int
    removed: list
    added: list
    moved: list


class LogitsProcessor(ABC):
    @abstractmethod
    def __init__(self, vllm_config, device, is_pin_memory): ...

    @abstractmethod
    def apply(self, logits): ...

    @abstractmethod
    def is_argmax_invariant(self): ...

    @abstractmethod
    def update_state(self, batch_update): ...


class CustomLogitProcessor(ABC):
    @abstractmethod
    def __call__(self, logits, custom_param_list=None): ...


@pytest.fixture
def engine(monkeypatch):
    """Function that installs a stand-in for a module of an engine, and imports the adapter."""

    def install(adapter, module, **names):
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:length]), ModuleType(parts[length - 1]))
        vars(sys.modules[module]).update(names)
        monkeypatch.delitem(sys.modules, f"sidkit.decode.adapters.{adapter}", raising=False)
        return import_module(f"sidkit.decode.adapters.{adapter}").SemanticIdProcessor

    return install


@pytest.fixture
def trie(tmp_path):
    path = tmp_path / "index.sidx"
    Trie.build(LAYOUT.pack(TOKENS), LAYOUT).save(path)
    return path


def allowed(generated):
    """Token ids that may follow, from the table."""
    vocabulary = Vocabulary(LAYOUT)
    rows = [(vocabulary.encode(row[None])[0] + FIRST).tolist() for row in TOKENS]
    depth = len(generated)
    if depth == LAYOUT.levels:
        return {EOS}
    return {row[depth] for row in rows if row[:depth] == generated} or {EOS}


def finite(row):
    return set(row.isfinite().nonzero()[:, 0].tolist())


def processor_of_vllm(engine, trie):
    names = {"LogitsProcessor": LogitsProcessor, "MoveDirectionality": MoveDirectionality}
    cls = engine("vllm", "vllm.v1.sample.logits_processor", **names)
    options = {"trie": str(trie), "first_token": FIRST, "eos": EOS}
    return cls(SimpleNamespace(additional_config={"sidkit": options}), torch.device("cpu"), False)


def test_vllm_follows_requests_through_a_random_batch(engine, trie):
    processor = processor_of_vllm(engine, trie)
    assert not processor.is_argmax_invariant()
    random = np.random.default_rng(0)
    batch: list[tuple[bool, list[int]]] = []  # the truth: whether restricted, and the generated ids, by place
    for _ in range(120):
        removed, added, moved = [], [], []
        before = len(batch)
        # As the engine does: removed places are filled by new requests, then by the last ones.
        gone = (
            sorted(random.choice(before, random.integers(0, before + 1), replace=False).tolist())
            if before
            else []
        )
        slots = dict(enumerate(batch))
        for place in gone:
            del slots[place]
            removed.append(place)
        for _ in range(random.integers(0, 4)):
            place = next(free for free in range(before + 10) if free not in slots)
            restricted, output = bool(random.integers(0, 2)), []
            slots[place] = (restricted, output)
            params = SimpleNamespace(extra_args={"semantic_id": True} if restricted else None)
            added.append((place, params, [1, 2], output))
        while slots and max(slots) >= len(slots):
            source, target = max(slots), next(free for free in range(len(slots)) if free not in slots)
            slots[target] = slots.pop(source)
            moved.append((source, target, MoveDirectionality.UNIDIRECTIONAL))
        if len(slots) > 1:
            one, other = random.choice(len(slots), 2, replace=False).tolist()
            slots[one], slots[other] = slots[other], slots[one]
            moved.append((one, other, MoveDirectionality.SWAP))
        batch = [slots[place] for place in range(len(slots))]
        changed = removed or added or moved
        processor.update_state(BatchUpdate(len(batch), removed, added, moved) if changed else None)
        logits = torch.randn(len(batch), SIZE)
        masked = processor.apply(logits.clone())
        for place, (restricted, output) in enumerate(batch):
            if not restricted:
                assert torch.equal(masked[place], logits[place])
                output.append(int(random.integers(0, SIZE)))
                continue
            choices = allowed(output) if len(output) <= LAYOUT.levels else {Vocabulary(LAYOUT).pad}
            assert finite(masked[place]) == choices
            assert torch.equal(masked[place, list(choices)], logits[place, list(choices)])
            output.append(int(random.choice(sorted(choices))))


def test_vllm_checks_configuration_and_requests(engine, trie):
    processor = processor_of_vllm(engine, trie)
    for wrong in (None, {}, {"sidkit": "path"}):
        with pytest.raises(ConfigError, match="the engine has no Semantic IDs: expected"):
            type(processor)(SimpleNamespace(additional_config=wrong), torch.device("cpu"), False)
    processor.validate_params(SimpleNamespace(extra_args=None))
    processor.validate_params(SimpleNamespace(extra_args={"semantic_id": True}))
    with pytest.raises(ValueError, match="expected a bool"):
        processor.validate_params(SimpleNamespace(extra_args={"semantic_id": "yes"}))


def test_sglang_masks_the_requests_that_ask_for_it(engine, trie, monkeypatch):
    names = {"CustomLogitProcessor": CustomLogitProcessor}
    processor = engine("sglang", "sglang.srt.sampling.custom_logit_processor", **names)()
    outputs = [[], (Vocabulary(LAYOUT).encode(TOKENS[2:3])[0, :2] + FIRST).tolist(), [5, 6]]
    params = [{"semantic_id": True}, {"semantic_id": True}, {}]
    requests = [
        each | {"__req__": SimpleNamespace(output_ids=ids)} for each, ids in zip(params, outputs, strict=True)
    ]
    logits = torch.randn(3, SIZE)
    with pytest.raises(ConfigError, match="expected `trie`"):
        processor(logits.clone(), requests)
    for name, value in {"TRIE": trie, "FIRST_TOKEN": FIRST, "EOS": EOS}.items():
        monkeypatch.setenv(f"SIDKIT_{name}", str(value))
    masked = processor(logits.clone(), requests)
    assert [finite(row) for row in masked[:2]] == [allowed(ids) for ids in outputs[:2]]
    assert torch.equal(masked[2], logits[2])
    assert torch.equal(processor(logits.clone(), None), logits)


@pytest.mark.parametrize(
    "options", [{}, {"trie": "x", "tree": 1}, {"trie": "x", "eos": "end"}, {"trie": "x", "first_token": [1]}]
)
def test_options_are_checked(options):
    with pytest.raises(ConfigError, match="expected"):
        EngineMask.of_options(options)


def test_a_vocabulary_that_is_too_small_is_refused(trie):
    with pytest.raises(DataError, match="the vocabulary needs"):
        EngineMask.of_options({"trie": trie, "first_token": FIRST}).apply(torch.zeros(1, FIRST), [[]])
