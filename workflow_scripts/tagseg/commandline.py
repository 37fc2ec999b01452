"""What every command-line script shares: clear errors, settings as JSON, progress."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TextIO, TypeVar

from tqdm import tqdm

from tagseg.errors import TagsegError
from tagseg.failures import machine_failure
from tagseg.interrupts import Ended, signals_end

Item = TypeVar("Item")


def run(main: Callable[[], None]) -> None:
    """Call `main`; a TagsegError becomes one line on stderr and exit status 1, without a traceback.

    So does what the machine does to a job (`tagseg.failures`). SIGTERM and SIGINT end it with status 143 and
    130, after what it was writing was cleared away.
    """
    try:
        with signals_end():
            main()
    except TagsegError as error:
        sys.exit(f"error: {error}")
    except Ended as end:
        say(f"ended by {end.signal.name}; run again, and it goes on")
        raise
    except Exception as error:
        line = machine_failure(error)
        if line is None:
            raise
        sys.exit(f"error: {line}")


def settings(text: str) -> dict:
    """Parse a command line's `--settings`, a JSON object; argparse reports a malformed one."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError("a JSON object is expected, like '{\"epochs\": 3}'")
    return content


def say(text: str) -> None:
    """Print one line for the log at once; a progress bar on the same terminal is not torn.

    Of several processes that train together, the first alone speaks.
    """
    if _speaks():
        tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield `items` behind a progress bar on the terminal and, in a log, behind ten quiet lines.

    A job of the workflow has its stderr in a log; its bar then goes to the terminal that Snakemake was
    started on, if the Snakefile said by TERMINAL that there is one.
    """
    if not _speaks():
        yield from items
        return
    total = len(items) if total is None and hasattr(items, "__len__") else total
    with _terminal() as terminal:
        bar = tqdm(items, what, total, leave=False, file=terminal, disable=terminal is None)
        step = max(1, (total or 0) // 10)
        for count, item in enumerate(bar, start=1):
            yield item
            if terminal is not sys.stderr and total and (count % step == 0 or count == total):
                print(f"{what}: {count} of {total}", file=sys.stderr, flush=True)


def _speaks() -> bool:
    """Say whether this process is the first of those that torchrun started, or alone."""
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK") == "0"


TERMINAL = "TAGSEG_TERMINAL"
"""Environment variable that says that /dev/tty is somebody's terminal."""


@contextmanager
def _terminal() -> Iterator[TextIO | None]:
    """Yield the stream for progress bars: stderr, the controlling terminal, or None."""
    if sys.stderr.isatty():
        yield sys.stderr
        return
    terminal = _open_terminal() if os.environ.get(TERMINAL) else None
    with terminal or nullcontext():
        yield terminal


def _open_terminal() -> TextIO | None:
    try:
        return open("/dev/tty", "w")
    except OSError:  # a batch job inherits the variable, but has no terminal
        return None


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with a script's docstring as its help and `--index`, which nearly all read."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--index", required=True, metavar="FOLDER", help="of index.csv and classes.csv")
    return made


def add_settings(to: argparse.ArgumentParser) -> None:
    """Add `--settings`, a JSON object: the slice of the configuration that the stage depends on."""
    to.add_argument("--settings", type=settings, required=True, metavar="JSON")


def add_shard(to: argparse.ArgumentParser) -> None:
    """Add `--shard K` (0-based) and `--shards N`: which part of the photographs the job does."""
    to.add_argument("--shard", type=int, required=True, metavar="K", help="0-based")
    to.add_argument("--shards", type=int, required=True, metavar="N")


def add_threads(to: argparse.ArgumentParser) -> None:
    """Add `--threads N`: processor cores that the job may use."""
    to.add_argument("--threads", type=int, default=1, metavar="N")


def add_processes(to: argparse.ArgumentParser) -> None:
    """Add `--processes N`: GPUs on which a training may run at once, each with a process of its own."""
    to.add_argument("--processes", type=int, default=1, metavar="N")
