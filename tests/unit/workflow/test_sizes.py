"""Time and memory that rules ask for."""

import pytest

from tagseg.training.settings import TrainingSettings
from tagseg.workflow.sizes import memory, minutes, training_seconds

TRAINING = {"batch_size": 8, "backbone_lr": 0.1, "head_lr": 0.1, "frozen": []}


def test_minutes_grow_with_the_images_of_a_shard_and_with_attempts(tmp_path):
    index = tmp_path / "index.csv"
    index.write_text("id,path\n" + "image,file\n" * 1201)
    assert minutes(0.5)(None, [index], attempt=1) == 10 + 11
    assert minutes(0.5, shards=4)(None, [index], attempt=3) == 3 * (10 + 3)
    index.write_text("id,path\nimage,file\n")
    assert minutes(0.5)(None, [index], attempt=1) == 11


def test_minutes_may_depend_on_wildcards_and_have_a_limit(tmp_path):
    index = tmp_path / "index.csv"
    index.write_text("id,path\n" + "image,file\n" * 60)
    assert minutes(float)(wildcards="3.5", input=[index], attempt=1) == 10 + 4
    assert minutes(1e6)(None, [index], attempt=1) == 2880


def test_minutes_are_unknown_before_the_index_exists(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"index\.csv"):
        minutes(0.5)(None, [tmp_path / "index.csv"], attempt=1)


def test_minutes_do_not_need_the_index_where_it_is_in_a_storage(tmp_path):
    assert minutes(0.5, shared_disk=False)(None, [tmp_path / "index.csv"], attempt=2) == 2 * 240


def test_a_training_takes_longer_with_epochs_and_pixels_and_less_on_several_gpus():
    seconds = training_seconds(TrainingSettings(epochs=10, input_size=640, **TRAINING), processes=2)
    assert seconds == pytest.approx(0.4 * 10 * 4 / 2)


def test_memory_grows_with_attempts():
    assert [memory(1000)(None, attempt) for attempt in (1, 2)] == [1000, 2000]
