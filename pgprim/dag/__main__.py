"""`python -m pgprim.dag`: what the rules of the Snakefile and the stage `code` of dvc.yaml call."""

import argparse
import sys

from pgprim.types.errors import UserError


def main() -> int:
    """Parse the command line and do it; an error of the user's ends as one sentence."""
    parser = argparse.ArgumentParser(prog="python -m pgprim.dag", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", help="have a stage's outputs: from the cache, from the remote, or by its command"
    )
    run.add_argument("stage", help="the stage as DVC names it, such as sample@hopper-ppo-0-150")
    run.add_argument("--force", action="store_true", help="run the command even if the result is known")
    code = commands.add_parser("code", help="write one digest per module of the package")
    code.add_argument("folder", help="where to write them")
    same = commands.add_parser(
        "same",
        help="declare that a module's change since the last commit changes no result, so none is stale",
    )
    same.add_argument("module", help="its path in the package, such as agents/envs.py")
    same.add_argument("--why", required=True, help="the reason, for those who review it")
    push = commands.add_parser("push", help="copy results and the run cache to a DVC remote")
    push.add_argument("--remote", help="its name (default: the default remote)")
    push.add_argument(
        "--everything", action="store_true", help="also what `dvc push` leaves out, such as rollouts"
    )
    commands.add_parser("status", help="say of every stage whether it is up to date, and change nothing")
    arguments = parser.parse_args()
    try:
        if arguments.command == "code":
            from pgprim.dag.digests import digests, write_digests

            write_digests(arguments.folder, digests())
            return 0
        if arguments.command == "same":
            from pgprim.dag.digests import declare_equal

            print(f"{arguments.module} counts as {declare_equal(arguments.module, arguments.why)}")
            return 0
        # DVC is imported by those who need it only: `code` is run a lot
        from pgprim.dag.dvcapi import Repository

        if arguments.command == "run":
            from pgprim.dag.job import run as run_stage

            return run_stage(Repository(), arguments.stage, arguments.force)
        if arguments.command == "push":
            from pgprim.dag.sharing import push as push_results

            push_results(Repository(), arguments.remote, arguments.everything)
            return 0
        from pgprim.dag.planning import Plan

        plan = Plan(Repository())
        plan.classify()
        for name, status in plan.status.items():
            print(f"{status.verdict:7} {name}")
    except UserError as error:
        sys.exit(f"{parser.prog}: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
