"""Peak memory of a training step of every model: 512 histories of 50 items, a catalogue of 12,101 (Beauty's).

    python benches/python/memory.py [--batch 512] [--limit-gb 4] [--out benches/record/memory.json]

Each model has its default sizes and a process of its own, whose peak resident set is printed, torch and the
model included; `before` is the peak when the model was built. The optimizer's moments are there before the
step, as they are from the second on. TIGER reads the last 20 items, and its example is one next item, as in
training. What a step needs is the same on any data of these sizes: Semantic IDs are random, as many first
prefixes as Beauty has.

Fails if a model of one position an item is above the limit; models that read every token are only recorded.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

SIZES, ITEMS, LENGTH, CONTENT = (256, 256, 256, 4), 12_101, 50, 384
#: What is measured: a method, and its settings that are not the default.
MODELS = {
    "sasrec": ("sasrec", {}),
    "gru4rec": ("gru4rec", {}),
    "rqtransformer": ("rqtransformer", {}),
    "rqtransformer-sampled": ("rqtransformer", {"sample_above": 1000}),
    "tiger": ("tiger", {}),
    "decoderonly": ("decoderonly", {}),
}
#: Those held to the limit.
LIMITED = ("rqtransformer", "rqtransformer-sampled", "sasrec", "gru4rec")


def measure(name: str, batch_size: int) -> dict[str, object]:
    """Train a step in this process."""
    import numpy as np
    import torch

    from sidkit.data import Sequences
    from sidkit.ids import SidTable
    from sidkit.recommenders import RECOMMENDERS
    from sidkit.recommenders.training_data import training_data
    from sidkit.train import autocast, resolve_precision
    from sidkit.train.memory import peak_memory_bytes

    torch.manual_seed(0)
    random = np.random.default_rng(0)
    method, changed = MODELS[name]
    recommender = RECOMMENDERS[method](batch_size=batch_size, **changed)
    tokens = np.stack([random.integers(0, size, ITEMS) for size in SIZES], 1).astype(np.uint16)
    events = random.integers(0, ITEMS, (batch_size, LENGTH + 1)).astype(np.int32)
    histories = Sequences.from_lengths(events.ravel(), np.full(batch_size, LENGTH + 1))
    sids = SidTable.from_codes(tokens, np.arange(ITEMS), SIZES, collisions="share")
    vectors = random.normal(size=(ITEMS, CONTENT)).astype(np.float32)
    plan = recommender._plan(training_data(recommender, histories, sids, vectors, None, ()))
    # The largest batch there is: TIGER's examples have histories of all lengths.
    batch = max(map(plan.batches.load, plan.batches.epoch(0)), key=lambda batch: batch.tokens)
    model, before = plan.network.train(), peak_memory_bytes()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for tensor in model.parameters():
        tensor.grad = torch.zeros_like(tensor)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    started = time.process_time()
    with autocast("auto"):
        loss = plan.loss(model, batch)
    loss.backward()
    optimizer.step()
    seconds = time.process_time() - started
    return {
        "model": name,
        "parameters": sum(tensor.numel() for tensor in model.parameters()),
        "sequences": len(batch.history),
        "positions": batch.tokens,
        "peak_bytes": peak_memory_bytes(),
        "before_bytes": before,
        "cpu_seconds": round(seconds, 1),
        "precision": resolve_precision("auto"),
        "threads": torch.get_num_threads(),
    }


def keep(path: Path, batch_size: int, figures: list[dict[str, object]]) -> None:
    """Write the record of the models measured so far."""
    from sidkit.evaluate import machine_facts, version_facts

    facts = {"machine": machine_facts(), "versions": version_facts(), "batch": batch_size}
    shape = {"length": LENGTH, "items": ITEMS, "sizes": SIZES, "content": CONTENT}
    path.write_text(json.dumps({**facts, **shape, "figures": figures}, indent=1) + "\n")


def main() -> int:
    """Measure every model and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=512, help="sequences of a step")
    parser.add_argument("--limit-gb", type=float, default=4.0)
    parser.add_argument("--out", type=Path, help="where to keep the figures as JSON")
    parser.add_argument("--model", choices=MODELS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.model is not None:
        print(json.dumps(measure(given.model, given.batch)))
        return 0
    figures: list[dict[str, object]] = []
    above: list[str] = []
    print("model                   positions   peak GB   before the step, GB   CPU seconds")
    for name in MODELS:
        command = [sys.executable, __file__, "--model", name, "--batch", str(given.batch)]
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        found = json.loads(ran.stdout)
        peak, before = found["peak_bytes"] / 1e9, found["before_bytes"] / 1e9
        print(
            f"{name:<22}{found['positions']:>11,}{peak:>10.2f}{before:>22.2f}{found['cpu_seconds']:>14.1f}",
            flush=True,
        )
        figures.append(found)
        above += [name] if name in LIMITED and peak > given.limit_gb else []
        if given.out is not None:
            keep(given.out, given.batch, figures)
    if above:
        print(f"more than {given.limit_gb} GB: {', '.join(above)}", file=sys.stderr)
    return int(bool(above))


if __name__ == "__main__":
    raise SystemExit(main())
