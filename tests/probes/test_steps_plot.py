import numpy as np
import pytest

from pgprim.plotting.combine import combine
from pgprim.probes.steps.plot import plot, select
from pgprim.types.errors import UserError
from tests.plotting import drawn
from tests.plotting.synthetic import estimates

PARAMS = {"plot": {"budget": 2048, "level": 0.95}}
GRID = {"budgets": (500, 2048, 12500)}


def dataset(**kwargs):
    return select("steps", combine(estimates(**(GRID | kwargs))), PARAMS)


def test_two_rows_per_task_agreement_above_cosine_to_truth():
    ds = dataset(tasks=("hopper", "walker2d"), seeds=(0, 4))
    figure = plot(ds)
    rows = np.array(figure.axes).reshape(4, 4)
    assert [drawn.row_name(row[-1]) for row in rows] == ["Walker2d", "Walker2d", "Hopper", "Hopper"]
    for row, task, name in zip(
        rows, ["walker2d"] * 2 + ["hopper"] * 2, ["cosine", "truth_cosine"] * 2, strict=True
    ):
        for panel, iteration in zip(row, ds.iteration.values, strict=True):
            expected = ds[name].sel(task=task, algo="trpo", seed=4, iteration=iteration)
            np.testing.assert_array_equal(drawn.lines(panel, "trpo 4")[0][:, 1], expected)
    assert rows[0, 0].get_ylabel() != rows[1, 0].get_ylabel()
    assert [panel.get_title() for panel in rows[0]] == [f"iteration {i}" for i in (0, 150, 300, 450)]


def test_trained_agents_share_an_axis_of_their_own_that_cuts_nothing_off():
    ds = dataset(tasks=("hopper", "walker2d"), seeds=(0,), budgets=(500, 2048))
    rows = np.array(plot(ds).axes).reshape(4, 4)
    trained = ds.sel(iteration=ds.iteration > 0)
    highest = max(float(trained[f"{name}_ci"].max()) for name in ("cosine", "truth_cosine"))
    limits = {panel.get_ylim() for panel in rows[:, 1:].flat}
    assert len(limits) == 1 and highest < limits.pop()[1]
    assert all(panel.get_ylim()[1] == pytest.approx(1.03) for panel in rows[:, 0])


@pytest.mark.parametrize("kwargs", [{"tasks": ("humanoid", "walker2d", "hopper")}, {"iterations": (0, 2)}])
def test_nothing_covers_anything(kwargs):
    assert drawn.overlaps(plot(dataset(seeds=(0,), **kwargs))) == []


def test_other_results_are_refused():
    ds = combine(estimates(seeds=(0,), iterations=(0,))).drop_vars("truth_cosine_corrected")
    with pytest.raises(UserError, match="has no variable 'truth_cosine_corrected'"):
        select("steps", ds, PARAMS)
