"""Verify the whole tree of a run: read every output, and compare what they say of each other.

    verify_results.py --results results/demo --threads 8

Prints a line a problem, with its remedy, and a summary. Exit status 1 where something is wrong. What killed
jobs left is told, but is none of it: the next run goes on from there, or clears it away.
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

import torch

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.relations import relations
from tagseg.verification import Problem, examine, leftovers, outputs

ABOUT_SETTINGS = (
    "Whether these are the results of the present settings, data and code, `snakemake -n` says, with the "
    "run's own --configfile and --config."
)


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)  # a process a core is more than enough
    total = len(outputs(arguments.results))
    if not total:
        raise TagsegError(f"{arguments.results}: no results of a run; name one with --config run=NAME")
    read = commandline.progress(examine(arguments.results, arguments.threads), "verified", total)
    tree = dict(read)
    problems = [problem for found in tree.values() for problem in found.problems]
    problems += relations(arguments.results, tree)
    left = leftovers(arguments.results)
    print(*lines(problems, left, total), sep="\n", flush=True)
    if problems:
        raise TagsegError(f"{arguments.results}: {len(problems)} of what was verified is wrong; see above")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, required=True, metavar="FOLDER", help="of the run")
    commandline.add_threads(parser)
    return parser.parse_args()


def lines(problems: Sequence[Problem], left: Sequence[Path], total: int) -> list[str]:
    """Return what is told: problems, leftovers, how to make anew what is to be deleted, the summary."""
    again = sorted({problem.again for problem in problems if problem.again})
    command = ["Delete these where they are still there, and make them again, then what comes after them:"]
    command += [f"    rm -rf {shlex.join(again)}", f"    snakemake --cores all {shlex.join(again)}"]
    told = [] if problems else [ABOUT_SETTINGS]
    return [
        *(f"wrong: {problem.text}" for problem in problems),
        *(f"left over: {path}: of a job that was killed; no harm, the next run clears it" for path in left),
        *(command if again else []),
        f"{total} outputs verified, {len(problems)} problems, {len(left)} left over",
        *told,
    ]


if __name__ == "__main__":
    commandline.run(main)
