"""The true masks of a split: a table of files, for scoring and for the upper bound. Nothing else reads it.

A folder of true masks holds `masks.csv` (id, path) and, below `png/`, the masks that were made from a
source that is no PNG of labels. A path that begins with `png/` is of a file in that folder; every other
one is spelt as the paths of the index are: relative to the working folder, or absolute.
"""

import csv
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tagseg.errors import TagsegError
from tagseg.files import atomic_file
from tagseg.index import read_rows
from tagseg.seals import check_seal

TABLE = "masks.csv"
MADE = "png/"

_COLUMNS = ("id", "path")
_STAGE = "collect_true_masks"


def write_true_masks(folder: str | Path, masks: Mapping[str, str]) -> None:
    """Write `masks.csv`, sorted by id, into `folder`, which already holds the masks made for it.

    `masks` has a path by photograph id; one that begins with `png/` is taken for a file of `folder` if
    there is such a file. Call it inside an atomic folder.
    """
    with (
        atomic_file(Path(folder) / TABLE) as aside,
        open(aside, "w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        writer.writerows((name, _spelling(Path(folder), masks[name])) for name in sorted(masks))


def _spelling(folder: Path, path: str) -> str:
    """Return a path as the table spells it: a data set in a folder `png` keeps apart from masks made."""
    return f"./{path}" if path.startswith(MADE) and not (folder / path).is_file() else path


def read_true_masks(folder: str | Path) -> dict[str, Path]:
    """Return the file of each true mask by photograph id, sorted by id.

    Raises TagsegError where the table is missing or malformed, or a mask made for it is gone or altered.
    """
    folder = Path(folder)
    check_seal(folder)
    rows = read_rows(folder / TABLE, _COLUMNS, _STAGE)
    for row in rows:
        if None in row or not row["id"] or not row["path"]:
            raise TagsegError(
                f"{folder / TABLE}: malformed row ({row['id'] or 'no id'}); run the stage `{_STAGE}` again"
            )
    if len({row["id"] for row in rows}) < len(rows):
        raise TagsegError(f"{folder / TABLE}: an id is listed twice; run the stage `{_STAGE}` again")
    return {row["id"]: _file(folder, row["path"]) for row in rows}


def _file(folder: Path, path: str) -> Path:
    """Return the file of a spelling. Raises TagsegError where it is of the folder and not there."""
    if not path.startswith(MADE):
        return Path(path)
    if ".." in PurePosixPath(path).parts or not (folder / path).is_file():
        raise TagsegError(
            f"{folder / path}: gone since it was made; delete the folder {folder} and run again"
        )
    return folder / path
