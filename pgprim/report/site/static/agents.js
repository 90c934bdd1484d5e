// Agents: a list, and for each agent a page with its address, `#/agents/TASK/ALGORITHM/SEED`; audited ones `#/agents/audit/NAME`.

const PROBES = {
  gradient: "gradient estimates", steps: "update steps", baselines: "baselines", value: "value errors",
  floors: "what Vπ itself would show", trust_region: "trust region", landscape: "landscapes",
};

site.views.agents = (section, [first, ...rest]) => {
  const body = section.querySelector(".body");
  body.replaceChildren();
  if (first === "audit" && rest[0] in site.data.audits) return auditPage(body, rest[0]);
  const found = site.data.agents.find(({ task, algo, seed }) => task === first && algo === rest[0] && `${seed}` === rest[1]);
  return found ? agentPage(body, found) : agentList(body);
};

const element = (parent, tag, text = "", more = {}) => {
  const made = Object.assign(document.createElement(tag), more);
  if (text) made.textContent = text;
  parent.append(made);
  return made;
};

const link = (parent, text, href) => element(parent, "a", text, { href });

const table = (parent, heads, lines) => {
  const around = element(parent, "div", "", { className: "scroll" }), made = element(around, "table");
  const head = element(element(made, "thead"), "tr");
  heads.forEach((text) => element(head, "th", text));
  const rows = element(made, "tbody");
  for (const line of lines) {
    const row = element(rows, "tr");
    line.forEach((cell) => {
      const place = element(row, "td");
      if (cell instanceof Node) place.append(cell);
      else place.textContent = cell;
    });
  }
  return made;
};

const code = (text, command = false) => Object.assign(document.createElement("code"), { textContent: text, className: command ? "command" : "" });

const agentList = (body) => {
  element(body, "h1", "Agents");
  element(body, "p", "One page per agent: all that was measured of it, the files with their digests, and the command that makes each again.");
  const { agents, audits } = site.data;
  if (!agents.length) site.note(body, "There are no results of agents yet.");
  for (const [task, label] of Object.entries(site.meta.tasks)) {
    const mine = agents.filter((agent) => agent.task === task);
    if (!mine.length) continue;
    element(body, "h2", label);
    const list = element(body, "ul", "", { className: "agents" });
    for (const { algo, seed, files } of mine) {
      const item = element(list, "li");
      link(item, `${site.algoLabel(algo)}, seed ${seed}`, `#/agents/${task}/${algo}/${seed}`);
      const probes = new Set(files.map(({ probe }) => probe)).size;
      item.append(` (${probes} probe${probes === 1 ? "" : "s"})`);
    }
  }
  element(body, "h2", "Audited agents");
  if (!Object.keys(audits).length) {
    const note = element(body, "p", "None. ", { className: "note" });
    note.append(code("python -m pgprim audit", true), " measures an agent of your own.");
    return;
  }
  const list = element(body, "ul", "", { className: "agents" });
  for (const [name, { agent }] of Object.entries(audits)) {
    const item = element(list, "li");
    link(item, name, `#/agents/audit/${name}`);
    item.append(` (${about(agent)})`);
  }
};

// `{"id": "Hopper-v5"}` -> `Hopper-v5`; what has wrappers or settings is shown as it is.
const environmentName = (text) => {
  const { id, ...rest } = JSON.parse(text);
  return Object.keys(rest).length ? text : id;
};

const agentPage = (body, agent) => {
  const { task, algo, seed } = agent, at = { task, algo, seed };
  link(element(body, "p"), "All agents", "#/agents");
  element(body, "h1", `${site.algoLabel(algo)} on ${site.taskLabel(task)}, seed ${seed}`);
  const parts = [agent.environment && `environment ${environmentName(agent.environment)}`, agent.semantics && `semantics ${agent.semantics}`];
  element(body, "p", parts.filter(Boolean).join(" · "), { className: "scope" });
  const charts = element(body, "div", "", { className: "charts" });
  const { gradient, value, trust_region: region } = site.data.probes, returns = site.data.figures.fig8;
  const time = { title: { text: "training iteration" } };
  let drawn = 0;
  const chart = (title, note, traces, layout) => {
    drawn += 1;
    site.draw(site.box(charts, title, { note }), traces, site.layout(layout));
  };

  if (returns && site.known(returns.get("return_mean", at, "iteration")).length) {
    chart("Return", "", [site.line({ x: returns.labels("iteration"), y: returns.get("return_mean", at, "iteration"), algo, name: "return", more: { mode: "lines" } })],
      { xaxis: time, yaxis: { title: { text: "mean episode return" } } });
  }
  if (gradient) {
    for (const [name, title] of [["cosine", "Agreement of gradient estimates"], ["truth_cosine_corrected", "Cosine to the truth, corrected for its noise"]]) {
      const iterations = gradient.present(name, "iteration", at);
      if (!iterations.length) continue;
      chart(title, "a line is one checkpoint; dashed: pairs of training", iterations.map((iteration, i) => {
        const [low, high] = gradient.interval(name, { ...at, iteration }, "budget");
        return site.line({ x: gradient.labels("budget"), y: gradient.get(name, { ...at, iteration }, "budget"), low, high, algo, seed: i, name: `checkpoint ${iteration}` });
      }), { xaxis: site.budgetAxis(gradient.present(name, "budget", at)), yaxis: { title: { text: "cosine" } }, ...site.vertical(site.meta.pairs) });
    }
  }
  if (value && value.present("mre", "iteration", at).length) {
    const targets = [["gae", "as_text", "targets", "dot"], ["returns", "as_text", "returns, as published", "solid"], ["returns", "exact", "returns, not cut", "dash"]];
    const errors = targets.map(([target, definition, name, dash]) => site.line({
      x: value.labels("iteration"), y: value.get("mre", { ...at, part: "held_out", target, definition }, "iteration"), algo, name,
      more: { mode: "lines", line: { color: site.colour(algo), dash, width: 1.6 } },
    }));
    chart("Value errors on fresh pairs", "mean relative error", errors, { xaxis: time, yaxis: site.logAxis(errors, "relative error") });
  }
  if (region && region.present("kl_mean", "iteration", at).length) {
    const delta = region.get("delta", at);
    const divergences = ["held_out", "train"].map((part, i) => site.line({
      x: region.labels("iteration"), y: region.get("kl_mean", { ...at, part }, "iteration"), algo, name: i ? "own pairs" : "fresh pairs",
      more: { mode: "lines", line: { color: site.colour(algo), dash: i ? "dash" : "solid", width: 1.6 } },
    }));
    chart("Mean KL divergence of each update", delta === null ? "dashed: own pairs" : `dashed: own pairs; dotted: δ = ${delta}`, divergences, {
      xaxis: time, yaxis: site.logAxis(divergences, "nat"),
      shapes: delta === null ? [] : [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: delta, y1: delta, line: { width: 1.2, dash: "dot" } }],
    });
  }
  const own = site.data.slices.filter((one) => Object.entries(at).every(([key, label]) => one[key] === label));
  for (const kind of ["few", "many"]) {
    const some = own.filter((one) => one.kind === kind && one.reward);
    if (!some.length) continue;
    chart(`True reward along a step from ${site.count(some[0].pairs)} pairs`, "a line is one checkpoint", some.map((one, i) => site.line({
      x: one.along, y: one.reward, low: one.reward_ci?.filter((_, j) => j % 2 === 0), high: one.reward_ci?.filter((_, j) => j % 2 === 1), algo, seed: i, name: `checkpoint ${one.iteration}`,
    })), { xaxis: { title: { text: "multiples of the step" } }, yaxis: { title: { text: "mean return" } }, ...site.vertical(1, "the step") });
  }
  if (!drawn) site.note(charts, "Nothing of this agent can be drawn.");

  const planes = site.data.planes.filter((one) => Object.entries(at).every(([key, label]) => one[key] === label));
  if (planes.length) {
    const line = element(body, "p", "Landscapes: ");
    for (const iteration of [...new Set(planes.map((plane) => plane.iteration))]) {
      link(line, `checkpoint ${iteration}`, `#/landscapes?task=${task}&algo=${algo}&iteration=${iteration}&seed=${seed}`);
      line.append(" ");
    }
  }
  hyperparameters(body, at);
  element(body, "h2", "Checkpoints");
  table(body, ["iteration", "SHA-256 of the checkpoint", "command that makes it again"], Object.entries(agent.checkpoints).map(([iteration, sha]) =>
    [iteration, code(sha), code(`snakemake data/checkpoints/${task}/${algo}/${seed}/${iteration}.safetensors`, true)]));
  element(body, "h2", "Results");
  table(body, ["probe", "of", "SHA-256 of the file", "command that makes it again"], agent.files.map(({ probe, case: of, path, sha256 }) =>
    [PROBES[probe] ?? probe, of || "all iterations", code(sha256), code(`snakemake ${path}`, true)]));
};

const hyperparameters = (body, { task, algo }) => {
  const all = site.data.figures.table1;
  if (!all || !all.present("value", "algo").includes(algo)) return;
  const parameters = all.labels("parameter").map((parameter) => [parameter, all.get("value", { parameter, algo, task })]).filter(([, told]) => told);
  const around = element(body, "details");
  element(around, "summary", "Hyperparameters (Table 1)");
  table(around, ["parameter", "value"], parameters);
};

const about = (agent) => `${agent.name}, ${agent.env_id}, iteration ${agent.iteration}`;

// An audit: its sections with their findings and their history (`pgprim/audit/findings.py`), then the rest of its file.
const auditPage = (body, name) => {
  const { headline, sections, history, ...rest } = site.data.audits[name];
  link(element(body, "p"), "All agents", "#/agents");
  element(body, "h1", `Audit of ${about(rest.agent)}`);
  headline.forEach((sentence) => element(body, "p", sentence, { className: "question" }));
  for (const { question, findings } of sections) {
    element(body, "h2", question);
    table(body, ["finding", "value", "interval", "in words", "beside the study"], findings.map((finding) => [
      finding.title, [site.show(finding.value), finding.unit === "1" ? "" : finding.unit].join(" "),
      finding.low === null ? "–" : `${ends(finding.low, finding.high)} over ${finding.over}`,
      finding.sentence, finding.study?.sentence ?? "–",
    ]));
  }
  overTraining(body, history, sections.flatMap(({ findings }) => findings));
  records(body, rest, 0);
  element(body, "p", "Command that makes it again: ").append(code("python -m pgprim audit", true));
};

const ends = (low, high) => `[${site.show(low)}, ${site.show(high)}]`;

// Every finding at every audited checkpoint, and the updates between the checkpoints of a series.
const overTraining = (body, { checkpoints, updates }, findings) => {
  if (checkpoints.length > 1) {
    element(body, "h2", "Over training");
    table(body, ["finding", ...checkpoints.map(({ iteration }) => `iteration ${iteration}`)], findings.map(({ key, title }) =>
      [title, ...checkpoints.map(({ numbers: { [key]: [value, low, high] } }) => site.show(value) + (low === null ? "" : ` ${ends(low, high)}`))]));
  }
  const { iteration = [], ...numbers } = updates;
  if (iteration.length) {
    element(body, "h2", "Updates between checkpoints, on fresh pairs");
    table(body, ["after iteration", ...Object.keys(numbers).map((key) => key.replaceAll("_", " "))],
      iteration.map((own, i) => [own, ...Object.values(numbers).map((values) => site.show(values[i]))]));
  }
};

// Texts and numbers as a table, lists as sentences.
const records = (body, record, depth) => {
  const plain = (told) => told === null || typeof told !== "object";
  const text = (told) => (typeof told === "number" ? site.show(told) : told === null ? "–" : `${told}`);
  const simple = Object.entries(record).filter(([, told]) => plain(told));
  if (simple.length) table(body, ["", ""], simple.map(([key, told]) => [key.replaceAll("_", " "), text(told)]));
  for (const [key, told] of Object.entries(record).filter(([, one]) => !plain(one))) {
    element(body, depth ? "h3" : "h2", key.replaceAll("_", " "));
    if (Array.isArray(told)) element(body, "p", told.map(text).join(", ") || "–");
    else records(body, told, depth + 1);
  }
};
