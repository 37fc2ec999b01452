"""Provenance: the stages write it, pass it on and refuse mixed outputs."""

import json
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import find_patterns
import refine_masks
import threshold_cam
from helpers import image_rows
from tagseg.patterns.class_patterns import patterns_classifier
from tagseg.patterns.subsets import write_subsets
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.threads import THREADS
from tagseg.storage.cam_shards import write_cam
from tagseg.storage.feature_shards import View, write_maps
from tagseg.storage.index import Index, write_index
from tagseg.storage.mask_shards import mask_provenance
from tagseg.storage.provenance import common_provenance


@pytest.mark.parametrize("other", ["d1e5", ""])
def test_two_origins_are_reported_with_their_paths(other):
    assert common_provenance({"a": "5eed", "b": "5eed"}, "network") == "5eed"
    assert common_provenance({}, "network") == ""
    with pytest.raises(TagsegError, match="^c: from another network than a. Delete both and run again.$"):
        common_provenance({"a": "5eed", "b": "5eed", "c": other}, "network")


@pytest.fixture
def folder(tmp_path):
    """A folder with an index of four images of dogs, subsets, and two shards of features and of CAM."""
    rows = image_rows(tmp_path / "images", 4, tags=("dog",))
    write_index(tmp_path / "index", Index(("background", "dog"), tuple(rows)))
    write_subsets(tmp_path / "subsets", {"dog": ("0", "1", "2", "3")})
    for shard in range(2):
        write_features(tmp_path, shard)
        write_cams(tmp_path, shard)
    return tmp_path


def write_features(folder, shard, origin="5eed"):
    maps = np.random.default_rng(shard).normal(size=(2, 5, 4, 6))
    with write_maps(folder / f"features-{shard}.h5", ids_of(shard), "layer4", origin) as writer:
        writer.write(View(8), 0, maps)


def write_cams(folder, shard, origin="5eed"):
    cam = np.outer(np.arange(4), np.arange(6)).astype(np.float32)
    write_cam(folder / f"cam-{shard}.h5", [(name, 1, cam) for name in ids_of(shard)], origin)


def ids_of(shard):
    return [str(number) for number in range(4)[shard::2]]


def run(monkeypatch, folder, script, *arguments, settings=None):
    shared = ["--index", folder / "index", "--settings", json.dumps(settings or {})]
    monkeypatch.setattr(sys, "argv", [str(one) for one in (script.__name__, *shared, *arguments)])
    script.main()


def find(monkeypatch, folder):
    files = [[folder / f"{name}-{shard}.h5" for shard in range(2)] for name in ("features", "cam")]
    arguments = ["--node", "layer4", "--subsets", folder / "subsets", "--features", *files[0]]
    arguments += ["--cam", *files[1], "--patterns", folder / "patterns"]
    run(monkeypatch, folder, find_patterns, *arguments, settings={"threshold": "cam"})


def test_patterns_are_computed_with_the_configured_threads_and_name_the_classifier(folder, monkeypatch):
    seen, moments = [], find_patterns.class_moments

    def watched(*arguments):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return moments(*arguments)

    monkeypatch.setattr(find_patterns, "class_moments", watched)
    monkeypatch.setattr(find_patterns, "keep_to_cores", lambda cores, threads: seen.append((cores, threads)))
    monkeypatch.setenv(THREADS, "3")
    find(monkeypatch, folder)
    assert seen[0] == (1, 3) and set(seen[1:]) == {3}
    assert patterns_classifier(folder / "patterns") == "5eed"


@pytest.mark.parametrize(("write", "name"), [
    (write_features, "features-1.h5"), (write_cams, "cam-0.h5"), (write_cams, "cam-1.h5"),
])  # fmt: skip
def test_shards_of_another_classifier_are_refused(folder, monkeypatch, write, name):
    write(folder, int(name[-4]), "d1e5")
    message = rf"{name}: from another classifier than .*features-0\.h5. Delete both and run again."
    with pytest.raises(TagsegError, match=message):
        find(monkeypatch, folder)
    assert not (folder / "patterns").exists()


def test_masks_of_cam_name_its_classifier_and_pass_it_on(folder, monkeypatch):
    shard = ["--shard", 1, "--shards", 2, "--masks", folder / "seed"]
    cam = ["--cam", folder / "cam-1.h5"]
    run(monkeypatch, folder, threshold_cam, *shard, *cam, settings={"background_threshold": 0.3})
    crf = {"crf": None, "longest_side": 32}
    run(monkeypatch, folder, refine_masks, *shard, "--refined", folder / "proxy", settings=crf)
    assert mask_provenance(folder / "seed") == mask_provenance(folder / "proxy") == "5eed"
