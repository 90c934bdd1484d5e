"""Parallel jobs in separate processes, with their joint progress."""

import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from tqdm import tqdm

from pgprim.audit.jobs import JOBS, is_done
from pgprim.store.files import UNFINISHED
from pgprim.types.errors import UserError

Task = tuple[Path, str]
"""Folder of a checkpoint, and name of a job."""

LOOK = 0.2
"""Seconds between checks of the processes."""

BAR = "{desc}: {percentage:3.0f} %|{bar:20}| {elapsed} gone, {remaining} left{postfix}"

TAIL = 2000
"""Bytes at the end of a log that are searched for a job's progress."""


def run_all(folders: Sequence[Path], seconds: Mapping[Path, Mapping[str, float]], jobs: int) -> list[Task]:
    """Run all jobs of some checkpoints that are not done.

    Args:
        folders: Of the checkpoints.
        seconds: What each job takes, roughly.
        jobs: Number of parallel processes.

    Returns:
        The jobs that were run.

    Raises:
        UserError: A job failed; the sentence is its own.
    """
    done: set[Task] = set()
    for task in ((folder, name) for folder in folders for name in JOBS):
        folder, name = task
        if all((folder, need) in done for need in JOBS[name].needs) and is_done(folder, name):
            done.add(task)
    waiting = [(folder, name) for folder in folders for name in JOBS if (folder, name) not in done]
    weights = {(folder, name): seconds[folder][name] for folder, name in waiting}
    ran, running = list(waiting), {}
    with (
        ExitStack() as stack,
        tqdm(total=sum(weights.values()), desc="audit", bar_format=BAR, mininterval=1) as bar,
    ):
        stack.callback(_end, running)
        while waiting or running:
            for task in list(waiting):
                folder, name = task
                if len(running) < jobs and all((folder, need) in done for need in JOBS[name].needs):
                    waiting.remove(task)
                    running[task] = _start(*task)
            time.sleep(LOOK)
            for task, process in list(running.items()):
                if (code := process.poll()) is not None:
                    del running[task]
                    process.stdin.close()
                    if code:
                        raise UserError(_reason(*task))
                    done.add(task)
            now = sum(weights[task] for task in ran if task in done)
            shares = {task: _share(_log(*task)) for task in running}
            bar.set_postfix_str(
                ", ".join(f"{name} {share:.0%}" for (_, name), share in shares.items()), False
            )
            bar.update(now + sum(weights[task] * share for task, share in shares.items()) - bar.n)
    for folder in folders:
        with suppress(OSError):  # there is none, or something is left in it
            for empty in (folder / UNFINISHED, folder / UNFINISHED.parent):
                empty.rmdir()
    return ran


def _start(folder: Path, name: str) -> subprocess.Popen:
    log = _log(folder, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        command = [sys.executable, "-m", "pgprim.audit.worker", str(folder), name]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=file)


def _end(running: dict[Task, subprocess.Popen]) -> None:
    for process in running.values():
        process.terminate()
        process.wait()
        process.stdin.close()


def _log(folder: Path, name: str) -> Path:
    return folder / "log" / f"{name}.txt"


def _share(log: Path) -> float:
    """Share of a job that its last progress bar shows as done."""
    shares = re.findall(rb"(\d+)%\|", log.read_bytes()[-TAIL:])
    return int(shares[-1]) / 100 if shares else 0.0


def _reason(folder: Path, name: str) -> str:
    log = _log(folder, name)
    lines = [line for line in re.split(r"[\r\n]+", log.read_text(errors="replace")) if line.strip()]
    return f"{name} failed: {lines[-1].strip() if lines else 'no word was left'} (all it said is in {log})"
