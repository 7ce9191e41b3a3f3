"""Data with a known answer: texts of planted topics, and vectors with further dimensions."""

import numpy as np


class Topics:
    """Items of 6 topics with 5 subtopics each; texts have words of both and uninformative words.

    The vectors contain topic and subtopic, but vary as much in dimensions unrelated to the texts.

    Args:
        seed: of items; topics and subtopics are the same for all.

    Attributes:
        topics, subtopics: of each item, `topic3` and `subtopic3x1`.
        texts: of each item.
        vectors: float32 (items, 24).
    """

    def __init__(self, items=900, seed=0):
        fixed = np.random.default_rng(7)
        topics = fixed.normal(size=(6, 24)) * np.where(np.arange(24) < 16, 2.0, 0)
        subtopics = fixed.normal(size=(6, 5, 24)) * np.where(np.arange(24) < 16, 0.8, 0)
        rng = np.random.default_rng(seed)
        topic, sub = rng.integers(6, size=items), rng.integers(5, size=items)
        noise = rng.normal(size=(items, 24)) * np.where(np.arange(24) < 16, 0.25, 2.0)
        self.vectors = (topics[topic] + subtopics[topic, sub] + noise).astype(np.float32)
        self.topics = [f"topic{t}" for t in topic]
        self.subtopics = [f"subtopic{t}x{s}" for t, s in zip(topic, sub, strict=True)]
        self.texts = [
            f"{self._some(rng, self.topics[k])} {self._some(rng, self.subtopics[k])} idle{rng.integers(30)}"
            for k in range(items)
        ]

    def _some(self, rng, name):
        return " ".join(f"{name}word{number}" for number in rng.choice(5, 3, replace=False))
