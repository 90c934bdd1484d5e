// Drawing: plotly.js, unpacked when the first chart is wanted, with one look for all charts.

site.plotly = (() => {
  let loading = null;
  return () => {
    loading ??= site.unpack("packed-plotly").then((code) => {
      const script = document.createElement("script");
      script.textContent = code;
      document.head.append(script);
      return window.Plotly;
    });
    return loading;
  };
})();

site.hasWebGL = () => {
  try {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl2") ?? canvas.getContext("webgl"));
  } catch {
    return false;
  }
};

site.DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
site.SYMBOLS = ["circle", "square", "triangle-up", "diamond", "x", "cross"];

site.colour = (algo) => site.meta.algos[algo]?.colour ?? "#444";
site.algoLabel = (algo) => site.meta.algos[algo]?.label ?? algo;
site.taskLabel = (task) => site.meta.tasks[task] ?? task;
site.symbol = (algo) => site.SYMBOLS[Object.keys(site.meta.algos).indexOf(algo) % site.SYMBOLS.length];

const FONT = { family: "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif", size: 12, color: "#1b1f24" };
const AXIS = { gridcolor: "#e8ebee", linecolor: "#8a939c", zeroline: false, ticks: "outside", ticklen: 4, automargin: true, exponentformat: "power" };

site.layout = (over = {}) => {
  const { xaxis, yaxis, ...rest } = over;
  return {
    font: FONT, paper_bgcolor: "#fff", plot_bgcolor: "#fff", hovermode: "closest", dragmode: "zoom",
    margin: { l: 55, r: 12, t: 8, b: 45 },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 11 } },
    xaxis: { ...AXIS, ...xaxis }, yaxis: { ...AXIS, ...yaxis }, ...rest,
  };
};

// A box for a chart with a heading. What the picture shows is said in words too, for who does not see it.
site.box = (parent, title, { note = "", wide = false, tall = false } = {}) => {
  const chart = document.createElement("div");
  chart.className = `chart${wide ? " wide" : ""}${tall ? " tall" : ""}`;
  chart.innerHTML = `<h3></h3><div class="plotly-box" role="img"></div>`;
  chart.querySelector("h3").textContent = title;
  if (note) {
    const small = document.createElement("small");
    small.textContent = ` ${note}`;
    chart.querySelector("h3").append(small);
  }
  const box = chart.querySelector(".plotly-box");
  box.setAttribute("aria-label", title);
  parent.append(chart);
  return box;
};

site.note = (parent, text) => {
  const note = document.createElement("p");
  note.className = "note wide";
  note.textContent = text;
  parent.append(note);
};

site.draw = async (box, traces, layout) => {
  const Plotly = await site.plotly();
  if (!box.isConnected) return null;
  const buttons = layout.scene ? ["toImage", "resetCameraDefault3d"] : ["toImage", "resetScale2d"];
  const config = { displaylogo: false, displayModeBar: "hover", responsive: true, modeBarButtons: [buttons] };
  await Plotly.react(box, traces, layout, config);
  return box;
};

// A line with the ends of its intervals; the look says the algorithm by colour and symbol, the seed by dashes.
site.line = ({ x, y, low = null, high = null, algo, seed = 0, name, more = {} }) => ({
  type: "scatter", mode: "lines+markers", x, y, name, connectgaps: true,
  line: { color: site.colour(algo), dash: site.DASHES[seed % site.DASHES.length], width: 1.8 },
  marker: { color: site.colour(algo), symbol: site.symbol(algo), size: 6 },
  error_y: low && site.known(low).length
    ? {
      type: "data", symmetric: false, thickness: 1, width: 2, color: site.colour(algo),
      array: y.map((value, i) => (value === null || high[i] === null ? 0 : high[i] - value)),
      arrayminus: y.map((value, i) => (value === null || low[i] === null ? 0 : value - low[i])),
    }
    : undefined,
  hovertemplate: `${name}: %{y:.3g}<extra></extra>`,
  ...more,
});

// A logarithmic axis of pairs per estimate, with a label at each budget.
site.budgetAxis = (budgets) => ({
  type: "log", title: { text: "state-action pairs per estimate" }, tickvals: budgets, ticktext: budgets.map(site.count),
  range: [Math.log10(budgets[0]) - 0.08, Math.log10(budgets.at(-1)) + 0.08],
});

// A logarithmic axis with labels at round numbers, the more of them the shorter it is.
site.logAxis = (traces, text) => {
  const positive = traces.flatMap(({ y }) => site.known(y)).filter((value) => value > 0);
  if (!positive.length) return { type: "log", title: { text } };
  const [low, high] = [Math.min(...positive), Math.max(...positive)].map(Math.log10);
  const steps = high - low > 4 ? [1] : high - low > 1 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 3, 4, 5, 7];
  const tickvals = [];
  for (let power = Math.floor(low) - 1; power <= Math.ceil(high); power += 1) tickvals.push(...steps.map((step) => step * 10 ** power));
  return { type: "log", title: { text }, tickvals, ticktext: tickvals.map(site.count) };
};

// Labels of a dimension in the order of the paper, as the study names them.
site.ordered = (labels, key) => Object.keys(site.meta[key]).filter((label) => labels.includes(label));

site.vertical = (x, text = "", colour = "#57606a") => ({
  shapes: [{ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: colour, width: 1, dash: "dash" } }],
  annotations: text
    ? [{ x: x, xref: "x", yref: "paper", y: 1, text, showarrow: false, xanchor: "left", yanchor: "top", font: { size: 10, color: colour } }]
    : [],
});
