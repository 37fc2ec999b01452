"""Train the multi-label classifier on the tags of the train photographs.

Writes the checkpoint, the log (a JSON row an epoch) and the average precision of each class on val
(on train where there is no val). An interrupted run resumes from the state beside the checkpoint.
"""

from pathlib import Path

import numpy as np
import torch

from tagseg import commandline
from tagseg.backbones import weights_files
from tagseg.checkpoints import save_checkpoint
from tagseg.classifier import Classifier, ClassifierSettings, describe
from tagseg.code_digest import code_digest
from tagseg.devices import autocast, device, prepare, workers
from tagseg.devices import describe as describe_device
from tagseg.distributed import is_main, launch, process_group
from tagseg.files import write_json
from tagseg.index import INDEX_FILES, Index, read_index
from tagseg.losses import TagLoss
from tagseg.metrics import average_precision
from tagseg.photographs import Augmentation, TrainingSet, batches, square, tag_vector
from tagseg.training import Training, TrainingSettings, fingerprint, resumable_state


def main() -> None:
    arguments = parse_arguments()
    launch(arguments.processes)
    prepare(arguments.threads, arguments.settings["deterministic"])
    index = read_index(arguments.index)
    settings = TrainingSettings(**arguments.settings["training"])
    torch.manual_seed(settings.random_seed)
    network = ClassifierSettings(**arguments.settings["network"])
    classifier = Classifier(network, len(index.classes))
    files = [Path(arguments.index) / name for name in INDEX_FILES]
    files += weights_files(network.weights)
    identity = fingerprint(arguments.settings, files, code_digest(__file__))
    data = data_of(index, settings)
    with device() as where, process_group(where), resumable_state(arguments.checkpoint) as state:
        training = Training(classifier, data, TagLoss(), settings, where, workers(where, arguments.threads))
        log = training.run(state, identity)
        if is_main():
            precision = evaluate(classifier, index, settings, where)
            write_json(arguments.log, {"epochs": log, "device": describe_device(where)})
            write_json(arguments.average_precision, precision)
            save_checkpoint(arguments.checkpoint, classifier, describe(classifier, index.classes))
            commandline.say(f"mean average precision on {precision['split']}: {precision['mean']:.1f}")


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_threads(parser)
    commandline.add_processes(parser)
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="output")
    parser.add_argument("--log", required=True, metavar="FILE", help="output, JSON")
    parser.add_argument("--average-precision", required=True, metavar="FILE", help="output, JSON")
    return parser.parse_args()


def data_of(index: Index, settings: TrainingSettings) -> TrainingSet:
    """Return the train photographs with their tags as vectors."""
    classes = len(index.classes)
    return TrainingSet(
        index.of_split("train"),
        Augmentation(settings.input_size, tuple(settings.scales), settings.flip),
        settings.random_seed,
        labels_of=lambda row: tag_vector(index.numbers(row), classes),
    )


@torch.no_grad()
def evaluate(classifier: Classifier, index: Index, settings: TrainingSettings, where: torch.device) -> dict:
    """Return each class's average precision in percent, and their mean."""
    split = "val" if any(row.tags for row in index.of_split("val")) else "train"
    rows = [row for row in index.of_split(split) if row.tags]
    classifier.eval()
    scored = []
    for _, images in commandline.progress(batches(rows, 16), split, -(-len(rows) // 16)):
        batch = torch.stack([square(image, settings.input_size) for image in images]).to(where)
        with autocast(where, settings.precision):
            scored.append(classifier(batch).float().cpu().numpy())
    relevant = np.stack([tag_vector(index.numbers(row), len(index.classes)) for row in rows]) > 0
    columns = zip(index.classes[1:], relevant.T, np.concatenate(scored).T, strict=True)
    by_class = {tag: average_precision(column, score) for tag, column, score in columns}
    known = [value for value in by_class.values() if np.isfinite(value)]
    by_class = {tag: value if np.isfinite(value) else None for tag, value in by_class.items()}
    return {"split": split, "mean": float(np.mean(known)), "by_class": by_class}


if __name__ == "__main__":
    commandline.run(main)
