import { ask, latest } from "./api.js";
import { $, itemRow, later, number, pages } from "./dom.js";

const SIZE = 10;

export const search = latest(async (offset = 0) => {
  const query = new URLSearchParams({ query: $("query").value, offset, limit: SIZE });
  const page = await ask(`/items?${query}`);
  return () => {
    $("found").textContent = `${number(page.total)} ${page.total === 1 ? "item" : "items"}`;
    $("results").replaceChildren(...page.items.map((item) => itemRow(item)));
    pages($("result-pages"), offset, SIZE, page.total, search);
  };
});

export function start() {
  $("query").addEventListener("input", later(150, () => search()));
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement.tagName)) {
      event.preventDefault();
      $("query").focus();
    }
  });
}
