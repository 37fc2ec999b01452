"""Segment every image below a folder with a trained segmenter.

Writes palette PNGs (`masks/`), overlays on the images (`overlays/`), `areas.csv` with the fraction of each
class per image, and `skipped.txt` with the unreadable files.
"""

import csv
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.datasets.folder.reader import index_unlabelled
from tagseg.runtime import commandline
from tagseg.runtime.devices import device, prepare
from tagseg.segmentation.prediction import Prediction, load_segmenter, predict
from tagseg.segmentation.settings import SegmentStage
from tagseg.storage.checkpoints import checkpoint_classes
from tagseg.storage.files import atomic_folder
from tagseg.storage.images import encode_mask, max_pixels, overlay
from tagseg.storage.index import ImageRecord

log = logging.getLogger(__name__)


@commandline.command
def main(settings: SegmentStage, images: Path, checkpoint: Path, segmented: Path, threads: int = 1) -> None:
    classes = checkpoint_classes(checkpoint)
    prepare(threads, settings.deterministic)
    results = segmented.parent.parent.parent  # RESULTS/RUN/segmented/NAME
    found, skipped = index_unlabelled(images, classes, results, max_pixels(settings.max_image_memory))
    for problem in skipped:
        log.warning("skipped: %s", problem)
    model, rows = load_segmenter(checkpoint, classes), found.images
    allowed = [tuple(range(len(classes)))] * len(rows)
    with device() as where, atomic_folder(segmented) as aside:
        predictions = predict(model.to(where), rows, allowed, settings, where, threads)
        pairs = zip(commandline.progress(rows, "segmented"), predictions, strict=True)
        write_results(aside, pairs, classes)
        (aside / "skipped.txt").write_text("".join(f"{problem}\n" for problem in skipped), encoding="utf-8")


def write_results(folder: Path, pairs: Iterable[tuple[ImageRecord, Prediction]], classes: Sequence[str]) -> None:
    """Write masks, overlays and the table of areas of (image, prediction) pairs."""
    with open(folder / "areas.csv", "w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("image", *(f"{name} (fraction of pixels)" for name in classes)))
        for row, prediction in pairs:
            mask, blended = folder / "masks" / f"{row.id}.png", folder / "overlays" / f"{row.id}.jpg"
            for path in (mask, blended):
                path.parent.mkdir(parents=True, exist_ok=True)
            mask.write_bytes(encode_mask(prediction.mask))
            Image.fromarray(overlay(prediction.image, prediction.mask)).save(blended, quality=90)
            areas = np.bincount(prediction.mask.ravel(), minlength=len(classes)) / prediction.mask.size
            table.writerow((row.id, *(f"{area:.4f}" for area in areas)))


if __name__ == "__main__":
    commandline.run(main)
