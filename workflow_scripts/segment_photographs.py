"""Segment every photograph below a folder with a trained segmenter.

Writes palette PNGs (`masks/`), the photographs with the masks laid over (`overlays/`), `areas.csv` with the
share of each class in each photograph, and `left_out.txt` with the files that could not be read.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg import commandline
from tagseg.crf import CrfSettings
from tagseg.datasets.photos import index_unlabelled
from tagseg.devices import device, prepare
from tagseg.files import atomic_folder
from tagseg.images import encode_mask, overlay
from tagseg.index import Photograph, read_index
from tagseg.inference import InferenceSettings, Prediction, load_segmenter, predict


def main() -> None:
    arguments = parse_arguments()
    classes, settings = read_index(arguments.index).classes, arguments.settings
    prepare(arguments.threads, settings["deterministic"])
    results = Path(arguments.segmented).parent.parent.parent  # RESULTS/RUN/segmented/NAME
    index, left_out = index_unlabelled(Path(arguments.photographs), classes, results)
    for problem in left_out:
        commandline.say(f"left out: {problem}")
    model = load_segmenter(arguments.checkpoint, classes)
    crf = CrfSettings(**settings["crf"]) if settings["crf"] else None
    rows, inference = index.photographs, InferenceSettings(**settings["inference"])
    allowed = [tuple(range(len(classes)))] * len(rows)
    with device() as where, atomic_folder(arguments.segmented) as aside:
        side, threads = settings["longest_side"], arguments.threads
        predictions = predict(model.to(where), rows, allowed, inference, crf, side, where, threads)
        pairs = zip(commandline.progress(rows, "segmented"), predictions, strict=True)
        write_results(aside, pairs, classes)
        (aside / "left_out.txt").write_text("".join(f"{problem}\n" for problem in left_out), encoding="utf-8")


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_threads(parser)
    parser.add_argument("--photographs", required=True, metavar="FOLDER", help="to be segmented")
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="of the segmenter")
    parser.add_argument("--segmented", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


def write_results(
    folder: Path, pairs: Iterable[tuple[Photograph, Prediction]], classes: tuple[str, ...]
) -> None:
    """Write masks, overlays and the table of areas of (photograph, prediction) pairs."""
    with open(folder / "areas.csv", "w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("image", *(f"{name} (share of pixels)" for name in classes)))
        for row, prediction in pairs:
            write_file(folder / "masks" / f"{row.id}.png", encode_mask(prediction.mask))
            path = folder / "overlays" / f"{row.id}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(overlay(prediction.photograph, prediction.mask)).save(path, quality=90)
            shares = np.bincount(prediction.mask.ravel(), minlength=len(classes)) / prediction.mask.size
            table.writerow((row.id, *(f"{share:.4f}" for share in shares)))


def write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    commandline.run(main)
