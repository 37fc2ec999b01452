"""What all command-line scripts share: arguments, clear errors, logging, progress."""

import argparse
import functools
import inspect
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError
from tqdm import tqdm

from tagseg.runtime.errors import TagsegError
from tagseg.runtime.failures import machine_failure
from tagseg.runtime.processes import is_main
from tagseg.runtime.settings import Settings
from tagseg.runtime.signals import JobInterrupted, signals_end

Item = TypeVar("Item")
Result = TypeVar("Result")

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


def command(function: Callable[..., Result]) -> Callable[[], Result]:
    """Return `function` with its parameters taken from the command line: `--ground-truth PATH` is `ground_truth`.

    The annotation of a parameter decides how it is read: Settings from JSON, list[...] from several words, a Literal
    from its choices. A parameter with a default is optional. The help is the docstring of the module.
    """

    def called() -> Result:
        return function(**vars(_parser(function).parse_args()))

    return called


def _parser(function: Callable[..., object]) -> argparse.ArgumentParser:
    text = sys.modules[function.__module__].__doc__
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, one in inspect.signature(function).parameters.items():
        optional: dict[str, Any] = {"required": True} if one.default is one.empty else {"default": one.default}
        parser.add_argument(f"--{name.replace('_', '-')}", **optional, **_options(one.annotation))
    return parser


def _options(kind: Any) -> dict[str, Any]:
    """Return how argparse reads values of a type."""
    if get_origin(kind) is list:
        return {**_options(get_args(kind)[0]), "nargs": "*"}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    if issubclass(kind, Settings):
        return {"type": functools.partial(_from_json, kind), "metavar": "JSON"}
    return {"type": kind, "metavar": {Path: "PATH", int: "N", str: "NAME"}[kind]}


def _from_json(model: type[Settings], text: str) -> Settings:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc'])) or 'JSON'}: {one['msg']}" for one in error.errors()]
        raise argparse.ArgumentTypeError("; ".join(problems)) from None
