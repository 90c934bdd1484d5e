// Trust regions: divergence and ratios of every update, with the bounds.

const DIVERGENCES = { kl_mean: "mean over states", kl_max: "largest of a state", kl_of_mean: "of μ", kl_of_sigma: "of σ" };
const RATIOS = { ratio_max: "largest", ratio_q99: "99 % quantile", ratio_q50: "median" };

site.views.trust = (section) => {
  const redraw = () => site.views.trust(section);
  const region = site.data.probes.trust_region;
  const charts = section.querySelector(".charts");
  charts.replaceChildren();
  if (!region) return site.note(charts, "Trust regions were not measured in this set.");

  const tasks = site.ordered(region.present("kl_mean", "task"), "tasks");
  const task = site.choose("task", tasks);
  const there = site.ordered(region.present("kl_mean", "algo", { task }), "algos");
  const algos = site.switched(there);
  const part = site.choose("part", [...region.labels("part")].sort());
  const divergences = Object.keys(DIVERGENCES).filter((name) => region.has(name));
  const ratios = Object.keys(RATIOS).filter((name) => region.has(name));
  const divergence = site.choose("divergence", divergences), ratio = site.choose("ratio", ratios);
  const iterations = region.labels("iteration");
  site.controls(section, [
    site.taskControl(tasks), site.algoBoxes(there),
    { kind: "radio", key: "part", label: "pairs", options: [...region.labels("part")].sort(), names: { held_out: "fresh", train: "of the update" } },
    { kind: "radio", key: "divergence", label: "KL divergence", options: divergences, names: DIVERGENCES },
    { kind: "radio", key: "ratio", label: "ratio ρ", options: ratios, names: RATIOS },
  ], redraw);

  const lines = (name) => algos.flatMap((algo) => {
    const seeds = region.present(name, "seed", { task, algo });
    const all = seeds.map((seed) => region.get(name, { task, algo, seed, part }, "iteration"));
    const thin = all.map((y, i) => site.line({
      x: iterations, y, algo, name: `${site.algoLabel(algo)}, seed ${seeds[i]}`,
      more: { mode: "lines", opacity: seeds.length > 1 ? 0.3 : 1, showlegend: seeds.length === 1, line: { color: site.colour(algo), width: 1.1 } },
    }));
    if (seeds.length === 1) return thin;
    return [...thin, site.line({
      x: iterations, y: iterations.map((_, i) => site.median(all.map((y) => y[i]))), algo, name: `${site.algoLabel(algo)}, median of ${seeds.length} seeds`,
      more: { mode: "lines", line: { color: site.colour(algo), width: 2.4 } },
    })];
  });
  const bound = (name, text) => {
    const values = [...new Set(site.known(there.map((algo) => region.get(name, { task, algo }))))];
    return {
      shapes: values.map((y) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: "#1b1f24", width: 1.2, dash: "dot" } })),
      annotations: values.map((y) => ({ xref: "paper", x: 1, y: Math.log10(y), text: `${text} = ${y}`, showarrow: false, xanchor: "right", yanchor: "bottom", font: { size: 11 } })),
    };
  };
  const boxes = [
    ["kl", `KL divergence, ${DIVERGENCES[divergence]}`, divergence, "nat", true, bound("delta", "δ")],
    ["ratio", `Ratio ρ, ${RATIOS[ratio]}`, ratio, "ρ", true, bound("ratio_bound", "1 + ε")],
    ["clip", "Share of pairs with |ρ − 1| > 0.2", "clip_fraction", "share", false, {}],
    ["return", "Mean return", "return_mean", "return", false, {}],
  ].filter(([, , name]) => region.has(name)).map(([, title, name, text, isLog, more]) => {
    const traces = lines(name), yaxis = isLog ? site.logAxis(traces, text) : { title: { text } };
    return site.draw(site.box(charts, title), traces, site.layout({ xaxis: { title: { text: "training iteration" } }, yaxis, ...more }));
  });
  Promise.all(boxes).then(site.zoomTogether);
};

// Has all boxes show the same iterations: a zoom in one is taken over by the others.
site.zoomTogether = (boxes) => {
  if (boxes.includes(null)) return;
  let busy = false;
  for (const box of boxes) {
    box.on("plotly_relayout", (event) => {
      const range = event["xaxis.autorange"] ? { "xaxis.autorange": true }
        : event["xaxis.range[0]"] !== undefined && { "xaxis.range": [event["xaxis.range[0]"], event["xaxis.range[1]"]] };
      if (!range || busy) return;
      busy = true;
      Promise.all(boxes.filter((other) => other !== box).map((other) => window.Plotly.relayout(other, range))).finally(() => { busy = false; });
    });
  }
};
