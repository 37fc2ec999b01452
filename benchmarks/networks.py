"""Images a second and memory of the paper's networks, stage by stage, on the device that is there.

    python benchmarks/networks.py --images FOLDER [--count 64] [--networks resnet101 vgg16]

FOLDER is one as `dataset.kind: photos` takes it. Training is timed twice in one run: from images on
disk, as the workflow does it, and as the same steps on batches that lie on the device already. The latter's
share of the former's time is the share in which the device computes. Weights are random: they cost no time.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import common  # noqa: F401  (finds our modules)
import numpy as np
import torch

from tagseg.datasets.folder.reader import index_photos
from tagseg.models.classifier import Classifier, feature_extractor
from tagseg.models.deeplab import DeepLabLargeFov
from tagseg.models.inputs import batches, square
from tagseg.models.settings import ClassifierSettings, SegmenterSettings
from tagseg.patterns.moments import image_moments
from tagseg.runtime.devices import autocast, device, prepare, workers
from tagseg.runtime.signals import SignalFlag
from tagseg.storage.index import ImageRecord
from tagseg.training.augmentation import Augmentation, TrainingSet, tag_vector
from tagseg.training.loop import Training
from tagseg.training.losses import MaskLoss, TagLoss
from tagseg.training.settings import TrainingSettings

LAYERS = {"resnet101": "layer4.0", "vgg16": "features.30", "efficientnet_lite0": "blocks.5.0"}


@dataclass(frozen=True)
class Bench:
    """What is measured on: images, their classes, how the networks take them, and where."""

    rows: Sequence[ImageRecord]
    classes: tuple[str, ...]
    size: int
    batch: int
    precision: str
    threads: int
    where: torch.device

    def settings(self) -> TrainingSettings:
        """Return the paper's schedule of the segmenter, for three epochs."""
        return TrainingSettings(
            epochs=3,
            batch_size=self.batch,
            micro_batch=None,
            optimizer="adam",
            backbone_lr=5e-6,
            head_lr=1e-4,
            weight_decay=1e-4,
            poly_power=0.9,
            batch_norm="frozen",
            frozen=[],
            input_size=self.size,
            scales=[1.0, 1.0],
            flip=True,
            precision=self.precision,
        )

    def seconds(self, work: Callable[[], object]) -> float:
        """Return how long some work takes, until the device has done it."""
        self._wait()
        started = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self.where.type == "cuda":
            torch.cuda.synchronize(self.where)

    def forget_peak(self) -> None:
        """Begin a new peak of memory; a process's own, on the CPU, cannot be begun anew."""
        if self.where.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.where)

    def megabytes(self) -> float:
        """Return the stage's peak of the GPU's memory, or on the CPU the process's so far."""
        if self.where.type == "cuda":
            return torch.cuda.max_memory_allocated(self.where) / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    arguments = parse_arguments()
    prepare(arguments.threads, deterministic=False)
    index = index_photos(Path(arguments.images), random_seed=0, val_fraction=0.2)
    rows = index.of_split("train")[: arguments.count]
    print("| network | stage | images/s | share that the device computes | peak memory, MB |")
    print("|---|---|--:|--:|--:|")
    with device() as where:
        bench = Bench(
            rows, index.classes, arguments.size, arguments.batch, arguments.precision, arguments.threads, where
        )
        for network in arguments.networks:
            bench.forget_peak()
            for stage, rate, share in stages(bench, network):
                told = "" if share is None else f"{share:.2f}"
                print(f"| {network} | {stage} | {rate:.2f} | {told} | {bench.megabytes():.0f} |", flush=True)
                bench.forget_peak()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, metavar="FOLDER")
    parser.add_argument("--networks", nargs="+", default=["resnet101", "vgg16"], choices=LAYERS)
    parser.add_argument("--count", type=int, default=64, help="images of an epoch")
    parser.add_argument("--size", type=int, default=328)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def stages(bench: Bench, network: str) -> Iterator[tuple[str, float, float | None]]:
    """Yield each stage's name, images a second, and the share of time in which the device computes."""
    classifier = Classifier(ClassifierSettings(backbone=network, weights=None, output_stride=16), len(bench.classes))
    yield "classifier, training", *trained(bench, classifier, tagged(bench), TagLoss())
    maps: list[np.ndarray] = []
    seconds = bench.seconds(lambda: maps.extend(features(bench, classifier, LAYERS[network])))
    yield f"features of {LAYERS[network]}", len(bench.rows) / seconds, None
    shift = maps[0].mean(axis=(1, 2))
    seconds = bench.seconds(lambda: [image_moments([one], shift) for one in maps])
    yield "moments", len(bench.rows) / seconds, None
    segmenter = DeepLabLargeFov(
        SegmenterSettings(backbone=network, weights=None, output_stride=8, head_channels=1024, head_dilation=12),
        len(bench.classes),
    )
    yield "segmenter, training", *trained(bench, segmenter, masked(bench), MaskLoss())


def tagged(bench: Bench) -> TrainingSet:
    """Return the images with their tags."""
    numbers = {tag: number for number, tag in enumerate(bench.classes) if number}
    vectors = {row.id: tag_vector([numbers[tag] for tag in row.tags], len(bench.classes)) for row in bench.rows}
    return TrainingSet(bench.rows, Augmentation(bench.size), 0, lambda row: vectors[row.id])


def masked(bench: Bench) -> TrainingSet:
    """Return the images with masks of one class: what a mask says costs no time."""
    masks = {row.id: np.ones((row.height, row.width), np.uint8) for row in bench.rows}
    return TrainingSet(bench.rows, Augmentation(bench.size), 0, lambda row: masks[row.id])


def trained(bench: Bench, model, data: TrainingSet, loss) -> tuple[float, float]:
    """Return images a second of an epoch from disk, and the share of the same steps from memory."""
    settings = bench.settings()
    training = Training(model, data, loss, settings, bench.where, workers(bench.where, bench.threads))
    resident = [[tensor.to(bench.where) for tensor in batch] for batch in training._loader]

    def from_memory() -> None:
        for images, targets in resident:
            training._step(images, targets, True)

    from_memory()  # warm-up
    alone = bench.seconds(from_memory)
    whole = bench.seconds(lambda: training._train_epoch(SignalFlag()))
    return len(data) / whole, alone / whole


@torch.no_grad()
def features(bench: Bench, classifier: Classifier, node: str) -> Iterator[np.ndarray]:
    """Yield the features (d, h, w) of each image, as `extract_features` computes them."""
    extractor = feature_extractor(classifier, node).to(bench.where, memory_format=torch.channels_last)
    for _, images in batches(bench.rows, bench.batch, bench.threads):
        batch = torch.stack([square(image, bench.size) for image in images]).to(bench.where)
        with autocast(bench.where, bench.precision):
            maps = extractor(batch).float()
        yield from maps.cpu().numpy()


if __name__ == "__main__":
    main()
