"""The ground truth of a split, for scores and the upper bound only.

Its folder holds `masks.csv` (id, path) and, below `png/`, masks converted from other formats. Paths that begin
with `png/` are in that folder; all others are relative to the working folder, or absolute.
"""

from collections.abc import Mapping
from pathlib import Path

from tagseg.runtime.errors import TagsegError
from tagseg.storage.index import read_rows, write_rows

TABLE = "masks.csv"
MADE = "png/"

_COLUMNS = ("id", "path")
_STAGE = "collect_ground_truth"


def write_ground_truth(folder: str | Path, masks: Mapping[str, str]) -> None:
    """Write `masks.csv`, sorted by id, into `folder`, which already holds the converted masks.

    `masks` maps image ids to paths; a path that begins with `png/` is in `folder` if that file exists.
    """
    rows = ((name, _spelling(Path(folder), masks[name])) for name in sorted(masks))
    write_rows(Path(folder) / TABLE, _COLUMNS, rows)


def _spelling(folder: Path, path: str) -> str:
    """Return a path for the table; `./png/...` if a data set is in a folder `png`."""
    return f"./{path}" if path.startswith(MADE) and not (folder / path).is_file() else path


def read_ground_truth(folder: str | Path) -> dict[str, Path]:
    """Return the file of each ground-truth mask by image id, sorted by id.

    Raises TagsegError if the table is malformed, or it or a converted mask is missing.
    """
    folder = Path(folder)
    rows = read_rows(folder / TABLE, _COLUMNS, _STAGE)
    return {row["id"]: _file(folder, row["path"]) for row in rows}


def _file(folder: Path, path: str) -> Path:
    if not path.startswith(MADE):
        return Path(path)
    if not (folder / path).is_file():
        raise TagsegError(f"{folder / path}: missing. Delete the folder {folder} and run again.")
    return folder / path
