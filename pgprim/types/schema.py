"""Pieces of the JSON schema of the parameter file.

Every description completes the sentence "KEY is VALUE, but must be ...".
"""

from typing import Any

Schema = dict[str, Any]

LARGEST_SEED = 2**31 - 1
"""Seeds are kept as 32-bit integers."""

NAME_PATTERN = "^(?!all$)[a-z][a-z0-9_]*$"
NAME: Schema = {
    "description": "a name: lower-case letters, digits and underscores, and not the reserved word all",
    "type": "string",
    "pattern": NAME_PATTERN,
}
COUNT: Schema = {"description": "a whole number, at least 1", "type": "integer", "minimum": 1}
NUMBER: Schema = {"description": "a number", "type": "number"}
POSITIVE: Schema = {"description": "a number above 0", "type": "number", "exclusiveMinimum": 0}
SHARE: Schema = {
    "description": "a number above 0 and at most 1", "type": "number", "exclusiveMinimum": 0, "maximum": 1
}  # fmt: skip
OPEN_FRACTION: Schema = {
    "description": "a number above 0 and below 1", "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1
}  # fmt: skip
CLOSED_FRACTION: Schema = {
    "description": "a number between 0 and 1", "type": "number", "minimum": 0, "maximum": 1
}  # fmt: skip
LEVEL: Schema = OPEN_FRACTION | {"description": "a confidence level, a number above 0 and below 1"}
LEARNING_RATE: Schema = SHARE | {"description": "a learning rate, a number above 0 and at most 1"}
SWITCH: Schema = {"description": "true or false", "type": "boolean"}
SEED: Schema = {
    "description": f"a seed, a whole number between 0 and {LARGEST_SEED}",
    "type": "integer",
    "minimum": 0,
    "maximum": LARGEST_SEED,
}
ITERATION: Schema = {
    "description": "a training iteration, a whole number from 0 up", "type": "integer", "minimum": 0
}  # fmt: skip


def at_least(least: int, noun: str = "", because: str = "") -> Schema:
    """A whole number, at least `least`."""
    text = f"a whole number{f' of {noun}' if noun else ''}, at least {least}"
    return {
        "description": text + (f", because {because}" if because else ""),
        "type": "integer",
        "minimum": least,
    }


def different(items: Schema, noun: str, example: str = "", rising: bool = False, fewest: int = 1) -> Schema:
    """A list of different values.

    Args:
        items: What each must be.
        noun: What they are, in the plural.
        example: A list that would be right.
        rising: Whether they must be in ascending order, which the check of the file tests.
        fewest: How many there must be.
    """
    order = " that rise from left to right" if rising else ", at least one" if fewest else ""
    return {
        "description": f"a list of different {noun}{order}" + (f", such as {example}" if example else ""),
        "type": "array",
        "minItems": fewest,
        "uniqueItems": True,
        "items": items,
    } | ({"rising": True} if rising else {})


def mapping(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """A mapping with exactly these keys.

    Args:
        properties: The schema of each key's value.
        optional: Keys that may be absent.
    """
    *first, last = properties or {"": {}}
    keys = f"the keys {', '.join(first)} and {last}" if first else f"the one key {last}"
    return {
        "description": f"a mapping with {keys}" if properties else "{}, because there is nothing to set",
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def mapping_of(values: Schema, noun: str, example: str = "", keys: Schema = NAME) -> Schema:
    """A mapping from names to values of one kind."""
    return {
        "description": f"a mapping from each {noun}" + (f", such as {example}" if example else ""),
        "type": "object",
        "propertyNames": keys,
        "additionalProperties": values,
    }


TASKS = different(NAME, "task names", "[hopper, walker2d]")
ALGOS = different(NAME, "names of agents", "[ppo, trpo]")
SEEDS = different(SEED, "seeds", "[0, 1, 2]")
ITERATIONS = different(ITERATION, "iterations", "[0, 150, 300]")
BUDGETS = different(at_least(2, "pairs"), "numbers of pairs", "[100, 1000]", rising=True)
RATES = different(POSITIVE, "multiples of a learning rate", "[0.3, 1.0, 3.0]", rising=True)
