"""The work of every stage, on one run directory; what a stage makes is on the disk when it returns."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sidkit import Trie
from sidkit._files import atomic_path, sha256_of
from sidkit._progress import silent
from sidkit.data import Dataset, Split, built_in_names, cache_folder, load_dataset, split_dataset, statistics
from sidkit.errors import FormatError
from sidkit.run.assistants import Training, call_assistants
from sidkit.run.config import GENERATIVE_MODELS, ModelName, RunConfig, reads_content
from sidkit.run.directory import RunDirectory
from sidkit.run.engine import Outcome, Task

if TYPE_CHECKING:
    from sidkit.evaluate import Protocol
    from sidkit.ids import SidTable
    from sidkit.train import History

__all__ = ["Work", "save_vectors", "source_files"]

EMBEDDINGS = "embeddings.safetensors"
QUANTIZED = "quantized.safetensors"
TOKENIZER = "tokenizer.safetensors"
SIDS = "sids.parquet"
INDEX = "index.sidx"
METRICS = "metrics.json"
REPORT = "report.html"

_LOSSES = ("level_loss", "bigram_loss")
_THROUGHPUT = ("tokens_per_second", "gemm_share", "flops")
_DIAGNOSED = 2000  # validation users whose losses are looked at


class Work:
    """What the stages share while they run: the settings, the folder, and the data set once it is loaded.

    Packages of other stages are imported by the methods that need them, so that a run without a generator
    needs no sentence-transformers, and one whose models are trained needs no torch to be evaluated.
    """

    def __init__(self, config: RunConfig, folder: RunDirectory) -> None:
        self.config = config
        self.folder = folder

    @cached_property
    def dataset(self) -> Dataset:
        """The data set of the run."""
        data = self.config.data
        return load_dataset(
            self.source,
            min_user_events=data.min_user_events,
            min_item_events=data.min_item_events,
            unknown_items=data.unknown_items,
        )

    @cached_property
    def source(self) -> str:
        """Where the data set is, as seen from here."""
        source = self.config.data.source
        return source if source in built_in_names() else self._seen_from_here("data", "source", source)

    @cached_property
    def vectors(self) -> str | None:
        """Where the file of precomputed vectors is, as seen from here, if the run uses one."""
        vectors = self.config.embed.vectors
        return None if vectors is None else self._seen_from_here("embed", "vectors", vectors)

    def _seen_from_here(self, stage: str, key: str, given: str) -> str:
        """Where the stage found the file or folder of a setting, if that has not changed since.

        A relative path is as seen from where the run began, which may be another place than here.
        """
        record = self.folder.records.get(stage)
        if record is None or record.settings.get(f"{stage}.{key}") != given:
            return given
        noted = record.facts.get(key)
        return noted if isinstance(noted, str) and Path(noted).exists() else given

    @cached_property
    def split(self) -> Split:
        """Its events, parted."""
        data = self.config.data
        return split_dataset(self.dataset, kind=data.split, ties=data.ties, seed=data.seed)

    def source_files(self) -> dict[str, str]:
        """Digests of the data set's files."""
        return source_files(self.source)

    def vector_file(self) -> dict[str, str]:
        """Digest of the file of precomputed vectors, if the run uses one."""
        if self.vectors is None or not Path(self.vectors).is_file():
            return {}
        return {Path(self.vectors).name: sha256_of(self.vectors)}

    def data(self, task: Task) -> Outcome:
        """Load, check and split; nothing is written, since the data set stays where it is."""
        source = self.source
        return Outcome(
            facts={
                "source": source if source in built_in_names() else str(Path(source).resolve()),
                **dataclasses.asdict(statistics(self.dataset)),
                "train_events": len(self.split.train.values),
                "validation_users": len(self.split.validation),
                "test_users": len(self.split.test),
            }
        )

    def embed(self, task: Task) -> Outcome:
        """Make one vector an item, of its text or from a file."""
        from sidkit.embed import embed_texts, item_texts, load_vectors

        embed = self.config.embed
        facts: dict[str, Any] = {}
        if self.vectors is not None:
            vectors = load_vectors(self.vectors, self.dataset.item_ids)
            facts["vectors"] = str(Path(self.vectors).resolve())
        else:
            texts = item_texts(self.dataset.items, embed.template)
            vectors = embed_texts(
                texts,
                model=embed.model,
                batch_size=embed.batch_size,
                cache=cache_folder() / "vectors",
                progress=task.progress,
            )
        save_vectors(self.folder.path / EMBEDDINGS, vectors)
        facts |= {"items": vectors.shape[0], "dimensions": vectors.shape[1]}
        return Outcome((EMBEDDINGS,), facts)

    def tokenize(self, task: Task) -> Outcome:
        """Fit the tokenizer, and measure it."""
        from sidkit.run.tokenizers import make_tokenizer
        from sidkit.tokenizers import quality_report

        vectors, outputs = self._vectors(), [TOKENIZER]
        behaviour = self._behaviour(task) if self.config.tokenize.reads_behaviour else None
        if behaviour is not None and self.config.tokenize.vectors != "content":
            from sidkit.run.stages.collaborative import vectors_to_quantize

            vectors = vectors_to_quantize(self.config.tokenize, vectors, behaviour)
            save_vectors(self.folder.path / QUANTIZED, vectors)
            outputs.append(QUANTIZED)
        tokenizer = make_tokenizer(self.config.tokenize)
        tokenizer.fit(
            vectors,
            **self._learned_from(vectors, behaviour),
            progress=lambda done, total, figures: task.progress(done, total, **figures),
            checkpoint=task.workspace() / "checkpoint.safetensors",
        )
        tokenizer.save(self.folder.path / TOKENIZER)
        return Outcome(outputs, quality_report(tokenizer, vectors).to_dict())

    def _behaviour(self, task: Task) -> npt.NDArray[np.float32]:
        """Vectors of behaviour; once made, they are there for a stage that was interrupted later."""
        from sidkit.embed import load_vectors

        made = task.workspace() / "behaviour.safetensors"
        if not made.is_file():
            if self.config.tokenize.behaviour_from == "sasrec":
                call_assistants("tokenize", task.workspace(), task.fingerprint)
            save_vectors(made, self._learn_behaviour(task))
        return load_vectors(made, self.dataset.item_ids)

    def _learn_behaviour(self, task: Task) -> npt.NDArray[np.float32]:
        from sidkit.run.stages.collaborative import behaviour_vectors

        return behaviour_vectors(
            self.config,
            self.split.train,
            len(self.dataset.items),
            task.workspace() / "sasrec",
            times=self.split.train.times,
            data=task.fingerprint,
            progress=task.progress,
        )

    def _learned_from(
        self, vectors: npt.NDArray[np.float32], behaviour: npt.NDArray[np.float32] | None
    ) -> dict[str, Any]:
        """What the tokenizer learns from beside vectors, as arguments of `fit`."""
        tokenize = self.config.tokenize
        if tokenize.method == "cooccurrence":
            return {"histories": self.split.train}
        if tokenize.learns_from_texts:
            from sidkit.embed import item_texts

            return {"texts": item_texts(self.dataset.items, self.config.embed.template)}
        if tokenize.behaviour is not None:
            from sidkit.run.stages.collaborative import losses

            return {"auxiliary_losses": losses(tokenize, vectors, behaviour)}
        return {}

    def ids(self, task: Task) -> Outcome:
        """Give every item its Semantic ID, and build the trie over them."""
        from sidkit.ids import SidTable
        from sidkit.tokenizers import decoding_costs, load_tokenizer

        tokenizer = load_tokenizer(self.folder.path / TOKENIZER)
        vectors = self._vectors(EMBEDDINGS if self.config.tokenize.vectors == "content" else QUANTIZED)
        earlier = self._earlier_table()
        table = SidTable.from_codes(
            tokenizer.encode(vectors),
            self.dataset.item_ids,
            tokenizer.codebook_sizes,
            collisions=self.config.ids.collisions,
            alternatives=lambda rows: tokenizer.alternatives(vectors[rows]),
            method=self.config.ids.reassign,
            costs=None if self.config.ids.reassign == "first" else decoding_costs(tokenizer, vectors),
        )
        outputs = [SIDS, INDEX]
        if earlier is not None:
            from sidkit.run.drift import write_drift

            outputs += write_drift(self.folder.path, earlier, table)
        table.save(self.folder.path / SIDS)
        Trie.build(table).save(self.folder.path / INDEX)
        return Outcome(outputs, {"sizes": list(table.sizes), "bits": table.layout.bits})

    def _earlier_table(self) -> "SidTable | None":
        """The Semantic IDs about to be replaced, if the stage finished before and they can be read."""
        from sidkit.ids import SidTable

        file = self.folder.path / SIDS
        if "ids" not in self.folder.records or not file.is_file():
            return None
        try:
            return SidTable.load(file)
        except FormatError:
            return None

    def train(self, model: ModelName, task: Task) -> Outcome:
        """Train one model; its files move to `models/<model>` when they are complete."""
        workspace = task.workspace()
        facts: Mapping[str, Any] = {}
        if model == "popularity":
            from sidkit.recommenders.popularity import Popularity

            Popularity().fit(self.split.train.values, len(self.dataset.items)).save(workspace)
        else:
            history = self._fit(model, workspace, task)
            facts = {"parameters": history.parameters, "best_step": history.best_step}
            facts |= {name: told for name in _THROUGHPUT if (told := getattr(history, name))}
            if model in GENERATIVE_MODELS:
                facts |= self._diagnosis(workspace)
        return Outcome(self._move(workspace, f"models/{model}"), facts)

    def _diagnosis(self, folder: Path) -> dict[str, list[float]]:
        """Measure the losses of a trained generator on validation, and those of the baseline, by level."""
        from sidkit.evaluate import bigram_losses
        from sidkit.models import load_model
        from sidkit.run.stages.level_losses import level_losses

        valid, tokens = self.split.validation, self._table().tokens
        able = np.flatnonzero(valid.histories.lengths > 0)
        if not len(able):
            return {}
        drawn = np.random.default_rng(0).permutation(able)[:_DIAGNOSED]
        asked = valid.take(np.sort(drawn))
        model = load_model(folder)
        model.eval()
        return {
            "level_loss": [round(loss, 4) for loss in level_losses(model, tokens, asked)],
            "bigram_loss": [round(loss, 4) for loss in bigram_losses(tokens, self.split.train, asked)],
        }

    def _fit(self, model: ModelName, workspace: Path, task: Task) -> "History":
        from sidkit.recommenders.training import Material, train_model

        call_assistants(model, workspace, task.fingerprint)
        sizes, training = getattr(self.config.models, model), getattr(self.config.train, model)
        generator = model in GENERATIVE_MODELS
        material = Material(
            self.split,
            len(self.dataset.items),
            self._table() if generator else None,
            self._trie() if generator else None,
            self._vectors() if reads_content(self.config, model) else None,
        )
        _, history = train_model(
            model, material, sizes, training, workspace, data=task.fingerprint, progress=task.progress
        )
        return history

    def assist(self, training: Training, workspace: Path, fingerprint: str) -> None:
        """Take this process's share of a training that the first process has begun."""
        task = Task(fingerprint, silent, lambda: workspace)
        if training == "tokenize":
            self._learn_behaviour(task)
        else:
            self._fit(training, workspace, task)

    def decode(self, model: ModelName, task: Task) -> Outcome:
        """Rank items for every test user, and keep the lists, those of every way in which a model ranks."""
        from sidkit.evaluate import Predictions
        from sidkit.recommenders.ranker import load_rankers

        decode, test = self.config.decode, self.split.test
        generator = model in GENERATIVE_MODELS
        rankers = load_rankers(
            model,
            self.folder.path / "models" / model,
            table=self._table() if generator else None,
            trie=self._trie() if generator else None,
            beam=decode.beam,
            batch_size=decode.batch_size,
        )
        seen = test.histories if decode.exclude_seen else None
        total, outputs = len(rankers) * len(test), []
        for place, (ranking, rank) in enumerate(rankers.items()):
            before = place * len(test)
            items, scores = rank(
                test.histories,
                test.users,
                decode.k,
                seen,
                lambda done, before=before: task.progress(before + done, total),  # type: ignore[misc]
            )
            name = f"predictions/{ranking}.parquet"
            Predictions(ranking, test.users, items, scores, test.targets).save(
                self.folder.path / name, user_ids=self.dataset.user_ids, item_ids=self.dataset.item_ids
            )
            outputs.append(name)
        return Outcome(outputs)

    def evaluate(self, task: Task) -> Outcome:
        """Measure the lists of every model under one protocol."""
        from sidkit.evaluate import Metrics, Predictions, machine_facts, measure, user_slices, version_facts

        models, evaluate = self.config.models.use, self.config.evaluate
        n_items = len(self.dataset.items)
        popularity = np.bincount(self.split.train.values, minlength=n_items)
        test = self.split.test
        slices = user_slices(test.histories.lengths, popularity[test.targets])
        results = []
        records = self.folder.records
        lists = [name for model in models for name in records[f"decode.{model}"].outputs]
        for done, name in enumerate(lists):
            task.progress(done, len(lists))
            results += measure(
                Predictions.load(self.folder.path / name),
                n_items,
                ks=evaluate.ks,
                slices=slices,
                popularity=popularity,
                resamples=evaluate.bootstrap_samples,
                seed=evaluate.seed,
            )
        peaks = {name: record.peak_memory_bytes for name, record in records.items()}
        Metrics(
            self._protocol(),
            results,
            tokenizer=dict(records["tokenize"].facts) if GENERATIVE_MODELS & set(models) else {},
            seconds={name: record.seconds for name, record in records.items()},
            diagnostics={
                name: told for name in models if (told := _among(records[f"train.{name}"].facts, _LOSSES))
            },
            training={
                name: told for name in models if (told := _among(records[f"train.{name}"].facts, _THROUGHPUT))
            },
            cpu_seconds={name: record.cpu_seconds for name, record in records.items() if record.cpu_seconds},
            machine=machine_facts() | {"peak_memory_bytes": peaks},
            versions=version_facts(),
            slices={"all": len(test)} | {name: int(mask.sum()) for name, mask in slices.items()},
        ).save(self.folder.path / METRICS)
        return Outcome((METRICS,))

    def report(self, task: Task) -> Outcome:
        """Write the page that shows it all."""
        from sidkit.report import write_page

        write_page(self.folder.path, dataset=self.dataset)
        return Outcome((REPORT,))

    def _protocol(self) -> "Protocol":
        from sidkit.evaluate import Protocol

        config, generator = self.config, bool(GENERATIVE_MODELS & set(self.config.models.use))
        # Where no two times are equal nothing was shuffled, whatever the setting, and no table may say so.
        shuffled = config.data.ties == "shuffle" and self.dataset.tied_share > 0
        return Protocol(
            split=config.data.split,
            ties="shuffle" if shuffled else "source",
            tie_seed=config.data.seed if shuffled else 0,
            exclude_seen=config.decode.exclude_seen,
            collisions=config.ids.collisions if generator else None,
            reassign=config.ids.reassign if generator else "first",
            candidates=len(self.dataset.items),
            beam=config.decode.beam if generator else None,
            seeds=self._seeds(),
            users=len(self.split.test),
            dataset=self.dataset.name,
            resamples=config.evaluate.bootstrap_samples,
        )

    def _seeds(self) -> tuple[int, ...]:
        """The seeds of the models that are trained; without one, that of the settings."""
        train = self.config.train
        trained = [name for name in self.config.models.use if name != "popularity"]
        return tuple(sorted({getattr(train, name).seed for name in trained} or {train.sasrec.seed}))

    def _vectors(self, name: str = EMBEDDINGS) -> npt.NDArray[np.float32]:
        from sidkit.embed import load_vectors

        return load_vectors(self.folder.path / name, self.dataset.item_ids)

    def _table(self) -> "SidTable":
        from sidkit.ids import SidTable

        return SidTable.load(self.folder.path / SIDS)

    def _trie(self) -> Trie:
        return Trie.open(self.folder.path / INDEX)

    def _move(self, workspace: Path, name: str) -> list[str]:
        """Move the files of a finished training to where the run keeps them."""
        target = self.folder.path / name
        target.mkdir(parents=True, exist_ok=True)
        moved = []
        for file in sorted(workspace.iterdir()):
            file.replace(target / file.name)
            moved.append(f"{name}/{file.name}")
        return moved


def _among(facts: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: facts[name] for name in names if name in facts}


def source_files(source: str) -> dict[str, str]:
    """Digests of the files of a data set; a built-in one is pinned by its name and has none."""
    if source in built_in_names():
        return {}
    names = ("interactions.parquet", "interactions.csv", "items.parquet", "items.csv")
    tables = [Path(source) / name for name in names]
    return {path.name: sha256_of(path) for path in tables if path.is_file()}


def save_vectors(path: Path, vectors: npt.NDArray[np.float32]) -> None:
    """Write vectors, whole or not at all."""
    from safetensors.numpy import save_file

    with atomic_path(path) as temporary:
        save_file({"embeddings": vectors}, temporary)
