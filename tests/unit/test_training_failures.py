"""A machine that fails under a training: loading processes that die, mounts that are lost, full disks."""

import errno
import os
import signal
import time

import pytest
import torch

from helpers import photograph_rows, small_disk
from tagseg.epochs import LoaderKilled, _told
from tagseg.errors import TagsegError
from tagseg.failures import machine_failure
from tagseg.images import UnreadableImage
from tagseg.photographs import TrainingSet
from tiny_training import Watched, assert_identical, stopped, training_of, weights_after


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return photograph_rows(tmp_path_factory.mktemp("photographs"), 5)


class DeadlySet(TrainingSet):
    """A training set of which loading one photograph does something else first, in one epoch."""

    def __getitem__(self, key):
        if key == (1, 3):
            self.deed()
        return super().__getitem__(key)


def deadly(rows, deed, workers=1, **changes):
    training = training_of(rows, workers=workers, **changes)
    training.data.__class__ = DeadlySet
    training.data.deed = deed
    return training


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_loading_process_is_told_and_costs_no_step(rows, tmp_path):
    expected = weights_after(training_of(rows, workers=1), tmp_path / "uninterrupted")
    training = deadly(rows, die)
    torch.manual_seed(1)
    with pytest.raises(
        TagsegError, match="process that loads photographs was killed.*state is saved: run again"
    ):
        training.run(tmp_path / "state", "ours")
    saved = torch.load(tmp_path / "state", weights_only=True)
    assert (saved["epoch"], saved["so_far"]["steps"]) == (training.epoch, training.so_far.steps)
    assert saved["epoch"] == 1
    assert_identical(weights_after(training_of(rows, workers=1), tmp_path / "state"), expected)


def test_a_loading_process_that_dies_in_a_step_does_not_tear_it(rows, tmp_path):
    """Its death is told when the next batch is fetched; torch would raise it out of the step."""
    expected = weights_after(training_of(rows, workers=1), tmp_path / "uninterrupted")
    steps = []

    def kill_in_the_fourth(total, tags):
        steps.append(len(tags))
        if len(steps) == 4:
            (process,) = training._loader._iterator._workers
            os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.5)
        return total

    training = training_of(rows, loss=Watched(kill_in_the_fourth), workers=1)
    torch.manual_seed(1)
    with pytest.raises(LoaderKilled):
        training.run(tmp_path / "state", "ours")
    assert divmod(len(steps), 3) == (training.epoch, training.so_far.steps)
    assert_identical(weights_after(training_of(rows, workers=1), tmp_path / "state"), expected)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        EOFError(),
    ],
    ids=repr,
)
def test_a_batch_that_cannot_be_had_from_a_dead_process_is_told_alike(error):
    """Which of them torch raises depends on when the process died."""

    def batches():
        yield 1
        raise error

    several, alone = _told(batches(), 2), _told(batches(), 0)
    assert next(several) == next(alone) == 1
    with pytest.raises(LoaderKilled):
        next(several)
    with pytest.raises(type(error)):
        next(alone)


def test_a_signal_to_all_processes_ends_in_good_order(rows, tmp_path):
    """The loading ones die of it; the training saves its state and says that it was told to end."""
    expected = weights_after(training_of(rows, workers=1), tmp_path / "uninterrupted")
    parent = os.getpid()

    def both():
        os.kill(parent, signal.SIGTERM)
        die()

    training = deadly(rows, both)
    torch.manual_seed(1)
    with pytest.raises(SystemExit) as end:
        training.run(tmp_path / "state", "ours")
    assert end.value.code == 143
    assert_identical(weights_after(training_of(rows, workers=1), tmp_path / "state"), expected)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("kind", [TagsegError, UnreadableImage])
def test_what_a_loading_process_says_is_one_line(rows, tmp_path, workers, kind):
    def refuse():
        raise kind("a.jpg: not a readable image; replace or remove it")

    with pytest.raises(TagsegError) as error:
        deadly(rows, refuse, workers).run(tmp_path / "state", "ours")
    assert str(error.value) == "a.jpg: not a readable image; replace or remove it"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_mount_that_is_lost_under_a_loading_process_is_told(rows, tmp_path, workers):
    def lose():
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with pytest.raises(OSError) as error:
        deadly(rows, lose, workers).run(tmp_path / "state", "ours")
    assert machine_failure(error.value).startswith("Stale file handle; its disk or network mount")


def test_a_folder_of_photographs_swapped_while_it_is_read_is_told_and_resumed(tmp_path):
    folder = tmp_path / "photographs"
    rows = photograph_rows(folder, 5)
    expected = weights_after(training_of(rows), tmp_path / "uninterrupted")
    training = deadly(rows, lambda: folder.rename(tmp_path / "gone"), workers=0)
    torch.manual_seed(1)
    with pytest.raises(TagsegError, match=rf"{folder}.*no such image"):
        training.run(tmp_path / "state", "ours")
    (tmp_path / "gone").rename(folder)
    assert_identical(weights_after(training_of(rows), tmp_path / "state"), expected)


def test_a_disk_that_is_full_keeps_the_state_before(rows, tmp_path):
    """The state is of a model that does not fit twice."""
    with small_disk(tmp_path) as disk:
        training = training_of(rows)
        training.model.register_buffer("large", torch.zeros(150_000))
        save = training._save

        def save_with_less_room(*arguments):
            if training.epoch == 2:
                (disk / "other").write_bytes(bytes(200_000))
            save(*arguments)

        training._save = save_with_less_room
        torch.manual_seed(1)
        with pytest.raises(OSError, match="No space left") as error:
            training.run(disk / "state", "ours")
        assert machine_failure(error.value).startswith(f"{disk / 'state'}: No space left on device; free")
        assert sorted(path.name for path in disk.iterdir()) == ["other", "state"]
        assert torch.load(disk / "state", weights_only=True)["epoch"] == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_a_state_that_cannot_be_read_now_is_not_given_up(rows, tmp_path, monkeypatch, number):
    stopped(rows, tmp_path / "state", 4)

    def fail(*_, **__):
        raise OSError(number, os.strerror(number), str(tmp_path / "state"))

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(OSError) as error:
        training_of(rows).run(tmp_path / "state", "ours")
    assert error.value.errno == number and (tmp_path / "state").exists()
