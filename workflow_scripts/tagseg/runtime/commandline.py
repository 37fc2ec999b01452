"""What all command-line scripts share: clear errors, settings as JSON, logging, progress."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from pydantic import ValidationError
from tqdm import tqdm

from tagseg.runtime.errors import TagsegError
from tagseg.runtime.failures import machine_failure
from tagseg.runtime.processes import is_main
from tagseg.runtime.settings import Settings
from tagseg.runtime.signals import JobInterrupted, signals_end

Item = TypeVar("Item")

log = logging.getLogger(__name__)


def run(main: Callable[[], None]) -> None:
    """Call `main`; a TagsegError or a failure of the machine becomes one line on stderr and exit status 1.

    SIGTERM and SIGINT end it with status 143 and 130, after unfinished outputs are removed.
    """
    configure_logging()
    try:
        with signals_end():
            main()
    except TagsegError as error:
        sys.exit(f"error: {error}")
    except JobInterrupted as end:
        log.error("Interrupted by %s. Run again to resume.", end.signal.name)
        raise
    except Exception as error:
        line = machine_failure(error)
        if line is None:
            raise
        sys.exit(f"error: {line}")


class _LogHandler(logging.Handler):
    """Writes to stderr without tearing a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)
        sys.stderr.flush()


def configure_logging() -> None:
    """Log with time and level to stderr; of processes that train together only the first."""
    handler = _LogHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.getLogger("tagseg").handlers = logging.getLogger("__main__").handlers = [handler]
    for name in ("tagseg", "__main__"):
        logging.getLogger(name).setLevel(logging.INFO if is_main() else logging.ERROR)


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield `items` behind a progress bar on the terminal, or behind ten log lines.

    A rule sends stderr to its log and leaves stdout to the terminal, so the bar is on whichever is a terminal.
    """
    if not is_main():
        yield from items
        return
    total = len(items) if total is None and isinstance(items, Sized) else total
    terminal = next((stream for stream in (sys.stderr, sys.stdout) if stream.isatty()), None)
    bar = tqdm(items, what, total, leave=False, file=terminal, disable=terminal is None)
    step = max(1, (total or 0) // 10)
    for count, item in enumerate(bar, start=1):
        yield item
        if terminal is not sys.stderr and total and (count % step == 0 or count == total):
            log.info("%s: %d of %d", what, count, total)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with a script's docstring as its help and `--index`, which nearly all scripts need."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--index", required=True, metavar="FOLDER", help="of index.csv and classes.csv")
    return made


def add_settings(to: argparse.ArgumentParser, model: type[Settings] | None = None) -> None:
    """Add `--settings`, a JSON object of `model`: the part of the configuration that the stage depends on."""
    if model is None:
        to.add_argument("--settings", type=json.loads, required=True, metavar="JSON")
        return

    def parse(text: str) -> Settings:
        try:
            return model.model_validate_json(text)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, one['loc'])) or 'JSON'}: {one['msg']}" for one in error.errors()]
            raise argparse.ArgumentTypeError("; ".join(problems)) from None

    to.add_argument("--settings", type=parse, required=True, metavar="JSON")


def add_shard(to: argparse.ArgumentParser) -> None:
    """Add `--shard K` (0-based) and `--shards N`: the part of the images that the job works on."""
    to.add_argument("--shard", type=int, required=True, metavar="K", help="0-based")
    to.add_argument("--shards", type=int, required=True, metavar="N")


def add_threads(to: argparse.ArgumentParser) -> None:
    """Add `--threads N`: processor cores that the job may use."""
    to.add_argument("--threads", type=int, default=1, metavar="N")


def add_processes(to: argparse.ArgumentParser) -> None:
    """Add `--processes N`: GPUs of one training, one process per GPU."""
    to.add_argument("--processes", type=int, default=1, metavar="N")
