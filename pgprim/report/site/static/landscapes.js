// Landscapes: surrogate beside true reward over planes, and the slice along the step below.

let surfaceBoxes = [];

site.views.landscapes = (section) => {
  const redraw = () => site.views.landscapes(section);
  const { planes, slices } = site.data;
  const charts = section.querySelector(".charts");
  if (!planes.length && !slices.length) {
    charts.replaceChildren();
    return site.note(charts, "Landscapes were not measured in this set.");
  }
  const all = [...planes, ...slices];
  const labels = (key, at) => [...new Set(all.filter((one) => Object.entries(at).every(([k, v]) => one[k] === v)).map((one) => one[key]))];
  const tasks = site.ordered(labels("task", {}), "tasks");
  const task = site.choose("task", tasks);
  const algos = site.ordered(labels("algo", { task }), "algos");
  const algo = site.choose("algo", algos);
  const iterations = labels("iteration", { task, algo }).sort((a, b) => a - b);
  const iteration = site.choose("iteration", iterations);
  const seeds = labels("seed", { task, algo, iteration }).sort((a, b) => a - b);
  const seed = site.choose("seed", seeds);
  const mine = (one) => one.task === task && one.algo === algo && one.iteration === iteration && one.seed === seed;
  const here = planes.filter(mine), along = slices.filter(mine);
  const budgets = [...new Set(here.flatMap((plane) => plane.rewards.map(({ pairs }) => pairs)))].sort((a, b) => a - b);
  if (budgets.length) site.choose("budget", budgets);
  const surface = site.choose("surface", ["raw", "smoothed"]);
  const scale = site.choose("scale", ["own", "shared"]);
  const webgl = site.hasWebGL();
  const look = webgl ? site.choose("look", ["3-D", "heat map"]) : "heat map";
  site.state.turn ??= -128;
  site.state.tilt ??= 28;

  const turnable = look === "3-D";
  // At most one turn per frame, however fast the slider moves. Meanwhile the surfaces do not follow each other.
  let waiting = false;
  const turned = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      site.isTurning = true;
      Promise.all(surfaceBoxes.map((box) => window.Plotly.relayout(box, { "scene.camera": site.camera(site.state.turn, site.state.tilt) })))
        .finally(() => { site.isTurning = false; });
    });
  };
  site.controls(section, [
    site.taskControl(tasks),
    { kind: "radio", key: "algo", label: "algorithm", options: algos, names: Object.fromEntries(algos.map((own) => [own, site.algoLabel(own)])) },
    site.checkpointControl(iterations),
    seeds.length > 1 && site.seedControl(seeds),
    budgets.length > 1 && { kind: "slider", key: "budget", label: "pairs per point", options: budgets, names: site.count },
    { kind: "radio", key: "surface", label: "true reward", options: ["raw", "smoothed"] },
    { kind: "radio", key: "scale", label: "colours and heights", options: ["own", "shared"], names: { own: "own scale", shared: "shared scale" } },
    webgl && { kind: "radio", key: "look", label: "drawn as", options: ["3-D", "heat map"] },
  ], redraw);
  if (turnable) {
    const place = section.querySelector(".controls");
    place.append(
      slider(section, { key: "turn", label: "turn", min: -180, max: 180, step: 2, names: (angle) => `${angle}°` }, turned),
      slider(section, { key: "tilt", label: "tilt", min: 2, max: 88, step: 2, names: (angle) => `${angle}°` }, turned),
    );
  }

  charts.replaceChildren();
  surfaceBoxes = [];
  if (!webgl) site.note(charts, "This browser has no WebGL: surfaces are shown as heat maps.");
  if (!here.length) site.note(charts, "No plane was measured for this agent and checkpoint.");

  const panels = here.flatMap((plane) => {
    const step = `step from ${site.count(plane.pairs)} pairs`;
    const reward = plane.rewards.filter(({ pairs }) => pairs <= site.state.budget).at(-1) ?? plane.rewards[0];
    const made = [{
      plane, isReward: false, values: plane.surrogate, title: `Surrogate, ${step}`, note: "",
      hover: plane.surrogate.map((value, i) => `${where(plane, i)}<br>surrogate ${site.show(value)}`),
    }];
    if (reward) {
      const share = reward.noise_share[0];
      made.push({
        plane, isReward: true, values: surface === "raw" ? reward.reward : reward.smoothed, title: `True reward, ${step}`,
        note: `${site.count(reward.pairs)} pairs per point, ${spread(reward.num)} episodes${share === null ? "" : `; ${Math.round(100 * share)} % of the variance is noise`}`,
        hover: reward.reward.map((value, i) =>
          `${where(plane, i)}<br>reward ${site.show(value)} ± ${site.show(reward.se[i])} (standard error)<br>smoothed ${site.show(reward.smoothed[i])}<br>${reward.num[i]} episodes`),
      });
    }
    return made;
  });
  const ends = (some) => {
    const values = site.known(some.flatMap((panel) => panel.values));
    const low = Math.min(...values), high = Math.max(...values);
    return high > low ? [low, high] : [low - 0.5, high + 0.5];
  };
  for (const panel of panels) panel.range = ends(scale === "own" ? [panel] : panels.filter(({ isReward }) => isReward === panel.isReward));
  const drawn = panels.filter((panel) => site.known(panel.values).length).map((panel) => {
    const box = site.box(charts, panel.title, { note: panel.note, tall: turnable });
    const [traces, layout] = turnable ? site.surface(panel, site.camera(site.state.turn, site.state.tilt)) : site.heatMap(panel);
    return site.draw(box, traces, layout);
  });
  if (turnable) {
    Promise.all(drawn).then((boxes) => {
      if (boxes.includes(null)) return;
      surfaceBoxes = boxes;
      site.turnTogether(boxes, (angles) => {
        Object.assign(site.state, angles);
        for (const key of ["turn", "tilt"]) {
          const input = document.getElementById(`${section.id}-${key}`);
          if (input) {
            input.value = angles[key];
            input.nextElementSibling.textContent = `${angles[key]}°`;
          }
        }
      });
    });
  }
  if (!along.length) return site.note(charts, "No slice along the step was measured for this agent and checkpoint.");

  const band = (one, name, dash, text) => {
    const colour = site.meta.batches[one.kind];
    const low = one[`${name}_ci`]?.filter((_, i) => i % 2 === 0), high = one[`${name}_ci`]?.filter((_, i) => i % 2 === 1);
    return {
      type: "scatter", mode: "lines+markers", x: one.along, y: one[name], name: text, line: { color: colour, dash, width: 1.8 }, marker: { color: colour, size: 5 },
      error_y: low ? { type: "data", symmetric: false, thickness: 1, width: 2, array: one[name].map((y, i) => (high[i] ?? y) - y), arrayminus: one[name].map((y, i) => y - (low[i] ?? y)) } : undefined,
      hovertemplate: `${text}: %{y:.3g}<extra></extra>`,
    };
  };
  const axis = { title: { text: "multiples of the step" } };
  site.draw(
    site.box(charts, "Surrogate along the step", { note: "dashed: on the step's own batch; solid: on fresh batches of the same size; dotted: the same without PPO's clipping, which can only lower it" }),
    along.flatMap((one) => [
      one.surrogate && band(one, "surrogate", "dash", `${site.count(one.pairs)} pairs, own batch`),
      one.fresh && band(one, "fresh", "solid", `${site.count(one.pairs)} pairs, fresh batches`),
      one.algo !== "trpo" && one.fresh_unclipped && band(one, "fresh_unclipped", "dot", `${site.count(one.pairs)} pairs, fresh batches, unclipped`),
    ].filter(Boolean)),
    site.layout({ xaxis: axis, yaxis: { title: { text: "surrogate" }, zeroline: true, zerolinecolor: "#8a939c" }, ...site.vertical(1, "the step") }),
  );
  site.draw(
    site.box(charts, "True reward along the step", { note: `${site.count(along[0].budget)} pairs per point, ${Math.round(100 * site.meta.level)} % intervals` }),
    along.filter((one) => one.reward).map((one) => band(one, "reward", "solid", `step from ${site.count(one.pairs)} pairs`)),
    site.layout({ xaxis: axis, yaxis: { title: { text: "mean return" } }, ...site.vertical(1, "the step") }),
  );
};

const slider = (section, spec, redraw) => MAKERS.slider(section.id, spec, redraw);
const where = (plane, i) => `step × ${site.show(plane.alpha[Math.floor(i / plane.beta.length)])}, random × ${site.show(plane.beta[i % plane.beta.length])}`;
const spread = (numbers) => {
  const known = site.known(numbers), low = Math.min(...known), high = Math.max(...known);
  return low === high ? `${low}` : `${low}–${high}`;
};
