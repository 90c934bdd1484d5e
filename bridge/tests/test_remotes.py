"""Larger remotes: what one machine pushes over ssh or to S3, draws and gradients too, another one has.

The ssh servers are the tests' own. For S3 name a bucket to write to: `DVCSNAKE_TEST_S3=s3://BUCKET/PREFIX`, with the usual
`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
"""

import contextlib
import getpass
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid

import pytest

pytestmark = pytest.mark.slow

OPENSSH = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {place}/host
PidFile {place}/sshd.pid
AuthorizedKeysFile {place}/authorized_keys
PasswordAuthentication no
UsePAM no
StrictModes no
Subsystem sftp internal-sftp
"""
ASYNCSSH = """\
import asyncio, asyncssh

async def serve():
    await asyncssh.listen(
        "127.0.0.1", {port}, server_host_keys=["{place}/host"], sftp_factory=True,
        authorized_client_keys="{place}/authorized_keys",
    )
    await asyncio.Event().wait()

asyncio.run(serve())
"""


def answers(port: int) -> bool:
    with socket.socket() as statistic:
        return statistic.connect_ex(("127.0.0.1", port)) == 0


def ssh_server(kind: str, place) -> tuple[list[str], int]:
    """The command of a server of files that lets one key in, and its port; the keys are in `place`."""
    asyncssh = pytest.importorskip("asyncssh", reason="dvc-ssh is not installed (pip install -e '.[ssh]')")
    pytest.importorskip("dvc_ssh")
    place.mkdir()
    for name in ("host", "mine"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(place / name)
        (place / name).chmod(0o600)
        key.write_public_key(place / f"{name}.pub")
    shutil.copy(place / "mine.pub", place / "authorized_keys")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if kind == "asyncssh":
        return [sys.executable, "-c", ASYNCSSH.format(port=port, place=place)], port
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not sshd:
        pytest.skip("OpenSSH's server is not installed")
    if os.getuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # for its separation of privileges
    (place / "config").write_text(OPENSSH.format(port=port, place=place))
    return [sshd, "-D", "-e", "-f", f"{place}/config"], port


@contextlib.contextmanager
def ssh(kind: str, tmp_path):
    """Commands that add a remote `lab` over ssh, and those that say how this machine gets in."""
    command, port = ssh_server(kind, tmp_path / "ssh")
    with (tmp_path / "ssh/log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while not answers(port):
                assert server.poll() is None, (tmp_path / "ssh/log").read_text()
                time.sleep(0.05)
            yield (
                f"dvc remote add lab ssh://{getpass.getuser()}@127.0.0.1:{port}{tmp_path}/lab",
                f"dvc remote modify --local lab keyfile {tmp_path}/ssh/mine"
                " && dvc remote modify --local lab allow_agent false",
            )
        finally:
            server.terminate()
            server.wait()


@contextlib.contextmanager
def s3():
    """The same for a bucket of S3."""
    pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed (pip install -e '.[s3]')")
    if not (bucket := os.environ.get("DVCSNAKE_TEST_S3")):
        pytest.skip("no bucket to write to: DVCSNAKE_TEST_S3 is not set")
    yield f"dvc remote add lab {bucket}/{uuid.uuid4().hex}", "true"


@pytest.fixture(params=["asyncssh", "openssh", "s3"])
def lab(request, tmp_path):
    """Commands that add the remote `lab`, and those that say how this machine gets in."""
    with s3() if request.param == "s3" else ssh(request.param, tmp_path) as commands:
        yield commands


DRAWS = "data/draws/oslo/warm/0/2.zarr"
REPLICATES = "data/replicates/mean/oslo/warm/0/2.zarr"


def test_f_a_larger_remote_carries_everything_and_earlier_parameters(whole, origin, lab, tmp_path):
    add, enter = lab
    whole.run(f"{add} && {enter}")
    whole.edit("params.yaml", "level: 0.95", "level: 0.5")
    whole.snakemake()
    assert "so are 5 of 5 outputs" in whole.run("python -m dvcsnake push --remote lab --everything").text
    whole.run("git checkout -q params.yaml && dvc remote default lab && dvc remote remove repository")
    whole.snakemake()
    whole.run("python -m dvcsnake push --everything && git commit -qam lab")

    other = type(whole)(tmp_path / "other", tmp_path)
    origin.run(f"git clone -q {whole.path} {other.path}")
    other.run(enter)
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


@pytest.mark.parametrize("fault", ["flipped", "missing", "interrupted"])
def test_f_faults_of_a_remote_over_ssh_are_computed_around(whole, origin, tmp_path, fault):
    with ssh("asyncssh", tmp_path) as (add, enter):
        whole.run(f"{add} && {enter} && dvc remote modify lab verify true")
        if fault == "interrupted":
            pushing = whole.start("exec python -m dvcsnake push --remote lab --everything")
            deadline = time.monotonic() + 60
            while not any((tmp_path / "lab").rglob("*")) and time.monotonic() < deadline:
                time.sleep(0.01)
            os.killpg(pushing.pid, signal.SIGKILL)
            pushing.communicate()
        whole.run("python -m dvcsnake push --remote lab --everything && git commit -qam lab")
        bulk = (origin.path / DRAWS / "low/c").read_bytes()
        name = hashlib.md5(bulk, usedforsecurity=False).hexdigest()
        held = tmp_path / "lab/files/md5" / name[:2] / name[2:]
        if fault == "missing":
            held.unlink()
        elif fault == "flipped":
            held.chmod(0o644)
            held.write_bytes(bytes([bulk[0] ^ 1]) + bulk[1:])
        other = type(whole)(tmp_path / "other", tmp_path)
        origin.run(f"git clone -q {whole.path} {other.path}")
        other.run(f"{enter} && dvc remote default lab")
        result = other.snakemake(DRAWS)
        assert result.runs == ([] if fault == "interrupted" else [f"draw {DRAWS}"])
        assert ("of the remote lab are damaged" in result.text) == (fault == "flipped")
        assert (other.path / DRAWS / "low/c").read_bytes() == bulk
