"""An interrupted training ends with the same bits; a machine that fails: killed loaders, lost mounts, full disks."""

import errno
import gc
import os
import signal

import pytest
import torch

from helpers import MakesFolder, image_rows, small_disk
from tagseg.models.settings import ClassifierSettings
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.failures import machine_failure
from tagseg.storage.images import UnreadableImage
from tagseg.storage.index import Index, write_index
from tagseg.training.augmentation import TrainingSet
from tagseg.training.resume import Resume, fingerprint, resumable_state
from tagseg.training.settings import ClassifierStage
from tagseg.workflow.configuration import ClassifierTraining
from tiny_training import assert_identical, stopped, training_of, weights_after


def losses(log):
    return [(row["epoch"], row["loss"], row["head_lr"]) for row in log]


@pytest.mark.parametrize("step", range(1, 10))
def test_a_training_stopped_in_any_step_ends_bit_identical(rows, whole, tmp_path, step, caplog):
    caplog.set_level("INFO")
    first = stopped(rows, tmp_path / "state", step)
    epoch, done = divmod(step, 3)
    assert (first.epoch, first.so_far.steps) == (epoch, done)
    second = training_of(rows)
    torch.manual_seed(999)  # another process has used other random numbers by now
    assert losses(second.run(tmp_path / "state", "ours")) == losses(whole[0].log)
    assert_identical(dict(second.model.state_dict()), whole[1])
    suffix = f", step {done} of 3" if done else ""
    assert f"resumed after epoch {epoch}{suffix}" in caplog.messages


OTHERS = [{"optimizer": "sgd", "batch_norm": "trained"}, {"frozen": ["first"], "workers": 1}]


@pytest.mark.parametrize("changes", [*OTHERS, {"number": signal.SIGINT}], ids=str)
@pytest.mark.parametrize("step", [3, 5])
def test_other_trainings_stopped_between_or_in_epochs_end_bit_identical(rows, tmp_path, changes, step):
    settings = {key: value for key, value in changes.items() if key != "number"}
    expected = weights_after(training_of(rows, **settings), tmp_path / "uninterrupted")
    stopped(rows, tmp_path / "state", step, **changes)
    assert_identical(weights_after(training_of(rows, **settings), tmp_path / "state"), expected)


def test_a_training_may_be_stopped_after_every_step(rows, whole, tmp_path):
    for done in range(1, 10):
        last = stopped(rows, tmp_path / "state", 1)
        assert (last.epoch, last.so_far.steps) == divmod(done, 3)
    for _ in range(2):  # a finished state trains no further
        assert_identical(weights_after(training_of(rows), tmp_path / "state"), whole[1])


def test_a_killed_training_resumes_after_the_last_epoch(rows, whole, tmp_path, monkeypatch):
    first = training_of(rows)
    train_epoch = first._train_epoch

    def killed(flag):
        if first.epoch == 2:
            raise KeyboardInterrupt
        train_epoch(flag)

    monkeypatch.setattr(first, "_train_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        weights_after(first, tmp_path / "state")
    assert_identical(weights_after(training_of(rows), tmp_path / "state"), whole[1])


@pytest.mark.parametrize("content", [[1], {}, {"identity": "ours", "epoch": 3}, b"", b"PK\x03\x04"], ids=str)
def test_a_file_that_is_no_state_starts_anew_with_a_warning(rows, whole, tmp_path, caplog, content):
    path = tmp_path / "state"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    assert_identical(weights_after(training_of(rows), path), whole[1])
    assert f"{path}: " in caplog.text and "Training starts from the beginning." in caplog.text


def flip_bit(path, state):
    content = bytearray(path.read_bytes())
    content[content.index(state["model"]["head.weight"].numpy().tobytes())] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "expected 1 log rows, found 0": lambda path, state: torch.save(state | {"log": []}, path),
    "not a training state": lambda path, state: state.pop("so_far") and torch.save(state, path),
    "damaged, the checksum of ": flip_bit,
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_damaged_state_starts_anew_with_a_warning(rows, whole, tmp_path, caplog, message):
    path = tmp_path / "state"
    stopped(rows, path, 3)
    DAMAGES[message](path, torch.load(path, weights_only=True))
    assert_identical(weights_after(training_of(rows), path), whole[1])
    assert f"{path}: {message}" in caplog.text


def test_a_state_of_other_settings_is_not_used_and_code_in_a_state_does_not_run(rows, whole, tmp_path):
    weights_after(training_of(rows, epochs=1), tmp_path / "theirs", "theirs")
    torch.save({"identity": "ours", "epoch": MakesFolder(tmp_path / "executed")}, tmp_path / "code")
    for name in ("theirs", "code"):
        assert_identical(weights_after(training_of(rows), tmp_path / name), whole[1])
    assert not (tmp_path / "executed").exists()


def test_a_loss_that_is_not_finite_is_not_saved(rows):
    """On a GPU the loss is checked every 20 steps only, and before it is saved."""
    training = training_of(rows)
    training.so_far.add(torch.tensor(float("nan")))
    with pytest.raises(TagsegError, match="loss is nan"):
        training._stop_epoch()


def test_the_state_stays_beside_the_checkpoint_until_success(tmp_path):
    with pytest.raises(ZeroDivisionError), resumable_state(tmp_path / "c.pt") as state:
        state.write_bytes(b"state")
        raise ZeroDivisionError
    assert state.parent == tmp_path and state.exists()
    with resumable_state(tmp_path / "c.pt") as again:
        assert again == state
    assert not state.exists()


def test_fingerprint_depends_on_settings_index_weights_files_and_code(tmp_path):
    for folder, content in (("a", "1"), ("same", "1"), ("b", "2")):
        write_index(tmp_path / folder, Index(("background", "cat"), ()), content)
        (tmp_path / f"{folder}.pth").write_text(content)

    def of(folder="a", code="code", files=(), **changes):
        training = ClassifierTraining(**changes)
        network = ClassifierSettings(weights=str(tmp_path / "a.pth"))
        return fingerprint(
            ClassifierStage(network=network, training=training, random_seed=0), tmp_path / folder, code, files
        )

    assert of() == of("same") and of(files=[tmp_path / "a.pth"]) == of(files=[tmp_path / "same.pth"])
    first, others = of(), [of("b"), of(code="other"), of(files=[tmp_path / "b.pth"]), of(epochs=9)]
    (tmp_path / "a.pth").write_text("2")
    assert len({first, *others, of()}) == 6


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
    del training
    gc.collect()  # torch blames the dead process for the end of any other one, as long as its loader exists
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
