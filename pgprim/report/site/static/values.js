// Value networks: errors against the targets of training and against returns, by each definition.

const DEFINITIONS = { as_text: "as the paper says", as_code: "as the released code", exact: "exact: returns not cut" };
const STATISTICS = { mre: "mean", median_re: "median", total_re: "Σ|error| / Σ|target|" };

site.views.values = (section) => {
  const redraw = () => site.views.values(section);
  const { value, floors } = site.data.probes;
  const charts = section.querySelector(".charts");
  charts.replaceChildren();
  if (!value) return site.note(charts, "Value errors were not measured in this set.");

  const tasks = site.ordered(value.present("mre", "task"), "tasks");
  const task = site.choose("task", tasks);
  const definition = site.choose("definition", value.labels("definition"));
  const statistic = site.choose("statistic", Object.keys(STATISTICS).filter((name) => value.has(name)));
  const part = site.choose("part", [...value.labels("part")].sort());
  const there = site.ordered(value.present("mre", "algo", { task }), "algos");
  const algos = site.switched(there);
  const iterations = value.labels("iteration");
  site.state.iteration ??= site.meta.iterations.at(-1);
  const near = site.nearest(iterations.map((own) => own + 1), site.state.iteration + 1) - 1;
  site.controls(section, [
    site.taskControl(tasks), site.algoBoxes(there),
    { kind: "radio", key: "definition", label: "definition", options: value.labels("definition"), names: DEFINITIONS },
    { kind: "radio", key: "statistic", label: "relative error", options: Object.keys(STATISTICS).filter((name) => value.has(name)), names: STATISTICS },
    { kind: "radio", key: "part", label: "pairs", options: [...value.labels("part")].sort(), names: { held_out: "fresh", train: "of the update" } },
    iterations.length > 1 && { kind: "slider", key: "iteration", label: "training iteration", options: iterations },
  ], redraw);

  const floorName = statistic === "total_re" ? "floor_total" : "floor";
  for (const [target, title] of [["gae", "Error against the targets, V_old + A_GAE"], ["returns", "Error against returns"]]) {
    const traces = algos.flatMap((algo) => {
      const seeds = value.present("mre", "seed", { task, algo });
      const lines = seeds.map((seed) => value.get(statistic, { task, algo, seed, part, target, definition }, "iteration"));
      const thin = lines.map((y, i) => site.line({
        x: iterations, y, algo, name: `${site.algoLabel(algo)}, seed ${seeds[i]}`,
        more: { opacity: seeds.length > 1 ? 0.35 : 1, mode: "lines", showlegend: seeds.length === 1, line: { color: site.colour(algo), width: 1.2 } },
      }));
      const middle = seeds.length > 1 ? [site.line({
        x: iterations, y: iterations.map((_, i) => site.median(lines.map((y) => y[i]))), algo, name: `${site.algoLabel(algo)}, median of ${seeds.length} seeds`,
        more: { mode: "lines", line: { color: site.colour(algo), width: 2.4 } },
      })] : [];
      const bound = [];
      if (floors && statistic !== "median_re") {
        const at = floors.present(floorName, "iteration", { task, algo, target, definition });
        const y = at.map((iteration) => site.median(floors.present(floorName, "seed", { task, algo }).map((seed) =>
          floors.get(floorName, { task, algo, seed, iteration, target, definition }))));
        if (at.length) bound.push(site.line({
          x: at, y, algo, name: `${site.algoLabel(algo)}, Vπ itself`,
          more: { line: { color: site.colour(algo), dash: "dash", width: 1.2 }, marker: { symbol: "line-ew-open", size: 10, color: site.colour(algo) } },
        }));
      }
      return [...thin, ...middle, ...bound];
    });
    site.draw(
      site.box(charts, title, { note: "dashed: what the policy's true value function would show" }), traces,
      site.layout({
        xaxis: { title: { text: "training iteration" } }, yaxis: { type: "log", dtick: Math.log10(2), tickformat: ".3~g", title: { text: "relative error (log₂)" } },
        ...site.vertical(near),
      }),
    ).then((box) => box?.on("plotly_click", ({ points }) => {
      site.state.iteration = points[0].x;
      site.remember();
      redraw();
    }));
  }

  const bars = algos.map((algo) => {
    const seeds = value.present("mre", "seed", { task, algo });
    const y = ["gae", "returns"].flatMap((target) => value.labels("definition").map((own) =>
      site.median(seeds.map((seed) => value.get(statistic, { task, algo, seed, part, target, definition: own, iteration: near })))));
    const x = [["targets", "returns"].flatMap((target) => value.labels("definition").map(() => target)),
      [...value.labels("definition"), ...value.labels("definition")].map((own) => own.replace("_", " "))];
    return { type: "bar", x, y, name: site.algoLabel(algo), marker: { color: site.colour(algo) }, hovertemplate: "%{y:.3g}<extra></extra>" };
  });
  site.draw(
    site.box(charts, `Definitions side by side at iteration ${near}`, { note: "median over seeds", wide: true }), bars,
    site.layout({ barmode: "group", yaxis: site.logAxis(bars, "relative error") }),
  );
};
