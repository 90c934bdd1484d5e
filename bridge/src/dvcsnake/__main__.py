"""`python -m dvcsnake`: the command line of the bridge, also used by the Snakefile and the stage `code`."""

import argparse
import sys
from pathlib import Path

from dvcsnake.errors import UserError, in_a_sentence
from dvcsnake.hooks import load_hooks
from dvcsnake.versions import require


def main() -> int:
    """Parse and run the command; a user's error, and what DVC could not do, ends with one sentence."""
    arguments = _parser().parse_args()
    try:
        require("dvc", "dvc-data")
        return arguments.do(arguments)
    except _failures() as error:
        sys.exit(f"dvcsnake: {in_a_sentence(error)}")


def _failures() -> tuple[type[Exception], ...]:
    """Exceptions that end with one sentence; DVC's are among them once a command has imported DVC."""
    dvc_api = sys.modules.get("dvcsnake.dvc_api")
    return (UserError, *(dvc_api.FAILURES if dvc_api else (OSError,)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dvcsnake", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init", help="write a Snakefile, a profile and settings into a DVC repository")
    init.add_argument("--package", help="the folder of the Python package whose code is hashed")
    init.set_defaults(do=_init)
    setup = commands.add_parser(
        "setup", help="have Git merge dvc.lock stage by stage and DVC verify what remotes send, in this clone"
    )
    setup.set_defaults(do=_setup)
    run = commands.add_parser(
        "run", help="have a stage's outputs: from the cache, from the remote, or by its command"
    )
    run.add_argument("stage", help="the stage as DVC names it, such as sample@hopper-ppo-0-150")
    run.add_argument("--force", action="store_true", help="run the command even if the result is known")
    run.set_defaults(do=_run)
    code = commands.add_parser("code", help="write one digest per module of the package")
    code.add_argument("folder", help="where to write them")
    code.set_defaults(do=_code)
    same = commands.add_parser(
        "same",
        help="declare that a module's change since the last commit changes no result, so none is stale",
    )
    same.add_argument("module", help="its path in the package, such as agents/envs.py, or agents.envs")
    same.add_argument("--why", required=True, help="the reason, for those who review it")
    same.set_defaults(do=_same)
    push = commands.add_parser("push", help="copy results and the run cache to a DVC remote")
    push.add_argument("--remote", help="its name (default: the default remote)")
    push.add_argument(
        "--everything", action="store_true", help="also what `dvc push` leaves out, such as rollouts"
    )
    push.set_defaults(do=_push)
    merge = commands.add_parser("merge-lock", help="merge three versions of dvc.lock, as Git's merge driver")
    merge.add_argument(
        "files", nargs=3, metavar="FILE", help="of the ancestor, ours (which gets the result), theirs"
    )
    merge.set_defaults(do=_merge)
    why = commands.add_parser(
        "why", help="say of every stage that targets need and that must run what changed"
    )
    why.add_argument(
        "targets", nargs="*", metavar="TARGET", help="a file or a stage (default: the default targets)"
    )
    why.set_defaults(do=_why)
    status = commands.add_parser(
        "status", help="say of every stage whether it is up to date, and change nothing"
    )
    status.set_defaults(do=_status)
    return parser


# Commands import DVC only when they need it, since `code` runs often.


def _init(arguments: argparse.Namespace) -> int:
    from dvcsnake.templates import start

    start(Path.cwd(), arguments.package)
    return 0


def _setup(arguments: argparse.Namespace) -> int:
    from dvcsnake.dvc_api import Repository

    repository = Repository()
    repository.remotes.verify()
    repository.lock_file.install_merge_driver()
    return 0


def _code(arguments: argparse.Namespace) -> int:
    from dvcsnake.digests import project_digests, read_params, write_digests

    root, hooks = Path.cwd(), load_hooks()
    if hooks.package is None:
        raise UserError("the project's hooks name no package, so there is no code to write digests of")
    texts = project_digests(root, hooks, read_params(root), lambda name, key, compute: compute())
    write_digests(arguments.folder, texts)
    return 0


def _same(arguments: argparse.Namespace) -> int:
    from dvcsnake.digests import declare_equal

    digest = declare_equal(arguments.module, arguments.why, Path.cwd() / (load_hooks().package or ""))
    print(f"{arguments.module} counts as {digest}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from dvcsnake.dvc_api import Repository
    from dvcsnake.job import run

    return run(Repository(), arguments.stage, arguments.force)


def _push(arguments: argparse.Namespace) -> int:
    from dvcsnake.dvc_api import Repository
    from dvcsnake.sharing import push

    push(Repository(), arguments.remote, arguments.everything)
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    from dvcsnake.dvc_api import Repository

    Repository().lock_file.merge(*arguments.files)
    return 0


def _why(arguments: argparse.Namespace) -> int:
    from dvcsnake.prelude import (
        Plan,
        mistyped_input,
        outputs_of,
        resolve,
        unknown,
        without_targets,
        write_code,
    )
    from dvcsnake.project import hold, open_project
    from dvcsnake.verdicts import survey
    from dvcsnake.why import stage_lines

    load_hooks().check()
    project = open_project(dry_run=True)
    lock = hold(project.root)
    write_code(project)
    needed = outputs_of(project, arguments.targets)
    for target in arguments.targets:
        if not outputs_of(project, [target]):
            raise UserError(unknown(project, target))
    if not arguments.targets:
        if fault := mistyped_input(project):
            raise UserError(fault)
        if line := without_targets(project):
            print(line)
            return 0
    plan = resolve(project, Plan(survey(project.repository, project.pipeline)), needed)
    for line in stage_lines(project, plan) or ["nothing must run: all that is needed is here and up to date"]:
        print(line)
    lock.close()
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from dvcsnake.project import open_project
    from dvcsnake.verdicts import survey

    project = open_project()
    for name, judged in survey(project.repository, project.pipeline).stages.items():
        print(f"{judged.verdict:7} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
