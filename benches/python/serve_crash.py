r"""Kills of a server at random moments of catalogue changes.

    python benches/python/serve_crash.py --kills 200 --out benches/record/serve-crash.json

A process opens the catalogue of a small saved model with a journal and changes it without pause, as the
server does: items are added, replaced and removed. It is killed with SIGKILL at a random moment, and a new
process opens the same journal. Every change that was acknowledged before the kill must be there, and the
catalogue must be that of the journal's changes: all of them in order, none of them by half.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SMALL = {"d_model": 16, "heads": 2, "dropout": 0.0, "max_steps": 1, "min_steps": 1, "measure_gemm": False}


def write_model(path):
    import sidkit
    from sidkit.data import cyclic_world

    world = cyclic_world(users=100, items=500)
    tokenizer = sidkit.RQKMeans(levels=2, codebook_size=32).fit(world.vectors)
    sids = tokenizer.semantic_ids(world.vectors, world.dataset.item_ids, collision_size=64)
    model = sidkit.RQTransformer(**SMALL)
    model.fit(world.dataset.split().train, sids=sids, item_vectors=world.vectors).save(path / "model")
    tokenizer.save(path / "tokenizer.safetensors")
    np.save(path / "vectors.npy", world.vectors)


def opened(path):
    from sidkit.serve.source import ServerSource
    from sidkit.serve.writer import CatalogueWriter

    source = ServerSource(path / "model", tokenizer=path / "tokenizer.safetensors")
    return CatalogueWriter(source, path / "state")


def state_of(writer):
    """The items beyond those of the model with their titles and Semantic IDs."""
    now = writer.snapshot
    found = {}
    for values, number in zip(
        now.items.values(now.items.all, ["item_id", "title"]), now.items.all, strict=True
    ):
        if values["item_id"].startswith("new-"):
            found[values["item_id"]] = [values["title"], now.sid(int(number))]
    return found


def change_without_end(path):
    """Print the state after the start, then one line for each acknowledged change."""
    writer, vectors = opened(path), np.load(path / "vectors.npy")
    present = state_of(writer)
    print(json.dumps({"version": writer.snapshot.version, "items": present}), flush=True)
    chance = random.Random()
    names = list(present)
    while True:
        version = writer.snapshot.version
        if names and (len(names) > 200 or chance.random() < 0.3):
            gone = [
                names.pop(chance.randrange(len(names))) for _ in range(min(len(names), chance.randint(1, 5)))
            ]
            writer.delete(gone)
            change = {"removed": gone}
        elif names and chance.random() < 0.3:
            title = f"title {version}"
            writer.put([{"item_id": names[0], "title": title}], [None])
            change = {"title": [names[0], title]}
        else:
            fresh = [f"new-{version}-{place}" for place in range(chance.randint(1, 5))]
            writer.put(
                [{"item_id": name} for name in fresh],
                [vectors[chance.randrange(500)].tolist() for _ in fresh],
            )
            names += fresh
            change = {"added": fresh}
        print(json.dumps({"version": version + 1, **change}), flush=True)


def apply(state, change):
    for name in change.get("added", ()):
        state[name] = None
    for name in change.get("removed", ()):
        del state[name]
    if "title" in change:
        state[change["title"][0]] = change["title"][1]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--change", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.change:
        change_without_end(options.change)
        return
    chance, changes, lost, unacknowledged = random.Random(0), 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        write_model(path)
        known, version = {}, 0
        for kill in range(1, options.kills + 1):
            command = [sys.executable, __file__, "--change", str(path)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                first = json.loads(process.stdout.readline())
                # Only the change that was under way may be there without being acknowledged.
                assert 0 <= first["version"] - version <= 1, (first["version"], version)
                unacknowledged += first["version"] - version
                if first["version"] == version:
                    there = {name: values[0] for name, values in first["items"].items()}
                    lost += sum(there.get(name, "absent") != title for name, title in known.items())
                    assert set(there) == set(known)
                known = {name: values[0] for name, values in first["items"].items()}
                version = first["version"]
                time.sleep(chance.uniform(0, 0.3))
                process.send_signal(signal.SIGKILL)
                for line in process.stdout:
                    if line.endswith("\n"):
                        change = json.loads(line)
                        apply(known, change)
                        version, changes = change["version"], changes + 1
            if not kill % 10:
                print(f"{kill} kills, {changes} changes, {lost} lost", flush=True)
    found = {"kills": options.kills, "acknowledged_changes": changes, "lost": lost}
    found["visible_without_acknowledgement"] = unacknowledged
    print(found)
    assert not lost
    if options.out:
        from sidkit.evaluate.machine import machine_facts, version_facts

        found |= {"machine": machine_facts(), "versions": version_facts()}
        options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
