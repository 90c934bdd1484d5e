"""Audit an agent that another library trained: gradients, critic, next step and trust region, on one page.

Reads the agent's file, measures it with the study's probes, and writes `audit.html` and `audit.pdf`, with all numbers
in `audit.json`. The same command resumes a killed audit, and auditing a later checkpoint computes only what is new.
"""

import argparse
import re
from pathlib import Path

from pgprim.adopt.adopted import adopt
from pgprim.audit.plan import SIZES
from pgprim.audit.run import audit
from pgprim.commands.adopt import add_arguments, settings_from
from pgprim.commands.command import make_parser, output, run
from pgprim.types.environment import Environment
from pgprim.types.errors import UserError


def main(args: argparse.Namespace) -> None:
    """Adopt, measure, write the page."""
    if args.jobs < 1:
        raise UserError(f"--jobs is {args.jobs}, but must be at least 1")
    name = args.name or re.sub(r"\W+", "_", Path(args.file).stem.lower()).strip("_") or "agent"
    out = Path(args.out or output(f"audits/{name}"))
    adopted = adopt(
        args.file,
        task=args.task or task_name(args.env),
        environment=Environment(args.env, clip_actions=not args.no_clip_actions),
        name=name,
        normaliser=args.normaliser,
        activation=args.activation,
        settings=settings_from(args.set),
        num_episodes=args.episodes,
    )
    ran = audit(out, adopted, SIZES[args.size], jobs=args.jobs, study=Path(args.study), every=args.all)
    print(f"{len(ran.jobs)} jobs were run, the others were done before" if ran.jobs else "nothing was new")
    print(f"read {ran.page}, or {ran.page.with_suffix('.pdf')}; the numbers are in {out / 'audit.json'}")


def task_name(env_id: str) -> str:
    """`Hopper-v5` -> `hopper`, the task's name in the study, where the study has it."""
    return re.sub(r"-v\d+$", "", env_id.rpartition(":")[2]).rpartition("/")[2].lower()


if __name__ == "__main__":
    parser = make_parser("pgprim.commands.audit", __doc__)
    parser.add_argument(
        "file", help="the agent's file, or a folder of its checkpoints, of which the last is audited"
    )
    parser.add_argument("--env", required=True, help="Gymnasium's id, such as Hopper-v5")
    parser.add_argument("--name", help="the agent's name; default: that of its file")
    parser.add_argument("--task", help="the task's name in the study; default: from the id, such as hopper")
    add_arguments(parser)
    parser.add_argument("--out", type=output, help="folder of the audit; default: audits/NAME")
    parser.add_argument(
        "--size",
        choices=tuple(SIZES),
        default="full",
        help="amount of measurement: smoke only tests the command",
    )
    parser.add_argument("--jobs", type=int, default=2, help="number of parallel processes")
    parser.add_argument("--all", action="store_true", help="audit every checkpoint of a folder")
    parser.add_argument(
        "--study", default="data/figures", help="folder of the study's datasets, for comparison"
    )
    run(main, parser)
