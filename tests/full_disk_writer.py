"""Write an output of 2 MiB: `full_disk_writer.py maps|cam|checkpoint PATH`."""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

from tagseg.runtime import commandline  # noqa: E402
from tagseg.storage.cam_shards import write_cam  # noqa: E402
from tagseg.storage.checkpoints import save_checkpoint  # noqa: E402
from tagseg.storage.feature_shards import View, write_maps  # noqa: E402


def write_noise(path: str) -> None:
    noise = np.random.default_rng(0).standard_normal((64, 1, 128, 128))
    with write_maps(path, list(map(str, range(64)))) as writer:
        writer.write(View(128), 0, noise)


def write_noisy_cam(path: str) -> None:
    noise = np.random.default_rng(0).standard_normal((32, 128, 128))
    write_cam(path, [(str(name), 1, cam) for name, cam in enumerate(noise)])


def write_network(path: str) -> None:
    save_checkpoint(path, torch.nn.Linear(1024, 512), {"kind": "classifier"})


WRITERS = {"maps": write_noise, "cam": write_noisy_cam, "checkpoint": write_network}

if __name__ == "__main__":
    commandline.run(lambda: WRITERS[sys.argv[1]](sys.argv[2]))
