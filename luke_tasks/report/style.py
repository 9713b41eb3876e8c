"""How a report looks (CSS beside that of every page), and the JavaScript of its filters."""

STYLE = """
nav { position: sticky; top: 0; background: var(--paper); border-bottom: 1px solid var(--line); z-index: 2;
  display: flex; flex-wrap: wrap; gap: 0 1em; padding: 6px 0; font-size: .92em; }
section { scroll-margin-top: 3.5em; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(150px, 100%), 1fr)); gap: 10px; }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px; min-width: 0; }
.tile b { display: block; font-size: 1.2rem; line-height: 1.3; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.tile span { color: var(--soft); font-size: .88em; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(270px, 100%), 1fr)); gap: 12px 20px;
  align-items: end; }
.pair { display: flex; flex-wrap: wrap; gap: 8px 32px; }
.pair > div { min-width: 0; }
.matrix td, .matrix th { border: 1px solid var(--paper); padding: 4px 8px; }
.matrix thead th { vertical-align: bottom; }
.matrix thead th span { display: block; max-width: 9em; overflow: hidden; text-overflow: ellipsis; }
.matrix tbody tr:nth-child(even) { background: none; }
tr:last-child td.total { font-weight: 600; }
.filters { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: .5rem 0; }
.filters select, .filters input { font: inherit; color: inherit; background: var(--paper); max-width: 100%;
  border: 1px solid var(--line); border-radius: 6px; padding: 5px 8px; min-width: 0; }
.filters input { flex: 1 1 12em; }
.error { border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px; margin: 8px 0; }
.error[hidden] { display: none; }
.error header { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: baseline; }
.error small { color: var(--soft); overflow-wrap: anywhere; margin-left: auto; }
.kind { font-size: .8em; font-weight: 600; border: 1px solid var(--line); border-radius: 8px; padding: 0 7px;
  background: var(--band); overflow-wrap: anywhere; }
.of-run { border-left: 3px solid var(--line); padding-left: 10px; margin: 6px 0; }
.right { color: hsl(140 50% 40%); font-size: .85em; }
.lt mark.lt-right { background: none; border-bottom-width: 1px; }
.lt mark.lt-right > .lt-l { background: none; font-weight: 500; }
.lt mark.lt-gold { background: hsl(var(--h) 70% 45% / .1); border: 2px dashed hsl(var(--h) 55% 42%); }
.lt mark.lt-wrong { background: hsl(var(--h) 85% 55% / .25); }
.lt .due .lt-l { outline: 1.5px dashed hsl(140 55% 42%); }
.key mark { padding: 2px 4px; }
details > summary { font-weight: 600; }
pre { font-size: .85em; max-height: 32em; overflow: auto; }
@media print { nav, .filters { display: none; } pre { max-height: none; } }
"""

SCRIPT = """
"use strict";
const cards = [...document.querySelectorAll(".error")];
const kind = document.getElementById("kind"), label = document.getElementById("label");
const who = document.getElementById("who"), words = document.getElementById("words");
const count = document.getElementById("count"), texts = new Map();
function holds(card, name, value) { return !value || card.dataset[name].includes("|" + value + "|"); }
function isOf(card, value) {
  if (!value) return true;
  const runs = card.dataset.runs.split("|").filter(Boolean);
  const [what, number] = value.split(" ");
  if (what === "all") return runs.length === Number(number);
  return runs.includes(number) && (what === "any" || runs.length === 1);
}
function text(card) {
  if (!texts.has(card)) {
    const bare = card.cloneNode(true);  // labels stand in the midst of the text
    for (const chip of bare.querySelectorAll(".lt-l")) chip.remove();
    texts.set(card, (bare.textContent + "\\n" + card.textContent).toLowerCase());
  }
  return texts.get(card);
}
function filter() {
  const wanted = words.value.trim().toLowerCase();
  let shown = 0;
  for (const card of cards) {
    const fits = holds(card, "kinds", kind.value) && (!label || holds(card, "labels", label.value))
      && (!who || isOf(card, who.value)) && (!wanted || text(card).includes(wanted));
    card.hidden = !fits;
    shown += fits;
  }
  count.textContent = shown === cards.length ? "" : `${shown} of ${cards.length} shown`;
}
if (kind) {
  for (const control of [kind, label, who]) if (control) control.addEventListener("change", filter);
  words.addEventListener("input", filter);
  filter();  // a browser may have kept what was chosen
}
"""
