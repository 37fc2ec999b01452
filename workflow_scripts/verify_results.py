"""Check the files of a run: mask manifests, HDF5 checksums, checkpoints, index and ground truth.

    verify_results.py --results results/demo --threads 8

Prints one line per problem with its remedy, and a summary. Exit status 1 if anything is wrong.
"""

import argparse
from pathlib import Path

import torch

from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.workflow.verification import outputs, verify


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, required=True, metavar="FOLDER", help="of the run")
    commandline.add_threads(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # one process per core is enough
    found = outputs(arguments.results)
    if not found:
        raise TagsegError(f"{arguments.results}: no results. Name a run with --config run=NAME.")
    checked = commandline.progress(verify(found, arguments.threads), "verified", len(found))
    problems = [problem for some in checked for problem in some]
    print(*problems, f"{len(found)} outputs verified, {len(problems)} problems", sep="\n", flush=True)
    if problems:
        raise TagsegError(f"{arguments.results}: {len(problems)} problems. Follow the lines above.")


if __name__ == "__main__":
    commandline.run(main)
