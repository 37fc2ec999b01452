"""Run all benchmarks; write README.md, scaling.png and results.json beside this file.

    pip install -r benchmarks/requirements.txt && python benchmarks/run.py [--only NAME ...]

Every row is a ratio against a named alternative, timed in the same run. Rows whose ratio is more than 15 % above the
last one in results.json are marked. Takes up to 15 minutes on two cores that have nothing else to do.
"""

import argparse
import importlib
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import scaling
from common import Row

HERE = Path(__file__).resolve().parent
RESULTS, README, PLOT = HERE / "results.json", HERE / "README.md", HERE / "scaling.png"
# coco_index before what fills memory: the peak of a new process begins with that of its parent.
BENCHMARKS = ("startup", "coco_index", "patterns", "crf", "training")
START, END = "<!-- table of run.py -->", "<!-- end -->"
WORSE = 1.15
LIBRARIES = ("numpy", "scipy", "torch", "timm", "scikit-learn", "pydensecrf2", "snakemake")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=(*BENCHMARKS, "scaling"), help="print these, and write nothing")
    only = parser.parse_args().only
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    lines, measured = [], {}
    for name in only or BENCHMARKS:
        for row in importlib.import_module(name).rows() if name != "scaling" else ():
            lines.append(line(row, before.get(key(row))))
            measured[key(row)] = row.ratio
            print(lines[-1], flush=True)
    scaled = scaling.measure() if not only or "scaling" in only else []
    print(scaling.table(scaled))
    if not only:
        RESULTS.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        scaling.plot(scaled, PLOT)
        README.write_text(with_table(README.read_text(encoding="utf-8"), lines, scaling.table(scaled)), "utf-8")


def key(row: Row) -> str:
    return f"{row.what} | {row.alternative}"


def line(row: Row, before: float | None) -> str:
    """Return a row of the table, marked if its ratio is worse than before."""
    mark = f" **(before {before:.2f})**" if before is not None and row.ratio > WORSE * before else ""
    ours, theirs = (f"{value:.3g} {row.unit}" for value in (row.ours, row.theirs))
    return f"| {row.what} | {ours} | {row.alternative}: {theirs} | {row.ratio:.2f}{mark} |"


def with_table(text: str, lines: list[str], scaled: str) -> str:
    """Return the text with the tables between its two marks replaced."""
    head, rest = text.split(START)
    _, tail = rest.split(END)
    table = ["| what | ours | alternative | ratio |", "|---|--:|--:|--:|", *lines]
    parts = (START, machine(), "\n".join(table), scaled, END)
    return head + "\n\n".join(parts) + tail


def machine() -> str:
    """Return the processor, its cores and the versions of the libraries."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    processor = models[0].partition(":")[2].strip() if models else platform.machine()
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{len(os.sched_getaffinity(0))} cores of {processor}; Python {sys.version.split()[0]}, {versions}."


if __name__ == "__main__":
    main()
