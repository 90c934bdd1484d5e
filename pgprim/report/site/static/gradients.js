// Gradient estimates: agreement, cosine to the truth, and the noise scale, for the chosen task, algorithms and checkpoint.

site.views.gradients = (section) => {
  const redraw = () => site.views.gradients(section);
  const { gradient, steps, baselines } = site.data.probes;
  const charts = section.querySelector(".charts");
  charts.replaceChildren();
  if (!gradient) return site.note(charts, "Gradients were not estimated in this set.");

  const tasks = site.ordered(gradient.present("cosine", "task"), "tasks");
  const task = site.choose("task", tasks);
  const iterations = gradient.present("cosine", "iteration", { task });
  const iteration = site.choose("iteration", iterations);
  const vectors = ["gradient", steps && "steps"].filter(Boolean);
  const source = site.choose("vectors", vectors) === "steps" ? steps : gradient;
  const seeds = ["all", ...source.present("cosine", "seed", { task })];
  const seed = site.choose("seedOrAll", seeds);
  const truth = site.choose("truth", ["corrected", "measured"]);
  const unit = site.choose("unit", ["pairs", "trajectories"]);
  const budgets = source.present("cosine", "budget", { task });
  site.state.budgetFrom = budgets.includes(site.state.budgetFrom) ? site.state.budgetFrom : budgets[0];
  site.state.budgetTo = budgets.includes(site.state.budgetTo) ? site.state.budgetTo : budgets.at(-1);
  if (site.state.budgetFrom > site.state.budgetTo) site.state.budgetFrom = site.state.budgetTo;
  if (!budgets.includes(site.state.readAt)) site.state.readAt = site.nearest(budgets, site.meta.pairs);
  const { budgetFrom, budgetTo, readAt } = site.state;
  const there = site.ordered(source.present("cosine", "algo", { task }), "algos");
  const algos = site.switched(there);

  site.controls(section, [
    site.taskControl(tasks), site.checkpointControl(iterations), site.algoBoxes(there),
    seeds.length > 2 && { kind: "radio", key: "seedOrAll", label: "seed", options: seeds },
    vectors.length > 1 && { kind: "radio", key: "vectors", label: "vectors", options: vectors, names: { gradient: "gradient estimates", steps: "update steps" } },
    { kind: "radio", key: "truth", label: "cosine to the truth", options: ["corrected", "measured"], names: { corrected: "corrected for its noise", measured: "as measured" } },
    { kind: "radio", key: "unit", label: "noise scale in", options: ["pairs", "trajectories"] },
    { kind: "slider", key: "budgetFrom", label: "budgets from", options: budgets, names: site.count },
    { kind: "slider", key: "budgetTo", label: "budgets to", options: budgets, names: site.count },
    { kind: "slider", key: "readAt", label: "read at", options: budgets, names: site.count },
  ], redraw);

  const shown = [];
  for (const algo of algos) {
    for (const one of source.present("cosine", "seed", { task, algo, iteration })) {
      if (seed === "all" || one === seed) shown.push({ task, algo, seed: one, iteration });
    }
  }
  const label = ({ algo, seed: one }) => `${site.algoLabel(algo)}, seed ${one}`;
  const inside = budgets.filter((budget) => budget >= budgetFrom && budget <= budgetTo);
  const curve = (name, over = source) => (agent) => {
    const [low, high] = over.interval(name, agent, "budget");
    const keep = over.labels("budget").map((budget, i) => [budget, i]).filter(([budget]) => inside.includes(budget));
    const pick = (values) => keep.map(([, i]) => values[i]);
    return site.line({
      x: keep.map(([budget]) => budget), y: pick(over.get(name, agent, "budget")), low: pick(low), high: pick(high),
      algo: agent.algo, seed: agent.seed, name: label(agent),
    });
  };
  const budgetAxis = site.budgetAxis(inside);
  const marked = site.vertical(site.meta.pairs);
  const brush = (box) => box?.on("plotly_relayout", (event) => {
    if (event["xaxis.autorange"]) Object.assign(site.state, { budgetFrom: budgets[0], budgetTo: budgets.at(-1) });
    else if (event["xaxis.range[0]"] !== undefined) {
      site.state.budgetFrom = site.nearest(budgets, 10 ** event["xaxis.range[0]"]);
      site.state.budgetTo = site.nearest(budgets, 10 ** event["xaxis.range[1]"]);
    } else return;
    site.remember();
    redraw();
  });

  const readout = document.createElement("p");
  readout.className = "readout wide";
  readout.textContent = shown.length
    ? `At ${site.count(readAt)} pairs: ` + shown.map((agent) => {
      const at = { ...agent, budget: readAt }, [low, high] = source.interval("cosine", at);
      const ends = low === null ? "" : ` [${site.show(low)}, ${site.show(high)}]`;
      return `${label(agent)}: cosine ${site.show(source.get("cosine", at))}${ends}`;
    }).join("; ") + "."
    : "No estimates at this checkpoint.";
  charts.append(readout);

  const scale = unit === "pairs" ? "noise_scale" : "noise_scale_episodes";
  const traces = shown.map(curve("cosine"));
  if (source === gradient) {
    for (const agent of shown) {
      const B = gradient.get("noise_scale", agent);
      if (B === null || B <= 0) continue;
      const N = Array.from({ length: 60 }, (_, i) => inside[0] * (inside.at(-1) / inside[0]) ** (i / 59));
      traces.push({
        type: "scatter", mode: "lines", x: N, y: N.map((n) => n / (n + B)), showlegend: false, opacity: 0.55,
        line: { color: site.colour(agent.algo), width: 1, dash: "dashdot" }, hovertemplate: `${label(agent)}: N / (N + B), B = ${site.count(B)}<extra></extra>`,
      });
    }
  }
  const noun = source === gradient ? "estimates" : "update steps";
  site.draw(
    site.box(charts, `Mean pairwise cosine of ${noun}`, { note: "thin: N / (N + B); drag to choose budgets" }), traces,
    site.layout({ xaxis: budgetAxis, yaxis: { title: { text: "cosine" }, rangemode: "tozero" }, ...marked }),
  ).then(brush);
  const name = truth === "corrected" && source.has("truth_cosine_corrected") ? "truth_cosine_corrected" : "truth_cosine";
  const pairs = site.known(shown.map((agent) => source.get("truth_pairs", agent)));
  site.draw(
    site.box(charts, "Mean cosine to the truth", { note: pairs.length ? `made of up to ${site.count(Math.max(...pairs))} other pairs` : "" }),
    shown.map(curve(name)),
    site.layout({ xaxis: budgetAxis, yaxis: { title: { text: "cosine" }, rangemode: "tozero" }, ...marked }),
  ).then(brush);

  // Against the checkpoint; a click on a point goes there.
  const overTime = (over, quantity, more = {}) => algos.flatMap((algo) =>
    over.present(quantity, "seed", { task, algo }).filter((one) => seed === "all" || one === seed).map((one) => {
      const where = iterations.map((own) => ({ task, algo, seed: one, iteration: own, ...more }));
      const ends = where.map((each) => over.interval(quantity, each));
      return site.line({
        x: iterations, y: where.map((each) => over.get(quantity, each)), low: ends.map(([low]) => low), high: ends.map(([, high]) => high),
        algo, seed: one, name: label({ algo, seed: one }),
      });
    }));
  const go = (box) => box?.on("plotly_click", ({ points }) => {
    site.state.iteration = points[0].x;
    site.remember();
    redraw();
  });
  const time = { title: { text: "checkpoint" }, tickvals: iterations };
  site.draw(
    site.box(charts, `Cosine at ${site.count(readAt)} pairs against the checkpoint`, { note: "select a point to go there" }),
    overTime(source, "cosine", { budget: readAt }),
    site.layout({ xaxis: time, yaxis: { title: { text: "cosine" }, rangemode: "tozero" }, ...site.vertical(iteration) }),
  ).then(go);
  // No line over a checkpoint whose noise scale is infinite; the note below names it.
  const scales = overTime(gradient, scale).map((line) => ({ ...line, connectgaps: false }));
  site.draw(
    site.box(charts, "Gradient noise scale B against the checkpoint", { note: `in ${unit}, at the largest budget` }), scales,
    site.layout({ xaxis: time, yaxis: site.logAxis(scales, unit), ...site.vertical(iteration) }),
  ).then(go);
  const infinite = algos.flatMap((algo) => gradient.present("cosine", "seed", { task, algo })
    .filter((one) => seed === "all" || one === seed)
    .map((one) => [{ algo, seed: one }, iterations.filter((own) => gradient.get("scale_is_infinite", { task, algo, seed: one, iteration: own }))])
    .filter(([, at]) => at.length));
  if (infinite.length) {
    const where = infinite.map(([agent, at]) => `${label(agent)} at checkpoint${at.length > 1 ? "s" : ""} ${at.join(", ")}`).join("; ");
    site.note(charts, `B is infinite, because the estimates show no common signal at the largest budget: ${where}.`);
  }

  if (baselines && baselines.present("cosine", "task").includes(task)) {
    const at = baselines.present("cosine", "iteration", { task });
    const own = at.includes(iteration) ? iteration : at.at(-1);
    const kinds = baselines.labels("baseline");
    const lines = algos.flatMap((algo) => baselines.present("cosine", "seed", { task, algo, iteration: own })
      .filter((one) => seed === "all" || one === seed)
      .flatMap((one) => kinds.map((baseline) => {
        const where = { task, algo, seed: one, iteration: own, baseline }, [low, high] = baselines.interval("cosine", where, "budget");
        return site.line({
          x: baselines.labels("budget"), y: baselines.get("cosine", where, "budget"), low, high, algo,
          name: `${label({ algo, seed: one })}, ${baseline}`,
          more: { line: { color: site.meta.baselines[baseline], dash: site.DASHES[0], width: 1.8 }, marker: { color: site.meta.baselines[baseline], symbol: site.symbol(algo), size: 7 } },
        });
      })));
    site.draw(
      site.box(charts, `Baselines at checkpoint ${own}`, { note: "advantages from returns alone (zero), the agent's V (value), a fitted V* (true)", wide: true }),
      lines, site.layout({ xaxis: { title: { text: "state-action pairs per estimate" } }, yaxis: { title: { text: "cosine" } } }),
    );
  }
};
