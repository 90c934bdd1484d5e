// Addresses and start: `#/VIEW/ARGUMENTS?CHOICES` shows a view with what was chosen in it.

const NUMBERS = ["iteration", "seed", "budget", "budgetFrom", "budgetTo", "readAt", "turn", "tilt"];
const KEPT = ["task", "algo", "algos", ...NUMBERS, "seedOrAll", "vectors", "truth", "unit", "definition", "statistic", "part", "divergence", "ratio", "primitive", "surface", "scale", "look"];
const CHOOSING = ["gradients", "values", "landscapes", "trust", "reliability"];
let told = null;

const read = () => {
  const [place, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = place.split("/").map(decodeURIComponent);
  for (const [key, text] of new URLSearchParams(query)) {
    if (!KEPT.includes(key)) continue;
    if (key === "algos") site.state.algos = text.split(",");
    else site.state[key] = NUMBERS.includes(key) || (key === "seedOrAll" && text !== "all") ? Number(text) : text;
  }
  return [document.querySelector(`section.view#${CSS.escape(view || "front")}`) ? view || "front" : "front", rest];
};

// Writes what is chosen into the address, so that a link shows the same.
site.remember = () => {
  const [view] = path();
  if (!CHOOSING.includes(view)) return;
  const query = new URLSearchParams();
  for (const key of KEPT) if (site.state[key] !== undefined) query.set(key, [site.state[key]].flat().join(","));
  told = `#/${view}?${query}`;
  history.replaceState(null, "", told);
};

const path = () => location.hash.replace(/^#\/?/, "").split("?")[0].split("/");

const show = () => {
  if (told === location.hash) return;
  told = null;
  const [view, rest] = read();
  for (const section of document.querySelectorAll(".view")) section.classList.toggle("here", section.id === view);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${document.querySelector(`nav a[data-view="${view}"]`).textContent}: a closer look at deep policy gradients`;
  if (!rest.length) window.scrollTo({ top: 0, behavior: "instant" });
  if (site.data || !document.getElementById(view).classList.contains("interactive")) site.views[view]?.(document.getElementById(view), rest);
};

const start = async () => {
  site.listenToClaims();
  site.listenToGallery();
  window.addEventListener("hashchange", show);
  // Print shows the evidence of all claims.
  window.addEventListener("beforeprint", () => document.querySelectorAll(".claim, figcaption details").forEach((one) => { one.open = true; }));
  show();
  if (!("DecompressionStream" in window)) {
    for (const section of document.querySelectorAll(".interactive")) site.note(section, "This browser is too old for the interactive views; findings, claims and figures are here.");
    return;
  }
  const data = JSON.parse(await site.unpack("packed-data"));
  site.meta = data.meta;
  const labelled = (all) => Object.fromEntries(Object.entries(all).map(([name, one]) => [name, new site.Labelled(one)]));
  site.data = { ...data, probes: labelled(data.probes), figures: labelled(data.figures) };
  document.body.dataset.ready = "true";
  show();
};

document.addEventListener("DOMContentLoaded", start);
