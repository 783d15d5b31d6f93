// Draws the charts of the metrics page with Plotly, from the data in the page. Dragging over a time opens the page for
// that time; a click on an execution opens it. Without this script the bars and tables that the server drew remain.
(() => {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  // Tokens are written with light-dark(), which only a used colour resolves.
  function color(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }

  const data = (id) => JSON.parse(document.getElementById(id).textContent);

  const MAKE = {
    bar: (trace, chart) => ({
      type: "bar", x: chart.x, y: trace.y, name: trace.name, width: chart.width_ms * 0.9, offset: 0,
      marker: { color: color(`${trace.tone}-bar`) }, hovertemplate: "%{y:,}",
    }),
    line: (trace, chart) => ({
      type: "scatter", mode: "lines", x: chart.x, y: trace.y, name: trace.name, connectgaps: false,
      line: { color: color(`${trace.tone}-bar`), width: 1.75 },
      ...(chart.y_is_seconds ? { text: trace.y.map(words), hovertemplate: "%{text}" } : { hovertemplate: "%{y:,}" }),
    }),
    points: (trace) => ({
      type: "scatter", mode: "markers", x: trace.x, y: trace.y, name: trace.name, text: trace.text, customdata: trace.urls,
      marker: { color: color(`${trace.tone}-bar`), size: 6, opacity: 0.75 }, hovertemplate: "%{text}<extra></extra>",
    }),
    spans: (trace) => ({
      type: "scatter", mode: "lines+markers", name: trace.name, connectgaps: false,
      x: trace.from.flatMap((from, place) => [from, trace.to[place], null]),
      y: trace.row.flatMap((row) => [row, row, null]),
      text: trace.text.flatMap((text) => [text, text, null]),
      customdata: trace.urls.flatMap((url) => [url, url, null]),
      line: { color: color(`${trace.tone}-bar`), width: 4 }, marker: { color: color(`${trace.tone}-bar`), size: 4 },
      hovertemplate: "%{text}<extra></extra>",
    }),
  };

  function words(seconds) {
    if (seconds === null) return "";
    if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
    if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
    const [large, small, size] = seconds < 3600 ? ["min", "s", 60] : ["h", "min", 3600];
    const rest = Math.floor((seconds % size) / (size / 60));
    return `${Math.floor(seconds / size)} ${large}${rest ? ` ${rest} ${small}` : ""}`;
  }

  const TICKS = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 86400, 864000];

  function yAxis(chart) {
    const common = { gridcolor: color("line"), zerolinecolor: color("line"), fixedrange: true, automargin: true };
    if (chart.rows !== undefined) return { ...common, visible: false, range: [-1, chart.rows] };
    if (!chart.y_is_seconds) {
      const most = Math.max(...chart.traces.flatMap((trace) => trace.y));
      return { ...common, rangemode: "tozero", tickformat: ",d", ...(most < 6 ? { dtick: 1 } : {}) };
    }
    return { ...common, type: "log", tickvals: TICKS, ticktext: TICKS.map(words) };
  }

  function layout(chart, element) {
    const size = Number.parseFloat(getComputedStyle(element).fontSize);
    return {
      height: element.clientHeight, margin: { l: 8, r: 8, t: 8, b: 24 }, barmode: "stack", dragmode: "zoom",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: size * 0.9, color: color("muted") },
      xaxis: { type: "date", gridcolor: color("line"), linecolor: color("line"), automargin: true, ...(chart.range ? { range: chart.range } : {}) },
      yaxis: yAxis(chart),
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: size * 0.9 } },
      hovermode: chart.x ? "x unified" : "closest",
      hoverlabel: { bgcolor: color("raised"), bordercolor: color("line-strong"), font: { color: color("text") } },
    };
  }

  function zoomTo(range) {
    const zoom = data("metrics-zoom");
    const [from, to] = range.map((moment) => String(moment).slice(0, 19));
    location.href = `${zoom.url}?${new URLSearchParams({ ...zoom.kept, from, to })}`;
  }

  function draw(element) {
    const chart = data(element.dataset.chart);
    element.querySelector("svg.bars")?.remove();
    const traces = chart.traces.map((trace) => MAKE[trace.kind](trace, chart));
    const options = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };
    Plotly.react(element, traces, layout(chart, element), options);
    if (element.dataset.drawn) return;
    element.dataset.drawn = "yes";
    element.on("plotly_relayout", (change) => {
      if (change["xaxis.range[0]"]) zoomTo([change["xaxis.range[0]"], change["xaxis.range[1]"]]);
    });
    element.on("plotly_click", (event) => {
      const url = event.points[0].customdata;
      if (url) location.href = url;
    });
  }

  const drawAll = () => document.querySelectorAll("[data-chart]").forEach(draw);
  drawAll();
  new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
