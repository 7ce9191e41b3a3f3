"""TIGER and DecoderOnly on Amazon Beauty, trained on one GPU in at most ten minutes; see tiger_beauty.sh.

    python tiger_beauty.py prepare RUN[,RUN] INPUTS            write the inputs of run directories
    python tiger_beauty.py speed INPUTS OUT                    throughput, one training at a time
    python tiger_beauty.py train INPUTS OUT NAME[,NAME] ...    concurrent trainings, and their test lists
    python tiger_beauty.py collect OUT RESULTS                 results in few files

An interrupted training continues from its checkpoint in the folder `--work`. Weights are chosen by NDCG@10 on
all validation users; the test users are ranked once, with these weights. `store.py` measures results from the
lists with `sidkit.evaluate`. A table of Semantic IDs is named after its run directory, without `run-`.
"""

import argparse
import dataclasses
import json
import shutil
import time
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from inputs import Inputs, prepare
from searcher import Searcher
from training import Setting, Trainer, flops_of_an_epoch

from sidkit.train import gemm_peak

BLOCK = {"encoder": "block_causal"}


def tiger(**sizes) -> dict:
    return BLOCK | {"dropout": 0.2} | sizes


SETTINGS = {
    "tiger-seed0": Setting(sizes=tiger()),
    "tiger-seed1": Setting(sizes=tiger(), seed=1),
    "tiger-seed2": Setting(sizes=tiger(), seed=2),
    "tiger-drop3": Setting(sizes=tiger(dropout=0.3)),
    "tiger-drop1": Setting(sizes=tiger(dropout=0.1)),
    "tiger-smooth": Setting(sizes=tiger(), label_smoothing=0.1),
    "tiger-masking": Setting(sizes=tiger(), token_masking=0.1),
    "tiger-slow": Setting(sizes=tiger(), learning_rate=5e-4),
    "tiger-rqvae": Setting(sizes=tiger(), ids="rqvae"),
    "tiger-deep": Setting(sizes=tiger(encoder_layers=6, decoder_layers=6)),
    "tiger-bidirectional": Setting(sizes={"dropout": 0.2}, epochs=60, batch=1024),
    "decoderonly-seed0": Setting("decoderonly", sizes={"dropout": 0.2}, epochs=80),
    "decoderonly-drop3": Setting("decoderonly", sizes={"dropout": 0.3}, epochs=80),
    "decoderonly-wide": Setting("decoderonly", sizes={"dropout": 0.3, "d_model": 256}, epochs=80),
}


def train(inputs: Inputs, out: Path, names: list[str], options: argparse.Namespace) -> None:
    """Train concurrently until all trainings are done, then rank the test users with each."""
    device = torch.device(options.device)
    options.work.mkdir(parents=True, exist_ok=True)
    searchers: dict[tuple[str, str, int], Searcher] = {}

    def searcher(part: str, setting: Setting, most: int) -> Searcher:
        key = (part, setting.ids, most)
        if key not in searchers:
            examples = inputs.examples[part].first(options.limit)
            searchers[key] = Searcher(inputs, setting.ids, examples, most, device, options.users)
        return searchers[key]

    peak = gemm_peak("bf16", device.type)
    trainers, began = [], time.monotonic()
    for name in names:
        setting = dataclasses.replace(SETTINGS[name], **json.loads(options.change))
        most = setting.sizes.get("max_items", 20 if setting.model == "tiger" else 50)
        validation = searcher("validation", setting, most)
        trainer = Trainer(name, setting, inputs, device, compiled=options.compile, validation=validation)
        trainer.capture()
        checkpoint = options.work / f"{name}.pt"
        if checkpoint.is_file():
            trainer.resume(checkpoint)
        trainers.append(trainer)
        print(f"{name}: ready after {time.monotonic() - began:.1f} s, {trainer.total} steps", flush=True)
    started = saved = time.monotonic()
    for trainer in trainers:
        trainer.begin(options.seconds - (started - began) if options.seconds else float("inf"))
    while running := [trainer for trainer in trainers if not trainer.done]:
        for trainer in running:
            trainer.advance(options.chunk)
        if time.monotonic() - saved > options.checkpoint_every:
            saved = time.monotonic()
            for trainer in running:
                trainer.save(options.work / f"{trainer.name}.pt")
    seconds = time.monotonic() - started
    for trainer in trainers:
        finish(trainer, inputs, out / trainer.name, searcher, options, peak, seconds)


def finish(
    trainer: Trainer, inputs: Inputs, out: Path, searcher, options, peak: float, seconds: float
) -> None:
    """Write the weights, the history and the test lists of a training."""
    out.mkdir(parents=True, exist_ok=True)
    setting, model = trainer.setting, trainer.averaged
    model.load_state_dict(trainer.best)
    safetensors.torch.save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()},
        out / "model.safetensors",
    )
    operations, tokens = flops_of_an_epoch(trainer)
    epochs = trainer.step / trainer.steps_per_epoch
    history = {
        "setting": dataclasses.asdict(setting),
        "model": setting.model,
        "sizes": model.settings,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "steps": trainer.step,
        "steps_per_epoch": trainer.steps_per_epoch,
        "best_step": trainer.best_step,
        "evaluations": trainer.evaluations,
        "seconds": seconds,
        "flops": int(operations * epochs),
        "tokens_per_second": tokens * epochs / seconds,
        "gemm_share": operations * epochs / seconds / peak,
        "gemm_peak": peak,
        "device": torch.cuda.get_device_name() if trainer.cuda else "cpu",
        "torch": torch.__version__,
        "compiled": options.compile,
        "concurrent_trainings": len(options.names),
    }
    (out / "history.json").write_text(json.dumps(history, indent=1) + "\n")
    arrays = {}
    began = time.monotonic()
    torch.set_float32_matmul_precision("highest")  # lists are ranked in f32, as in sidkit
    search = searcher("test", setting, model.max_items)
    for name, exclude in (("seen_included", False), ("seen_excluded", True)):
        items, scores = search.lists(model, options.list_beam, options.list_beam, exclude_seen=exclude)
        arrays[f"{name}.items"] = items.cpu().numpy().astype(np.int16)
        arrays[f"{name}.scores"] = scores.cpu().numpy().astype(np.float32)
    np.savez_compressed(out / "lists.npz", **arrays)
    best = max(trainer.evaluations, key=lambda entry: entry["metrics"]["ndcg@10"])
    print(
        f"{trainer.name}: {trainer.step} steps, best {best}, ranked in {time.monotonic() - began:.1f} s",
        flush=True,
    )


def speed(inputs: Inputs, out: Path, options: argparse.Namespace) -> None:
    """Time single trainings: every prefix encoded separately, one pass, and one pass with graphs."""
    device = torch.device(options.device)
    peak = gemm_peak("bf16", device.type)
    cases = {
        "prefixes, eager": (Setting(batch=256, sizes={"dropout": 0.1}), False, False),
        "one pass, eager": (Setting(sizes=tiger()), False, False),
        "one pass, graphs": (Setting(sizes=tiger()), False, True),
        "one pass, compiled graphs": (Setting(sizes=tiger()), True, True),
        "one pass, compiled graphs, 4x batch": (Setting(sizes=tiger(), batch=5120), True, True),
        "prefixes, compiled graphs": (Setting(batch=1024, sizes={"dropout": 0.2}), True, True),
        "decoderonly, compiled graphs": (Setting("decoderonly", sizes={"dropout": 0.2}), True, True),
    }
    chosen = options.cases.split(";") if options.cases else list(cases)
    rows = []
    for name in chosen:
        setting, compiled, graphs = cases[name]
        try:
            began = time.monotonic()
            trainer = Trainer(name, setting, inputs, device, compiled=compiled, validation=None)
            if graphs:
                trainer.capture()
            synchronize(device)
            ready = time.monotonic() - began
            trainer.advance(5)
            synchronize(device)
            began, first = time.monotonic(), trainer.step
            while time.monotonic() - began < options.seconds:
                trainer.advance(5)
                synchronize(device)
            seconds = time.monotonic() - began
            epochs = (trainer.step - first) / trainer.steps_per_epoch
            operations, tokens = flops_of_an_epoch(trainer)
            targets = int(inputs.offsets[-1] - (np.diff(inputs.offsets) > 0).sum())
            rows.append(
                {
                    "case": name,
                    "ready_s": round(ready, 1),
                    "step_ms": round(1000 * seconds / (trainer.step - first), 3),
                    "epoch_s": round(seconds / epochs, 3),
                    "tokens_per_second": round(tokens * epochs / seconds),
                    "targets_per_second": round(targets * epochs / seconds),
                    "gemm_share": round(operations * epochs / seconds / peak, 5),
                    "tflop_per_epoch": round(operations / 1e12, 2),
                    "loss": round(trainer.loss.item() / trainer.step, 4),
                }
            )
        except Exception as error:  # report it and continue with the next case
            rows.append({"case": name, "error": f"{type(error).__name__}: {str(error)[:300]}"})
        print(json.dumps(rows[-1]), flush=True)
    found = {"gemm_peak": peak, "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu"}
    if device.type == "cuda":
        found["gemm_peak_8192"] = large_product(device)
    found |= {"torch": torch.__version__, "threads": torch.get_num_threads(), "cases": rows}
    out.mkdir(parents=True, exist_ok=True)
    (out / "speed.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({name: value for name, value in found.items() if name != "cases"}), flush=True)


def large_product(device: torch.device) -> float:
    """Measure the operations per second of an 8192-wide product in bf16."""
    matrix = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    for _ in range(3):
        matrix @ matrix
    torch.cuda.synchronize()
    began = time.monotonic()
    for _ in range(20):
        matrix @ matrix
    torch.cuda.synchronize()
    return 20 * 2 * 8192**3 / (time.monotonic() - began)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def collect(out: Path, results: Path, limit: int = 15_500_000) -> None:
    """Write all histories, lists, and the weights of the best models into few files."""
    results.mkdir(parents=True, exist_ok=True)
    runs = {path.parent.name: json.loads(path.read_text()) for path in sorted(out.glob("*/history.json"))}
    runs = {name: run for name, run in runs.items() if (out / name / "lists.npz").is_file()}

    def quality(name: str) -> float:
        return max(entry["metrics"]["ndcg@10"] for entry in runs[name]["evaluations"])

    (results / "histories.json").write_text(json.dumps(runs) + "\n")
    ranked = sorted(runs, key=quality, reverse=True)
    for name in ranked:
        print(f"{name:24s} validation ndcg@10 {quality(name):.5f}")
    best = [next((n for n in ranked if runs[n]["model"] == kind), None) for kind in ("tiger", "decoderonly")]
    lists = {}
    for name in ranked:
        arrays = np.load(out / name / "lists.npz")
        lists |= {
            f"{name}/{part}.items": arrays[f"{part}.items"] for part in ("seen_included", "seen_excluded")
        }
        if name == best[0]:
            lists |= {
                f"{name}/{part}.scores": arrays[f"{part}.scores"].astype(np.float16)
                for part in ("seen_included", "seen_excluded")
            }
    # As many lists per file as fit.
    part: dict[str, np.ndarray] = {}
    number = size = 0
    for key, array in [*lists.items(), ("", np.zeros(0))]:
        if part and (not key or size + array.nbytes > limit):
            np.savez_compressed(results / f"lists{number}.npz", **part)
            part, size, number = {}, 0, number + 1
        part[key] = array
        size += array.nbytes
    for name in filter(None, best):
        tensors = safetensors.torch.load_file(out / name / "model.safetensors")
        halves: list[dict[str, torch.Tensor]] = [{}]
        for key, tensor in tensors.items():
            if sum(t.nbytes for t in halves[-1].values()) + tensor.nbytes > limit:
                halves.append({})
            halves[-1][key] = tensor
        for index, half in enumerate(halves):
            safetensors.torch.save_file(half, results / f"{name}.{index}.safetensors")
    if (out / "speed.json").is_file():
        shutil.copyfile(out / "speed.json", results / "speed.json")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("prepare", "speed", "train", "collect"))
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=0.0, help="time limit of the training; 0 for none")
    parser.add_argument("--work", type=Path, default=Path("work"), help="folder of checkpoints")
    parser.add_argument("--checkpoint-every", type=float, default=60.0)
    parser.add_argument("--chunk", type=int, default=8, help="consecutive steps of one training")
    parser.add_argument("--users", type=int, default=2048, help="users per search")
    parser.add_argument("--limit", type=int, default=0, help="rank only the first users; 0 for all")
    parser.add_argument("--list-beam", type=int, default=50)
    parser.add_argument("--change", default="{}", help="JSON: changes of all settings")
    parser.add_argument("--cases", default="")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    torch.set_float32_matmul_precision("high")
    paths = options.paths
    if options.command == "prepare":
        prepare(
            {Path(run).name.removeprefix("run-"): Path(run) for run in paths[0].split(",")}, Path(paths[1])
        )
    elif options.command == "collect":
        collect(Path(paths[0]), Path(paths[1]))
    elif options.command == "speed":
        speed(Inputs.load(Path(paths[0])), Path(paths[1]), options)
    else:
        options.names = paths[2].split(",")
        train(Inputs.load(Path(paths[0])), Path(paths[1]), options.names, options)


if __name__ == "__main__":
    main()
