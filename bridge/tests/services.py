"""Real services on this machine, for tests: an OpenSSH server, S3 (Ceph's gateway) and SLURM with one node.

Each is a context manager that starts what it needs, as children of this process, and ends it. They listen on 127.0.0.1 alone and
write to one folder, but for SLURM, whose configuration must stand in `/etc/slurm`. A program that is not here is installed
from Debian's packages where this process may do that. What cannot be had raises `UnavailableError`, which says why.
"""

import contextlib
import getpass
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"
SLURM_CONF = Path("/etc/slurm/slurm.conf")


NOTES: list[str] = []
"""Which services have been had."""


class UnavailableError(Exception):
    """A service that cannot be had here, and why."""


class StartError(Exception):
    """A service that can be had here and does not start: an error, and not a reason to leave its tests out."""


def need(**programs: str) -> None:
    """Have programs, by the Debian packages that hold them; install those that are missing.

    Raises:
        UnavailableError: One is missing and cannot be installed.
    """
    missing = {program: package for program, package in programs.items() if not find(program)}
    if not missing:
        return
    lack = f"{', '.join(missing)} cannot be found (in Debian: {' '.join(sorted(set(missing.values())))})"
    if not find("apt-get") or os.getuid():
        raise UnavailableError(f"{lack}, and only root can install Debian's packages")
    print(f"installing {' '.join(sorted(set(missing.values())))}", file=sys.stderr)
    with _no_daemons():
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *set(missing.values())]
        for before in ([], ["apt-get", "update", "-q"]):
            if before:
                _run(before)
            done = _run(install)
            if not done.returncode:
                return
    raise UnavailableError(f"{lack}, and apt-get says: {done.stdout.strip().splitlines()[-1]}")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=False
    )


@contextlib.contextmanager
def _no_daemons() -> Iterator[None]:
    """Packages that are installed here must not start what they hold."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def find(program: str) -> str | None:
    """Where a program is, those for administrators too."""
    return shutil.which(program.replace("_", "-"), path=SBIN) or shutil.which(program, path=SBIN)


def free_ports(number: int) -> list[int]:
    """Ports on which nothing listens."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def answers(port: int) -> bool:
    """Whether something listens on a port."""
    with socket.socket() as statistic:
        return statistic.connect_ex(("127.0.0.1", port)) == 0


def works(*command: str, seconds: float = 20) -> bool:
    """Whether a command ends well."""
    with contextlib.suppress(FileNotFoundError, subprocess.TimeoutExpired):
        return not subprocess.run(command, capture_output=True, timeout=seconds, check=False).returncode
    return False


@contextlib.contextmanager
def daemon(log: Path, *command: str, ready: Callable[[], bool], seconds: float = 60) -> Iterator[None]:
    """A program that runs in the foreground, from when it is ready until the end of the block.

    It also ends if this process is killed.
    """
    guarded = ["setpriv", "--pdeathsig", "TERM", *command] if find("setpriv") else [*command]
    with log.open("ab") as file:
        process = subprocess.Popen(
            guarded, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=os.environ | {"PATH": SBIN}
        )
    try:
        end = time.monotonic() + seconds
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                raise StartError(f"{command[0]} does not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def available(service: contextlib.AbstractContextManager) -> Iterator:
    """A service for the tests of this session, which are skipped if it cannot be had."""
    if not os.environ.get("DVCSNAKE_TEST_SERVICES"):
        pytest.skip("`make test-services` runs it")
    with contextlib.ExitStack() as stack:
        try:
            value = stack.enter_context(service)
        except UnavailableError as reason:
            pytest.skip(str(reason))
        yield value


# --- ssh ------------------------------------------------------------------------------------------

SSHD = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {place}/host
PidFile none
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


@dataclass(frozen=True)
class Remote:
    """How a DVC repository gets at a service, and how a test reaches behind it.

    Attributes:
        add: a command that adds the remote `lab`, as it is shared in Git.
        enter: a command that says how this machine gets in.
        forbid: a command after which this machine has the wrong credentials.
        lose: a command after which it has none.
        names: the keys of all objects that the remote holds.
        read: the bytes of one.
        write: replaces them; None deletes the object.
    """

    add: str
    enter: str
    forbid: str
    lose: str
    names: Callable[[], list[str]]
    read: Callable[[str], bytes]
    write: Callable[[str, bytes | None], None]


@contextlib.contextmanager
def ssh_server(place: Path) -> Iterator[int]:
    """An ssh server that lets one key in, `place/mine`; gives its port. Without OpenSSH one in Python stands for it."""
    import asyncssh

    try:
        need(sshd="openssh-server")
        NOTES.append("OpenSSH's server")
    except UnavailableError as reason:
        NOTES.append(f"a server in Python stands for OpenSSH's: {reason}")
    place.mkdir()
    for name in ("host", "mine", "other"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(place / name)
        (place / name).chmod(0o600)
        key.write_public_key(place / f"{name}.pub")
    shutil.copy(place / "mine.pub", place / "authorized_keys")
    (port,) = free_ports(1)
    if not find("sshd"):
        command = [sys.executable, "-c", ASYNCSSH.format(port=port, place=place)]
    else:
        (place / "config").write_text(SSHD.format(port=port, place=place))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # for its separation of privileges
        command = [find("sshd"), "-D", "-e", "-f", f"{place}/config"]
    with daemon(place / "log", *command, ready=lambda: answers(port)):
        yield port


def ssh_remote(port: int, keys: Path, place: Path) -> Remote:
    """A new folder as a remote over ssh.

    Args:
        port: the server's.
        keys: the folder with its keys.
        place: where the folder is to be.
    """
    store = place / f"store-{secrets.token_hex(4)}"

    def names() -> list[str]:
        return [file.relative_to(store).as_posix() for file in store.rglob("*") if file.is_file()]

    def write(name: str, data: bytes | None) -> None:
        (store / name).unlink(missing_ok=True)  # it is write-protected
        if data is not None:
            (store / name).write_bytes(data)

    return Remote(
        add=f"dvc remote add lab ssh://{getpass.getuser()}@127.0.0.1:{port}{store}",
        enter=f"dvc remote modify --local lab keyfile {keys}/mine"
        " && dvc remote modify --local lab allow_agent false",
        forbid=f"dvc remote modify --local lab keyfile {keys}/other",
        lose="dvc remote modify --local --unset lab keyfile",
        names=names,
        read=lambda name: (store / name).read_bytes(),
        write=write,
    )


# --- S3 -------------------------------------------------------------------------------------------

CEPH = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{ports[0]}/0,v1:127.0.0.1:{ports[1]}/0]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = {ports[2]}
ms bind port max = 65535
auth allow insecure global id reclaim = false
run dir = {place}
admin socket = {place}/$name.asok
pid file =
log file = {place}/$name.log
mon cluster log file = {place}/cluster.log
crash dir = {place}/crash
keyring = {place}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
[mon]
mon data = {place}/mon
mon data avail crit = 1
mon data avail warn = 2
[osd]
osd data = {place}/osd
keyring = {place}/osd/keyring
bluestore block create = true
bluestore block size = 4294967296
bluestore fsck on mount = false
osd memory target = 939524096
osd crush update on start = false
[client]
rgw data = {place}/rgw
rgw frontends = beast endpoint=127.0.0.1:{ports[3]}
rgw enable usage log = false
rgw enable gc threads = false
rgw enable lc threads = false
"""


@dataclass(frozen=True)
class Bucket:
    """Where an S3 service is, and what lets one in."""

    url: str
    name: str
    key: str
    secret: str

    def client(self):
        """A client of botocore's."""
        import botocore.session

        return botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )


@contextlib.contextmanager
def s3_server(place: Path) -> Iterator[Bucket]:
    """Ceph's S3 gateway over one monitor and one disk, a sparse file, with an empty bucket."""
    need(ceph_mon="ceph-mon", ceph_osd="ceph-osd", ceph="ceph-common", radosgw="radosgw")
    for name in ("mon", "osd", "rgw"):
        (place / name).mkdir(parents=True)
    ports, conf = free_ports(4), place / "ceph.conf"
    fsid = Path("/proc/sys/kernel/random/uuid").read_text().strip()
    conf.write_text(CEPH.format(place=place, ports=ports, fsid=fsid))

    def do(*command: object) -> str:
        words = [find(str(command[0])), *map(str, command[1:])]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise StartError(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
        return done.stdout

    ring, everything = ("ceph-authtool", place / "keyring"), ("--cap", "osd", "allow *")
    addresses = f"[v2:127.0.0.1:{ports[0]},v1:127.0.0.1:{ports[1]}]"
    do("monmaptool", "--create", "--fsid", fsid, "--addv", "a", addresses, place / "monmap")
    do(*ring, "-C", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    do(*ring, "--gen-key", "-n", "client.admin", "--cap", "mon", "allow *", *everything)
    do(*ring, "--gen-key", "-n", "client.rgw", "--cap", "mon", "allow rwx", *everything)
    do(
        "ceph-mon",
        "-c",
        conf,
        "-i",
        "a",
        "--mkfs",
        "--monmap",
        place / "monmap",
        "--keyring",
        place / "keyring",
    )
    ceph, log = ("ceph", "-c", conf), place / "log"
    asks = [str(word) for word in (find("ceph"), *ceph[1:])]
    with contextlib.ExitStack() as running:

        def start(program: str, *options: str, ready: Callable[[], bool], seconds: float) -> None:
            command = [find(program), "-f", "-c", str(conf), *options]
            running.enter_context(daemon(log, *command, ready=ready, seconds=seconds))

        start("ceph-mon", "-i", "a", ready=lambda: works(*asks, "mon", "stat", seconds=5), seconds=60)
        uuid = Path("/proc/sys/kernel/random/uuid").read_text().strip()
        do(*ceph, "osd", "create", uuid)
        allowed = ("mon", "allow profile osd", "osd", "allow *")
        do(*ceph, "auth", "get-or-create", "osd.0", *allowed, "-o", place / "osd/keyring")
        do("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", uuid)
        do(*ceph, "osd", "crush", "add", "osd.0", "1.0", "root=default", f"host={host()}")
        start("ceph-osd", "-i", "0", ready=lambda: " 1 up" in do(*ceph, "osd", "stat"), seconds=90)
        start("radosgw", "-n", "client.rgw", ready=lambda: answers(ports[3]), seconds=120)
        user = ("--uid", "dvc", "--display-name", "dvc")
        made = json.loads(do("radosgw-admin", "-c", conf, "user", "create", *user))
        keys = made["keys"][0]
        bucket = Bucket(f"http://127.0.0.1:{ports[3]}", "dvc", keys["access_key"], keys["secret_key"])
        bucket.client().create_bucket(Bucket=bucket.name)
        NOTES.append("S3 by Ceph's gateway")
        yield bucket


def s3_remote(bucket: Bucket) -> Remote:
    """A part of the bucket that nothing else uses, as a remote."""
    prefix, client = secrets.token_hex(8), bucket.client()

    def names() -> list[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name, Prefix=f"{prefix}/")
        found = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [key.removeprefix(f"{prefix}/") for key in found]

    def write(name: str, data: bytes | None) -> None:
        if data is None:
            client.delete_object(Bucket=bucket.name, Key=f"{prefix}/{name}")
        else:
            client.put_object(Bucket=bucket.name, Key=f"{prefix}/{name}", Body=data)

    local = "dvc remote modify --local"
    return Remote(
        add=f"dvc remote add lab s3://{bucket.name}/{prefix} && dvc remote modify lab endpointurl {bucket.url}",
        enter=f"{local} lab access_key_id {bucket.key} && {local} lab secret_access_key {bucket.secret}",
        forbid=f"{local} lab secret_access_key wrong",
        lose=f"{local} --unset lab access_key_id && {local} --unset lab secret_access_key",
        names=names,
        read=lambda name: client.get_object(Bucket=bucket.name, Key=f"{prefix}/{name}")["Body"].read(),
        write=write,
    )


# --- SLURM ----------------------------------------------------------------------------------------

SLURM = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=300
KillWait=5
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
AccountingStorageType=accounting_storage/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=16000
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def host() -> str:
    """This machine's name, without its domain."""
    return socket.gethostname().split(".")[0]


@contextlib.contextmanager
def slurm(place: Path) -> Iterator[None]:
    """SLURM with one node of two processors and without accounting, unless a SLURM answers here already.

    Its configuration is linked to from `/etc/slurm`, because jobs forget `SLURM_CONF`. It says that a job that is requeued may start
    again after 10 s (`cred_expire`) instead of two minutes.
    """
    if works("sinfo"):
        NOTES.append("the SLURM that answers here")
        yield
        return
    is_ours = SLURM_CONF.is_symlink() and not SLURM_CONF.exists()
    if SLURM_CONF.exists():
        raise UnavailableError(f"{SLURM_CONF} is of a SLURM that does not answer")
    need(slurmctld="slurmctld", slurmd="slurmd", sbatch="slurm-client", munged="munge")
    if not os.access(SLURM_CONF.parent, os.W_OK):
        raise UnavailableError(f"SLURM needs {SLURM_CONF}, and {SLURM_CONF.parent} cannot be written to")
    for name in ("state", "spool"):
        (place / name).mkdir(parents=True)
    key, socket_, ports = place / "key", place / "munge.socket", free_ports(2)
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o600)
    conf = place / "slurm.conf"
    conf.write_text(SLURM.format(place=place, ports=ports, host=host(), user=getpass.getuser()))
    files = [f"--{name}-file={place}/munge.{name}" for name in ("pid", "log", "seed")]
    with contextlib.ExitStack() as running:
        if is_ours:  # of tests that were killed
            SLURM_CONF.unlink()
        SLURM_CONF.symlink_to(conf)
        running.callback(SLURM_CONF.unlink)

        def start(*command: str, ready: Callable[[], bool]) -> None:
            running.enter_context(daemon(place / "log", find(command[0]), *command[1:], ready=ready))

        start(
            "munged",
            "--foreground",
            "--force",  # the folder of a test may be readable by others
            f"--key-file={key}",
            f"--socket={socket_}",
            *files,
            ready=lambda: works("munge", "-n", "-S", str(socket_)),
        )
        start("slurmctld", "-D", ready=lambda: works("sinfo"))
        start("slurmd", "-D", ready=lambda: node_state().startswith("idle"))
        running.callback(_cancel_all)
        NOTES.append("SLURM with one node")
        yield


def node_state() -> str:
    """What SLURM says of its node."""
    return subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False).stdout


def _cancel_all() -> None:
    """End what tests have left in the queue, so that no step outlives the node."""
    subprocess.run(["scancel", "--user", getpass.getuser()], capture_output=True, check=False)
    end = time.monotonic() + 20
    while (
        subprocess.run(["squeue", "-h"], capture_output=True, check=False).stdout and time.monotonic() < end
    ):
        time.sleep(0.2)
