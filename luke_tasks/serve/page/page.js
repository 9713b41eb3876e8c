"use strict";
// Spans are [start, end). The server counts characters (code points), a textarea UTF-16 units: `toPoints`, `toUnits`.
const $ = (id) => document.getElementById(id);
const HUES = { head: 212, tail: 28 };
let models = [], model = null, parts = [], running = null;

const toPoints = (text, unit) => Array.from(text.slice(0, unit)).length;
const toUnits = (text, point) => Array.from(text).slice(0, point).join("").length;

function element(name, properties = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function span(text, start, end) { // without the spaces at its ends
  while (start < end && /\s/.test(text[start])) start++;
  while (start < end && /\s/.test(text[end - 1])) end--;
  return [start, end];
}

// -- a part of the form: a text, and what is marked in it ------------------------------------------------------------

class TextPart {
  constructor(part, number) {
    this.part = part;
    this.spans = Object.fromEntries(part.marks.map((mark) => [mark.key, []]));
    this.area = element("textarea", { id: `part-${number}`, rows: 1, spellcheck: false, autocomplete: "off" });
    if (part.key !== "question" && part.key !== "query") this.area.className = "tall";
    this.behind = element("div", { className: "behind" });
    this.behind.setAttribute("aria-hidden", "true");
    this.chips = element("div", { className: "marks" });
    this.text = "";
    this.area.addEventListener("input", () => this.edited());
    this.area.addEventListener("keydown", (event) => this.pressed(event));
    const label = element("label", { htmlFor: this.area.id, textContent: part.label });
    const box = element("div", { className: "box" }, [this.behind, this.area]);
    this.element = element("div", { className: "part" }, [label, box]);
    const hints = [part.hint];
    if (part.marks.length) {
      this.element.append(element("div", { className: "marks" }, part.marks.map((mark) => this.button(mark))), this.chips);
      hints.push("Select a stretch of the text, then press its button.");
    }
    if (hints.join("")) this.element.append(element("p", { className: "note", textContent: hints.join(" ").trim() }));
  }

  button(mark) {
    const key = mark.label[0].toUpperCase();
    const made = element("button", { type: "button", className: "mark", textContent: `Mark ${mark.label}`,
                                     title: `Alt+${key}` });
    made.setAttribute("aria-keyshortcuts", `Alt+${key}`);
    made.style.setProperty("--h", HUES[mark.key] ?? 212);
    made.addEventListener("pointerdown", (event) => event.preventDefault()); // the selection stays
    made.addEventListener("click", () => this.mark(mark));
    return made;
  }

  pressed(event) {
    if (!event.altKey || event.ctrlKey || event.metaKey) return;
    const mark = this.part.marks.find((one) => event.code === `Key${one.label[0].toUpperCase()}`);
    if (!mark) return;
    event.preventDefault();
    this.mark(mark);
  }

  mark(mark) {
    const [start, end] = span(this.text, this.area.selectionStart, this.area.selectionEnd);
    if (start === end) {
      showError(`Nothing is selected: select the ${mark.label} in the text, then press “Mark ${mark.label}”.`);
      return;
    }
    showError("");
    const others = this.spans[mark.key].filter((one) => one[0] !== start || one[1] !== end);
    this.spans[mark.key] = mark.many ? [...others, [start, end]].sort((a, b) => a[0] - b[0]) : [[start, end]];
    this.draw();
  }

  edited() { // marks move with their text
    const before = this.text, after = this.area.value;
    let first = 0, last = 0; // units that are the same at the beginning and at the end
    const most = Math.min(before.length, after.length);
    while (first < most && before[first] === after[first]) first++;
    while (last < most - first && before[before.length - 1 - last] === after[after.length - 1 - last]) last++;
    const changedEnd = before.length - last, grown = after.length - before.length;
    const continuesWord = changedEnd === first && /^[\p{L}\p{N}]/u.test(after.slice(first, first + grown));

    const moved = ([start, end]) => { // null: it was replaced together with what stood around it
      if (end < first || (end === first && !continuesWord)) return [start, end];
      if (first <= start && end <= changedEnd && changedEnd - first > end - start) return null;
      return span(after, start >= changedEnd ? start + grown : Math.min(start, first),
                  end >= changedEnd ? end + grown : first);
    };
    this.text = after;
    for (const key in this.spans) {
      this.spans[key] = this.spans[key].map(moved).filter((one) => one && one[0] < one[1]);
    }
    this.draw();
  }

  draw() {
    const marked = this.part.marks.flatMap((mark) => this.spans[mark.key].map(([start, end]) => ({ mark, start, end })));
    const edges = [...new Set([0, this.text.length, ...marked.flatMap((one) => [one.start, one.end])])]
      .sort((a, b) => a - b);
    this.behind.replaceChildren();
    for (let index = 0; index + 1 < edges.length; index++) {
      const piece = this.text.slice(edges[index], edges[index + 1]);
      const on = marked.filter((one) => one.start <= edges[index] && one.end >= edges[index + 1]);
      if (!on.length) { this.behind.append(piece); continue; }
      const made = element("mark", { textContent: piece });
      made.style.setProperty("--h", HUES[on[on.length - 1].mark.key] ?? 212);
      this.behind.append(made);
    }
    this.behind.append("\u200b"); // a last, empty line has its height
    this.chips.replaceChildren(...marked.map((one) => this.chip(one)));
  }

  chip({ mark, start, end }) {
    const text = this.text.slice(start, end);
    const show = element("button", { type: "button", textContent: `${mark.label}: ${text}`, title: "show in the text" });
    show.addEventListener("click", () => { this.area.focus(); this.area.setSelectionRange(start, end); });
    const remove = element("button", { type: "button", textContent: "×", title: "remove" });
    remove.setAttribute("aria-label", `remove ${mark.label} ${text}`);
    remove.addEventListener("click", () => {
      this.spans[mark.key] = this.spans[mark.key].filter((one) => one[0] !== start || one[1] !== end);
      this.draw();
      this.area.focus();
    });
    const made = element("span", { className: "chip" }, [show, remove]);
    made.style.setProperty("--h", HUES[mark.key] ?? 212);
    return made;
  }

  set(input) {
    const { key, kind } = this.part;
    const value = input[key] ?? "";
    this.area.value = kind === "texts" ? [].concat(value).join("\n").trim()
      : kind === "json" ? JSON.stringify(input, null, 1) : value;
    this.text = this.area.value;
    for (const mark of this.part.marks) {
      const given = input[mark.key] ?? [];
      const pairs = mark.many ? given : given.length ? [given] : [];
      this.spans[mark.key] = pairs.map((pair) => [toUnits(this.text, pair[0]), toUnits(this.text, pair[1])]);
    }
    this.draw();
  }

  addTo(input) { // throws what is missing, in plain words
    const { key, kind, label, required } = this.part;
    if (kind === "json") {
      try { Object.assign(input, JSON.parse(this.text)); } catch (error) { throw new Error(`This is no JSON: ${error.message}`); }
      return;
    }
    if (required && !this.text.trim()) throw new Error(`“${label}” is empty.`);
    if (kind === "texts") input[key] = this.text.split("\n").filter((line) => line.trim());
    else if (required || this.text.trim()) input[key] = this.text;
    for (const mark of this.part.marks) {
      const spans = this.spans[mark.key].map(([start, end]) => [toPoints(this.text, start), toPoints(this.text, end)]);
      if (mark.required && !spans.length) {
        throw new Error(`No ${mark.label} is marked: select it in the text, then press “Mark ${mark.label}”.`);
      }
      if (mark.many) input[mark.key] = spans;
      else if (spans.length) input[mark.key] = spans[0];
    }
  }
}

// -- the page --------------------------------------------------------------------------------------------------------

function showError(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
}

function forget() { // an answer to something else than what stands in the form
  if (running) running.abort();
  running = null;
  showError("");
  $("answer").replaceChildren();
  $("json").hidden = true;
  $("state").textContent = "";
}

function choose(name) {
  model = models.find((one) => one.name === name) ?? models[0];
  $("models").value = model.name;
  const labels = model.labels.filter((label) => label !== "O");
  $("task").textContent = model.task.replaceAll("_", " ") + (labels.length ? `: ${labels.slice(0, 12).join(", ")}` : "")
    + (labels.length > 12 ? ` and ${labels.length - 12} more` : "");
  parts = model.input.parts.map((part, number) => new TextPart(part, number));
  $("parts").replaceChildren(...parts.map((part) => part.element));
  fill(model.input.example);
}

function fill(input) {
  forget();
  parts.forEach((part) => part.set(input));
}

async function predict() {
  forget();
  const input = {};
  try { parts.forEach((part) => part.addTo(input)); } catch (error) { showError(error.message); return; }
  const mine = running = new AbortController();
  $("state").textContent = "working …";
  $("request").textContent = `POST ${new URL(model.predict, location.href)}\n\n${JSON.stringify(input, null, 2)}`;
  const began = performance.now();
  let status = 0, answer;
  try {
    const response = await fetch(`${model.predict}?html=true`, { method: "POST", signal: mine.signal,
      headers: { "Content-Type": "application/json" }, body: JSON.stringify(input) });
    status = response.status;
    answer = await response.json();
  } catch (error) {
    answer = { error: status ? `The server gave no JSON (status ${status}).` : "The server does not answer. Is it still running?" };
  }
  if (mine.signal.aborted) return; // something newer was asked
  running = null;
  $("state").textContent = "";
  const { html, ...rest } = answer;
  $("response").textContent = JSON.stringify(rest, null, 2);
  $("json").hidden = false;
  if (rest.error) { showError(rest.error); return; }
  $("state").textContent = `${Math.round(performance.now() - began)} ms`;
  $("answer").innerHTML = html; // the server escapes every text in it, and the page's policy lets no script of it run
  $("answer").append(...(rest.warnings ?? []).map((text) => element("p", { className: "warning", textContent: `Note: ${text}` })));
}

async function start() {
  try {
    models = (await (await fetch("api/models")).json()).models;
  } catch (error) {
    showError("The server does not answer. Is it still running? Load this page again when it is.");
    return;
  }
  $("models").replaceChildren(...models.map((one) => element("option", { value: one.name, textContent: one.name })));
  $("choose").hidden = models.length < 2;
  $("models").addEventListener("change", () => { location.hash = $("models").value; });
  addEventListener("hashchange", () => choose(decodeURIComponent(location.hash.slice(1))));
  $("form").addEventListener("submit", (event) => { event.preventDefault(); predict(); });
  $("form").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); predict(); }
  });
  $("example").addEventListener("click", () => fill(model.input.example));
  $("clear").addEventListener("click", () => { fill({}); parts[0].area.focus(); });
  choose(decodeURIComponent(location.hash.slice(1)));
}

start();
