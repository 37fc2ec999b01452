"""Anyone's photographs, of all forms that files take, from labels.csv to masks of new ones."""

import csv
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import write_labels, write_photograph, write_zero_mask
from tagseg.images import read_mask, read_photograph
from tagseg.index import read_index
from tagseg.mask_shards import read_mask_shards

OVERLAYS = ("config/photos.yaml", "tests/workflow/mini.yaml")
LABELS = (
    "Größe 1/one.jpg,rote Katze;Hund,train",
    "b/one.jpg,rote Katze,train",
    "see through.png,Hund,train",
    "print.jpg,rote Katze,train",
    "deep.png,Hund,train",
    "tiny.png,Hund,train",
    "turned.jpg,rote Katze,val",
    "犬.webp,Hund,val",
)
SIZES = {"turned": (30, 40), "tiny": (7, 5), "犬": (33, 21)}  # (width, height) as seen
USUAL_SIZE = (40, 30)


def write_photographs(folder: Path) -> Path:
    """Write photographs of all modes, with names that need quoting."""
    folder.mkdir(parents=True)
    write_photograph(folder / "Größe 1" / "one.jpg", 40, 30, seed=1)
    write_as(folder / "b" / "one.jpg", "L", seed=2)
    write_as(folder / "see through.png", "RGBA", seed=3)
    write_as(folder / "print.jpg", "CMYK", seed=4)
    Image.fromarray(np.arange(40 * 30, dtype=np.uint16).reshape(30, 40) * 50).save(folder / "deep.png")
    write_photograph(folder / "tiny.png", 7, 5, seed=6)
    orientation = Image.Exif()
    orientation[0x0112] = 6
    write_photograph(folder / "turned.jpg", 40, 30, seed=7, exif=orientation)
    write_photograph(folder / "犬.webp", 33, 21, seed=8)
    return folder


def write_as(path: Path, mode: str, seed: int) -> None:
    """Write noise of 40x30 pixels in a mode of Pillow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 40, channels), dtype=np.uint8)
    Image.frombytes(mode, (40, 30), pixels.tobytes()).save(path)


@pytest.fixture(scope="module")
def photos(checkout, tmp_path_factory):
    """Return how to run Snakemake on a folder of photographs, on which `all` was run."""
    folder = tmp_path_factory.mktemp("data") / "meine Fotos ü"
    write_photographs(folder)
    write_labels(folder, *LABELS)
    made = Photos(checkout, folder)
    done = made.snakemake("--", "all")
    assert done.returncode == 0, done.stdout[-8000:]
    return made


class Photos:
    """A checkout, and the configuration of its run on photographs."""

    def __init__(self, checkout, folder: Path) -> None:
        self.checkout, self.folder = checkout, folder
        self.results = checkout.folder / "results" / "fotos"
        self.config = {"run": "fotos", "shards": 1, "photos": str(folder)}

    def snakemake(self, *arguments, **more):
        return self.checkout.snakemake(*arguments, base=OVERLAYS, config=self.config | more)

    def planned(self, target: str, **more) -> Counter[str]:
        return self.checkout.planned(target, base=OVERLAYS, config=self.config | more)


@pytest.fixture(scope="module")
def new_photos(tmp_path_factory) -> Path:
    """Photographs to be segmented, and a file that is none."""
    folder = tmp_path_factory.mktemp("new") / "neue Fotos 犬"
    write_photographs(folder)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff not a photograph")
    return folder


@pytest.fixture(scope="module")
def segmented(photos, new_photos) -> Path:
    """The results for the new photographs."""
    done = photos.snakemake("--", "segment", new_photos=str(new_photos))
    assert done.returncode == 0, done.stdout[-8000:]
    return photos.results / "segmented" / new_photos.name


# From labels.csv to the report ------------------------------------------------------------------


def test_the_index_holds_every_photograph_with_its_size_as_seen(photos):
    index = read_index(photos.results / "index")
    assert index.classes == ("background", "Hund", "rote Katze")
    sizes = {row.id: (row.width, row.height) for row in index.photographs}
    assert set(sizes) == {"Größe 1/one", "b/one", "see through", "print", "deep", "tiny", "turned", "犬"}
    assert sizes == {name: SIZES.get(name, USUAL_SIZE) for name in sizes}
    assert {row.id for row in index.photographs if len(row.tags) == 2} == {"Größe 1/one"}


@pytest.mark.parametrize(
    ("stage", "split"),
    [
        ("seed_masks/blocks.5.1", "train"),
        ("proxy_masks/blocks.5.1", "train"),
        ("predictions/blocks.5.1/efficientnet_lite0/round1/train", "train"),
        ("predictions/blocks.5.1/efficientnet_lite0/round2/val", "val"),
    ],
)
def test_masks_have_the_photographs_sizes(photos, stage, split):
    rows = read_index(photos.results / "index").of_split(split)
    masks = read_mask_shards([photos.results / stage / "shard-0"])
    assert set(masks) == {row.id for row in rows}
    for row in rows:
        assert masks[row.id].read().shape == (row.height, row.width)


def test_without_true_masks_scores_and_report_say_so(photos):
    path = photos.results / "scores" / "val" / "blocks.5.1" / "efficientnet_lite0" / "round2.json"
    assert json.loads(path.read_text())["photographs"] == 0
    assert "no photograph of val has a true mask" in (photos.results / "report" / "summary.md").read_text()


def test_nothing_re_runs(photos):
    assert photos.planned("all") == Counter()


def test_another_spelling_of_the_folder_re_runs_nothing(photos):
    assert photos.planned("all", photos=f"{photos.folder.parent}/./{photos.folder.name}/") == Counter()


def test_files_that_are_no_data_re_run_nothing(photos):
    strays = [photos.folder / name for name in (".DS_Store", "Thumbs.db", "labels.csv~", "._one.jpg")]
    for stray in strays:
        stray.write_bytes(b"stray")
    try:
        assert photos.planned("all") == Counter()
    finally:
        for stray in strays:
            stray.unlink()


def test_a_photograph_that_was_replaced_starts_from_the_index(photos):
    image = next(photos.folder.rglob("*.jpg"))
    content, times = image.read_bytes(), image.stat()
    image.write_bytes(content + b"\0")
    try:
        assert photos.planned("all")["build_index"] == 1
        # Also where the run ended after the index, whose tables are the same to the byte.
        assert photos.snakemake("--", "results/fotos/index/index.csv").returncode == 0
        assert photos.planned("all")["train_classifier"] == 1
    finally:
        image.write_bytes(content)
        os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert photos.snakemake("--", "results/fotos/index/index.csv").returncode == 0
    assert photos.planned("all") == Counter(), "the index is what it was, so is all that was made of it"


def test_a_true_mask_that_is_added_or_changed_re_runs_scores_and_report_alone(photos):
    mask = write_zero_mask(photos.folder / "SegmentationClass" / "deep.png", *USUAL_SIZE)
    stages = Counter(
        collect_true_masks=2, score_masks=2, score_predictions=2, draw_report=1, compose_report=1
    )
    try:
        assert photos.planned("all") == stages
        assert photos.snakemake("--", "all").returncode == 0
        assert photos.planned("all") == Counter()
        scores = json.loads((photos.results / "scores" / "proxy_masks" / "blocks.5.1.json").read_text())
        assert scores["photographs"] == 1
        os.utime(mask)
        assert photos.planned("all") == stages
    finally:
        mask.unlink()
        mask.parent.rmdir()
    assert photos.snakemake("--", "all").returncode == 0


def test_the_check_tells_what_there_is(photos):
    done = photos.snakemake("--", "check_data")
    assert done.returncode == 0, done.stdout[-8000:]
    text = (photos.results / "data_report" / "report.md").read_text(encoding="utf-8")
    assert "No problems." in text and "| train | 6 |" in text and "| val | 2 |" in text
    assert photos.planned("check_data") == Counter()


def test_the_check_of_a_broken_copy_ends_well_and_names_everything(photos, tmp_path):
    broken = write_photographs(tmp_path / "broken")
    write_labels(broken, *LABELS, "gone.jpg,Hund,train", "tiny.png,Hund,nowhere")
    (broken / "print.jpg").write_bytes(b"no photograph")
    done = photos.snakemake("--", "check_data", run="broken", photos=str(broken))
    assert done.returncode == 0, done.stdout[-8000:]
    with open(photos.results.with_name("broken") / "data_report" / "problems.csv", newline="") as stream:
        assert {int(row["line"]) for row in csv.DictReader(stream)} == {5, 10, 11}
    done = photos.snakemake("--", "build_index", run="broken", photos=str(broken))
    assert done.returncode != 0 and "all of them: " in done.stdout
    index = photos.results.with_name("broken") / "index"
    assert {path.name for path in index.iterdir()} == {"problems.csv"}


# New photographs --------------------------------------------------------------------------------


def test_every_new_photograph_has_a_mask_and_an_overlay(segmented, new_photos):
    masks = {path.relative_to(segmented / "masks") for path in (segmented / "masks").rglob("*.png")}
    readable = [path for path in new_photos.rglob("*.*") if path.name != "broken.jpg"]
    assert masks == {path.relative_to(new_photos).with_suffix(".png") for path in readable}
    for path in readable:
        name = path.relative_to(new_photos)
        height, width = read_photograph(path).shape[:2]
        mask = read_mask(segmented / "masks" / name.with_suffix(".png"), classes=3)
        assert mask.shape == (height, width) and mask.max() < 3
        assert read_photograph(segmented / "overlays" / name.with_suffix(".jpg")).shape == (height, width, 3)


def test_areas_are_shares_of_each_photograph(segmented):
    with open(segmented / "areas.csv", newline="", encoding="utf-8") as stream:
        head, *rows = csv.reader(stream)
    assert head[0] == "image" and [name.split(" (")[0] for name in head[1:]] == [
        "background",
        "Hund",
        "rote Katze",
    ]
    assert len(rows) == len(LABELS)
    for name, *shares in rows:
        mask = read_mask(segmented / "masks" / f"{name}.png")
        assert sum(map(float, shares)) == pytest.approx(1, abs=2e-4)
        assert [float(share) for share in shares] == pytest.approx(
            [(mask == label).mean() for label in range(3)], abs=1e-4
        )


def test_what_could_not_be_read_is_listed(segmented):
    (line,) = (segmented / "left_out.txt").read_text(encoding="utf-8").splitlines()
    assert "broken.jpg" in line and "not a readable image" in line


def test_segmented_photographs_are_not_segmented_again(photos, segmented, new_photos):
    assert photos.planned("segment", new_photos=str(new_photos)) == Counter()
    assert photos.planned("all", new_photos=str(new_photos)) == Counter()


def test_one_photograph_more_re_runs_nothing_but_the_segmentation(photos, segmented, new_photos):
    added = write_photograph(new_photos / "added.png")
    try:
        plan = photos.planned("segment", new_photos=str(new_photos))
    finally:
        added.unlink()
    assert plan == Counter(segment_photographs=1)


def test_a_folder_without_any_photograph_is_told(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("nothing to see")
    done = photos.snakemake("--", "segment", new_photos=str(tmp_path / "empty"))
    assert done.returncode != 0 and "no photograph that can be read" in done.stdout
    assert not (photos.results / "segmented" / "empty").exists()


# A table with mistakes --------------------------------------------------------------------------


def test_all_mistakes_of_a_table_are_told_at_once(checkout, tmp_path):
    folder = tmp_path / "photos"
    write_photograph(folder / "good.jpg")
    (folder / "broken.jpg").write_bytes(b"no photograph")
    (folder / "classes.txt").write_text("dog\ncat\n")
    write_labels(
        folder, "good.jpg,dog,train", "good.jpg,dog,train", "missing.jpg,dog,train", "broken.jpg,cat,train",
        "../outside.jpg,dog,train", "good2.jpg,,train", "good3.jpg,dgo,train", "good4.jpg,dog,trian",
    )  # fmt: skip
    config = {"run": "wrong", "photos": str(folder)}
    done = checkout.snakemake("--", "all", base=OVERLAYS, config=config)
    assert done.returncode != 0
    log = (checkout.folder / "results" / "wrong" / "logs" / "build_index.log").read_text()
    for mistake in (
        "line 3: good.jpg: already in line 2",
        "missing.jpg: no such image",
        "broken.jpg: not a readable image",
        "line 6: ../outside.jpg: the path leaves the folder",
        "line 7: good2.jpg: no tag",
        "line 8: good3.jpg: class 'dgo' is not in the class list",
        "line 9: good4.jpg: split 'trian'",
    ):
        assert mistake in log and mistake in done.stdout
    assert "Traceback" not in log
    index = checkout.folder / "results" / "wrong" / "index"
    assert [path.name for path in index.iterdir()] == ["problems.csv"]
