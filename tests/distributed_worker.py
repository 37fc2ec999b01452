"""One process of a training on random photographs, as torchrun starts it; writes the trained weights.

    distributed_worker.py FOLDER OUTPUT SETTINGS [STOP_AFTER]

FOLDER has the photographs 0.png, 1.png, ...; SETTINGS is JSON, over those of test_training; after epoch
STOP_AFTER the process ends as if it had been killed.
"""

import dataclasses
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

from tagseg.deeplab import DeepLabLargeFov, SegmenterSettings  # noqa: E402
from tagseg.distributed import is_main, process_group  # noqa: E402
from tagseg.index import Photograph  # noqa: E402
from tagseg.losses import MaskLoss  # noqa: E402
from tagseg.photographs import Augmentation, TrainingSet  # noqa: E402
from tagseg.training import Training, TrainingSettings  # noqa: E402

CPU = torch.device("cpu")
SETTINGS = TrainingSettings(
    epochs=2, batch_size=4, micro_batch=None, optimizer="sgd",
    backbone_lr=1e-2, head_lr=1e-2, weight_decay=1e-4, poly_power=0.9,
    batch_norm="frozen", frozen=("conv1",), input_size=32, scales=(0.7, 1.4), flip=True,
    precision="float32", random_seed=5,
)  # fmt: skip


def masks_by_id(rows):
    """Return random masks of three classes, with much void in every second one."""
    generator = torch.Generator().manual_seed(0)
    masks = {}
    for number, row in enumerate(rows):
        mask = torch.randint(0, 3, (row.height, row.width), generator=generator).to(torch.uint8)
        mask[: row.height * (number % 2) // 2] = 255
        masks[row.id] = mask.numpy()
    return masks


def training_of(folder: Path, settings: TrainingSettings) -> Training:
    """Return a training of a small segmenter without dropout on the photographs of a folder."""
    paths = sorted(folder.glob("*.png"), key=lambda path: int(path.stem))
    rows = [Photograph(path.stem, str(path), 12, 8, "train", ()) for path in paths]
    masks = masks_by_id(rows)
    augmentation = Augmentation(settings.input_size, settings.scales, settings.flip)
    data = TrainingSet(rows, augmentation, settings.random_seed, mask_of=lambda row: masks[row.id])
    torch.manual_seed(0)
    model = DeepLabLargeFov(SegmenterSettings("timm:resnet10t", None, 16, 8, 2, dropout=0.0), 3)
    return Training(model, data, MaskLoss(), settings, CPU)


def main() -> None:
    folder, output, changes, *stop_after = sys.argv[1:]
    settings = dataclasses.replace(SETTINGS, **json.loads(changes))
    torch.set_num_threads(1)
    with process_group(CPU):
        training = training_of(Path(folder), settings)
        if stop_after:
            whole = training._save

            def save_and_die(*arguments):
                whole(*arguments)
                if training.epoch == int(stop_after[0]):
                    sys.exit("stopped")

            training._save = save_and_die
        log = training.run(Path(f"{output}.state"), "ours")
        if is_main():
            torch.save({"model": training.model.state_dict(), "loss": [row["loss"] for row in log]}, output)


if __name__ == "__main__":
    main()
