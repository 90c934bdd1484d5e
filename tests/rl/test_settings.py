"""Settings: one declaration gives the schema, the check and the default."""

from dataclasses import MISSING, dataclass, fields

import jsonschema
import pytest

from pgprim.rl.algorithms import algorithm_names, common_schema, make_settings, settings_schema
from pgprim.types.agent import Settings, schema_of, setting
from pgprim.types.errors import UserError
from tests.rl.examples import ALGOS, PPO, TRPO


def complaint(name, value, algo="ppo"):
    """Description of the setting, if the schema refuses the value."""
    schema = settings_schema(algo)
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(ALGOS[algo] | {name: value}))
    return errors[0].schema["description"] if errors else None


def test_the_studys_agents_pass_their_schemas():
    assert algorithm_names() == ["ppo", "trpo"]
    for values in ALGOS.values():
        jsonschema.validate(values, settings_schema(values["algorithm"]))


def test_every_setting_says_what_it_means_and_what_it_may_be():
    for name in algorithm_names():
        schema = settings_schema(name)
        jsonschema.Draft202012Validator.check_schema(schema)
        for key, piece in schema["properties"].items():
            assert piece["title"] and piece["description"], key


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("log_sigma", -20, "a number between -7 and 5"),
        ("gamma", 1.5, "a number between 0 and 1"),
        ("pairs", 1, "a whole number at least 2"),
        ("pairs", 2.5, "a whole number at least 2"),
        ("eps", 1, "a number above 0 and below 1"),
        ("value_lr", 0, "a number above 0 and at most 1"),
        ("obs_clip", -1, "null for no clipping, or a number above 0"),
        ("hidden", [64, 0], "a whole number at least 1"),
        ("policy_hidden", [0], "a whole number at least 1"),
        ("value_hidden", "64", "null for none, or a list of layer widths, such as [64, 64]"),
        ("policy_activation", "softplus", "tanh, relu, elu, silu, gelu or leaky_relu"),
        ("anneal", 1, "true or false"),
        ("algorithm", "sac", "one of ppo, trpo"),
    ],
)
def test_values_out_of_range_are_refused_with_what_would_be_right(name, value, right):
    assert complaint(name, value) == right


def test_null_is_a_value_where_a_setting_may_be_off():
    for name in ("obs_clip", "rew_clip", "value_clip", "policy_hidden", "target_kl", "max_grad_norm"):
        assert complaint(name, None) is None
    assert complaint("gamma", None) is not None


def test_required_settings_are_those_without_a_default():
    for name in algorithm_names():
        for missing in settings_schema(name)["required"]:
            values = {key: value for key, value in ALGOS[name].items() if key != missing}
            with pytest.raises(UserError, match=missing):
                make_settings(values)
    required = {each.name for each in fields(Settings) if each.default is MISSING}
    assert set(common_schema()["required"]) == required - {"algorithm"}


def test_what_is_absent_has_its_default_and_given_defaults_change_nothing():
    chosen = make_settings(PPO)
    defaults = {each.name: each.default for each in fields(chosen) if each.default is not MISSING}
    assert make_settings(PPO | defaults) == chosen
    assert (chosen.policy_activation, chosen.envs, chosen.one_optimiser) == ("tanh", 1, False)


def test_lists_and_whole_numbers_are_taken_as_declared():
    chosen = make_settings(PPO | {"hidden": [32], "gamma": 1, "policy_hidden": [8, 8], "value_clip": 1})
    assert chosen.hidden == (32,) and chosen.policy_hidden == (8, 8)
    assert [type(number) for number in (chosen.gamma, chosen.value_clip, chosen.pairs)] == [float, float, int]


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (PPO | {"delta": 0.1}, ["delta is not a setting of ppo", "eps"]),
        (TRPO | {"eps": 0.1}, ["eps is not a setting of trpo", "delta"]),
        (PPO | {"algorithm": "sac"}, ["algorithm is 'sac'", "ppo, trpo"]),
        ({}, ["lack algorithm", "ppo, trpo"]),
        (PPO | {"envs": 3}, ["envs is 3", "divide pairs (2048)"]),
        (PPO | {"one_optimiser": True, "value_epochs": 4}, ["value_epochs is 4", "policy_epochs (10)"]),
    ],
)
def test_settings_that_are_no_agents_are_told_in_one_sentence(values, parts):
    with pytest.raises(UserError) as error:
        make_settings(values, "agent.safetensors")
    message = str(error.value)
    assert message.startswith("agent.safetensors: ") and "\n" not in message
    for part in parts:
        assert part in message


def test_a_subclass_declares_its_own_beside_the_common_ones():
    @dataclass(frozen=True, kw_only=True)
    class Own(Settings):
        temperature: float = setting("of nothing", 0.5, above=0)

    schema = schema_of(Own)
    assert schema["properties"]["temperature"]["description"] == "a number above 0"
    assert schema["required"] == schema_of(Settings)["required"]
