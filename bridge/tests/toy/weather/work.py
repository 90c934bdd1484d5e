"""What the toy's stages share: a line in a log when they run, and their parameters."""

import argparse
import os
import time
from pathlib import Path

import yaml


def arguments(*names: str, paths: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in names:
        parser.add_argument(name)
    if paths:
        parser.add_argument(paths, nargs="*")
    return parser.parse_args()


def ran(stage: str, what: str) -> None:
    with open(os.environ["TOY_LOG"], "a") as log:
        log.write(f"{stage} {what}\n")
    time.sleep(float(os.environ.get("TOY_SLEEP", "0")))


def params() -> dict:
    return yaml.load(Path("params.yaml").read_bytes(), yaml.CSafeLoader)


def write(path: str | Path, text: str) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text)
    unfinished.replace(path)


def write_folder(folder: str | Path, files: dict[str, str]) -> None:
    unfinished = Path("data/unfinished", f"{Path(folder).name}.{os.getpid()}")
    for name, text in files.items():
        write(unfinished / name, text)
    unfinished.replace(folder)
