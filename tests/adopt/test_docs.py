"""docs/your_agent.md, run as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pgprim.adopt.read import read_agent

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "your_agent.md").read_text(encoding="utf-8")


def run(block: str, language: str, folder: Path) -> str:
    command = [sys.executable, "-c", block] if language == "python" else ["sh", "-ec", block]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{block}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_page_runs_as_it_stands(tmp_path):
    blocks = re.findall(r"```(python|sh|yaml)\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 9
    # The page begins with the command and then trains the agent.
    first = blocks.pop(0)
    blocks.insert(1, first)
    printed = [run(block, language, tmp_path) for language, block in blocks if language != "yaml"]
    assert "cosine 1.0000" in printed[1]
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.safetensors")}
    assert {"mine/2.safetensors", "any/120.safetensors", "grown/3.safetensors", "own/11.safetensors"} <= made
    one, other = (read_agent(tmp_path / name) for name in ("any.safetensors", "any_too.safetensors"))
    for ours, theirs in zip(
        one.policy.layers + one.value.layers, other.policy.layers + other.value.layers, strict=True
    ):
        np.testing.assert_array_equal(ours[0], theirs[0])
    assert (one.settings, one.iteration, one.clip_actions) == (
        other.settings,
        other.iteration,
        other.clip_actions,
    )
    assert (one.observations.eps, one.observations.clip) == (other.observations.eps, other.observations.clip)


def test_the_block_of_the_parameter_file_is_yaml():
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    adopted = YAML(typ="safe").load(block)["adopted"]["mine"]
    assert set(adopted) == {"file", "task", "algorithm", "activation", "normaliser", "settings"}
