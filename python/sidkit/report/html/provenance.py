"""Sections on the data and on provenance: settings, machine, versions and time of each stage."""

import numpy as np

from sidkit.report.collect import RunData
from sidkit.report.html.blocks import section
from sidkit.report.html.plots import bars, doubling_bins, histogram
from sidkit.report.markup import Markup, tag
from sidkit.report.numbers import memory

__all__ = ["data_facts", "data_section", "provenance"]


def data_facts(run: RunData) -> dict[str, int]:
    """Count users, items and interactions; unknown counts are omitted."""
    if run.dataset is not None:
        return {
            "users": len(run.dataset.user_ids),
            "items": len(run.dataset.items),
            "interactions": len(run.dataset.interactions),
        }
    facts = run.facts("data")
    names = ("users", "items", "interactions")
    known = {name: facts[name] for name in names if isinstance(facts.get(name), int)}
    if "items" not in known and run.table is not None:
        known["items"] = len(run.table)
    return known


def data_section(run: RunData) -> list[Markup]:
    """Show the distribution of events over users and items."""
    if run.dataset is None:
        reason = f"The dataset could not be loaded, so titles and histories are missing: {run.missing_data}"
        return section("Data", tag("p", reason, class_="note"))
    dataset = run.dataset
    users = np.bincount(dataset.user_index, minlength=len(dataset.user_ids))
    items = np.bincount(dataset.item_index, minlength=len(dataset.items))
    density = len(dataset.interactions) / max(1, len(users) * len(items))
    text = (
        f"{len(users):,} users, {len(items):,} items, {len(dataset.interactions):,} interactions: "
        f"{density:.3%} of all pairs. The median user has {int(np.median(users))} events, "
        f"the median item {int(np.median(items))}."
    )
    plots = [
        histogram(doubling_bins(users), "Users", "events per user", class_="s0"),
        histogram(doubling_bins(items), "Items", "events per item", class_="s2"),
    ]
    return section("Data", tag("p", text), tag("div", plots, class_="row"))


def provenance(run: RunData) -> list[Markup]:
    """Show everything that is needed to repeat the run."""
    parts: list[Markup] = []
    timed = {name: value for name, value in run.seconds.items() if value >= 0.05}
    if timed:
        parts.append(tag("div", bars(timed, "Time of each stage"), class_="row"))
    facts = _machine_rows(run)
    if facts:
        rows = [tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in facts]
        parts.append(tag("div", tag("table", tag("tbody", rows), class_="facts"), class_="scroll"))
    if run.settings:
        lines = [tag("span", f"{name} = {value}") for name, value in run.flat_settings.items()]
        separated: list[Markup | str] = []
        for line in lines:
            separated += [line, tag("br")]
        parts.append(tag("details", tag("summary", "All settings"), tag("pre", separated)))
    return section("Provenance", *parts)


def _machine_rows(run: RunData) -> list[tuple[str, str]]:
    rows = []
    if run.metrics is not None:
        machine, versions = run.metrics.machine, run.metrics.versions
        if "cpu" in machine:
            cores = f", {machine['cores']} cores" if "cores" in machine else ""
            rows.append(("machine", f"{machine['cpu']}{cores}"))
        if machine.get("memory_bytes"):
            rows.append(("memory", memory(machine["memory_bytes"])))
        if machine.get("system"):
            rows.append(("system", str(machine["system"])))
        if versions:
            rows.append(("versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    peaks = [stage.get("peak_memory_bytes") for stage in run.stages.values()]
    known = [peak for peak in peaks if isinstance(peak, int) and peak > 0]
    if known:
        rows.append(("peak memory of a stage", memory(max(known))))
    return rows
