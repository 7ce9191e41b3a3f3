"""Draw the plots of the documentation from the records: `python benches/plots.py`."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]
RECORD, DOCS = ROOT / "benches" / "record", ROOT / "docs" / "plots"
OURS, THEIRS, ROOF = "#1f6f8b", "#b9bec6", "#d9c27e"
SHAPES = {
    "768 3x256": "32,892 × 768, 3 × 256",
    "32 3x256": "200,000 × 32, 3 × 256",
    "768 8x2048": "16,384 × 768, 8 × 2048",
}


def assign() -> None:
    """Rows a second of every contender, one panel a shape, the matrix products alone as the roof."""
    benchmarks = json.loads((RECORD / "assign.json").read_text())["benchmarks"]
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.6))
    for panel, (shape, title) in zip(panels, SHAPES.items(), strict=True):
        bars = []
        for entry in benchmarks:
            group, name = entry["extra_info"].get("group"), entry["name"]
            if entry["extra_info"].get("shape") != shape or group not in ("greedy", "product"):
                continue
            rate = entry["extra_info"]["rows"] / entry["stats"]["median"] / 1000
            label = "the f32 products alone" if group == "product" else name.partition(f"{shape}-")[2][:-1]
            bars.append((rate, label))
        bars.sort()
        colours = [
            OURS if label.startswith("sidkit") else ROOF if label.startswith("the") else THEIRS
            for _, label in bars
        ]
        drawn = panel.barh([label for _, label in bars], [rate for rate, _ in bars], color=colours)
        labels = [f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}" for rate, _ in bars]
        panel.bar_label(drawn, labels, padding=3, fontsize=8)
        panel.set_title(title, fontsize=10)
        panel.tick_params(axis="y", labelsize=8, length=0)
        panel.set_xticks([])
        panel.margins(x=0.15)
        for side in ("top", "right", "bottom", "left"):
            panel.spines[side].set_visible(False)
    figure.suptitle("Greedy assignment, thousands of rows a second, two threads", fontsize=11)
    figure.tight_layout()
    save(figure, "assign.svg")


def scaling() -> None:
    """Time of a row against the number of rows."""
    figures = json.loads((RECORD / "scaling.json").read_text())["figures"]
    figure, panel = plt.subplots(figsize=(5.5, 3.2))
    rows = [entry["rows"] for entry in figures]
    for threads, colour in (("1", THEIRS), ("2", OURS)):
        times = [entry["nanoseconds_a_row"][threads] for entry in figures]
        panel.plot(rows, times, "o-", color=colour)
        panel.annotate(
            f"{threads} thread{'s' * (threads != '1')}",
            (rows[-1], times[-1]),
            (6, -3),
            textcoords="offset points",
        )
    panel.set_xscale("log")
    panel.set_ylim(0)
    panel.set_xlabel("rows of dimension 32, 3 × 256 codes")
    panel.set_ylabel("ns a row")
    panel.margins(x=0.12)
    panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    save(figure, "assign-scaling.svg")


def catalogue() -> None:
    """Training step, peak memory and decoding speed against the size of the catalogue."""
    figures = json.loads((RECORD / "catalogue-scaling.json").read_text())["figures"]
    items = [entry["items"] for entry in figures]
    figure, panels = plt.subplots(1, 3, figsize=(11, 3))
    for panel, (title, values) in zip(
        panels,
        {
            "seconds per training step": [entry["step_seconds"] for entry in figures],
            "peak memory of the training, GB": [entry["peak_bytes"] / 1e9 for entry in figures],
            "users per second, 50 beams": [entry["decode_users_per_second"] for entry in figures],
        }.items(),
        strict=True,
    ):
        panel.plot(items, values, "o-", color=OURS)
        panel.set_title(title, fontsize=10)
        panel.set_xscale("log")
        panel.set_xlabel("items")
        panel.set_ylim(0, 1.25 * max(values))
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    save(figure, "catalogue-scaling.svg")


def save(figure: plt.Figure, name: str) -> None:
    """Write a plot that is the same, byte for byte, for the same record."""
    DOCS.mkdir(parents=True, exist_ok=True)
    figure.savefig(DOCS / name, metadata={"Date": None}, facecolor="white")
    plt.close(figure)


if __name__ == "__main__":
    plt.rcParams["svg.hashsalt"] = "sidkit"
    plt.rcParams["svg.fonttype"] = "none"
    assign()
    scaling()
    catalogue()
