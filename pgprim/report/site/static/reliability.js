// Reliability: every agent's returns, where they end, and whether a primitive foretells it.

const PRIMITIVES = {
  cosine: "agreement of gradient estimates", error: "error against uncut returns, Σ|error| / Σ|target|", promise: "surrogate gain on fresh batches",
};

site.finalReturn = (returns, at) => {
  const curve = site.known(returns.get("return_mean", at, "iteration"));
  return site.mean(curve.slice(-Math.max(1, Math.round(site.meta.final * curve.length))));
};

site.views.reliability = (section) => {
  const redraw = () => site.views.reliability(section);
  const returns = site.data.figures.fig8;
  const charts = section.querySelector(".charts");
  charts.replaceChildren();
  if (!returns) return site.note(charts, "Returns of training (fig8) are not here.");

  const tasks = site.ordered(returns.present("return_mean", "task"), "tasks");
  const task = site.choose("task", tasks);
  const there = site.ordered(returns.present("return_mean", "algo", { task }), "algos");
  const algos = site.switched(there);
  const primitive = site.choose("primitive", Object.keys(PRIMITIVES));
  site.controls(section, [
    site.taskControl(tasks), site.algoBoxes(there),
    { kind: "radio", key: "primitive", label: "final return against", options: Object.keys(PRIMITIVES), names: PRIMITIVES },
  ], redraw);

  const iterations = returns.labels("iteration");
  const kinds = algos.map((algo) => ({ algo, seeds: returns.present("return_mean", "seed", { task, algo }) }));
  const curves = kinds.flatMap(({ algo, seeds }) => [
    ...seeds.map((seed) => site.line({
      x: iterations, y: returns.get("return_mean", { task, algo, seed }, "iteration"), algo, name: `${site.algoLabel(algo)}, seed ${seed}`,
      more: { mode: "lines", opacity: 0.35, showlegend: false, line: { color: site.colour(algo), width: 1 } },
    })),
    site.line({
      x: iterations, y: returns.get("seeds_mean", { task, algo }, "iteration"), algo, name: `${site.algoLabel(algo)}, interquartile mean of ${seeds.length}`,
      more: { mode: "lines", line: { color: site.colour(algo), width: 2.4 } },
    }),
  ]);
  site.draw(
    site.box(charts, "Return of every agent", { wide: true }), curves,
    site.layout({ xaxis: { title: { text: "training iteration" } }, yaxis: { title: { text: "mean episode return" } } }),
  );

  site.draw(
    site.box(charts, "Final return by seed", { note: `mean of the last ${Math.round(100 * site.meta.final)} % of the iterations` }),
    kinds.map(({ algo, seeds }) => ({
      type: "box", name: site.algoLabel(algo), y: seeds.map((seed) => site.finalReturn(returns, { task, algo, seed })), text: seeds.map((seed) => `seed ${seed}`),
      boxpoints: "all", jitter: 0.4, pointpos: 0, marker: { color: site.colour(algo), size: 6 }, line: { width: 1, color: site.colour(algo) }, fillcolor: "#0000",
      hovertemplate: "%{text}: %{y:.4g}<extra></extra>", showlegend: false,
    })),
    site.layout({ yaxis: { title: { text: "return" } } }),
  );

  const points = kinds.map(({ algo, seeds }) => {
    const known = seeds.map((seed) => [measured(primitive, { task, algo, seed }), site.finalReturn(returns, { task, algo, seed }), seed]).filter(([x, y]) => x !== null && y !== null);
    return {
      type: "scatter", mode: "markers", name: site.algoLabel(algo), x: known.map(([x]) => x), y: known.map(([, y]) => y), text: known.map(([, , seed]) => `seed ${seed}`),
      marker: { color: site.colour(algo), symbol: site.symbol(algo), size: 9 }, hovertemplate: "%{text}: %{x:.3g}, return %{y:.4g}<extra></extra>",
    };
  });
  if (points.some(({ x }) => x.length)) {
    site.draw(
      site.box(charts, `Final return against ${PRIMITIVES[primitive]}`, { note: "mean over trained checkpoints; a point is one agent" }), points,
      site.layout({ xaxis: { title: { text: PRIMITIVES[primitive] } }, yaxis: { title: { text: "final return" } } }),
    );
  } else site.note(charts, `Of this task there is no ${PRIMITIVES[primitive]}.`);
  const figure = Object.assign(document.createElement("div"), { className: "shown wide" });
  charts.append(figure);
  site.figures(figure, ["reliability"]);
};

// The mean of a primitive over an agent's trained checkpoints, null where it was not measured.
const measured = (primitive, agent) => {
  const { gradient, value } = site.data.probes;
  if (primitive === "cosine") {
    if (!gradient) return null;
    const budget = site.nearest(gradient.labels("budget"), site.meta.pairs);
    return site.mean(gradient.labels("iteration").filter((iteration) => iteration > 0).map((iteration) => gradient.get("cosine", { ...agent, iteration, budget })));
  }
  if (primitive === "error") {
    if (!value) return null;
    const at = { ...agent, part: "held_out", target: "returns", definition: "exact" };
    return site.mean(value.get("total_re", at, "iteration").filter((_, i) => value.labels("iteration")[i] > 0));
  }
  const own = site.data.slices.filter((one) => one.kind === "few" && one.iteration > 0 && ["task", "algo", "seed"].every((key) => one[key] === agent[key]));
  return site.mean(own.map((one) => one.promised_fresh_unclipped ?? null));
};
