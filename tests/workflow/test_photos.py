"""A user's own images of all file forms, from labels.csv to masks of new ones."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devkit_runs import Run
from helpers import read_csv, write_image, write_labels
from tagseg.storage.images import read_image, read_mask

pytestmark = pytest.mark.slow

OVERLAYS = ("config/photos.yaml", "tests/workflow/mini.yaml")
LABELS = (
    "Größe 1/one.jpg,rote Katze;Hund,train", "b/one.jpg,rote Katze,train", "transparent.png,Hund,train",
    "print.jpg,rote Katze,train", "deep.png,Hund,train", "tiny.png,Hund,train", "turned.jpg,rote Katze,val",
    "犬.webp,Hund,val",
)  # fmt: skip
SIZES = {  # (width, height) as displayed
    "Größe 1/one": (40, 30), "b/one": (40, 30), "transparent": (40, 30), "print": (40, 30), "deep": (40, 30),
    "tiny": (7, 5), "turned": (30, 40), "犬": (33, 21),
}  # fmt: skip


def write_images(folder: Path) -> Path:
    """Write images of all modes, with names that need quoting."""
    write_image(folder / "Größe 1" / "one.jpg", 40, 30, seed=1)
    write_as(folder / "b" / "one.jpg", "L", seed=2)
    write_as(folder / "transparent.png", "RGBA", seed=3)
    write_as(folder / "print.jpg", "CMYK", seed=4)
    Image.fromarray(np.arange(40 * 30, dtype=np.uint16).reshape(30, 40) * 50).save(folder / "deep.png")
    write_image(folder / "tiny.png", 7, 5, seed=6)
    orientation = Image.Exif()
    orientation[0x0112] = 6
    write_image(folder / "turned.jpg", 40, 30, seed=7, exif=orientation)
    write_image(folder / "犬.webp", 33, 21, seed=8)
    return folder


def write_as(path: Path, mode: str, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 40, channels), dtype=np.uint8)
    Image.frombytes(mode, (40, 30), pixels.tobytes()).save(path)


@pytest.fixture(scope="module")
def own(checkout, tmp_path_factory) -> Run:
    folder = write_images(tmp_path_factory.mktemp("data") / "meine Bilder ü")
    write_labels(folder, *LABELS)
    made = Run(checkout, "own", OVERLAYS, shards=1, photos=str(folder))
    made.snakemake("all")
    return made


def test_index_and_masks_have_the_sizes_as_displayed_and_there_are_no_scores(own):
    index = own.index()
    assert index.classes == ("background", "Hund", "rote Katze")
    assert {row.id: (row.width, row.height) for row in index.images} == SIZES
    assert {row.id for row in index.images if len(row.tags) == 2} == {"Größe 1/one"}
    network = "blocks.5.1/efficientnet_lite0/round2"
    for stage, split in (("proxy_masks/blocks.5.1", "train"), (f"predictions/{network}/val", "val")):
        sizes = {name: file.read().shape[::-1] for name, file in own.masks(stage, shards=1).items()}
        assert sizes == {row.id: SIZES[row.id] for row in index.of_split(split)}
    assert own.scores("val/blocks.5.1/efficientnet_lite0/round2")["images"] == 0
    assert "no image of val has ground truth" in (own.results / "report" / "summary.md").read_text()


def test_a_replaced_image_re_runs_everything_even_if_the_index_was_remade_alone(own):
    folder = Path(own.config["photos"])
    assert own.planned("all", photos=f"{folder.parent}/./{folder.name}/") == Counter()
    image = folder / "tiny.png"
    content, times = image.read_bytes(), image.stat()
    image.write_bytes(content + b"\0")
    assert own.planned("all")["build_index"] == 1
    own.snakemake("results/own/index/index.csv")  # the same tables, to the byte
    assert own.planned("all")["train_classifier"] == 1
    image.write_bytes(content)
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    own.snakemake("results/own/index/index.csv")
    assert own.planned("all") == Counter()


def test_check_data_and_build_index_report_all_problems_of_a_table(own, tmp_path):
    own.snakemake("check_data")
    text = (own.results / "data_report" / "report.html").read_text(encoding="utf-8")
    assert "<b>Ready to train.</b>" in text and "What is assumed" not in text
    broken = write_images(tmp_path / "broken")
    write_labels(broken, *LABELS, "gone.jpg,Hund,train", "tiny.png,Hund,nowhere", "../out.jpg,Hund,train")
    (broken / "print.jpg").write_bytes(b"no image")
    config = {"run": "broken", "photos": str(broken)}
    own.snakemake("check_data", **config)
    results = own.results.with_name("broken")
    assert {int(row["line"]) for row in read_csv(results / "data_report" / "problems.csv")} == {5, 10, 11, 12}
    output = own.snakemake("build_index", fails=True, **config)
    assert {path.name for path in (results / "index").iterdir()} == {"problems.csv"}
    log = (results / "logs" / "build_index.log").read_text(encoding="utf-8")
    for name in ("print.jpg", "gone.jpg", "nowhere", "../out.jpg"):
        assert name in log and name in output
    assert "Traceback" not in log


def test_new_images_get_masks_overlays_and_areas(own, tmp_path):
    folder = write_images(tmp_path / "neue Bilder 犬")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff not an image")
    own.snakemake("segment", new_photos=str(folder))
    segmented = own.results / "segmented" / folder.name
    masks = {path.relative_to(segmented / "masks").with_suffix("").as_posix(): path
             for path in (segmented / "masks").rglob("*.png")}  # fmt: skip
    assert set(masks) == set(SIZES)
    areas = {row.pop("image"): list(map(float, row.values())) for row in read_csv(segmented / "areas.csv")}
    for name, (width, height) in SIZES.items():
        mask = read_mask(masks[name], classes=3)
        assert mask.shape == (height, width)
        assert areas[name] == pytest.approx([(mask == label).mean() for label in range(3)], abs=1e-4)
        assert read_image(segmented / "overlays" / f"{name}.jpg").shape == (height, width, 3)
    (line,) = (segmented / "skipped.txt").read_text(encoding="utf-8").splitlines()
    assert "broken.jpg" in line and "not a readable image" in line
    assert own.planned("segment", new_photos=str(folder)) == Counter()
