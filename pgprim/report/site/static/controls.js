// Controls that work by mouse, finger and keyboard: native radio buttons, check boxes and sliders.

// What is chosen, shared by all views, so that a view opens on the task, algorithm and checkpoint of the one before.
site.state = {};

site.choose = (key, options) => {
  const chosen = site.state[key];
  if (!options.includes(chosen)) site.state[key] = options.at(key === "iteration" || key === "budget" ? -1 : 0);
  return site.state[key];
};

// Algorithms that are switched on; all if none of those that are there is.
site.switched = (there) => {
  const on = (site.state.algos ?? there).filter((algo) => there.includes(algo));
  return on.length ? on : there;
};

// Puts controls into a view. Rebuilding them keeps the keyboard's focus where it was.
site.controls = (section, specs, redraw) => {
  const place = section.querySelector(".controls");
  const focused = place.contains(document.activeElement) ? document.activeElement.id : null;
  place.replaceChildren(...specs.filter(Boolean).map((spec) => MAKERS[spec.kind](section.id, spec, redraw)));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
};

const fieldset = (legend) => {
  const set = document.createElement("fieldset");
  const name = document.createElement("legend");
  name.textContent = legend;
  set.append(name);
  return set;
};

const set = (key, value, redraw) => {
  site.state[key] = value;
  site.remember();
  redraw();
};

const choices = (view, { key, label, options, names = {}, colours = {} }, type, isOn, change) => {
  const all = fieldset(label), row = document.createElement("div");
  row.className = "choices";
  for (const option of options) {
    const one = document.createElement("label");
    const input = Object.assign(document.createElement("input"), {
      type, name: `${view}-${key}`, id: `${view}-${key}-${option}`, checked: isOn(option), value: option,
    });
    const text = document.createElement("span");
    text.textContent = names[option] ?? option;
    if (colours[option]) {
      text.className = "swatch";
      text.style.borderBottomColor = colours[option];
    }
    input.addEventListener("change", () => change(option, input.checked));
    one.append(input, text);
    row.append(one);
  }
  all.append(row);
  return all;
};

const MAKERS = {
  // One of several.
  radio: (view, spec, redraw) =>
    choices(view, spec, "radio", (option) => site.state[spec.key] === option, (option) => set(spec.key, option, redraw)),

  // Any of several.
  boxes: (view, spec, redraw) =>
    choices(view, spec, "checkbox", (option) => spec.on.includes(option), (option, on) =>
      set(spec.key, spec.options.filter((one) => (one === option ? on : spec.on.includes(one))), redraw)),

  // One of an ordered list, or a number from `min` to `max`.
  slider: (view, { key, label, options = null, min = 0, max = 0, step = 1, names = (value) => value }, redraw) => {
    const all = fieldset(label), row = document.createElement("div");
    row.className = "slider";
    const value = options ? Math.max(0, options.indexOf(site.state[key])) : site.state[key];
    const input = Object.assign(document.createElement("input"), {
      type: "range", id: `${view}-${key}`, min, max: options ? options.length - 1 : max, step, value,
    });
    input.setAttribute("aria-label", label);
    const output = document.createElement("output");
    const tell = () => {
      const chosen = options ? options[+input.value] : +input.value;
      output.textContent = names(chosen);
      input.setAttribute("aria-valuetext", names(chosen));
      return chosen;
    };
    tell();
    input.addEventListener("input", () => set(key, tell(), redraw));
    row.append(input, output);
    all.append(row);
    return all;
  },
};

// The usual controls.
site.taskControl = (tasks) => ({ kind: "radio", key: "task", label: "task", options: tasks, names: site.meta.tasks });
site.algoBoxes = (there) => ({
  kind: "boxes", key: "algos", label: "algorithms", options: there, on: site.switched(there),
  names: Object.fromEntries(there.map((algo) => [algo, site.algoLabel(algo)])),
  colours: Object.fromEntries(there.map((algo) => [algo, site.colour(algo)])),
});
site.checkpointControl = (iterations) => ({ kind: "radio", key: "iteration", label: "checkpoint (training iteration)", options: iterations });
site.seedControl = (seeds) => ({ kind: "radio", key: "seed", label: "seed", options: seeds });
