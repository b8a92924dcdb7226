// The charts of the overview: one request for all of them, drawn by uPlot in the colours of the style sheet.
"use strict";

(() => {
  const REFRESH_MS = 10000; // as often as the hub takes a sample
  const TABLE_ROWS = 60; // the table beside a chart is thinned to about this many rows
  const charts = document.querySelector("[data-charts]");
  if (!charts) return;
  const language = document.documentElement.lang;
  const seconds = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
  const drawn = new Map();
  let history = null;

  const UNITS = [["d", 86400000], ["h", 3600000], ["min", 60000], ["s", 1000], ["ms", 1]];

  const TIME_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 3e4, 6e4, 12e4, 3e5, 6e5, 12e5, 18e5, 36e5, 72e5, 216e5, 432e5, 864e5, 1728e5];

  function written(kind, value) {
    if (value === null || value === undefined) return "–";
    if (kind !== "time") return seconds.format(value);
    const [unit, length] = UNITS.find(([, length]) => value >= length) ?? UNITS.at(-1);
    return `${seconds.format(value / length)} ${unit}`;
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // A line needs two samples: of a few each is shown as a point.
  function isSparse(plot, place) {
    return plot.data[place].filter((value) => value !== null).length < 10;
  }

  function options(figure, names, width) {
    const kind = figure.dataset.kind;
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    return {
      width,
      height: figure.querySelector("[data-plot]").clientHeight,
      legend: { show: false },
      cursor: { y: false, points: { size: 6 } },
      scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [
        { ...axis, space: 70, size: 30, values: (_, ticks) => ticks.map((at) => clock.format(at * 1000)) },
        { ...axis, size: 64, incrs: kind === "time" ? TIME_STEPS : undefined, values: (_, ticks) => ticks.map((value) => written(kind, value)) },
      ],
      series: [{}, ...names.map((_, place) => ({ stroke: colour(`--series-${place + 1}`), width: 2, points: { show: isSparse, size: 5 }, spanGaps: false }))],
      hooks: { setCursor: [(plot) => showValues(figure, names, plot.cursor.idx)] },
    };
  }

  const namesOf = (figure) => [...figure.querySelectorAll("th[data-series]")].map((head) => head.dataset.series);

  function showValues(figure, names, at) {
    for (const name of names) {
      const values = history.series[name] ?? [];
      const place = at ?? values.findLastIndex((value) => value !== null);
      figure.querySelector(`[data-last="${name}"]`).textContent = written(figure.dataset.kind, values[place]);
    }
  }

  function draw(figure) {
    const names = namesOf(figure);
    const plot = figure.querySelector("[data-plot]");
    const data = [history.times, ...names.map((name) => history.series[name] ?? history.times.map(() => null))];
    const known = data.slice(1).some((values) => values.some((value) => value !== null));
    plot.querySelector(".plot-empty")?.remove();
    if (!known) {
      drawn.get(figure)?.destroy();
      drawn.delete(figure);
      const empty = document.createElement("p");
      empty.className = "plot-empty";
      empty.textContent = charts.dataset.noData;
      plot.append(empty);
    } else if (drawn.has(figure)) {
      drawn.get(figure).setData(data);
    } else {
      drawn.set(figure, new uPlot(options(figure, names, plot.clientWidth), data, plot));
    }
    showValues(figure, names, drawn.get(figure)?.cursor.idx);
    if (figure.querySelector("details").open) fillTable(figure);
  }

  function fillTable(figure) {
    const names = namesOf(figure);
    const step = Math.max(1, Math.ceil(history.times.length / TABLE_ROWS));
    const rows = [];
    for (let at = history.times.length - 1; at >= 0; at -= step) {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = clock.format(history.times[at] * 1000);
      row.append(head);
      for (const name of names) {
        const cell = document.createElement("td");
        cell.className = "n";
        cell.textContent = written(figure.dataset.kind, history.series[name]?.[at]);
        row.append(cell);
      }
      rows.push(row);
    }
    figure.querySelector("tbody").replaceChildren(...rows);
  }

  async function refresh() {
    try {
      const answer = await fetch(charts.dataset.charts, { headers: { Accept: "application/json" } });
      if (!answer.ok) return; // the live part beside tells that the connection is lost
      history = await answer.json();
      for (const figure of charts.querySelectorAll("figure")) draw(figure);
      charts.dataset.ready = "yes";
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // a TypeError is what fetch says when there is no connection
    }
  }

  function redraw() {
    for (const plot of drawn.values()) plot.destroy();
    drawn.clear();
    if (history) for (const figure of charts.querySelectorAll("figure")) draw(figure);
  }

  for (const figure of charts.querySelectorAll("figure")) {
    figure.querySelector("details").addEventListener("toggle", () => history && fillTable(figure));
  }

  const segments = document.querySelector("[data-span]").parentElement;
  segments.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-span]");
    if (!chosen || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    for (const one of segments.children) one.removeAttribute("aria-current");
    chosen.setAttribute("aria-current", "true");
    const source = new URL(charts.dataset.charts, location.href);
    source.searchParams.set("span", chosen.dataset.span);
    charts.dataset.charts = source.pathname + source.search;
    refresh();
  });

  new ResizeObserver(() => {
    for (const [figure, plot] of drawn) {
      const box = figure.querySelector("[data-plot]");
      if (box.clientWidth !== plot.width) plot.setSize({ width: box.clientWidth, height: box.clientHeight });
    }
  }).observe(charts);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  setInterval(() => document.hidden || refresh(), REFRESH_MS);
  refresh();
})();
