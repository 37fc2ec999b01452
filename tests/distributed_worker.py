"""One process of a training on random images, as torchrun starts it; writes the trained weights.

    distributed_worker.py FOLDER OUTPUT SETTINGS [STOP_AFTER]

FOLDER has the images 0.png, 1.png, ...; SETTINGS is JSON; after epoch STOP_AFTER the process ends like a
killed one.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

from tagseg.models.deeplab import DeepLabLargeFov  # noqa: E402
from tagseg.models.settings import SegmenterSettings  # noqa: E402
from tagseg.storage.index import ImageRecord  # noqa: E402
from tagseg.training.augmentation import Augmentation, TrainingSet  # noqa: E402
from tagseg.training.distributed import is_main, process_group  # noqa: E402
from tagseg.training.loop import Training  # noqa: E402
from tagseg.training.losses import MaskLoss  # noqa: E402
from tagseg.training.resume import Resume  # noqa: E402
from tagseg.training.settings import TrainingSettings  # noqa: E402

CPU = torch.device("cpu")
SETTINGS = TrainingSettings(
    epochs=2, batch_size=4, micro_batch=None, optimizer="sgd",
    backbone_lr=1e-2, head_lr=1e-2, weight_decay=1e-4, poly_power=0.9,
    batch_norm="frozen", frozen=["conv1"], input_size=32, scales=[0.7, 1.4], flip=True,
    precision="float32",
)  # fmt: skip
NETWORK = SegmenterSettings(
    backbone="timm:resnet10t", weights=None, output_stride=16, head_channels=8, head_dilation=2, dropout=0.0
)


def masks_by_id(rows):
    """Return random masks of three classes, every second one half void."""
    generator = np.random.default_rng(0)
    masks = {row.id: generator.integers(0, 3, (row.height, row.width), dtype=np.uint8) for row in rows}
    for row in rows[1::2]:
        masks[row.id][: row.height // 2] = 255
    return masks


def training_of(folder: Path, settings: TrainingSettings) -> Training:
    paths = sorted(folder.glob("*.png"), key=lambda path: int(path.stem))
    rows = [ImageRecord(path.stem, str(path), 12, 8, "train", ()) for path in paths]
    masks = masks_by_id(rows)
    augmentation = Augmentation(settings.input_size, settings.scales, settings.flip)
    data = TrainingSet(rows, augmentation, 5, lambda row: masks[row.id])
    torch.manual_seed(0)
    model = DeepLabLargeFov(NETWORK, 3)
    return Training(model, data, MaskLoss(), settings, CPU)


def main() -> None:
    folder, output, changes, *stop_after = sys.argv[1:]
    settings = SETTINGS.model_copy(update=json.loads(changes))
    torch.set_num_threads(1)
    with process_group(CPU):
        training = training_of(Path(folder), settings)
        if stop_after:
            whole = Resume.save

            def save_and_die(resume, epoch, *rest):
                whole(resume, epoch, *rest)
                if epoch == int(stop_after[0]):
                    if not is_main():
                        time.sleep(60)  # until torchrun ends it, after the first process has written and died
                    os._exit(1)

            Resume.save = save_and_die
        log = training.run(Path(f"{output}.state"), "ours")
        if is_main():
            torch.save({"model": training.model.state_dict(), "loss": [row["loss"] for row in log]}, output)
        del training  # before its process group: torch waits forever where one outlives the group


if __name__ == "__main__":
    main()
