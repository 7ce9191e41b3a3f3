"""Preference alignment: what it gains where the best policy is known, and what it costs on real data.

    python benches/python/align.py simulator            # three seeds, four methods
    python benches/python/align.py off-policy           # 200 logs: do the intervals hold the true value?
    python benches/python/align.py ratings --data ml-100k
    python benches/python/align.py next-item --data ../shared/data/beauty --model MODEL_DIRECTORY

Every part writes its figures to `benches/record/align.json` under its name and leaves the others as they are.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import torch

import sidkit
from sidkit.data import Dataset, PreferenceWorld
from sidkit.data.worlds.preferences import divergence
from sidkit.evaluate import DR, IPS, SNIPS, machine_facts, version_facts
from sidkit.report.alignment import alignment_plot
from sidkit.train import DPO, GRPO, IPO, Budget, SoftmaxDPO
from sidkit.train.align import LoggedFeedback, NextItem, RewardHackingWarning
from sidkit.train.align.preferences import ratings_of

RECORD = Path(__file__).parents[1] / "record" / "align.json"
KL = 0.5
FREE = Budget(kl=KL, ndcg_loss=None)


def methods(steps, seed):
    """The methods that are compared, with settings that reach their optimum in the simulator."""
    common = {"steps": steps, "batch_size": 128, "evaluate_every_steps": max(1, steps // 8), "seed": seed}
    return [
        GRPO(learning_rate=3e-3, **common),
        DPO(learning_rate=1e-3, **common),
        IPO(learning_rate=1e-3, **common),
        SoftmaxDPO(learning_rate=1e-3, **common),
    ]


def simulated(seed, users):
    """A world, its log, and a model of what users take."""
    world = PreferenceWorld(items=64, clusters=8, types=4, seed=seed)
    log = world.log(users)
    data = log.dataset
    split = data.split("leave_last_out")
    tokenizer = sidkit.RQKMeans(levels=2, codebook_size=8, seed=seed).fit(world.vectors)
    sids = tokenizer.semantic_ids(world.vectors, data.item_ids)
    model = sidkit.RQTransformer(d_model=64, epochs=15, dropout=0.2, graph=False, min_steps=0, seed=seed)
    model.fit(split.train, sids=sids, item_vectors=world.vectors, validation=split.validation)
    return world, log, split, model


def improved(model, method, split, log):
    """The model aligned with the reward of the world, whatever that costs in accuracy on the log."""
    return model.align(
        split.train,
        reward=log.reward,
        method=method,
        validation=split.validation,
        budget=FREE,
        exclude_seen=False,
    )


def probabilities(world, model, histories):
    """Probability of every item after every history, float64 (m, items)."""
    every = np.broadcast_to(np.arange(world.items) + 1, (len(histories), world.items))
    return np.exp(model.log_probs(histories, every, exclude_seen=False).astype(np.float64))


def simulator(arguments):
    """True gain of each method as a share of that of the optimal policy with the same divergence."""
    runs = []
    for seed in range(arguments.seeds):
        world, log, split, model = simulated(seed, arguments.users)
        fresh = world.log(4000, seed=1)
        reference = probabilities(world, model, fresh.histories)
        best = world.optimal_policy(reference, fresh.histories, kl=KL)
        low, high = world.value(reference, fresh.types), world.value(best, fresh.types)
        print(f"seed {seed}: reference {low:.4f}, optimal {high:.4f}", flush=True)
        for method in methods(arguments.steps, seed):
            spent = time.process_time()
            aligned = improved(model, method, split, log)
            spent = time.process_time() - spent
            policy = probabilities(world, aligned, fresh.histories)
            value = world.value(policy, fresh.types)
            run = {
                "seed": seed,
                "method": method.method,
                "beta": aligned.alignment_.beta,
                "reference": low,
                "optimal": high,
                "value": value,
                "share_of_gain": (value - low) / (high - low),
                "kl": divergence(policy, reference),
                "cpu_seconds": spent,
            }
            print(json.dumps(run), flush=True)
            runs.append(run)
            if arguments.plot and seed == 0 and method.method == "sdpo":
                arguments.plot.write_text(alignment_plot(aligned.alignment_.as_dict()))
    return {"kl_budget": KL, "users": arguments.users, "steps": arguments.steps, "runs": runs}


def off_policy(arguments):
    """Share of logs in which the interval holds the true value of an aligned policy."""
    world, log, split, model = simulated(0, arguments.users)
    method = DPO(learning_rate=1e-3, steps=100, evaluate_every_steps=25)
    aligned = improved(model, method, split, log)
    predicted = 0.5 * world.rewards.mean(axis=0) + 0.25  # a biased model without types
    truths, estimates = [], {"ips": [], "snips": [], "dr": []}
    for repetition in range(arguments.repetitions):
        drawn = world.log(arguments.rows, seed=1000 + repetition)
        before = drawn.histories.head(drawn.histories.lengths - 1)
        last = drawn.histories.offsets[1:] - 1
        action = drawn.histories.values[last]
        policy = probabilities(world, aligned, before)
        truths.append((policy * world.rewards[drawn.types]).sum(axis=1))
        rows = np.arange(len(action))
        given = drawn.liked[last], drawn.propensities()[last], np.minimum(policy[rows, action], 1)
        for found in (
            IPS().estimate(*given),
            SNIPS().estimate(*given),
            DR().estimate(*given, predicted=predicted[action], expected=policy @ predicted),
        ):
            estimates[found.method].append(found)
    truth = float(np.concatenate(truths).mean())  # over all contexts: its error is far below an interval
    found = {"truth": truth, "rows": arguments.rows, "repetitions": arguments.repetitions}
    for name, each in estimates.items():
        found[name] = {
            "covered": float(np.mean([one.ci95[0] <= truth <= one.ci95[1] for one in each])),
            "bias": float(np.mean([one.value for one in each]) - truth),
            "rmse": float(np.sqrt(np.mean([(one.value - truth) ** 2 for one in each]))),
            "effective_sample_size": float(np.mean([one.effective_sample_size for one in each])),
        }
        print(name, found[name], flush=True)
    return found


def by_period(data):
    """The dataset with the last fifth of each user's events for test, and the tenth before for validation."""
    histories = data.histories()
    place = np.arange(len(histories.values)) - np.repeat(histories.offsets[:-1], histories.lengths)
    share = place / np.repeat(histories.lengths, histories.lengths)
    part = np.where(share < 0.7, "train", np.where(share < 0.8, "validation", "test"))
    user = np.repeat(np.arange(len(histories)), histories.lengths)
    marks = pl.DataFrame(
        {
            "user_id": data.user_ids.gather(user),
            "item_id": data.item_ids.gather(histories.values),
            "split": part,
        }
    ).unique(["user_id", "item_id"], keep="last")
    events = data.interactions.join(marks, on=["user_id", "item_id"], how="left")
    return Dataset(data.name, data.items, events)


def rated(lists, users, later, ratings):
    """Sum and number of the ratings of listed items that each user rated in the test period."""
    sums, counts = np.zeros(len(users)), np.zeros(len(users))
    for row, (user, items) in enumerate(zip(users.tolist(), lists.tolist(), strict=True)):
        for item in items:
            if (user, item) in ratings and item in later[user]:
                sums[row] += ratings[user, item]
                counts[row] += 1
    return sums, counts


def of_ratings(arguments):
    """Mean rating of recommended items that the user rated later, before and after."""
    data = by_period(sidkit.load_dataset(arguments.data))
    split = data.split("given")
    ratings = ratings_of(data, "rating")
    vectors = sidkit.embed_items(data.items)
    sids = sidkit.RQKMeans(levels=3, codebook_size=64).fit(vectors).semantic_ids(vectors, data.item_ids)
    runs = []
    for seed in range(arguments.seeds):
        model = sidkit.RQTransformer(d_model=128, graph=False, seed=seed)
        model.fit(split.train, sids=sids, item_vectors=vectors, validation=split.validation)
        first = np.unique(split.test.users, return_index=True)[1]
        one_each = split.test.take(first)
        later = {int(user): set() for user in one_each.users}
        for user, item in zip(split.test.users.tolist(), split.test.targets.tolist(), strict=True):
            later[user].add(item)
        spent = time.process_time()
        aligned = model.align(
            split.train,
            reward=LoggedFeedback(data, split.train),
            method=GRPO(seed=seed, learning_rate=1e-3, steps=400),
            validation=split.validation,
            budget=Budget(kl=KL, ndcg_loss=0.01),
        )
        spent = time.process_time() - spent
        found = []
        for each in (model, aligned):
            items, _ = each._rank(
                one_each.histories, arguments.k, users=one_each.users, exclude=one_each.histories
            )
            ndcg = each.evaluate(split.test, exclude_seen=True)["ndcg@10"]
            found.append((*rated(items, one_each.users, later, ratings), ndcg))
        run = _compared(found, seed) | {"seed": seed, "cpu_seconds": spent, "beta": aligned.alignment_.beta}
        print(json.dumps(run), flush=True)
        runs.append(run)
    return {"data": arguments.data, "k": arguments.k, "runs": runs}


def _compared(found, seed):
    (sum0, count0, ndcg0), (sum1, count1, ndcg1) = found
    random = np.random.default_rng(seed)
    gains = []
    for _ in range(2000):  # users are resampled
        rows = random.integers(len(sum0), size=len(sum0))
        gains.append(sum1[rows].sum() / count1[rows].sum() - sum0[rows].sum() / count0[rows].sum())
    gains = np.array(gains)
    beyond = min((gains <= 0).sum(), (gains >= 0).sum())
    return {
        "mean_rating": [sum0.sum() / count0.sum(), sum1.sum() / count1.sum()],
        "rated_items": [int(count0.sum()), int(count1.sum())],
        "gain_ci95": np.quantile(gains, [0.025, 0.975]).tolist(),
        "p": min(1.0, 2 * (beyond + 1) / 2001),
        "ndcg@10": [ndcg0, ndcg1],
        "ndcg_change": ndcg1 / ndcg0 - 1,
    }


def next_item(arguments):
    """Validation NDCG@10 of a trained model before and after GRPO with the reward of a hit."""
    data = sidkit.load_dataset(arguments.data)
    split = data.split("leave_last_out")
    model = sidkit.load_model(arguments.model)
    spent, wall = time.process_time(), time.monotonic()
    method = GRPO(group_size=64, expectation="top", steps=arguments.steps, learning_rate=2e-4, batch_size=128)
    aligned = model.align(
        split.train,
        reward=NextItem(),
        method=method,
        validation=split.validation,
        budget=Budget(kl=KL, ndcg_loss=0.02),
    )
    spent, wall = time.process_time() - spent, time.monotonic() - wall
    before, after = (each.evaluate(split.validation, exclude_seen=True) for each in (model, aligned))
    found = {
        "data": str(arguments.data),
        "method": method.settings(),
        "beta": aligned.alignment_.beta,
        "cpu_seconds": spent,
        "wall_seconds": wall,
        "evaluations": aligned.alignment_.history.evaluations,
    }
    for name, each in (("before", before), ("after", after)):
        found[name] = {metric: each[metric] for metric in ("ndcg@10", "recall@10")}
    print(json.dumps({name: found[name] for name in ("before", "after", "cpu_seconds")}), flush=True)
    return found


PARTS = {
    "simulator": simulator,
    "off-policy": off_policy,
    "ratings": of_ratings,
    "next-item": next_item,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data", default="ml-100k")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--plot", type=Path, help="SVG file of the first S-DPO run of the simulator")
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RECORD)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", RewardHackingWarning)  # the simulator's budget has no limit of accuracy
    found = PARTS[arguments.part](arguments)
    record = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    name = (
        arguments.part
        if arguments.part in ("simulator", "off-policy")
        else (f"{arguments.part}-{Path(arguments.data).name}")
    )
    record[name] = found | {"machine": machine_facts(), "versions": version_facts()}
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
