"""Valid arguments of particular callables: files, run directories, and objects that few callables take."""

import copy
import shutil

import numpy as np
import polars as pl
import torch

from sidkit import data, evaluate, ids, ranking, recommenders, report, run, tokenizers, train
from sidkit.data.worlds.preferences import PreferenceWorld
from sidkit.experiments.tune import Range
from sidkit.tokenizers.quality.inspection import Inspection

__all__ = ["more_objects", "particular"]

_RUN = (
    "tokenize.levels=2",
    "tokenize.codebook_size=4",
    'recommenders.use=["popularity"]',
    "decode.beam=5",
    "decode.k=5",
    "evaluate.ks=[5]",
    "evaluate.bootstrap_samples=10",
)


def more_objects(given):
    """Objects whose methods are called, besides those of `Examples`."""
    world = PreferenceWorld(items=24, clusters=4, types=2, dim=4)
    metrics = evaluate.Evaluation.of(
        [given.predictions], evaluate.Protocol(candidates=24, users=40), ks=[5]
    ).metrics
    network = given.basic["TIGER"][-1].network_
    comparison = ranking.compare(
        given.time_split, given.ranked_items, representations=("random",), settings=RANK_SETTINGS
    )
    batches = train.SequenceBatches(given.split.train, batch_size=8, max_items=4, padding=24, seed=0)
    _write_dataset(given)
    directory = given.directory / "run"
    config = _config(given)
    run.run_pipeline(config, directory)
    record = next(iter(run.RunDirectory(directory).records.values()))
    copied = given.directory / "other"
    shutil.copytree(directory, copied)
    codebook = tokenizers.quality_report(given.tokenizer, given.vectors)
    drift = ids.drift(given.codes, given.codes)
    return [
        *(world, world.log(10, seed=0), data.MarkovWorld(items=24, clusters=4, dim=4)),
        *(metrics, comparison, given.table.trie.to_torch("cpu"), network),
        batches,
        train.NextItemBatches(given.split.train, given.table.tokens, batch_size=8, max_items=4, seed=0),
        train.PieceBatches(
            given.split.train, given.codes, given.action_piece.vocabulary_, batch_size=8, max_items=4, seed=0
        ),
        train.SampledSoftmax(24, 4),
        train.TiedEvents(given.split.train, np.arange(len(given.split.train.values)) // 2, seed=0),
        batches.load(batches.epoch(0)[0]),
        *(config, record, run.RunDirectory(copied), run.open_run(directory), report.read_run(directory)),
        run.Quiet(),
        Range(low=1, high=4),
        ranking.Retraining({"a": 3}, drift, drift, comparison),
        Inspection(codebook, (), None, ()),
        codebook,
        _training_data(given),
        _rank_model(),
    ]


RANK_SETTINGS = ranking.RankSettings(num_embeddings=16, dim=4, seeds=(0,), epochs=1)


def _training_data(given):
    return recommenders.TrainingData(
        histories=data.Sequences(given.split.train.values, given.split.train.offsets),
        times=None,
        item_ids=given.dataset.item_ids,
        sids=given.table,
        item_vectors=given.vectors,
        validation=given.split.validation,
        callbacks=(),
    )


def _rank_model():
    values = np.arange(24)
    return ranking.RankModel(ranking.TableVectors(values, np.arange(25), num_embeddings=24, dim=4), 40, 4)


def _config(given):
    source = given.directory / "dataset"
    settings = {"data": {"source": str(source)}, "embed": {"vectors": str(source / "vectors.npy")}}
    return run.build_config(settings, assignments=_RUN)


def _write_dataset(given):
    """Write the dataset and its vectors."""
    source = given.directory / "dataset"
    source.mkdir(parents=True, exist_ok=True)
    given.dataset.items.write_parquet(source / "items.parquet")
    given.dataset.interactions.write_parquet(source / "interactions.parquet")
    np.save(source / "vectors.npy", given.vectors)


def particular(given):
    """Options by the end of a dotted name: `Class.method.parameter` or `function.parameter`."""
    one = given.objects
    place = given.directory / "files"
    place.mkdir(exist_ok=True)
    given.table.save(place / "table.parquet")
    given.tokenizer.save(place / "tokenizer")
    given.action_piece.save(place / "pieces")
    given.popularity.save(place / "popularity")
    given.predictions.save(place / "lists.parquet")
    one["TargetRanks"][0].save(place / "ranks.parquet")
    one["Metrics"][0].save(place / "metrics.json")
    one["History"][0].save(place / "history.json")
    given.dataset.items.write_parquet(place / "new.parquet")
    (place / "space.toml").write_text("[space]\nd_model = [4, 8]\n")
    (place / "config.toml").write_text("[tokenize]\nlevels = 2\n")
    source = given.directory / "dataset"
    rows = len(given.examples)
    histories = data.Sequences(given.split.train.values, given.split.train.offsets)
    codes = given.codes
    run_directory = given.directory / "run"
    states = torch.zeros(3, dtype=torch.int64)
    options = {
        "Dataset.find_users.ids": [given.dataset.user_ids.to_list()[:2]],
        "load_dataset.source": [str(source)],
        "read_items.path": [source / "items.parquet"],
        "read_items.like": [given.dataset.items],
        "MarkovWorld.vectors.start": [0],
        "MarkovWorld.vectors.stop": [5],
        "MarkovWorld.sessions.start": [0],
        "MarkovWorld.sessions.stop": [3],
        "MarkovWorld.best_items.last": [np.array([0, 3])],
        "MarkovWorld.cluster_of.rows": [np.array([0, 3])],
        "Sequences.from_lengths.values": [histories.values],
        "Sequences.take_heads.rows": [np.array([0, 2, 1])],
        "Sequences.take_heads.lengths": [np.array([1, 1, 1])],
        "World.clusters": [given.world.clusters],
        "World.successors": [given.world.successors],
        "PreferenceLog.types": [np.zeros(40, np.int64)],
        "PreferenceLog.histories": [histories],
        "PreferenceWorld.log.users": [10],
        "PreferenceWorld.value.types": [np.zeros(40, np.int64)],
        "PreferenceWorld.value.policy": [np.full((40, 24), 1 / 24)],
        "PreferenceWorld.optimal_policy.reference": [np.full((40, 24), 1 / 24)],
        "PreferenceWorld.optimal_policy.kl": [0.5],
        "TrieTensors.start.rows": [3],
        "TrieTensors.allowed.states": [states],
        "TrieTensors.children.states": [states],
        "TrieTensors.step.states": [states],
        "TrieTensors.step.codes": [states],
        "TrieTensors.mask_logits.states": [states],
        "TrieTensors.mask_logits.logits": [torch.zeros(3, 4)],
        "depth": [0],
        "beam_search.network": [one["TIGER"][-1].network_],
        "beam_search.tokens": [given.table.tokens],
        "diverse_beam_search.tokens": [given.table.tokens],
        "diverse_beam_search.network": [one["TIGER"][-1].network_],
        "load_vectors.path": [source / "vectors.npy"],
        "Evaluation.of.predictions": [[given.predictions]],
        "TargetRanks.of.predictions": [[given.predictions]],
        "code_entropy.items": [given.lists],
        "serendipity.items": [given.lists],
        "Metrics.load.path": [place / "metrics.json"],
        "Metrics.find.metric": ["recall@5"],
        "Predictions.load.path": [place / "lists.parquet"],
        "Predictions.model": ["m"],
        "Predictions.items": [given.lists],
        "Protocol.candidates": [24],
        "Protocol.users": [40],
        "Protocol.from_dict.values": [{"candidates": 24, "users": 40}],
        "TargetRanks.load.path": [place / "ranks.parquet"],
        "exclude_seen": [True],
        "ks": [(5,)],
        "quality_report.tokenizer": [given.tokenizer],
        "neighbour_recall.tokenizer": [given.tokenizer],
        "Histories.from_ids.rows": [[given.dataset.item_ids.to_list()[:3]]],
        "item_share.items": [given.lists],
        "reassign.codes": [codes],
        "code_entropy.codes": [codes[:, 0]],
        "PreferenceLog.liked": [np.ones(len(histories.values), np.int8)],
        "PreferenceLog.world": one["PreferenceWorld"],
        "PreferenceLog.reward.histories": [np.array([0, 3])],
        "PreferenceLog.reward.item_ids": [np.array([0, 3])],
        "measure_beams.run": [run_directory],
        "measure_frontier.run": [run_directory],
        "store_run.run": [run_directory],
        "store_run.results": [place / "results"],
        "save_beams.found": [{"a": 1}],
        "save_frontier.found": [{"a": 1}],
        "LMIndexer.fit.texts": [[f"item number {row}" for row in range(24)]],
        "WordTokenizer.fit.texts": [[f"item number {row}" for row in range(24)]],
        "TargetRanks.ranks": [one["TargetRanks"][0].ranks],
        "TargetRanks.lengths": [one["TargetRanks"][0].lengths],
        "Retraining.from_json.text": [one["Retraining"][0].to_json()],
        "Retraining.moved": [one["Retraining"][0].moved],
        "Retraining.moved_by_seed": [one["Retraining"][0].moved],
        "Retraining.trained_on": [{"a": 3}],
        "tune.space": [{"recommenders.sasrec.d_model": Range(low=4, high=8)}],
        "Impressions.items": [np.zeros(rows, np.int64)],
        "Impressions.times": [np.zeros(rows)],
        "Impressions.histories": [np.zeros((rows, 2), np.int64)],
        "TimeSplit.test_begins": [3.0],
        "TimeSplit.train_counts": [given.counts],
        "TimeSplit.new_items": [given.counts > 3],
        "Appended.path": [given.directory / "run"],
        "Appended.moved": [0],
        "step_flops.model": [one["TIGER"][-1].network_],
        "NextItemBatches.load.rows": [np.array([0])],
        "sweep_grid.tokenizers": [["rqkmeans"]],
        "sweep_grid.levels": [[2]],
        "sweep_grid.codebook_sizes": [[4]],
        "cell": [ranking.Cell("rqkmeans", 2, 4)],
        "sweep.cells": [[ranking.Cell("rqkmeans", 2, 4)]],
        "compare.representations": [("random",)],
        "settings": [RANK_SETTINGS],
        "retrain.tokenizer": [lambda seed: copy.deepcopy(given.tokenizer)],
        "Range.suggest.key": ["d_model"],
        "read_space.path": [place / "space.toml"],
        "search.space": [{"d_model": Range(low=4, high=8)}],
        "search.objective": [lambda number, chosen: 0.5],
        "search.trials": [2],
        "append_items.item_ids": [[f"new-{row}" for row in range(24)]],
        "SidTable.load.path": [place / "table.parquet"],
        "Vocabulary.decode.token_ids": [np.array([[3, 7, 10]])],
        "Comparison.from_json.text": [one["Comparison"][-1].to_json()],
        "Comparison.renamed.old": ["random"],
        "Comparison.renamed.new": ["b"],
        "Comparison.summary.against": ["random"],
        "jagged_rows.rows": [np.zeros((24, 2), np.int64)],
        "jagged_rows.offsets": [np.arange(25)],
        "impressions.dataset": [data.Dataset.from_frames(given.rated, given.dataset.items, name="ring")],
        "impressions.liked": [3.0],
        "RankModel.items": [_rank_model().items],
        "fit_ranker.model": [_rank_model()],
        "predict_ranker.model": [_rank_model()],
        "Pieces.from_json.text": [one["Pieces"][0].to_json()],
        "ContentVectors.budget": [64],
        "Recommender.load.path": [place / "popularity"],
        "load_model.path": [place / "popularity"],
        "Recommender.save.path": [given.directory / "saved"],
        "fit_rows.data": [one["TrainingData"][0]],
        "TrainingData.item_ids": [given.dataset.item_ids],
        "TrainingData.histories": [histories],
        "TrainingData.callbacks": [()],
        "read_history.path": [place / "history.json"],
        "History.load.path": [place / "history.json"],
        "read_run.path": [run_directory],
        "comparison_page.runs": [one["RunData"] * 2],
        "write_comparison.runs": [[run_directory, run_directory]],
        "page.run": one["RunData"],
        "write_page.run": [run_directory],
        "print_report.run": [run_directory],
        "ItemAttribute.names": [("a", "b")],
        "item_attribute.given": [pl.DataFrame({"item_id": given.dataset.item_ids, "v": [1] * 24})],
        "item_attribute.item_ids": [given.dataset.item_ids],
        "item_numbers.given": [np.arange(24.0)],
        "item_numbers.item_ids": [given.dataset.item_ids],
        "rerank.items": [given.lists],
        "rerank.scores": [given.scores],
        "Pipeline.of.rerank": [one["MMR"][0], None],
        "append_to_run.path": [run_directory],
        "append_to_run.items": [place / "new.parquet"],
        "preset.name": ["demo"],
        "flatten.settings": [{"a": {"b": 1}}],
        "parse_assignment.text": ["tokenize.levels=4"],
        "read_config.path": [place / "config.toml"],
        "read_tables.path": [place / "config.toml"],
        "RunDirectory.path": [given.directory / "other"],
        "stage": ["data", "tokenize"],
        "expected": ["f"],
        "RunDirectory.digests.names": [["run.toml"]],
        "RunDirectory.verify.patterns": [["*.json"]],
        "RunDirectory.output.name": ["table.parquet"],
        "StageRecord.fingerprint": ["f"],
        "StageRecord.settings": [{"a": 1}],
        "StageRecord.inputs": [{}],
        "StageRecord.outputs": [{}],
        "RunDirectory.check.settings": [{"a": 1}],
        "Run.path": [run_directory],
        "open_run.path": [run_directory],
        "Run.model": [None],
        "open_run.model": [None],
        "Run.recommend.histories": [[given.dataset.item_ids.to_list()[:3]]],
        "Run.recommend_users.user_ids": [given.dataset.user_ids.to_list()[:2]],
        "run_pipeline.path": [given.directory / "other"],
        "ActionPiece.expand.tokens": [np.array([0, 3])],
        "ActionPiece.load.path": [place / "pieces"],
        "Tokenizer.load.path": [place / "tokenizer"],
        "load_tokenizer.path": [place / "tokenizer"],
        "vectors": [given.vectors],
        "codebook_loss.codebooks": [[torch.zeros(4, 2)]],
        "codebook_loss.codes": [torch.zeros(3, 1, dtype=torch.int64)],
        "epoch": [0],
        "load.rows": [np.array([0, 1])],
        "Training.method": ["m"],
        "Training.loss": [lambda network, batch: torch.zeros(())],
        "steps_per_epoch": [4],
        "PieceBatches.vocabulary": [given.action_piece.vocabulary_],
        "PieceBatches.tokens": [codes],
        "tensors": [[torch.zeros(2)]],
        "tensor": [torch.zeros(2)],
        "flag": [True],
        "make": [lambda: 3],
        "SampledSoftmax.items": [24],
        "negatives": [4],
        "Drift.depth": [1],
        "agreement": [0.5],
        "remapped": [0.5],
        "information": [0.5],
        "remap": [pl.DataFrame({"a": [1]})],
        "context": [np.zeros((rows, 2), np.float32)],
        "sweep.directory": [given.directory / "sweep"],
        "search.directory": [given.directory / "search"],
    }
    return {key: values for key, values in options.items() if values}
