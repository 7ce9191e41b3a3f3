import { ask, latest } from "./api.js";
import { $, el, itemRow, named, number, pages, walk } from "./dom.js";

const SIZE = 10;

const open = latest(async (prefix = "", offset = 0) => {
  const page = await ask(`/prefixes${prefix ? `/${prefix}` : ""}?offset=${offset}&limit=${SIZE}`);
  return () => {
    showPath(prefix, page.items);
    const most = Math.max(1, ...page.page.map((child) => child.items));
    $("children").replaceChildren(
      ...page.page.map((child) => childRow(child, most)),
      ...page.members.map((item) => itemRow(item)),
    );
    const total = page.page.length ? page.children : page.items;
    pages($("child-pages"), offset, SIZE, total, (next) => open(prefix, next));
  };
});

function showPath(prefix, count) {
  const tokens = prefix ? prefix.split("-") : [];
  const steps = [["all", ""], ...tokens.map((token, place) => [token, tokens.slice(0, place + 1).join("-")])];
  const parts = steps.flatMap(([text, target], place) => [
    place ? " › " : "",
    el("button", { class: "link prefix", type: "button", onclick: () => walk(target),
      "aria-current": place === steps.length - 1 ? "true" : "false" }, text),
  ]);
  $("path").replaceChildren(...parts, el("span", { class: "weak" }, ` ${number(count)} items`));
}

function childRow(child, most) {
  const bar = el("span", { class: "bar" });
  bar.style.width = `${(100 * child.items) / most}%`;
  return el("li", {}, el("span", { class: "grow" },
    el("button", { class: "link prefix", type: "button", onclick: () => walk(child.prefix) }, child.prefix),
    ` ${number(child.items)} ${child.items === 1 ? "item" : "items"}`, bar,
    el("span", { class: "detail" }, child.examples.map(named).join(" · "))));
}

export const start = () => document.addEventListener("walk", (event) => open(event.detail));
