"""The check of the parameter file: its schema, assembled from the records of all parts, and conditions between keys.

`params.yaml` is the one place for numbers. Their shapes, ranges and error messages are in the records of probes,
studies and algorithms, and here for parameters that belong to none of them.
"""

import difflib
import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import jsonschema

from pgprim.report.claims.names import FIRST_NAMES, NAMES
from pgprim.rl.algorithms import algorithm_names, common_schema, settings_schema
from pgprim.types.agent import TRAINING_ONLY, Activation
from pgprim.types.errors import UserError
from pgprim.types.params import read
from pgprim.types.probe import FAMILIES, long_enough, probes, probes_of
from pgprim.types.schema import (
    ALGOS,
    COUNT,
    ITERATIONS,
    LEVEL,
    NAME,
    NUMBER,
    SEED,
    SEEDS,
    SWITCH,
    TASKS,
    Schema,
    at_least,
    different,
    mapping,
    mapping_of,
)
from pgprim.types.study import studies

GRID = {"tasks": "tasks", "algos": "probed", "seeds": "probed_seeds", "iterations": "iterations"}
"""The keys of which a probe's own grid selects a part."""

FEWEST_TRIALS = 4
"""Streams of a pool and estimates of a budget (`core.pool`)."""

FEWEST_OTHERS = 3
"""Kept streams beside the trials: a jackknife leaves one out and takes the spread of the others."""

WRONG = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, UserError)
"""Errors that a check of several keys raises if one of them is wrong by itself."""


def load(path: str | Path = "params.yaml") -> dict[str, Any]:
    """Read and check a parameter file.

    Args:
        path: The YAML file.

    Returns:
        The parameters as nested dicts and lists of plain values.

    Raises:
        UserError: The file is missing or unreadable, is not YAML, breaks the schema, or contradicts itself.
    """
    params = read(path)
    check(params, path)
    return params


def check(params: Any, path: str | Path = "params.yaml") -> None:
    """Check parameters against the schema and against each other.

    Args:
        params: What a parameter file says.
        path: The file's name, for the message.

    Raises:
        UserError: One line per mistake, each a sentence: the file, the key, its value, what would be right.
    """
    try:
        strange = list(_plain(params))
        plain = _plainly(params)
        told_of = tuple(complaint.partition(" is ")[0] + " is " for complaint in strange)
        others = (one for one in (*_schema(plain), *_cross(plain)) if not one.startswith(told_of))
        complaints = [*strange, *others]
    except RecursionError:
        complaints = ["an anchor refers to itself, but values must be finite"]
    # A typo is an unknown key and a missing key at once: naming the unknown one helps more.
    helpful = [
        complaint
        for complaint in dict.fromkeys(complaints)
        if not any(f"did you mean {complaint.split(' is missing')[0]}?" in other for other in complaints)
    ]
    if helpful:
        raise UserError("\n".join(f"{path}: {_printable(complaint)}" for complaint in helpful))


ENVIRONMENT = mapping(
    {
        "id": {
            "description": "the id of a Gymnasium environment with Box spaces, such as Hopper-v5",
            "type": "string",
            "pattern": "^[^\\s]+$",
        },
        "kwargs": {"description": "a mapping of arguments of gymnasium.make", "type": "object"},
        "wrappers": {
            "description": "a list of wrappers, each module:Class or a mapping with class and its arguments",
            "type": "array",
            "items": {
                "description": "module:Class or a mapping with class and its arguments",
                "type": ["string", "object"],
                "required": ["class"],
            },
        },
        "clip_actions": SWITCH,
    },
    optional=("kwargs", "wrappers", "clip_actions"),
)

AGENT = mapping_of({"description": "a mapping of settings", "type": "object"}, "task") | {
    "description": "a mapping with the key all for what every task shares and one key per task for what differs",
    "required": ["all"],
    "propertyNames": NAME | {"pattern": "^[a-z][a-z0-9_]*$", "description": "all or a task's name"},
}

TEXT = {"type": "string", "minLength": 1}
PAIRS = at_least(2, "pairs")
TRIALS = at_least(FEWEST_TRIALS, because="each is compared to a truth of others")
SAMPLE = mapping(
    {
        "streams": TRIALS,
        "pairs": PAIRS,
        "estimates": TRIALS,
        "kept": at_least(FEWEST_TRIALS + FEWEST_OTHERS),
        "trials": TRIALS,
        "deep": mapping({"seeds": different(SEED, "seeds", "[0], or [] for none", fewest=0), "pairs": PAIRS}),
    }
)

BOUND = {
    "description": "one bound, such as {above: 0.5} or {below: 0}",
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
    "properties": {"above": NUMBER, "below": NUMBER},
}
CLAIMS = mapping(
    {
        "level": LEVEL,
        "set": TEXT | {"description": "a name in quotes or a plain word, such as default"},
        "rules": mapping(dict.fromkeys(NAMES, BOUND)),
        "first_rules": mapping(dict.fromkeys(FIRST_NAMES, BOUND)),
    }
)

RETURNS = mapping_of(NUMBER | {"description": "a return, a number"}, "agent to a return", "{ppo: 2513}")
PLOT = mapping(
    {
        "budget": at_least(1, "pairs"),
        "level": LEVEL,
        "seeds": COUNT,
        "published": mapping_of(RETURNS, "task to published returns, {} for none"),
    }
)


@cache
def schema() -> Schema:
    """JSON schema of the whole file, except the agents' settings, which have `settings_schema`."""
    families: dict[str, dict[str, Schema]] = {family: {} for family in FAMILIES.values()}
    blocks: dict[str, dict[str, Schema]] = {study.name: dict(study.settings) for study in studies()}
    for probe in probes():
        if probe.family:
            families[probe.family][probe.name] = probe.schema
        else:
            blocks.setdefault(probe.name, {}).update(dict(probe.grid) | dict(probe.settings))
    of_families = {
        family: mapping(members, optional=tuple(members))
        | {
            "description": f"a mapping with at least one of the probes {', '.join(members)}",
            "minProperties": 1,
        }
        for family, members in families.items()
    }
    return mapping(
        {
            "tasks": TASKS,
            "algos": ALGOS,
            "probed": ALGOS,
            "seeds": SEEDS,
            "probed_seeds": SEEDS,
            "lockstep": COUNT,
            "iterations": ITERATIONS,
            "env": mapping_of(ENVIRONMENT, "task to its environment", "{hopper: {id: Hopper-v5}}"),
            "train": _shared_settings(),
            "agents": mapping_of(AGENT, "agent to its settings"),
            "adopted": mapping_of(
                _adopted_agent(), "adopted agent to its file", "{mine: {file: mine.zip, ...}}"
            ),
            "sample": SAMPLE,
            "rerun": mapping({"every": COUNT, "beyond": COUNT}),
            "probes": mapping(of_families),
            **{name: mapping(properties) for name, properties in blocks.items()},
            "claims": CLAIMS,
            "plot": PLOT,
        }
    )


def _shared_settings() -> Schema:
    train = common_schema()
    return train | {
        "properties": dict.fromkeys(TRAINING_ONLY, COUNT) | train["properties"],
        "description": "a mapping with the settings that all agents share",
        "required": list(TRAINING_ONLY),
    }


def _adopted_agent() -> Schema:
    return mapping(
        {
            "file": TEXT | {"description": "the path of an agent's file, or of a folder of its files"},
            "task": NAME | {"description": "the name of a task"},
            "algorithm": {"description": f"one of {', '.join(algorithm_names())}", "enum": algorithm_names()},
            "activation": {
                "description": f"one of {', '.join(get_args(Activation))}",
                "enum": list(get_args(Activation)),
            },
            "normaliser": {"description": "none, for an agent that has none", "const": "none"},
            "settings": {"description": "a mapping of settings", "type": "object"},
        },
        optional=("activation", "normaliser", "settings"),
    )


def _name(keys: Any) -> str:
    """`["sample", "budgets", 2]` is written `sample.budgets[2]`."""
    text = ""
    for key in keys:
        name = str(key) if str(key).isprintable() else _show(key)
        text += f"[{key}]" if isinstance(key, int) else f".{name}" if text else name
    return text or "the whole file"


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _show(value: Any) -> str:
    """A value as one would write it in the file, cut short where it is long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(params: Any, keys: tuple[Any, ...] = ()) -> Iterator[str]:
    """Refuse what JSON cannot say: keys that are not text, and numbers that are not finite."""
    if isinstance(params, dict):
        for key, value in params.items():
            if not isinstance(key, str):
                yield f"{_name(keys)} has the key {_show(key)}, but a key must be text, quoted if need be"
            yield from _plain(value, (*keys, key))
    elif isinstance(params, list):
        for index, value in enumerate(params):
            yield from _plain(value, (*keys, index))
    elif isinstance(params, float) and not math.isfinite(params):
        yield f"{_name(keys)} is {params}, but must be a finite number"


def _plainly(params: Any) -> Any:
    """Parameters without what `_plain` refuses, so that everything else can be checked as well."""
    if isinstance(params, dict):
        return {key: _plainly(value) for key, value in params.items() if isinstance(key, str)}
    if isinstance(params, list):
        return [_plainly(value) for value in params]
    return None if isinstance(params, float) and not math.isfinite(params) else params


def _is_whole(_checker: Any, value: Any) -> bool:
    # JSON Schema takes 1.0e6 for an integer, range() does not.
    return isinstance(value, int) and not isinstance(value, bool)


def _rises(
    _validator: Any, wanted: bool, value: Any, _schema: Schema
) -> Iterator[jsonschema.ValidationError]:
    numbers = isinstance(value, list) and all(isinstance(one, int | float) for one in value)
    if wanted and numbers and value != sorted(value):
        yield jsonschema.ValidationError("does not rise")


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"rising": _rises},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole),
)


def _schema(params: Any) -> Iterator[str]:
    """Complaints of the schemas about the parameters, by key."""
    errors = [*_Validator(schema()).iter_errors(params), *_agent_errors(params)]
    for error in sorted(errors, key=lambda error: _name(error.absolute_path)):
        yield from _sentences(error)


def _agent_errors(params: Any) -> Iterator[jsonschema.ValidationError]:
    """Complaints about agents' settings, whose schema is their algorithm's."""
    agents = params.get("agents") if isinstance(params, dict) else None
    for algo, agent in agents.items() if isinstance(agents, dict) else ():
        every = agent.get("all") if isinstance(agent, dict) else None
        if not isinstance(every, dict):
            continue
        names = algorithm_names()
        kind = {"description": f"one of {', '.join(names)}", "enum": names}
        blocks = {"all": {"required": ["algorithm"], "properties": {"algorithm": kind}}}
        if every.get("algorithm") in names:
            blocks = dict.fromkeys(agent, settings_schema(every["algorithm"]) | {"required": []})
        for task, settings in blocks.items():
            for error in (
                _Validator(settings).iter_errors(agent[task]) if isinstance(agent[task], dict) else ()
            ):
                error.path.extendleft((task, algo, "agents"))
                yield error


def _sentences(error: jsonschema.ValidationError) -> Iterator[str]:
    keys = list(error.absolute_path)
    if error.validator == "additionalProperties":
        names = sorted(error.schema["properties"])
        for key in (key for key in error.instance if key not in names):
            close = difflib.get_close_matches(key, names, n=1)
            right = (
                f"did you mean {_name([*keys, close[0]])}?" if close else f"known there: {', '.join(names)}"
            )
            yield f"{_name([*keys, key])} (given as {_show(error.instance[key])}) is not a known key; {right}"
    elif error.validator == "required":
        # Each missing key has an error of its own, whose message begins with it.
        for missing in (key for key in error.validator_value if error.message.startswith(repr(key))):
            yield _missing(_name([*keys, missing]), error.schema.get("properties", {}).get(missing, {}))
    elif "propertyNames" in error.absolute_schema_path:
        yield f"{_name(keys)} has the key {_show(error.instance)}, but a key there must be {error.schema['description']}"
    else:
        hint = ", written out in digits without point or exponent" if _is_round_float(error) else ""
        yield f"{_name(keys)} is {_show(error.instance)}, but must be {error.schema['description']}{hint}"


def _missing(name: str, wanted: Schema) -> str:
    right = wanted.get("description", "")
    return f"{name} is missing, but must be given" + (f": {right}" if right else "")


def _is_round_float(error: jsonschema.ValidationError) -> bool:
    is_float = isinstance(error.instance, float) and error.instance.is_integer()
    return is_float and error.validator == "type" and error.validator_value == "integer"


def _cross(params: Any) -> Iterator[str]:
    """Complaints about keys that contradict each other; the schema reports values that are wrong by themselves."""
    if not isinstance(params, dict):
        return
    for one in (_agents, _probed, _adopted, _training, _sampling, _deep, _reruns, _grids, _drawing):
        yield from _as_far_as_it_goes(one(params))
    for study in studies():
        yield from _as_far_as_it_goes(study.check(params))
    try:
        measured = probes_of(params)
    except WRONG:
        return
    for probe in measured:
        yield from _as_far_as_it_goes(probe.check(params))


def _as_far_as_it_goes(complaints: Iterator[str]) -> Iterator[str]:
    try:
        yield from complaints
    except WRONG:
        return


def _agents(params: dict[str, Any]) -> Iterator[str]:
    for task in params["tasks"]:
        if task not in params["env"]:
            yield f"tasks names {_show(task)}, but env.{task} is missing and must say which environment that is"
    for algo in params["algos"]:
        if algo not in params["agents"]:
            yield f"algos names {_show(algo)}, but agents.{algo} is missing and must hold its hyperparameters"
    common = common_schema()["properties"]
    for algo, agent in params["agents"].items():
        for task in agent:
            if task != "all" and task not in params["env"]:
                yield f"agents.{algo}.{task} is given, but env has no {_show(task)}: its tasks are {', '.join(params['env'])}"
        if agent["all"].get("algorithm") not in algorithm_names():
            continue
        wanted = settings_schema(agent["all"]["algorithm"])
        for task in params["tasks"] if algo in params["algos"] else ():
            if task not in agent:
                yield f"tasks names {_show(task)}, but agents.{algo}.{task} is missing and must be a mapping, {{}} if nothing differs"
                continue
            for key in wanted["required"]:
                if any(key in part for part in (agent["all"], agent[task], params["train"])):
                    continue
                if key in common and not any(
                    key in part for each in params["agents"].values() for part in each.values()
                ):
                    yield _missing(f"train.{key}", wanted["properties"][key])
                else:
                    yield f"{key} is missing for {algo} on {task}, but must be given in agents.{algo}.all or agents.{algo}.{task}"


def _probed(params: dict[str, Any]) -> Iterator[str]:
    for index, algo in enumerate(params["probed"]):
        if algo not in (*params["algos"], *params["adopted"]):
            yield (
                f"probed[{index}] is {_show(algo)}, but must be one of algos, {_show(params['algos'])}, or adopted, "
                "because only trained agents have checkpoints"
            )


def _adopted(params: dict[str, Any]) -> Iterator[str]:
    for name, agent in params["adopted"].items():
        if name in params["agents"]:
            yield f"adopted.{name} is given, but agents.{name} is, too: names of agents must differ"
        if agent["task"] not in params["env"]:
            yield (
                f"adopted.{name}.task is {_show(agent['task'])}, but env has no such task: its tasks are "
                f"{', '.join(params['env'])}"
            )
        for key, only in (("tasks", [agent["task"]]), ("probed_seeds", [0])):
            if name in params["probed"] and params[key] != only:
                yield (
                    f"{key} is {_show(params[key])}, but must be {_show(only)} where probed names {name}, because that is "
                    "the only one it has"
                )
        settings = settings_schema(agent["algorithm"]) | {"required": []}
        for error in _Validator(settings).iter_errors(agent.get("settings", {})):
            error.path.extendleft(("settings", name, "adopted"))
            yield from _sentences(error)


def _training(params: dict[str, Any]) -> Iterator[str]:
    train = params["train"]
    every, last = train["snapshot_every"], train["iterations"]
    trained = set(params["probed"]) & set(params["algos"])
    for index, seed in enumerate(params["probed_seeds"] if trained else ()):
        if seed not in params["seeds"]:
            yield (
                f"probed_seeds[{index}] is {seed}, but must be one of seeds, {_show(params['seeds'])}, because their "
                "checkpoints are probed"
            )
    for index, iteration in enumerate(params["iterations"] if trained else ()):
        if iteration % every:
            yield f"iterations[{index}] is {iteration}, but must be a multiple of train.snapshot_every ({every})"
        if iteration > last:
            yield f"iterations[{index}] is {iteration}, but must be at most train.iterations ({last})"
    if train["anneal_over"] < last:
        yield (
            f"train.anneal_over is {train['anneal_over']}, but must be at least train.iterations ({last}), because "
            "annealed learning rates are 0 from there on"
        )
    pairs, minibatches = train["pairs"], train["minibatches"]
    if pairs % minibatches:
        yield f"train.minibatches is {minibatches}, but must divide train.pairs ({pairs})"
    if pairs < 2 * minibatches:
        yield (
            f"train.minibatches is {minibatches}, but must leave at least 2 of "
            f"train.pairs ({pairs}) to each, because advantages are normalised within a minibatch"
        )


def _sampling(params: dict[str, Any]) -> Iterator[str]:
    sample = params["sample"]
    streams, kept, trials = (sample[key] for key in ("streams", "kept", "trials"))
    if kept > streams:
        yield f"sample.kept is {kept}, but must be at most sample.streams ({streams}), of which they are the first"
    if trials + FEWEST_OTHERS > kept:
        yield (
            f"sample.trials is {trials}, but must leave at least {FEWEST_OTHERS} of sample.kept ({kept}) streams, because "
            "the noise of what the others give is taken from leaving one out"
        )


def _deep(params: dict[str, Any]) -> Iterator[str]:
    deep, pairs = params["sample"]["deep"]["pairs"], params["sample"]["pairs"]
    if deep < pairs:
        yield f"sample.deep.pairs is {deep}, but must be at least sample.pairs ({pairs})"


def _reruns(params: dict[str, Any]) -> Iterator[str]:
    every, snapshots = params["rerun"]["every"], params["train"]["snapshot_every"]
    if every % snapshots:
        yield (
            f"rerun.every is {every}, but must be a multiple of train.snapshot_every ({snapshots}), because iterations "
            "are run again from snapshots"
        )
    if params["train"]["gamma"] == 1:
        yield "train.gamma is 1, but must be below 1, because returns that are rolled on past a cut would not settle"
    yield from long_enough("rerun.beyond", params["rerun"], params)


def _grids(params: dict[str, Any]) -> Iterator[str]:
    """Complaints about tasks, algorithms, seeds and iterations that a block names but the parameter set lacks."""
    for probe in probes_of(params):
        for key, whole in GRID.items():
            for index, value in enumerate(params[probe.name][key]) if key in probe.grid else ():
                if value not in params[whole]:
                    yield (
                        f"{probe.name}.{key}[{index}] is {_show(value)}, but must be one of {whole}, "
                        f"{_show(params[whole])}, because it is about their checkpoints"
                    )
    for study in studies():
        block = params[study.name]
        for index, task in enumerate(block["tasks"]):
            for algo in block.get("algos", ["ppo"]):
                if task not in params["env"] or task not in params["agents"].get(algo, {}):
                    yield (
                        f"{study.name}.tasks[{index}] is {_show(task)}, but must be a task of env and of agents.{algo}, "
                        "because agents are trained there"
                    )


def _drawing(params: dict[str, Any]) -> Iterator[str]:
    budgets = params["probes"]["rollouts"].get("gradient", {}).get("budgets", [params["plot"]["budget"]])
    if params["plot"]["budget"] not in budgets:
        yield (
            f"plot.budget is {params['plot']['budget']}, but must be one of probes.rollouts.gradient.budgets, "
            f"{_show(budgets)}, because metrics and claims look at the estimates from so many pairs"
        )
