import { ask, latest } from "./api.js";
import { $, add, el, itemRow, number, walk } from "./dom.js";

const open = latest(async (id) => {
  const item = await ask(`/items/${encodeURIComponent(id)}`);
  const similar = await ask("/similar", { item_ids: [item.item_id], k: 10, fields: ["title"] }).catch(() => null);
  return () => {
    const title = item.values.title || `item ${item.item_id}`;
    $("item-title").textContent = title;
    const rows = Object.entries(item.values).filter(([name, value]) => name !== "title" && value !== null);
    rows.push(["training events", item.training_events === null ? "none: the model does not know the item"
      : number(item.training_events)]);
    const parts = [
      el("button", { type: "button", onclick: () => add({ item_id: item.item_id, title: item.values.title, sid: item.sid }) },
        "Add to the history"),
      el("table", {}, el("tbody", {}, ...rows.map(([name, value]) =>
        el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, text(value)))))),
    ];
    if (item.sid) parts.push(el("h3", {}, "Semantic ID"), path(item));
    if (item.neighbours.length) parts.push(el("h3", {}, "Nearest in the tree of prefixes"), list(item.neighbours));
    const found = similar ? similar.results[0] : [];
    if (found.length) {
      parts.push(el("h3", {}, "Most similar for the model"), list(found.map((each) =>
        ({ item_id: each.item_id, title: each.fields.title, more: `similarity ${each.score.toFixed(3)}` }))));
    }
    $("item").replaceChildren(...parts);
  };
});

const text = (value) => (Array.isArray(value) ? value.join(", ") : String(value));

const list = (items) => el("ul", { class: "list" }, ...items.map((item) => itemRow(item, item.more || "")));

function path(item) {
  return el("ol", { class: "list" }, ...item.path.map((step) => el("li", {}, el("span", { class: "grow" },
    el("button", { class: "link prefix", type: "button", onclick: () => walk(step.prefix) }, step.prefix),
    el("span", { class: "weak" }, ` ${number(step.items)} ${step.items === 1 ? "item" : "items"}`)))));
}

export const start = () => document.addEventListener("show-item", (event) => open(event.detail));
