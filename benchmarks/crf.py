"""The stages of the dense CRF, in processes, against the bare loop of pydensecrf on one core."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import Row, in_turn
from PIL import Image
from pydensecrf.densecrf import DenseCRF2D
from threadpoolctl import threadpool_limits

import refine_masks
from tagseg.runtime.pools import in_processes
from tagseg.segmentation.decision import decide_shard
from tagseg.segmentation.settings import CrfSettings, CrfStage, ProxyCrfSettings, RefineStage
from tagseg.storage.feature_shards import MapShard, View, write_maps
from tagseg.storage.index import ImageRecord
from tagseg.storage.mask_shards import read_mask_shards, write_mask_shard

IMAGES, WIDTH, HEIGHT, CLASSES = 40, 500, 375, 21
CORES = len(os.sched_getaffinity(0))


def rows() -> Iterator[Row]:
    """Yield seconds per image and core, for predictions of VOC's 21 classes and for proxy masks of two."""
    with tempfile.TemporaryDirectory() as folder:
        records = write_images(Path(folder))
        stage = CrfStage(crf=CrfSettings(bilateral_sxy=80, bilateral_srgb=13), longest_side=1024, reference_side=500)
        with MapShard(write_logits(Path(folder), records)) as shard:
            allowed = [tuple(range(CLASSES))] * IMAGES
            ours, theirs = in_turn(
                lambda: list(decide_shard(shard, records, allowed, stage, CORES)),
                lambda: bare(records, CLASSES, stage.crf),
                1,
            )
        yield row(f"masks from logits, {CLASSES} classes, {WIDTH}x{HEIGHT}, {CORES} processes", ours, theirs)
        masks = write_masks(Path(folder), records)
        crf = RefineStage(crf=ProxyCrfSettings(), longest_side=1024, reference_side=500)
        tasks = [(record, masks[record.id], crf) for record in records]
        ours, theirs = in_turn(
            lambda: list(in_processes(refine_masks.refine, tasks, CORES)), lambda: bare(records, 2, crf.crf), 1
        )
        yield row(f"proxy masks, two labels, {WIDTH}x{HEIGHT}, {CORES} processes", ours, theirs)


def row(what: str, ours: float, theirs: float) -> Row:
    alternative = f"bare pydensecrf loop on one core, / {CORES}"
    return Row(f"dense CRF: {what}", ours / IMAGES, alternative, theirs / IMAGES / CORES, "s per image")


def write_images(folder: Path) -> list[ImageRecord]:
    rng = np.random.default_rng(0)
    records = []
    for number in range(IMAGES):
        small = rng.integers(0, 256, (12, 16, 3), np.uint8)
        path = folder / f"{number}.jpg"
        Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path)
        records.append(ImageRecord(str(number), str(path), WIDTH, HEIGHT, "train", ("dog",)))
    return records


def write_logits(folder: Path, records: list[ImageRecord]) -> Path:
    rng = np.random.default_rng(1)
    with write_maps(folder / "logits.h5", [record.id for record in records], "head") as writer:
        for side in (241, 328, 401):
            grid = -(-side // 8)
            writer.write(View(side), 0, rng.normal(0, 2, (IMAGES, CLASSES, grid, grid)))
    return folder / "logits.h5"


def write_masks(folder: Path, records: list[ImageRecord]) -> dict:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[100:300, 100:400] = 1
    write_mask_shard(folder / "masks", [(record.id, mask) for record in records])
    return read_mask_shards([folder / "masks"])


def bare(records: list[ImageRecord], labels: int, settings: CrfSettings) -> None:
    """Run the CRF alone on images and unaries that are ready in memory."""
    rng = np.random.default_rng(2)
    unary = np.ascontiguousarray(-np.log(rng.dirichlet(np.ones(labels), HEIGHT * WIDTH).T), np.float32)
    image = np.array(Image.open(records[0].path))
    with threadpool_limits(1):
        for _ in records:
            crf = DenseCRF2D(WIDTH, HEIGHT, labels)
            crf.setUnaryEnergy(unary)
            crf.addPairwiseGaussian(sxy=3, compat=3)
            crf.addPairwiseBilateral(sxy=settings.bilateral_sxy, srgb=settings.bilateral_srgb, rgbim=image, compat=10)
            crf.inference(settings.iterations)
