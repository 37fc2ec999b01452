"""Check the files of a run: mask manifests, HDF5 checksums, checkpoints, index and ground truth.

    verify_results.py --results results/demo --threads 8

Prints one line per problem with its remedy, and a summary. Exit status 1 if anything is wrong.
"""

from pathlib import Path

import torch

from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.workflow.verification import outputs, verify


@commandline.command
def main(results: Path, threads: int = 1) -> None:
    torch.set_num_threads(1)  # one process per core is enough
    found = outputs(results)
    if not found:
        raise TagsegError(f"{results}: no results. Name a run with --config run=NAME.")
    checked = commandline.progress(verify(found, threads), "verified", len(found))
    problems = [problem for some in checked for problem in some]
    print(*problems, f"{len(found)} outputs verified, {len(problems)} problems", sep="\n", flush=True)
    if problems:
        raise TagsegError(f"{results}: {len(problems)} problems. Follow the lines above.")


if __name__ == "__main__":
    commandline.run(main)
