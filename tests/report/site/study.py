"""A study for tests of the page: the files that the pipeline would have left, of made-up numbers in the probes' own form."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import xarray as xr

from pgprim.audit.findings import Finding
from pgprim.core.intervals import Interval
from pgprim.plotting.combine import combine
from pgprim.plotting.save import save
from pgprim.probes.baselines import measure as baselines
from pgprim.probes.floors import measure as floors
from pgprim.probes.gradient import measure as gradient
from pgprim.probes.gradient import plot as gradient_plot
from pgprim.probes.landscape import label as landscape
from pgprim.probes.steps import measure as steps
from pgprim.probes.trust_region import measure as trust_region
from pgprim.probes.value import measure as value
from pgprim.report.claims.claim import Claim, Evidence, judge
from pgprim.report.training import plot as training_plot
from pgprim.store.datasets import save_dataset
from pgprim.store.labelled import label
from pgprim.types import targets
from pgprim.types.params import read
from tests.checkouts import PROJECT
from tests.plotting import synthetic

TASKS, ALGOS, SEEDS, ITERATIONS = ("humanoid", "hopper"), ("ppo", "trpo"), (0, 1), (0, 150, 300)
DRAWN = ["--draw", "probes/gradient", "fig1", "noise_scale", "--draw", "report/training", "fig8"]
DRAWN += ["--draw", "studies/reliability", "reliability"]
"""What the page is told to show."""

NO_SIGNAL = {"task": "hopper", "algo": "ppo", "seed": 0, "iteration": 300}
"""A checkpoint whose estimates at the largest budget show no common signal."""

AXIS = np.linspace(0, 3, 5)
PAIRS = (2000, 12000)
PER_ITERATION = np.arange(0, 310, 10)

COSINE = Finding(
    key="cosine",
    title="Agreement of two gradients",
    value=0.2,
    low=0.1,
    high=0.3,
    unit="1",
    over="streams of this agent",
    sentence="A cosine of 0.2.",
    source={"file": "3/gradient.nc", "variable": "cosine", "at": {"budget": 2048}},
    study={"sentence": "The study's datasets are not here."},
)
SCALE = Finding(
    key="noise_scale",
    title="Gradient noise scale",
    value=None,
    low=9000.0,
    high=None,
    unit="pairs",
    over="streams of this agent",
    sentence="The whole pool shows no signal.",
    source={"file": "3/gradient.nc", "variable": "truth_noise_scale", "at": {}},
    study=None,
)

AUDIT = {
    "agent": {
        "file": "mine.zip",
        "written_by": "Stable-Baselines3 2.3",
        "name": "mine",
        "task": "hopper",
        "env_id": "Hopper-v5",
        "iteration": 3,
        "pairs": 2048,
        "settings": {"pairs": 2048, "gamma": 0.99, "target_kl": None, "annealed": True},
        "assumed": ["γ = 0.99"],
        "left_out": [],
        "fidelity": {"grad_cosine": 1.0, "value_error": 1e-7, "logp_error": 1e-6},
    },
    "level": 0.95,
    "size": {"streams": 50, "stream_pairs": 10000, "pairs": 500_000},
    "headline": ["Its gradients are mostly noise."],
    "sections": [
        {
            "key": "gradient",
            "question": "Are its gradients signal?",
            "headline": "Its gradients are mostly noise.",
            "findings": [asdict(COSINE), asdict(SCALE)],
        }
    ],
    "history": {
        "checkpoints": [
            {
                "iteration": 1,
                "numbers": {"cosine": [0.4, 0.35, 0.45], "noise_scale": [3000.0, 2500.0, 4000.0]},
            },
            {"iteration": 3, "numbers": {"cosine": [0.2, 0.1, 0.3], "noise_scale": [None, 9000.0, None]}},
        ],
        "updates": {"iteration": [0, 1, 2], "mre": [0.9, None, 0.7], "kl_mean": [0.01, 0.02, 0.03]},
    },
}
"""In the form of `audit.json`, as `pgprim.audit.findings.audit_findings` makes it, with one of its four sections."""


def per_budget(described, names, where, rng, dims=("budget",), **coords) -> xr.Dataset:
    """A file of estimates whose numbers rise with the budget, each with an interval."""
    budget = np.array(synthetic.BUDGETS)
    shape = tuple(len(coords[dim]) for dim in dims[:-1]) + (budget.size,)
    variables = {}
    for name in names:
        values = budget / (budget + rng.uniform(1e3, 1e4)) * np.ones(shape)
        scale = values if "cosine" in name else 1e4 * values
        variables[name] = (dims, Interval(scale, 0.8 * scale, 1.1 * scale))
    variables |= {"truth_pairs": ((), 10**6)} if "truth_pairs" in described else {}
    return label(variables, described, {"budget": budget, **coords}, {"level": 0.95}, where)


def per_iteration(described, names, dims, rng, where, coords) -> xr.Dataset:
    """A file of an agent with a number for each iteration."""
    shape = [len(coords[dim]) for dim in dims]
    variables = {name: (dims, np.exp(rng.normal(-1, 0.5, shape))) for name in names}
    if "delta" in described:
        variables |= {"delta": ((), 0.07), "ratio_bound": ((), 1.2)}
    return label(variables, described, coords, {}, where)


def plane(kind, where, rng) -> xr.Dataset:
    """A plane whose reward falls along the random direction; more pairs, less noise."""
    alpha, beta = np.meshgrid(AXIS, AXIS, indexing="ij")
    surface = 1000 + 40 * alpha - 120 * beta
    noise = rng.standard_normal((*surface.shape, len(PAIRS))) * (60, 20)
    dims, more = ("alpha", "beta", "budget"), ("alpha", "beta", "budget", "half")
    reward = surface[..., None] + noise
    variables = {
        "reward": (dims, reward),
        "reward_se": (dims, np.broadcast_to([60.0, 20.0], noise.shape)),
        "num_trajectories": (dims, np.broadcast_to([6.0, 40.0], noise.shape)),
        "reward_half": (more, np.stack([reward + noise, reward - noise], -1)),
        "surrogate": (dims[:2], 0.05 * alpha - (0.02 if kind == "few" else 0.01) * alpha**2 - 0.01 * beta),
        "step_norm": ((), 0.1),
        "random_norm": ((), 2.0),
        "batch_pairs": ((), 2048 if kind == "few" else 100_000),
    }
    coords = {"alpha": AXIS, "beta": AXIS, "budget": list(PAIRS), "half": [0, 1]}
    return label(variables, landscape.DESCRIBED, coords, {"level": 0.95}, {**where, "kind": kind})


def slice_along(kind, where) -> xr.Dataset:
    """A slice whose surrogate rises on its own batch and falls on fresh ones, less without clipping."""
    fresh, unclipped, reward = -0.01 * AXIS, -0.005 * AXIS, 1000 + 5 * AXIS
    variables = {
        "slice_surrogate": (("along",), 0.05 * AXIS - 0.01 * AXIS**2),
        "slice_fresh": (("along",), Interval(fresh, fresh - 0.01, fresh + 0.01)),
        "slice_fresh_unclipped": (("along",), Interval(unclipped, unclipped - 0.01, unclipped + 0.01)),
        "slice_reward": (("along", "budget"), Interval(*((reward + d)[:, None] for d in (0, -20, 20)))),
        "promised": ((), Interval(0.04, 0.03, 0.05)),
        "promised_fresh": ((), Interval(-0.01, -0.02, 0.0)),
        "promised_fresh_unclipped": ((), Interval(-0.005, -0.015, 0.005)),
        "kept": (("budget",), Interval(*(np.array([d]) for d in (5.0, 1.0, 9.0)))),
        "slice_step_norm": ((), 0.1),
        "slice_batch_pairs": ((), 2048 if kind == "slice_few" else 100_000),
    }
    coords = {"along": AXIS, "budget": [30000]}
    return label(variables, landscape.DESCRIBED, coords, {"level": 0.95}, {**where, "kind": kind})


def estimates(
    tasks=TASKS, algos=ALGOS, seeds=SEEDS, iterations=ITERATIONS
) -> Iterator[tuple[str, xr.Dataset]]:
    """All files of results with their paths below `data/estimates`."""
    cosines = ("cosine", "truth_cosine", "truth_cosine_corrected")
    scales = ("noise_scale", "noise_scale_episodes")
    target = {"target": list(targets.TARGETS), "definition": list(targets.DEFINITIONS)}
    of_iterations = {"iteration": PER_ITERATION, "part": ["train", "held_out"]}
    for task, algo, seed in ((task, algo, seed) for task in tasks for algo in algos for seed in seeds):
        rng = np.random.default_rng([*task.encode(), *algo.encode(), seed])
        agent, at = {"task": task, "algo": algo, "seed": seed}, f"{task}/{algo}/{seed}"
        yield (
            f"value/{at}.nc",
            per_iteration(
                value.ESTIMATES | targets.DESCRIBED,
                ("mre", "median_re", "total_re"),
                (*of_iterations, *target),
                rng,
                agent,
                of_iterations | target,
            ),
        )
        regions = set(trust_region.ESTIMATES) - {"delta", "ratio_bound"}
        yield (
            f"trust_region/{at}.nc",
            per_iteration(
                trust_region.ESTIMATES, sorted(regions), tuple(of_iterations), rng, agent, of_iterations
            ),
        )
        for iteration in iterations:
            where = agent | {"iteration": iteration}
            sha = {
                "checkpoint_sha256": hashlib.sha256(f"{at}/{iteration}".encode()).hexdigest(),
                "environment": '{"id": "Made-v0"}',
            }
            one = per_budget(gradient.ESTIMATES, cosines + scales, where, rng)
            if where == NO_SIGNAL:
                largest = one.budget == one.budget.max()
                one = one.assign({name: one[name].where(~largest, np.inf) for name in scales})
            yield f"gradient/{at}/{iteration}.nc", one.assign_attrs(sha)
            yield f"steps/{at}/{iteration}.nc", per_budget(steps.ESTIMATES, cosines, where, rng)
            yield (
                f"baselines/{at}/{iteration}.nc",
                per_budget(
                    baselines.ESTIMATES | baselines.COORDS,
                    ("cosine",),
                    where,
                    rng,
                    ("baseline", "budget"),
                    baseline=list(baselines.BASELINES),
                ),
            )
            yield (
                f"floors/{at}/{iteration}.nc",
                per_iteration(
                    floors.ESTIMATES | targets.DESCRIBED,
                    ("floor", "floor_total"),
                    tuple(target),
                    rng,
                    where,
                    target,
                ),
            )
            for kind in ("few", "many"):
                yield f"landscape/{at}/{iteration}/{kind}.nc", plane(kind, where, rng)
                yield f"landscape/{at}/{iteration}/slice_{kind}.nc", slice_along(f"slice_{kind}", where)


def claims(params) -> dict:
    """Claims of every verdict, judged by the real code."""
    ends = {"reproduced": (0.6, 0.7), "not reproduced": (0.1, 0.2), "inconclusive": (0.3, 0.8)}
    told = {name: [Evidence("hopper", "", Interval(sum(end) / 2, *end), 4)] for name, end in ends.items()}
    told["mixed"] = [*told["reproduced"], Evidence("humanoid", "ppo", Interval(0.1, 0.0, 0.2), 2)]
    told["unmeasured"] = []
    described = {
        name: Claim(
            f"Statement {name}",
            "Sec. 1",
            "an effect",
            (),
            {"": "fig1"},
            lambda *_, rows=rows: iter(rows),
        )
        for name, rows in told.items()
    }
    rules = {"level": 0.95, "set": "made", "rules": {name: {"above": 0.5} for name in told}}
    return judge(described, {}, params | {"claims": rules})


def write(folder: Path, **which) -> Path:
    """Write a study into a folder as the pipeline would have, with the package's source beside it."""
    parts = {}
    for name, ds in estimates(**which):
        save_dataset(folder / "data/estimates" / name, ds)
        parts[name] = ds
    shutil.copy(PROJECT / "workflow/scales/default.yaml", folder / "params.yaml")
    params = read(folder / "params.yaml")
    (folder / "workflow/report").mkdir(parents=True)
    shutil.copy(PROJECT / "workflow/report/figures.rst", folder / "workflow/report")
    (folder / "pgprim").symlink_to(PROJECT / "pgprim")
    gradients = combine({name: ds for name, ds in parts.items() if name.startswith("gradient")})
    records = combine(synthetic.records(which.get("tasks", TASKS), which.get("algos", ALGOS), iterations=300))
    for module, names, ds in (
        (gradient_plot, ("fig1", "noise_scale"), gradients),
        (training_plot, ("fig8",), records),
    ):
        for name in names:
            shown = module.select(name, ds, params)
            save_dataset(folder / f"data/figures/{name}.nc", shown)
            save(module.plot(shown), folder / f"figures/{name}.pdf", folder / f"figures/{name}.png")
    for path in (
        "figures/{}.pdf",
        "figures/{}.png",
        "data/figures/{}.nc",
    ):  # a stand-in: the page only shows it
        shutil.copy(folder / path.format("fig8"), folder / path.format("reliability"))
    (folder / "data/claims").mkdir()
    (folder / "data/claims/gradients.json").write_text(json.dumps(claims(params)))
    (folder / "audits/mine").mkdir(parents=True)
    (folder / "audits/mine/audit.json").write_text(json.dumps(AUDIT))
    return folder
