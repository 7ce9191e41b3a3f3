"""The sections on what went in and how it was made: the data, the settings, the machine, the seconds."""

import numpy as np

from sidkit.report.collect import RunData
from sidkit.report.markup import Markup, tag
from sidkit.report.plots import bars, doubling_bins, histogram
from sidkit.report.training import memory

__all__ = ["data_facts", "data_section", "origin"]


def data_facts(run: RunData) -> dict[str, int]:
    """Count users, items and interactions, as far as they are known."""
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
    """Show how the events are spread over users and items."""
    heading = tag("h2", "Data")
    if run.dataset is None:
        reason = f"The data could not be read here, so titles and histories are missing: {run.missing_data}"
        return [heading, tag("p", reason, class_="note")]
    dataset = run.dataset
    users = np.bincount(dataset.user_index, minlength=len(dataset.user_ids))
    items = np.bincount(dataset.item_index, minlength=len(dataset.items))
    density = len(dataset.interactions) / max(1, len(users) * len(items))
    text = (
        f"{len(users):,} users, {len(items):,} items, {len(dataset.interactions):,} interactions: "
        f"{density:.3%} of all pairs. Half of the users have at most {int(np.median(users))} events, "
        f"half of the items at most {int(np.median(items))}."
    )
    plots = [
        histogram(doubling_bins(users), "Users", "events of a user", class_="s0"),
        histogram(doubling_bins(items), "Items", "events of an item", class_="s2"),
    ]
    return [heading, tag("p", text), tag("div", plots, class_="row")]


def origin(run: RunData) -> list[Markup]:
    """Show how the run was made, so that it can be made again."""
    parts: list[Markup] = [tag("h2", "How it was made")]
    timed = {name: value for name, value in run.seconds.items() if value >= 0.05}
    if timed:
        parts.append(tag("div", bars(timed, "Seconds of each stage"), class_="row"))
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
    return parts


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
