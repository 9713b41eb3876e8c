"""The few lines of JavaScript that draw the plots of a sweep's page in the reader's colours."""

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
