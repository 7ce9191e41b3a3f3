"""Training, beam search and masks on a device; called by `run.sh`, which runs the device tests first.

- `training`: positions per second of TIGER and of the default generator, against the CPU of the machine.
- `beam search`: users per second against `generate` of `transformers` with the same weights on the same
  device; the lists must agree.
- `masks`: microseconds per call of `Trie.to_torch` against the layout of STATIC in PyTorch; the masks must be
  equal.

Catalogue and Semantic IDs are random: the speed does not depend on what they say.
"""

import argparse
import copy
import json
import statistics
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.models.t5 import as_t5

from sidkit import SidLayout, Trie
from sidkit.data import Sequences
from sidkit.decode import SearchOptions, beam_search, to_static
from sidkit.evaluate import machine_facts, version_facts
from sidkit.ids import SidTable
from sidkit.models import TIGERNetwork
from sidkit.recommenders import RECOMMENDERS

LEVELS, CONTENT, LENGTH = (256, 256, 256, 16), 384, 20
GENERATORS = ("tiger", "rqtransformer")  # the second is the default of `sidkit run`


@dataclass(frozen=True)
class Sizes:
    """Amounts of work."""

    items: int
    histories: int
    steps: dict[str, int]  # of a training, by type of device
    model: dict[str, dict[str, Any]]  # settings of the generators that differ from the defaults
    users: int
    beams: tuple[int, ...]
    keys: int
    rows: tuple[int, ...]
    rounds: int


SMALL_TIGER = {"d_model": 32, "heads": 2, "d_head": 16, "d_ff": 64, "encoder_layers": 1, "decoder_layers": 1}
SIZES = {
    "full": Sizes(
        12_101,
        22_000,
        {"cuda": 200, "cpu": 4},
        {"tiger": {}, "rqtransformer": {}},
        512,
        (20, 50),
        10_000_000,
        (140, 3200),
        5,
    ),
    "small": Sizes(
        500,
        200,
        {"cuda": 8, "cpu": 4},
        {
            "tiger": SMALL_TIGER | {"batch_size": 32},
            "rqtransformer": {"d_model": 32, "heads": 2, "layers": 1, "batch_size": 32},
        },
        16,
        (5,),
        10_000,
        (140,),
        2,
    ),
}


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def median_seconds(work: Callable[[], Any], device: torch.device, rounds: int) -> float:
    """Return the median time of a call, after one that is not counted."""
    times = []
    for _ in range(rounds + 1):
        synchronize(device)
        started = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def catalogue(items: int) -> tuple[np.ndarray, SidTable]:
    """Return distinct tokens, (items, levels), and their table."""
    random = np.random.default_rng(0)
    keys = random.choice(int(np.prod(LEVELS)), items, replace=False)
    tokens = np.stack(np.unravel_index(keys, LEVELS), 1).astype(np.uint16)
    return tokens, SidTable.from_codes(tokens, np.arange(items), LEVELS, collisions="share")


def training(sizes: Sizes, device: torch.device) -> dict[str, Any]:
    random = np.random.default_rng(1)
    _, sids = catalogue(sizes.items)
    vectors = random.normal(size=(sizes.items, CONTENT)).astype(np.float32)
    events = random.integers(0, sizes.items, (sizes.histories, LENGTH + 1)).astype(np.int32)
    histories = Sequences.from_rows(events.tolist())
    found: dict[str, Any] = {}
    for method in GENERATORS:
        for kind in dict.fromkeys((device.type, "cpu")):
            steps = sizes.steps[kind]
            # The first training compiles, allocates and tunes; it is not counted.
            for count in (max(2, steps // 10), steps):
                model = RECOMMENDERS[method](
                    **sizes.model[method],
                    max_steps=count,
                    warmup_steps=1,
                    patience=0,
                    evaluate_every_steps=count,
                    device=kind,
                )
                model.fit(histories, sids=sids, item_vectors=vectors)
            history = model.history_
            assert np.isfinite([entry["loss"] for entry in history.steps]).all()
            found.setdefault(method, {})[kind] = {
                "steps": steps,
                "batch_size": model.batch_size,
                "positions_per_second": round(history.tokens_per_second),
                "gemm_share": history.gemm_share,
            }
        if device.type != "cpu":
            here, there = (found[method][kind]["positions_per_second"] for kind in (device.type, "cpu"))
            found[method]["speed_up"] = round(here / there, 1)
    return found


def search(sizes: Sizes, device: torch.device) -> dict[str, Any]:
    random = np.random.default_rng(2)
    tokens, _ = catalogue(sizes.items)
    layout = SidLayout(list(LEVELS))
    trie = Trie.build(layout.pack(tokens), layout)
    rows = random.integers(0, sizes.items, (sizes.users, 10))
    histories = Sequences.from_rows(rows.tolist())
    torch.manual_seed(0)
    network = TIGERNetwork(LEVELS).eval()
    t5 = as_t5(copy.deepcopy(network)).to(device)
    network = network.to(device)
    offsets = network.offsets.cpu().numpy()
    ids = torch.from_numpy((tokens[rows].astype(np.int64) + offsets).reshape(sizes.users, -1)).to(device)
    item_of, root = {}, {}
    for item, row in enumerate((tokens.astype(np.int64) + offsets).tolist()):
        item_of[tuple(row)] = item
        node = root
        for token in row:
            node = node.setdefault(token, {})

    def allowed(_: int, prefix: torch.Tensor) -> list[int]:
        node = root
        for token in prefix[1:].tolist():
            node = node[token]
        return list(node)

    def ours(beam: int) -> tuple[np.ndarray, np.ndarray]:
        options = SearchOptions(batch_size=sizes.users)
        return beam_search(network, trie, tokens, histories, beam=beam, renormalize=True, options=options)

    @torch.inference_mode()
    def theirs(beam: int) -> tuple[np.ndarray, np.ndarray]:
        out = t5.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            num_beams=beam,
            num_return_sequences=beam,
            max_new_tokens=len(LEVELS),
            do_sample=False,
            length_penalty=0.0,
            renormalize_logits=True,
            prefix_allowed_tokens_fn=allowed,
            return_dict_in_generate=True,
            output_scores=True,
        )
        sequences = out.sequences[:, 1:].view(sizes.users, beam, -1).tolist()
        items = [[item_of[tuple(row)] for row in rows] for rows in sequences]
        return np.array(items), out.sequences_scores.view(sizes.users, beam).cpu().numpy()

    found: dict[str, Any] = {"users": sizes.users, "items": sizes.items}
    for beam in sizes.beams:
        (items, scores), (expected, expected_scores) = ours(beam), theirs(beam)
        np.testing.assert_allclose(scores, expected_scores, rtol=2e-3, atol=2e-3)
        agreement = float((items == expected).mean())  # near ties may change places
        assert agreement > 0.98, f"lists agree at {agreement:.3f} of the places"
        seconds = [median_seconds(lambda: work(beam), device, sizes.rounds) for work in (ours, theirs)]  # noqa: B023
        found[f"beam {beam}"] = {
            "sidkit_users_per_second": round(sizes.users / seconds[0], 1),
            "generate_users_per_second": round(sizes.users / seconds[1], 1),
            "agreement": round(agreement, 4),
        }
    return found


def masks(sizes: Sizes, device: torch.device) -> dict[str, Any]:
    """Masks of the third level, where STATIC's layout leaves its dense tables."""
    random = np.random.default_rng(3)
    layout = SidLayout([256] * 4)
    tokens = random.integers(0, 256, (sizes.keys, 4), dtype=np.uint16)
    trie = Trie.build(layout.pack(tokens), layout)
    tensors, static = trie.to_torch(device), to_static(trie, device=device)
    found: dict[str, Any] = {"keys": sizes.keys, "bytes": tensors.nbytes, "static_bytes": static.nbytes}
    for rows in sizes.rows:
        prefixes = torch.from_numpy(tokens[random.integers(0, len(tokens), rows), :2].astype(np.int64))
        prefixes = prefixes.to(device)
        states = tensors.start(rows)
        for depth in range(2):
            states = tensors.step(states, depth, prefixes[:, depth])
        their_states = static.dense_states[prefixes[:, 0], prefixes[:, 1]].long()
        offsets = torch.arange(static.layer_max_branches[2], device=device)
        last = len(static.packed_csr) - 1

        def ours(states: torch.Tensor = states) -> torch.Tensor:
            return tensors.allowed(states, 2)

        def theirs(states: torch.Tensor = their_states, offsets: torch.Tensor = offsets) -> torch.Tensor:
            starts = static.indptr[states].long()
            lengths = static.indptr[states + 1] - starts
            transitions = static.packed_csr[(starts[:, None] + offsets).clamp(max=last)]  # noqa: B023
            codes = torch.where(offsets < lengths[:, None], transitions[..., 0].long(), 256)
            mask = torch.zeros(len(states), 257, dtype=torch.bool, device=device)
            return mask.scatter_(1, codes, True)[:, :256]

        assert torch.equal(ours(), theirs()), "the masks differ"
        calls = 20

        def repeated(work: Callable[[], torch.Tensor]) -> float:
            def run() -> None:
                for _ in range(calls):  # noqa: B023
                    work()

            return round(median_seconds(run, device, sizes.rounds) / calls * 1e6, 1)  # noqa: B023

        found[f"{rows} rows"] = {"sidkit_us": repeated(ours), "static_us": repeated(theirs)}
    return found


def tests_of(path: Path) -> dict[str, int]:
    """Return the counts of a JUnit report; empty if the tests did not finish."""
    try:
        suite = ElementTree.parse(path).getroot().find("testsuite")
    except ElementTree.ParseError:
        return {}
    assert suite is not None
    return {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--tests", type=Path, help="JUnit report of the device tests")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    device, sizes = torch.device(options.device), SIZES[options.size]
    record: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "size": options.size,
        "machine": machine_facts(),
        "versions": version_facts(),
    }
    if options.tests:
        record["device tests"] = tests_of(options.tests)
    for name, measure in (("training", training), ("beam search", search), ("masks", masks)):
        started = time.perf_counter()
        record[name] = measure(sizes, device)
        record[name]["seconds"] = round(time.perf_counter() - started, 1)
        # Written after every part, so that a time limit loses only the last.
        options.out.write_text(json.dumps(record, indent=1) + "\n")
        print(name, json.dumps(record[name]), flush=True)


if __name__ == "__main__":
    main()
