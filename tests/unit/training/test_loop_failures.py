"""A machine that fails during a training: killed loading processes, lost mounts, full disks."""

import errno
import os
import signal

import pytest
import torch

from helpers import image_rows, small_disk
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.failures import machine_failure
from tagseg.storage.images import UnreadableImage
from tagseg.training.augmentation import TrainingSet
from tagseg.training.resume import Resume
from tiny_training import assert_identical, stopped, training_of, weights_after


class FailingSet(TrainingSet):
    """A training set that calls `failure` before it loads one image in the second epoch."""

    def __getitem__(self, key):
        if key == (1, 3):
            self.failure()
        return super().__getitem__(key)


def failing(rows, failure, workers=1, **changes):
    training = training_of(rows, workers=workers, **changes)
    training.data.__class__ = FailingSet
    training.data.failure = failure
    return training


def test_a_killed_loading_process_costs_the_epoch_at_most(rows, tmp_path):
    expected = weights_after(training_of(rows, workers=1), tmp_path / "uninterrupted")
    training = failing(rows, lambda: os.kill(os.getpid(), signal.SIGKILL))
    torch.manual_seed(1)
    with pytest.raises(TagsegError, match="process that loads images was killed.*with fewer --cores"):
        training.run(tmp_path / "state", "ours")
    assert torch.load(tmp_path / "state", weights_only=True)["epoch"] == 1
    assert_identical(weights_after(training_of(rows, workers=1), tmp_path / "state"), expected)


def test_a_signal_to_all_processes_saves_the_step(rows, tmp_path):
    """As a scheduler sends it: the loading processes ignore it until the training ends them."""
    expected = weights_after(training_of(rows, workers=1), tmp_path / "uninterrupted")
    parent = os.getpid()

    def signal_all():
        os.kill(parent, signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    training = failing(rows, signal_all)
    torch.manual_seed(1)
    with pytest.raises(SystemExit) as end:
        training.run(tmp_path / "state", "ours")
    assert end.value.code == 143
    assert_identical(weights_after(training_of(rows, workers=1), tmp_path / "state"), expected)


MESSAGE = "a.jpg: not a readable image. Replace or remove it."
LOST_MOUNT = OSError(errno.ESTALE, os.strerror(errno.ESTALE))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("cause", [TagsegError(MESSAGE), UnreadableImage(MESSAGE), LOST_MOUNT])
def test_an_error_of_a_loading_process_is_one_line(rows, tmp_path, workers, cause):
    def fail():
        raise cause

    with pytest.raises((TagsegError, OSError)) as error:
        failing(rows, fail, workers).run(tmp_path / "state", "ours")
    if cause is LOST_MOUNT:
        assert machine_failure(error.value).startswith("Stale file handle")
    else:
        assert str(error.value) == MESSAGE


def test_a_training_resumes_after_the_folder_of_images_was_gone(tmp_path):
    folder = tmp_path / "images"
    rows = image_rows(folder, 5)
    expected = weights_after(training_of(rows), tmp_path / "uninterrupted")
    training = failing(rows, lambda: folder.rename(tmp_path / "gone"), workers=0)
    torch.manual_seed(1)
    with pytest.raises(TagsegError, match=rf"{folder}.*no such image"):
        training.run(tmp_path / "state", "ours")
    (tmp_path / "gone").rename(folder)
    assert_identical(weights_after(training_of(rows), tmp_path / "state"), expected)


def test_a_full_disk_keeps_the_previous_state(rows, tmp_path, monkeypatch):
    """The disk has no room for the state twice."""
    with small_disk(tmp_path) as disk:
        training = training_of(rows)
        training.model.register_buffer("large", torch.zeros(150_000))
        save = Resume.save

        def save_with_less_room(resume, epoch, *rest):
            if epoch == 2:
                (disk / "other").write_bytes(bytes(200_000))
            save(resume, epoch, *rest)

        monkeypatch.setattr(Resume, "save", save_with_less_room)
        with pytest.raises(OSError, match="No space left") as error:
            training.run(disk / "state", "ours")
        assert machine_failure(error.value).startswith(f"{disk / 'state'}: No space left on device")
        assert sorted(path.name for path in disk.iterdir()) == ["other", "state"]
        assert torch.load(disk / "state", weights_only=True)["epoch"] == 1


def test_a_state_that_cannot_be_read_now_is_kept(rows, tmp_path, monkeypatch):
    stopped(rows, tmp_path / "state", 4)

    def fail(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(tmp_path / "state"))

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(OSError) as error:
        training_of(rows).run(tmp_path / "state", "ours")
    assert error.value.errno == errno.EIO and (tmp_path / "state").exists()
