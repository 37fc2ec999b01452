"""Score files, and the notes of tables on missing scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tagseg.evaluation.metrics import Scores
from tagseg.evaluation.tables import Cell
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import read_json

NO_GROUND_TRUTH = (
    "There are no scores of {split}: no image of {split} has ground truth. To add some, put PNG masks of "
    "class indices (background 0, void 255) at `SegmentationClass/<stem>.png` in the folder of the data set "
    "and run again. Nothing learns from them."
)


@dataclass(frozen=True)
class ScoreFile:
    """The scores of the masks of a split; over 0 images if none has ground truth."""

    split: str
    scores: Scores

    @property
    def known(self) -> bool:
        """Whether an image has ground truth."""
        return self.scores.images > 0


def read_scores_if_run(path: str | None) -> ScoreFile | None:
    """Read a score file; None for no path."""
    return read_scores(path) if path else None


def read_scores(path: str | Path) -> ScoreFile:
    """Read a score file. Raises TagsegError if it is missing or malformed."""
    content = read_json(path)
    try:
        values = {name: value for name, value in content.items() if name not in ("split", "provenance")}
        return ScoreFile(content["split"], Scores(**values))
    except (KeyError, TypeError, AttributeError):
        raise TagsegError(f"{path}: not a score file of tagseg, or damaged. Delete it and run again.") from None


def known(file: ScoreFile, *cells: Cell) -> tuple[Cell, ...]:
    """Return the cells, or empty ones if there is no ground truth."""
    return cells if file.known else (None,) * len(cells)


def missing_masks(files: Sequence[ScoreFile]) -> tuple[str, ...]:
    """Return a note for each split without ground truth."""
    splits = dict.fromkeys(file.split for file in files if not file.known)
    return tuple(NO_GROUND_TRUTH.format(split=split) for split in splits)
