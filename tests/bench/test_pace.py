import numpy as np
import pytest

from bench.pace import RATIOS, WORKS, num_sampled, num_simulated, page, probe_params, ratio, take_turn
from bench.projects import default_params
from pgprim.commands.params import check
from tests.bench.examples import RECORDS

TURNS = RECORDS["pace"]["turns"]["hopper"]


def test_a_ratio_is_the_median_of_the_turns_own_ratios():
    assert ratio(TURNS, "sampling", "physics limit") == pytest.approx(
        0.8
    )  # of 0.9, 0.8, 0.2; 90/150 would be 0.6


def test_a_ratio_to_what_was_not_measured_is_none():
    assert ratio(TURNS, "training PPO", "stable-baselines3 PPO") is None


def test_the_limit_is_measured_beside_what_is_compared_to_it():
    limit, names = "physics limit", ["physics limit", "sampling", "landscape", "rollouts read", "floors"]
    asked, paces = [], iter([10.0, 6.0, 14.0, 3.0, 2.0, 1e6, 20.0, 9.0, 40.0])

    def pace_of(name):
        asked.append(name)
        return next(paces)

    found = take_turn(names, pace_of)
    assert asked == [limit, "sampling", limit, "landscape", limit, "rollouts read", limit, "floors", limit]
    assert found["paces"] == {
        limit: 14.0,
        "sampling": 6.0,
        "landscape": 3.0,
        "rollouts read": 1e6,
        "floors": 9.0,
    }
    assert found["limits"] == {"sampling": 12.0, "landscape": 8.0, "floors": 30.0}


def test_the_limit_alone_is_measured_once():
    assert take_turn(["physics limit"], lambda name: 5.0) == {"paces": {"physics limit": 5.0}, "limits": {}}


def test_ratios_are_of_known_workloads():
    assert {name for *names, _ in RATIOS for name in names} <= set(WORKS)


def test_the_page_marks_missed_targets_only():
    text = page(RECORDS["pace"])
    assert "**0.80**" in text  # sampling, of at least 0.88
    assert " 0.80 |\n" in f"{text}\n"  # landscape, of at least 0.80
    assert "**100**" in text  # MB/s written
    assert text.count("**") == 4
    assert "| training" not in text  # no row of what was not measured


def test_each_task_has_its_own_target_beside_a_peer():
    turn = {"paces": {"training PPO": 5.5, "stable-baselines3 PPO": 1.0}, "limits": {}}
    text = page(RECORDS["pace"] | {"turns": {"hopper": [turn], "walker2d": [turn]}})
    row = next(line for line in text.splitlines() if line.startswith("| training PPO / stable-baselines3"))
    assert [cell.strip() for cell in row.split("|")[2:-1]] == ["≥ 6 / 5 / 4", "**5.50**", "5.50"]


def test_points_per_second_are_pairs_over_the_pairs_of_a_point():
    row = next(line for line in page(RECORDS["pace"]).splitlines() if "points/s" in line)
    assert row.split("|")[3].strip() == "2.22"  # 111 / 50


def test_probes_of_400_000_pairs_are_those_of_the_default_set():
    params = default_params()
    scaled = probe_params(params, 400_000)
    sample, default = scaled["sample"], params["sample"]
    for size in ("kept", "pairs", "trials"):
        assert sample[size] == default[size]
    assert sample["streams"] == sample["kept"]  # none is simulated but what is stored
    for block in ("fit", "baselines"):
        assert scaled[block] == params[block]
    assert scaled["probes"]["rollouts"]["steps"] == params["probes"]["rollouts"]["steps"]
    budgets = params["probes"]["rollouts"]["gradient"]["budgets"]
    assert scaled["probes"]["rollouts"]["gradient"]["budgets"] == [n for n in budgets if n <= sample["pairs"]]
    assert scaled["landscape"]["few"]["budgets"] == [400_000 // 49]


@pytest.mark.parametrize("pairs", [21_000, 400_000, 4_000_000])
def test_parameters_of_probes_are_valid_and_as_large_as_asked(pairs):
    scaled = probe_params(default_params(), pairs)
    check(scaled)
    assert num_sampled(scaled) == pairs
    for probe in ("gradient", "steps"):
        assert scaled["probes"]["rollouts"][probe]["budgets"][-1] == scaled["sample"]["pairs"]


def test_pairs_behind_the_end_of_a_continuation_do_not_count():
    terminated = np.array([[False, False, True, True], [False] * 4, [True] * 4])
    assert num_simulated(terminated) == 3 + 4 + 1
