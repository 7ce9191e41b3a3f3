"""The stage `embed`: one content vector per item, from its text or from a file."""

from pathlib import Path
from typing import Any

from sidkit._files import sha256_of
from sidkit.embed import embed_items, load_vectors
from sidkit.run.engine import Outcome, Stage, Task
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import EMBEDDINGS, save_vectors

__all__ = ["embed_stage"]


def embed_stage(context: Context) -> Stage:
    """Describe the stage."""

    def work(task: Task) -> Outcome:
        embed = context.config.embed
        facts: dict[str, Any] = {}
        if context.vector_file is not None:
            vectors = load_vectors(context.vector_file, context.dataset.item_ids)
            facts["vectors"] = str(Path(context.vector_file).resolve())
        else:
            vectors = embed_items(
                context.dataset.items,
                model=embed.model,
                template=embed.template,
                max_tokens=embed.max_tokens,
                batch_size=embed.batch_size,
                progress=task.progress,
            )
        save_vectors(context.directory.path / EMBEDDINGS, vectors)
        return Outcome((EMBEDDINGS,), {**facts, "items": vectors.shape[0], "dimensions": vectors.shape[1]})

    def files() -> dict[str, str]:
        if context.vector_file is None or not Path(context.vector_file).is_file():
            return {}
        return {Path(context.vector_file).name: sha256_of(context.vector_file)}

    return Stage("embed", context.settings("embed"), ("data",), work, files)
