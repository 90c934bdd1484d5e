"""The parameter file: read, checked against its schema, and handed on as a plain dict.

`params.yaml` is the one place where numbers live. Its shape, its ranges and the words for what would be right stand
in `workflow/schemas/params.schema.json`; what one key demands of another is checked here.
"""

import difflib
import importlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pgprim.types.errors import UserError

SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "params.schema.json"
PROBES = Path(__file__).parents[1] / "probes"

# A typo is an unknown key and a missing key at once: naming the unknown one helps more.
_URGENCY = {"additionalProperties": 0, "propertyNames": 0, "required": 2}


def load(path: str | Path = "params.yaml") -> dict[str, Any]:
    """Read and check a parameter file.

    Args:
        path: the YAML file. It is read as YAML 1.2, like DVC does, so that `1e-5` is a number.

    Returns:
        The parameters as nested dicts and lists of plain values.

    Raises:
        UserError: if the file is missing or unreadable, is not YAML, breaks the schema, or contradicts itself.
    """
    params = read(path)
    try:
        check(params, path)
    except RecursionError:
        raise UserError(f"{path}: an anchor refers to itself, but values must be finite") from None
    return params


def read(path: str | Path) -> Any:
    """Read a YAML file with the safe loader, without checking what it says.

    Raises:
        UserError: if the file is missing, unreadable, or not YAML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist; `python -m pgprim.commands.scale default` writes params.yaml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}") from None
    try:
        # The C-free loader is the one that knows YAML 1.2 and refuses a key given twice.
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = (error.problem or error.context or "it cannot be parsed").splitlines()[0]
        raise UserError(f"{path}{where}: not valid YAML, {problem}") from None
    except (YAMLError, ValueError) as error:
        raise UserError(f"{path}: not valid YAML, {str(error).splitlines()[0]}") from None


def check(params: Any, path: str | Path = "params.yaml") -> None:
    """Check parameters against the schema and against each other.

    Args:
        params: what a parameter file says.
        path: the file's name, for the message.

    Raises:
        UserError: one sentence about the first thing that is wrong: the file, the key, its value, what would be right.
    """
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for complain in (_plain, _schema, _cross):
        complaint = next(complain(params, schema), None)
        if complaint is not None:
            raise UserError(f"{path}: {complaint}")


def _name(keys: Any) -> str:
    """`["estimate", "budgets", 2]` is written `estimate.budgets[2]`."""
    text = ""
    for key in keys:
        name = str(key) if str(key).isprintable() else _show(key)
        text += f"[{key}]" if isinstance(key, int) else f".{name}" if text else name
    return text or "the whole file"


def _show(value: Any) -> str:
    """A value as one would write it in the file, cut short where it is long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(params: Any, schema: dict[str, Any], keys: tuple[Any, ...] = ()) -> Iterator[str]:
    """Refuse what JSON cannot say: keys that are not text, and numbers that are not finite."""
    if isinstance(params, dict):
        for key, value in params.items():
            if not isinstance(key, str):
                yield f"{_name(keys)} has the key {_show(key)}, but a key must be text, quoted if need be"
            yield from _plain(value, schema, (*keys, key))
    elif isinstance(params, list):
        for index, value in enumerate(params):
            yield from _plain(value, schema, (*keys, index))
    elif isinstance(params, float) and not math.isfinite(params):
        yield f"{_name(keys)} is {params}, but must be a finite number"


def _is_whole(_checker: Any, value: Any) -> bool:
    # JSON Schema takes 1.0e6 for an integer, range() does not.
    return isinstance(value, int) and not isinstance(value, bool)


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole),
)


def _schema(params: Any, schema: dict[str, Any]) -> Iterator[str]:
    """What the schema says against the parameters, the most telling complaint first."""
    errors = _Validator(schema).iter_errors(params)
    for error in sorted(
        [*errors, *_agent_errors(params)],
        key=lambda error: (_URGENCY.get(error.validator, 1), _name(error.absolute_path)),
    ):
        yield _sentence(error, schema["$defs"])


def _agent_errors(params: Any) -> Iterator[jsonschema.ValidationError]:
    """Complaints about agents' settings, whose schema is derived from the settings of their algorithm."""
    agents = params.get("agents") if isinstance(params, dict) else None
    for algo, agent in agents.items() if isinstance(agents, dict) else ():
        every = agent.get("all") if isinstance(agent, dict) else None
        if not isinstance(every, dict):
            continue
        names = _algorithms().algorithm_names()
        kind = {"description": f"one of {', '.join(names)}", "enum": names}
        named = {"type": "object", "required": ["algorithm"], "properties": {"algorithm": kind}}
        blocks = {"all": named}
        if every.get("algorithm") in names:
            every_setting = _algorithms().settings_schema(every["algorithm"]) | {"required": []}
            blocks = dict.fromkeys(agent, every_setting)
        for task, schema in blocks.items():
            for error in _Validator(schema).iter_errors(agent[task]):
                error.path.extendleft((task, algo, "agents"))
                yield error


def _algorithms() -> Any:
    return importlib.import_module("pgprim.rl.algorithms")


def _sentence(error: jsonschema.ValidationError, defs: dict[str, Any]) -> str:
    keys = list(error.absolute_path)
    if error.validator == "additionalProperties":
        known = sorted(error.schema["properties"])
        unknown = next(key for key in error.instance if key not in known)
        close = difflib.get_close_matches(unknown, known, n=1)
        right = f"did you mean {_name([*keys, close[0]])}?" if close else f"known there: {', '.join(known)}"
        return f"{_name([*keys, unknown])} (given as {_show(error.instance[unknown])}) is not a known key; {right}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        wanted = error.schema.get("properties", {}).get(missing, {})
        right = (defs[wanted["$ref"].split("/")[-1]] if "$ref" in wanted else wanted).get("description", "")
        return f"{_name([*keys, missing])} is missing, but must be given" + (f": {right}" if right else "")
    if "propertyNames" in error.absolute_schema_path:
        return f"{_name(keys)} has the key {_show(error.instance)}, but a key there must be {error.schema['description']}"
    hint = ", written out in digits without point or exponent" if _is_round_float(error) else ""
    return f"{_name(keys)} is {_show(error.instance)}, but must be {error.schema['description']}{hint}"


def _is_round_float(error: jsonschema.ValidationError) -> bool:
    is_float = isinstance(error.instance, float) and error.instance.is_integer()
    return is_float and error.validator == "type" and error.validator_value == "integer"


def _cross(params: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """What keys demand of each other."""
    yield from _cross_agents(params, schema)
    yield from _cross_seeds(params)
    yield from _cross_training(params)
    yield from _cross_probes(params)
    yield from _cross_replays(params)
    yield from _cross_baselines(params)
    yield from _cross_landscape(params)
    yield from _cross_variants(params)


def _cross_agents(params: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    for task in params["tasks"]:
        if task not in params["env"]:
            yield f"tasks names {_show(task)}, but env.{task} is missing and must say which environment that is"
    for algo in params["algos"]:
        if algo not in params["agents"]:
            yield f"algos names {_show(algo)}, but agents.{algo} is missing and must hold its hyperparameters"
    for index, algo in enumerate(params["probed"]):
        if algo not in params["algos"]:
            yield (
                f"probed[{index}] is {_show(algo)}, but must be one of algos, {_show(params['algos'])}, "
                "because only trained agents have checkpoints"
            )
    for algo, agent in params["agents"].items():
        required = _algorithms().settings_schema(agent["all"]["algorithm"])["required"]
        for task in agent:
            if task != "all" and task not in params["env"]:
                yield f"agents.{algo}.{task} is given, but env has no {_show(task)}: its tasks are {', '.join(params['env'])}"
        for task in params["tasks"] if algo in params["algos"] else ():
            if task not in agent:
                yield f"tasks names {_show(task)}, but agents.{algo}.{task} is missing and must be a mapping, {{}} if nothing differs"
                continue
            for key in required:
                if key not in agent["all"] and key not in agent[task] and key not in params["train"]:
                    yield f"{key} is missing for {algo} on {task}, but must be given in agents.{algo}.all or agents.{algo}.{task}"


def _cross_seeds(params: dict[str, Any]) -> Iterator[str]:
    grouped = [int(seed) for group in params["lockstep"] for seed in group.split("-")]
    if sorted(grouped) != sorted(params["seeds"]):
        yield (
            f"lockstep is {_show(params['lockstep'])}, but its groups must hold each of "
            f"seeds {_show(params['seeds'])} exactly once and no other"
        )


def _cross_training(params: dict[str, Any]) -> Iterator[str]:
    train = params["train"]
    every, last = train["snapshot_every"], train["iterations"]
    for index, iteration in enumerate(params["iterations"]):
        if iteration % every:
            yield f"iterations[{index}] is {iteration}, but must be a multiple of train.snapshot_every ({every})"
        if iteration > last:
            yield f"iterations[{index}] is {iteration}, but must be at most train.iterations ({last})"
    pairs, minibatches = train["pairs"], train["minibatches"]
    if pairs % minibatches:
        yield f"train.minibatches is {minibatches}, but must divide train.pairs ({pairs})"
    if pairs < 2 * minibatches:
        yield (
            f"train.minibatches is {minibatches}, but must leave at least 2 of "
            f"train.pairs ({pairs}) to each, because advantages are normalised within a minibatch"
        )


def _cross_probes(params: dict[str, Any]) -> Iterator[str]:
    pairs, minibatches = params["sample"]["pairs"], params["train"]["minibatches"]
    modules = {found.parent.name for found in PROBES.glob("*/measure.py")}
    # The probes of replays are listed in `assess`, and probes with inputs of their own have a block of their own.
    known = {"gradient", "steps", *modules} - {*params["assess"], *params}
    for probe, block in params["estimate"].items():
        if probe not in known:
            yield (
                f"estimate.{probe} is given, but must be a probe with a module "
                f"pgprim/probes/{probe}/measure.py; known: {', '.join(sorted(known))}"
            )
        budgets = block.get("budgets", [])
        if budgets != sorted(budgets):
            yield f"estimate.{probe}.budgets is {_show(budgets)}, but must rise from left to right"
        if budgets and budgets[-1] > pairs:
            yield f"estimate.{probe}.budgets ends with {budgets[-1]}, but must not exceed sample.pairs ({pairs})"
        if probe == "steps" and budgets and budgets[0] < 2 * minibatches:
            yield (
                f"estimate.steps.budgets starts with {budgets[0]}, but must be at least {2 * minibatches}, "
                f"2 pairs for each of train.minibatches ({minibatches})"
            )


def _cross_replays(params: dict[str, Any]) -> Iterator[str]:
    train = params["train"]
    every, snapshots, gamma = params["replay"]["every"], train["snapshot_every"], train["gamma"]
    if every % snapshots:
        yield (
            f"replay.every is {every}, but must be a multiple of train.snapshot_every ({snapshots}), because iterations "
            "are done again from snapshots"
        )
    if gamma == 1:
        yield "train.gamma is 1, but must be below 1, because returns that are rolled on past a cut would not settle"
    tail = math.ceil(math.log(0.01) / math.log(gamma)) if 0 < gamma < 1 else 1
    for block in ("replay", "floor"):
        if params[block]["beyond"] < tail:
            yield (
                f"{block}.beyond is {params[block]['beyond']}, but must be at least {tail}, because fewer pairs hold less "
                f"than 99 % of a return at train.gamma ({gamma})"
            )
    for index, probe in enumerate(params["assess"]):
        if probe not in ("value", "trust_region") and not (PROBES / probe / "measure.py").is_file():
            yield (
                f"assess[{index}] is {_show(probe)}, but must be a probe with a module pgprim/probes/{probe}/measure.py"
            )
    yield from _at_checkpoints(params, "floor", ("iterations",))


def _cross_baselines(params: dict[str, Any]) -> Iterator[str]:
    block, pairs = params["baselines"], params["sample"]["pairs"]
    yield from _at_checkpoints(params, "baselines", ("tasks", "iterations"))
    budgets, lambdas = block["budgets"], block["lambdas"]
    if budgets != sorted(budgets):
        yield f"baselines.budgets is {_show(budgets)}, but must rise from left to right"
    if budgets[-1] > pairs:
        yield f"baselines.budgets ends with {budgets[-1]}, but must not exceed sample.pairs ({pairs})"
    if block["pairs"] > pairs:
        yield f"baselines.pairs is {block['pairs']}, but must not exceed sample.pairs ({pairs})"
    if lambdas != sorted(lambdas) or lambdas[-1] != 1:
        yield f"baselines.lambdas is {_show(lambdas)}, but must rise from left to right and end with 1, which has no bias"
    if block["fit"]["beyond"] >= pairs:
        yield (
            f"baselines.fit.beyond is {block['fit']['beyond']}, but must be less than sample.pairs ({pairs}), "
            "because no return would be settled otherwise"
        )


def _cross_landscape(params: dict[str, Any]) -> Iterator[str]:
    block = params["landscape"]
    yield from _at_checkpoints(params, "landscape", ("tasks", "algos", "seeds", "iterations"))
    low, high = block["plane"]["extent"]
    if low >= high:
        yield f"landscape.plane.extent is {_show([low, high])}, but must rise from left to right"
    for kind, key in (("few", "budgets"), ("few", "trajectories"), ("many", "budgets"), ("steps", "budgets")):
        if block[kind][key] != sorted(block[kind][key]):
            yield f"landscape.{kind}.{key} is {_show(block[kind][key])}, but must rise from left to right"
    pairs = params["train"]["pairs"]
    if block["many"]["pairs"] < pairs:
        yield f"landscape.many.pairs is {block['many']['pairs']}, but must be at least train.pairs ({pairs})"
    few, many = block["few"]["budgets"], block["many"]["budgets"]
    if many[-1] not in few:
        yield (
            f"landscape.many.budgets ends with {many[-1]}, but must end with one of landscape.few.budgets, {_show(few)}, "
            "because both stand side by side in figures"
        )


def _at_checkpoints(params: dict[str, Any], name: str, keys: tuple[str, ...]) -> Iterator[str]:
    """What a block demands that names checkpoints: the set must make them."""
    for key in keys:
        whole = "probed" if key == "algos" else key
        for index, value in enumerate(params[name][key]):
            if value not in params[whole]:
                yield (
                    f"{name}.{key}[{index}] is {_show(value)}, but must be one of {whole}, {_show(params[whole])}, "
                    "because it is about their checkpoints"
                )


def _cross_variants(params: dict[str, Any]) -> Iterator[str]:
    smallest = 2 * params["train"]["minibatches"]
    for study in ("ablation", "regime", "semantics"):
        block = params[study]
        algos = block.get("algos", ["ppo"])
        for index, task in enumerate(block["tasks"]):
            for algo in algos:
                if task not in params["env"] or task not in params["agents"].get(algo, {}):
                    yield (
                        f"{study}.tasks[{index}] is {_show(task)}, but must be a task of env and of agents.{algo}, "
                        "because agents are trained there"
                    )
        seeds = [seed for group in block["lockstep"] for seed in group.split("-")]
        if len(set(seeds)) < len(seeds):
            yield f"{study}.lockstep is {_show(block['lockstep'])}, but its groups must hold each seed once"
        for key in ("rates", "pairs"):
            values = block.get(key)
            if isinstance(values, list) and values != sorted(values):
                yield f"{study}.{key} is {_show(values)}, but must rise from left to right"
    yield from _at_checkpoints(params, "semantics", ("tasks", "algos", "seeds"))
    ablation, regime = params["ablation"], params["regime"]
    seeds = {int(seed) for group in ablation["lockstep"] for seed in group.split("-")}
    if not set(ablation["choose"]) < seeds:
        yield (
            f"ablation.choose is {_show(ablation['choose'])}, but must be some and not all of the seeds of "
            f"ablation.lockstep, {_show(sorted(seeds))}, because the others are reported"
        )
    for key, pairs in (("ablation.pairs", ablation["pairs"]), ("regime.pairs", regime["pairs"][0])):
        if pairs < smallest:
            yield (
                f"{key} begins with {pairs}, but must be at least {smallest}, "
                f"2 pairs for each of train.minibatches ({params['train']['minibatches']})"
            )
    if regime["total_pairs"] < regime["pairs"][-1]:
        yield (
            f"regime.total_pairs is {regime['total_pairs']}, but must be at least the largest of regime.pairs "
            f"({regime['pairs'][-1]}), one iteration of it"
        )
    for index, probe in enumerate(params["semantics"]["probes"]):
        if not (PROBES / probe / "measure.py").is_file():
            yield (
                f"semantics.probes[{index}] is {_show(probe)}, but must be a probe with a module "
                f"pgprim/probes/{probe}/measure.py"
            )
