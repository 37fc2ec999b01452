"""Our scores beside the paper's, for its three tables."""

from collections.abc import Iterable, Mapping, Sequence

from tagseg.evaluation.scores import ScoreFile, missing_masks
from tagseg.runtime.settings import Settings

NOT_RUN = (
    "Rows of tagseg without numbers were not run; `snakemake tables` with `tables.missing: run` trains their networks."
)
PAPER, TAGSEG = "Luo & Yang", "tagseg"


class TableRow(Settings):
    """Our row of a table: its name, the paper's row of that name, and its score files."""

    name: str = TAGSEG
    paper: str | None = None
    scores: str | None = None
    val: str | None = None
    test: str | None = None


class TableSettings(Settings):
    """Our rows of a table of the paper."""

    rows: list[TableRow]


def unscored(files: Sequence[ScoreFile | None]) -> tuple[str, ...]:
    """Return the notes that explain the empty cells of the run."""
    scored = [file for file in files if file is not None]
    return (*((NOT_RUN,) if len(scored) < len(files) else ()), *missing_masks(scored))


def other_sizes(files: Iterable[ScoreFile | None], images: Mapping[str, int]) -> tuple[str, ...]:
    """Return a note for each split that was scored over another number of images than in the paper."""
    scored = {(file.split, file.scores.images) for file in files if file is not None and file.known}
    return tuple(
        f"Not comparable: tagseg's numbers of {split} are over {count:,} images, the paper's over {images[split]:,}."
        for split, count in sorted(scored)
        if count != images[split]
    )
