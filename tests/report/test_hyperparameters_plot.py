import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pgprim.plotting.style import WIDTH
from pgprim.report.hyperparameters.plot import cell_text, plot, select
from pgprim.types.errors import UserError
from tests.plotting import drawn
from tests.plotting.synthetic import estimate

SCALES = Path(__file__).parents[2] / "workflow" / "scales"


def parameters(**changes):
    return YAML(typ="safe").load((SCALES / "default.yaml").read_text()) | changes


def test_every_parameter_of_every_agent_is_in_the_table_as_it_is():
    params = parameters()
    ds = select("table1", None, params)
    assert ds.task.values.tolist() == ["humanoid", "walker2d", "hopper"]
    assert ds.algo.values.tolist() == ["ppo", "ppo_m", "trpo"]
    for algo in params["algos"]:
        for task in params["tasks"]:
            agent = params["train"] | params["agents"][algo]["all"] | params["agents"][algo][task]
            del agent["snapshot_every"]
            shown = ds.value.sel(algo=algo, task=task)
            read = {
                str(key): json.loads(str(value.item()))
                for key, value in zip(ds.parameter.values, shown, strict=True)
                if value
            }
            assert read == agent


@pytest.mark.parametrize(
    ("parameter", "value", "text"),
    [
        ("policy_lr", "0.00025", r"$2.5\times10^{-4}$"),
        ("value_lr", "0.0001", "$10^{-4}$"),
        ("gamma", "0.99", "0.99"),
        ("delta", "0.07", "0.07"),
        ("hidden", "[64, 64]", "64, 64"),
        ("rew_norm", "true", "yes"),
        ("rew_clip", "10.0", "±10"),
        ("rew_clip", "null", "none"),
        ("eps", "", "–"),
        ("pairs", "100000", "100000"),
        ("log_sigma", "0.0", "0"),
        ("init", '"xavier"', "xavier"),
    ],
)
def test_values_are_printed_as_in_papers(parameter, value, text):
    assert cell_text(parameter, value) == text


def row(figure, label):
    """The texts of a row from left to right, without its label."""
    texts = figure.axes[0].texts
    (name,) = (text for text in texts if text.get_text() == label)
    same = [text for text in texts if text is not name and text.get_position()[1] == name.get_position()[1]]
    return [text.get_text() for text in sorted(same, key=lambda text: text.get_position()[0])]


def test_rows_hold_the_papers_values():
    figure = plot(select("table1", None, parameters()))
    assert row(figure, "State-action pairs per iteration") == ["2048"]
    assert row(figure, r"KL constraint $\delta$") == ["–", "–", "0.07", "–", "–", "0.04", "–", "–", "0.13"]
    assert row(figure, "Learning rate (Adam)")[::3] == [rf"${x}\times10^{{-4}}$" for x in ("2.5", "4", "4.5")]
    assert row(figure, "Reward clipping") == ["±10", "none", "none"] * 3
    words = drawn.texts(figure).split("\n")
    assert words.count("PPO") == words.count("PPO-M") == words.count("TRPO") == 3
    paper = plot(select("table1", None, parameters(algos=["ppo", "trpo"])))
    assert paper.get_size_inches()[0] == pytest.approx(WIDTH, abs=0.1)


def test_unknown_parameters_and_tasks_have_a_place():
    params = parameters(tasks=["half_cheetah"], algos=["ppo"])
    params["agents"]["ppo"]["half_cheetah"] = {"policy_lr": 1e-3, "new_trick": 3}
    figure = plot(select("table1", None, params))
    assert row(figure, "New trick") == ["3"]
    assert row(figure, "Half cheetah") == []


@pytest.mark.parametrize(
    "changes", [{}, {"algos": ["ppo", "ppo_m", "trpo"]}, {"tasks": ["hopper"], "algos": ["trpo"]}]
)
def test_cells_do_not_touch(changes):
    figure = plot(select("table1", None, parameters(**changes)))
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in figure.axes[0].texts]
    clashes = [
        (a, b) for k, (a, box) in enumerate(boxes) for b, other in boxes[k + 1 :] if box.overlaps(other)
    ]
    assert clashes == []


def test_datasets_are_refused():
    with pytest.raises(UserError, match=r"drawn from params\.yaml alone"):
        select("table1", estimate("hopper", "ppo", 0, 0), parameters())
