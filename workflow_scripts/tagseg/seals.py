"""Seals: the digests of an output's files as they were when it was made, kept apart from it.

Snakemake trusts a file that is there and not too old, whatever is in it. A seal tells a file that was altered
by hand, by a disk or by a copy from one that was made, and of two that do not fit each other the wrong one.
Those of a run lie in its folder `seals`, a file an output; `sha256sum -c` reads them from the run's folder.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from tagseg.errors import TagsegError

RUN = "TAGSEG_RUN"
"""Environment variable with the folder of the run; where it is not set, nothing is sealed or checked."""

FOLDER = "seals"
SUFFIX = ".sha256"
SNAKEMAKES_OWN = ".snakemake_timestamp"


def seal_file(run: Path, name: str) -> Path:
    """Return where the seal of an output lies; `name` is its path below the folder of the run."""
    return run / FOLDER / f"{name}{SUFFIX}"


def sealed(run: Path) -> list[str]:
    """Return the outputs of a run that have a seal, as sorted paths below its folder."""
    files = (run / FOLDER).rglob(f"*{SUFFIX}")
    return sorted(file.relative_to(run / FOLDER).as_posix().removesuffix(SUFFIX) for file in files)


def break_seal(output: Path) -> None:
    """Remove the seal of an output that is about to be replaced."""
    place = _of_this_run(output)
    if place:
        seal_file(*place).unlink(missing_ok=True)


def seal(output: Path) -> None:
    """Seal an output of the run, a file or a folder, that has just been made."""
    place = _of_this_run(output)
    if not place:
        return
    run, name = place
    file = seal_file(run, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.partial")
    lines = (_line(digest, path.relative_to(run).as_posix()) for path, digest in _digests(output))
    aside.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
    os.replace(aside, file)


def check_seal(output: str | Path) -> None:
    """Raise TagsegError where an output of the run is not as it was made; one without a seal passes."""
    place = _of_this_run(Path(output))
    for text in broken(*place) if place else ():
        raise TagsegError(text)


def broken(run: Path, name: str) -> Iterator[str]:
    """Yield what is no longer as it was when an output, or an output in that folder, was sealed."""
    whole = seal_file(run, name)
    inside = (run / FOLDER / name).rglob(f"*{SUFFIX}")
    for file in sorted(file for file in (whole, *inside) if file.is_file()):
        output = run / file.relative_to(run / FOLDER).as_posix().removesuffix(SUFFIX)
        if output.exists():
            yield from _differences(run, output, _read(file))


def _differences(run: Path, output: Path, expected: dict[str, str]) -> Iterator[str]:
    found = {path.relative_to(run).as_posix(): digest for path, digest in _digests(output)}
    for name in sorted(expected | found):
        if name not in found:
            yield f"{run / name}: gone since it was made; delete {output} and run again"
        elif name not in expected:
            yield f"{run / name}: not there when {output} was made; delete {output} and run again"
        elif found[name] != expected[name]:
            yield f"{run / name}: altered since it was made; delete {output} and run again"


def _of_this_run(output: Path) -> tuple[Path, str] | None:
    """Return the run's folder and the output's path below it; None where it is no output of the run.

    Neither is what lies in a folder that is still being written: it is sealed as a part of that folder.
    """
    if not os.environ.get(RUN):
        return None
    run, path = Path(os.environ[RUN]), Path(os.path.normpath(output))
    if not path.is_relative_to(run) or any(map(_is_partial, path.parts)):
        return None
    return run, path.relative_to(run).as_posix()


def _is_partial(part: str) -> bool:
    return part.startswith(".") and part.endswith(".partial")


def _digests(output: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of an output, sorted, and the SHA-256 of each."""
    files = [output] if output.is_file() else sorted(path for path in output.rglob("*") if path.is_file())
    for path in files:
        if path.name != SNAKEMAKES_OWN:
            with open(path, "rb") as stream:
                yield path, hashlib.file_digest(stream, "sha256").hexdigest()


def _line(digest: str, name: str) -> str:
    """Return a line as `sha256sum` writes it: a name with \\ or a line break is escaped, and said to be."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"


def _read(file: Path) -> dict[str, str]:
    """Return the digest of each file in a seal. Raises TagsegError where it is no seal."""
    text = file.read_text(encoding="utf-8", errors="surrogateescape")
    rows = [line.partition("  ") for line in text.split("\n") if line]
    if not rows or any(len(digest.removeprefix("\\")) != 64 for digest, _, _ in rows):
        raise TagsegError(f"{file}: not a seal; delete it")
    return {_unescaped(digest, name): digest.removeprefix("\\") for digest, _, name in rows}


def _unescaped(digest: str, name: str) -> str:
    if not digest.startswith("\\"):
        return name
    return "\\".join(part.replace("\\n", "\n") for part in name.split("\\\\"))
