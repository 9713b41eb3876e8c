"""How a sweep's page looks (CSS), and the few lines of JavaScript that draw its plots in the reader's colours."""

STYLE = """
:root { --ink: #1c1c1c; --soft: #5c5c5c; --paper: #ffffff; --line: #dcdcdc; --band: #f5f5f5; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --soft: #a8a8a8; --paper: #16181b; --line: #3a3d42; --band: #1f2226; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
.note { color: var(--soft); margin: .25rem 0; }
.scroll { overflow-x: auto; max-width: 100%; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); gap: 12px; }
.plot { width: 100%; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92em; }
th, td { text-align: left; padding: 4px 12px 4px 6px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td { max-width: 36em; overflow-wrap: break-word; }
tbody tr:nth-child(even) { background: var(--band); }
pre { overflow-x: auto; background: var(--band); padding: 12px; }
summary { cursor: pointer; margin-top: .5rem; }
"""

SCRIPT = """
"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
function draw() {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim();
  const axis = {gridcolor: line, linecolor: line, zeroline: false, automargin: true};
  for (const place of document.querySelectorAll("[data-figure]")) {
    const figure = figures[Number(place.dataset.figure)];
    const layout = {
      height: 380, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {color: ink, size: 12},
      margin: {l: 60, r: 20, t: 20, b: 50}, legend: {orientation: "h", y: 1.12},
      modebar: {bgcolor: "rgba(0,0,0,0)", color: line, activecolor: ink}, ...figure.layout,
      xaxis: {...axis, ...figure.layout.xaxis}, yaxis: {...axis, ...figure.layout.yaxis},
    };
    const data = figure.data.map(trace => trace.type === "parcoords"
      ? {...trace, labelfont: {color: ink}, tickfont: {color: ink}, rangefont: {color: ink}} : trace);
    Plotly.react(place, data, layout, {responsive: true, displaylogo: false});
  }
}
dark.addEventListener("change", draw);
draw();
"""
