import { ask, latest } from "./api.js";
import { $, el, later, named, show } from "./dom.js";

const history = [];
const titles = new Map();

function request(rules, compared = "") {
  const body = {
    histories: [history.map((item) => item.item_id)],
    k: Math.min(100, Math.max(1, Number($("k").value) || 10)),
    fields: ["title"], sids: true, explain: true,
  };
  if (compared) Object.assign(body, { compared: true, scoring: compared });
  else if ($("scoring").value) body.scoring = $("scoring").value;
  if (!rules) return body;
  if ($("where").value.trim()) body.where = $("where").value.trim();
  const method = $("rule").value;
  if (method === "attribute_cap") body.rerank = [{ method, column: $("column").value, at_most: 1 }];
  else if (method) body.rerank = [{ method }];
  return body;
}

export const refresh = latest(async () => {
  const ruled = request(true);
  const answers = [ask("/recommend", ruled)];
  const hasRule = Boolean(ruled.where || ruled.rerank);
  const other = $("compare").value;
  if (other) answers.push(ask("/recommend", request(true, other)));
  else if (hasRule) answers.push(ask("/recommend", request(false)));
  const [chosen, plain] = (await Promise.all(answers)).map((answer) => answer.results[0]);
  return () => {
    for (const item of chosen.items) titles.set(item.item_id, item.fields.title);
    const before = plain ? plain.items.map((item) => item.item_id) : null;
    const best = Math.max(...chosen.items.map((item) => item.score));
    const worst = Math.min(...chosen.items.map((item) => item.score));
    $("list").replaceChildren(...chosen.items.map((item, place) => row(item, place, before, best, worst)));
    $("effect").textContent = effect(chosen, plain, Boolean(other));
    $("history-hint").hidden = history.length > 0;
  };
});

function effect(chosen, plain, isOther) {
  if (!chosen.items.length) return "No item is left: the rule excludes all of them.";
  if (!plain) return chosen.by_popularity ? "The most popular items:" : "";
  const kept = new Set(chosen.items.map((item) => item.item_id));
  const gone = plain.items.filter((item) => !kept.has(item.item_id)).map((item) => item.fields.title || item.item_id);
  if (isOther) {
    return gone.length ? `The other model has ${gone.length} of ${plain.items.length} other items: ${gone.join(" · ")}`
      : "The other model has the same items.";
  }
  return gone.length ? `The rule replaces ${gone.length} of ${plain.items.length}: ${gone.join(" · ")}`
    : "The rule replaces no item.";
}

function row(item, place, before, best, worst) {
  const bar = el("span", { class: "bar" });
  bar.style.width = `${best > worst ? 5 + (95 * (item.score - worst)) / (best - worst) : 100}%`;
  return el("li", {},
    el("span", { class: "score" }, `${place + 1}`),
    el("span", { class: "grow" },
      el("button", { class: "link", type: "button", onclick: () => show(item.item_id) },
        named({ title: item.fields.title, item_id: item.item_id })),
      " ", moved(item, place, before), bar,
      el("span", { class: "detail" }, item.sid ? sid(item) : "", ` score ${item.score.toFixed(3)}`),
      el("span", { class: "detail" }, why(item.why))),
    el("button", { type: "button", "aria-label": `Add ${item.fields.title || item.item_id} to the history`,
      onclick: () => append({ item_id: item.item_id, title: item.fields.title, sid: item.sid }) }, "+"));
}

function moved(item, place, before) {
  if (!before) return "";
  const former = before.indexOf(item.item_id);
  if (former === place) return "";
  if (former < 0) return el("span", { class: "up" }, "new");
  return el("span", { class: former > place ? "up" : "down" }, former > place ? `▲${former - place}` : `▼${place - former}`);
}

function sid(item) {
  const tokens = item.sid.split("-");
  const shared = item.why.shared_prefix || 0;
  const parts = [shared ? el("mark", {}, tokens.slice(0, shared).join("-")) : "",
    shared && shared < tokens.length ? "-" : "", tokens.slice(shared).join("-")];
  return el("span", { class: "sid" }, ...parts);
}

function why(reason) {
  const parts = [];
  if (reason.shared_prefix) {
    const tokens = reason.shared_prefix === 1 ? "1 token" : `${reason.shared_prefix} tokens`;
    parts.push(`shares ${tokens} with ${title(reason.shared_with)}`);
  }
  if (reason.similarity !== null) parts.push(`${reason.similarity.toFixed(2)} similar to ${title(reason.similar_to)}`);
  const scores = Object.entries(reason.scores);
  if (scores.length > 1) parts.push(scores.map(([name, value]) => `${name} ${value.toFixed(2)}`).join(", "));
  return parts.join("; ");
}

const title = (id) => titles.get(id) || `item ${id}`;

function append(item) {
  titles.set(item.item_id, item.title);
  history.push(item);
  draw();
}

function draw() {
  $("history").replaceChildren(...history.map((item, place) => el("li", {},
    el("button", { class: "link grow", type: "button", onclick: () => show(item.item_id) }, named(item)),
    el("button", { type: "button", "aria-label": `Remove ${named(item)} from the history`, onclick: () => {
      history.splice(place, 1);
      draw();
      ($("history").querySelectorAll("li")[Math.min(place, history.length - 1)]?.lastChild || $("recommendations")).focus();
    } }, "×"))));
  refresh();
}

export function start(model) {
  $("scoring").replaceChildren(...model.scorings.map((name) => el("option", { value: name }, name)));
  const columns = Object.keys(model.columns).filter((name) => name !== "item_id" && name !== "title");
  $("column").replaceChildren(...columns.map((name) => el("option", { value: name }, name)));
  $("column").disabled = !columns.length;
  const other = model.compared;
  $("compare-label").hidden = !other;
  $("compare").replaceChildren(el("option", { value: "" }, "nothing"), ...(other ? other.scorings.map((name) =>
    el("option", { value: name }, `${other.method} ${other.model_version}, ${name}`)) : []));
}

export function listen() {
  document.addEventListener("add-item", (event) => append(event.detail));
  $("options").addEventListener("input", later(200, refresh));
  $("options").addEventListener("submit", (event) => event.preventDefault());
}
