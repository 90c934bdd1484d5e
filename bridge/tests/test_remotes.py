"""Larger remotes, over ssh and on S3: what one machine pushes another one has, and whatever is wrong there is computed around.

`make test-services` runs these.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
import services
from toys import Checkout

pytestmark = pytest.mark.slow

DRAWS = "data/draws/oslo/warm/0/2.zarr"
REPLICATES = "data/replicates/mean/oslo/warm/0/2.zarr"


@dataclass(frozen=True)
class Lab:
    """A remote with everything that the toy makes, at two levels of confidence.

    Attributes:
        remote: how one gets at it.
        empty: gives another remote of the same service that holds nothing.
        source: the repository that has pushed, with `lab` as its only remote.
    """

    remote: services.Remote
    empty: Callable[[], services.Remote]
    source: Checkout

    def clone(self, path, enter: str | None = None) -> Checkout:
        """A fresh clone whose machine gets in."""
        subprocess.run(["git", "clone", "-q", self.source.path, path], check=True)
        checkout = Checkout(path, path.parent)
        checkout.env["AWS_EC2_METADATA_DISABLED"] = "true"  # no search for credentials in the network
        checkout.run(enter or self.remote.enter)
        return checkout


@pytest.fixture(scope="module", params=["ssh", "s3"])
def lab(request, origin, tmp_path_factory) -> Iterator[Lab]:
    """A remote on a service of this machine."""
    place = tmp_path_factory.mktemp(request.param)
    if request.param == "s3":
        bucket = request.getfixturevalue("s3_bucket")
        make = partial(services.s3_remote, bucket)
    else:
        port, keys = request.getfixturevalue("ssh_port")
        make = partial(services.ssh_remote, port, keys, place)
    remote = make()
    subprocess.run(["cp", "-a", origin.path, place / "source"], check=True)
    source = Checkout(place / "source", place)
    source.run(f"{remote.add} && dvc remote modify lab verify true && {remote.enter}")
    source.edit("params.yaml", "level: 0.95", "level: 0.5")
    source.snakemake()
    assert "so are 5 of 5 outputs" in source.run("python -m dvcsnake push --remote lab --everything").text
    source.run("git checkout -q params.yaml && dvc remote default lab && dvc remote remove repository")
    source.snakemake()
    source.run("python -m dvcsnake push --everything && git commit -qam lab")
    yield Lab(remote, make, source)
    shutil.rmtree(place)


def held(lab: Lab, origin: Checkout) -> tuple[str, bytes]:
    """A large object of the remote, its key and its bytes."""
    bulk = (origin.path / DRAWS / "low/c").read_bytes()
    digest = hashlib.md5(bulk, usedforsecurity=False).hexdigest()
    (name,) = [name for name in lab.remote.names() if name.endswith(f"/{digest[:2]}/{digest[2:]}")]
    assert lab.remote.read(name) == bulk
    return name, bulk


def test_f_a_larger_remote_carries_everything_and_earlier_parameters(lab, origin, tmp_path):
    other = lab.clone(tmp_path / "other")
    result = other.snakemake(f"{DRAWS} {REPLICATES} figures/fig2.pdf")
    assert not result.ran
    assert sorted(result.fetched) == [
        "fetched 1 output of draw from the remote lab",
        "fetched 1 output of estimate from the remote lab",
        "fetched 1 output of figure from the remote lab",
    ]
    for path in (f"{DRAWS}/low/c", f"{REPLICATES}/values", "figures/fig2.pdf"):
        assert (other.path / path).read_bytes() == (origin.path / path).read_bytes()
    other.edit("params.yaml", "level: 0.95", "level: 0.5")
    result = other.snakemake()
    assert not result.ran, "what the first machine computed for other parameters"
    assert (other.path / "figures/fig2.pdf").read_bytes() != (origin.path / "figures/fig2.pdf").read_bytes()


def test_f_one_output_can_be_pulled_alone(lab, origin, tmp_path):
    other = lab.clone(tmp_path / "other")
    other.run("dvc pull figures/fig1.pdf")
    assert other.files("figures/*") == ["figures/fig1.pdf"] and not other.files("data/**/*.nc")
    assert (other.path / "figures/fig1.pdf").read_bytes() == (origin.path / "figures/fig1.pdf").read_bytes()
    result = other.snakemake("figures/fig1.pdf")
    assert "Nothing to be done" in result.text and not result.fetched


@pytest.mark.parametrize("fault", ["flipped", "missing"])
def test_f_damage_to_a_remote_is_computed_around(lab, origin, tmp_path, fault):
    name, bulk = held(lab, origin)
    lab.remote.write(name, None if fault == "missing" else bytes([bulk[0] ^ 1]) + bulk[1:])
    try:
        other = lab.clone(tmp_path / "other")
        result = other.snakemake(DRAWS)
    finally:
        lab.remote.write(name, bulk)
    assert result.runs == [f"draw {DRAWS}"]
    assert ("of the remote lab are damaged" in result.text) == (fault == "flipped")
    assert (other.path / DRAWS / "low/c").read_bytes() == bulk


@pytest.mark.parametrize("access", ["forbid", "lose"])
def test_f_without_the_right_credentials_it_computes_and_a_push_is_one_sentence(
    lab, origin, tmp_path, access
):
    other = lab.clone(tmp_path / "other", enter=f"{lab.remote.enter} && {getattr(lab.remote, access)}")
    result = other.snakemake("figures/fig8.pdf")
    assert result.ran == {"simulate": 1, "plot": 1}
    said = [line for line in result.text.splitlines() if "the remote lab cannot be used (" in line]
    assert len(said) == 1 and said[0].endswith("what only it has is computed instead")
    assert (other.path / "figures/fig8.pdf").read_bytes() == (origin.path / "figures/fig8.pdf").read_bytes()
    pushed = other.run("python -m dvcsnake push", check=False)
    assert pushed.status == 1 and len(pushed.text.splitlines()) == 1
    assert pushed.text.startswith("dvcsnake: nothing or not all was copied to the remote lab: ")


def test_f_an_interrupted_push_is_made_whole_by_the_next(lab, origin, tmp_path):
    remote = lab.empty()
    subprocess.run(["cp", "-a", origin.path, tmp_path / "whole"], check=True)
    whole = Checkout(tmp_path / "whole", tmp_path)
    whole.run(f"{remote.add} && {remote.enter}")
    pushing = whole.start("exec python -m dvcsnake push --remote lab --everything")
    deadline = time.monotonic() + 60
    while not remote.names() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(pushing.pid, signal.SIGKILL)
    pushing.communicate()
    interrupted = set(remote.names())
    whole.run("python -m dvcsnake push --remote lab --everything && git commit -qam lab")
    assert interrupted < set(remote.names())
    other = type(lab)(remote, lab.empty, whole).clone(tmp_path / "other")
    other.run("dvc remote default lab && dvc remote remove repository")
    result = other.snakemake(f"{DRAWS} figures/fig1.pdf")
    assert not result.ran
    assert (other.path / DRAWS / "low/c").read_bytes() == (origin.path / DRAWS / "low/c").read_bytes()
