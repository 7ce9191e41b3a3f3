import { $ } from "./dom.js";

const KEY = "sidkit-token";

export function fail(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
}

export async function ask(path, body) {
  const headers = {};
  const token = sessionStorage.getItem(KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Error("The server does not answer.");
  }
  const content = await answer.json();
  if (answer.status === 401) {
    $("access").hidden = false;
    $("token").focus();
  }
  if (!answer.ok) throw new Error(content.detail || `The server answered with status ${answer.status}.`);
  return content;
}

// Answers that come after a later request are dropped.
export function latest(action) {
  let turn = 0;
  return async (...values) => {
    const own = ++turn;
    try {
      const apply = await action(...values);
      if (own !== turn) return;
      fail("");
      apply();
    } catch (error) {
      if (own === turn) fail(error.message);
    }
  };
}

export function onToken(connect) {
  $("access").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, $("token").value);
    $("access").hidden = true;
    connect();
  });
}
