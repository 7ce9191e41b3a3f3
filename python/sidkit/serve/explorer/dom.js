// Elements are made from text only: titles never become markup.

export const $ = (id) => document.getElementById(id);

export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && name !== "style") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const number = (value) => value.toLocaleString("en");

export const named = (item) => item.title || `item ${item.item_id}`;

export const show = (id) => document.dispatchEvent(new CustomEvent("show-item", { detail: id }));
export const add = (item) => document.dispatchEvent(new CustomEvent("add-item", { detail: item }));
export const walk = (prefix) => document.dispatchEvent(new CustomEvent("walk", { detail: prefix }));

export function itemRow(item, ...more) {
  return el(
    "li", {},
    el("span", { class: "grow" },
      el("button", { class: "link", type: "button", onclick: () => show(item.item_id) }, named(item)),
      el("span", { class: "detail" }, item.sid ? el("span", { class: "sid" }, item.sid) : "", ...more)),
    el("button", { type: "button", "aria-label": `Add ${named(item)} to the history`, onclick: () => add(item) }, "+"),
  );
}

export function pages(target, offset, size, total, go) {
  target.replaceChildren();
  if (total <= size) return;
  const last = Math.min(offset + size, total);
  target.append(
    el("button", { type: "button", disabled: offset === 0, onclick: () => go(Math.max(0, offset - size)) }, "Previous"),
    el("span", {}, `${number(offset + 1)}–${number(last)} of ${number(total)}`),
    el("button", { type: "button", disabled: last >= total, onclick: () => go(offset + size) }, "Next"),
  );
}

export function later(milliseconds, action) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
}
