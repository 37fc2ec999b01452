"""The training loop: what it learns, what it leaves alone, and that an interruption changes nothing."""

import dataclasses
import errno
import os
import signal
import time
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from helpers import MakesFolder, photograph_rows, small_disk
from tagseg.epochs import LoaderKilled, _told
from tagseg.errors import TagsegError
from tagseg.failures import machine_failure
from tagseg.images import UnreadableImage
from tagseg.losses import TagLoss
from tagseg.photographs import Augmentation, TrainingSet, tag_vector
from tagseg.training import Training, TrainingSettings, fingerprint, resumable_state

CPU = torch.device("cpu")
SETTINGS = TrainingSettings(
    epochs=3,
    batch_size=2,
    micro_batch=None,
    optimizer="adam",
    backbone_lr=1e-3,
    head_lr=1e-2,
    weight_decay=1e-4,
    poly_power=0.9,
    batch_norm="frozen",
    frozen=(),
    input_size=8,
    scales=(0.7, 1.4),
    flip=True,
    precision="float32",
    random_seed=5,
)


class TinyBackbone(nn.Module):
    """Two convolutions with batch norm, under the name that a backbone's network has."""

    def __init__(self):
        super().__init__()
        layers = [("first", nn.Conv2d(3, 4, 3)), ("norm", nn.BatchNorm2d(4)), ("second", nn.Conv2d(4, 4, 1))]
        self.network = nn.Sequential(OrderedDict(layers))

    def forward(self, images):
        return self.network(images.float() / 255 - 0.5)


class TinyClassifier(nn.Module):
    """A backbone, dropout (which draws random numbers as the real ones do) and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone, self.dropout, self.head = TinyBackbone(), nn.Dropout(0.2), nn.Linear(4, 2)

    def forward(self, images):
        return self.head(self.dropout(self.backbone(images).relu().mean(dim=(2, 3))))


class Watched(TagLoss):
    """The loss of tags, that lets a function look at, or replace, each total."""

    def __init__(self, look):
        self.look = look

    def total(self, scores, targets):
        return self.look(super().total(scores, targets), targets)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return photograph_rows(tmp_path_factory.mktemp("photographs"), 5)


def data_of(rows, settings=SETTINGS):
    augmentation = Augmentation(settings.input_size, settings.scales, settings.flip)
    label = {row.id: tag_vector([number % 2 + 1], 3) for number, row in enumerate(rows)}
    return TrainingSet(rows, augmentation, settings.random_seed, labels_of=lambda row: label[row.id])


def training_of(rows, loss=None, workers=0, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    return Training(TinyClassifier(), data_of(rows, settings), loss or TagLoss(), settings, CPU, workers)


def weights_after(training, state, identity="ours"):
    torch.manual_seed(1)
    training.run(state, identity)
    return {key: value.clone() for key, value in training.model.state_dict().items()}


def assert_identical(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


# --------------------------------------------------------------------------------------- learning


def test_loss_falls(rows, tmp_path):
    training = training_of(rows, epochs=40, scales=(1, 1), flip=False, head_lr=0.1, backbone_lr=0.02)
    training.model.dropout.p = 0
    log = training.run(tmp_path / "state", "ours")
    assert log[-1]["loss"] < 0.75 * log[0]["loss"]
    assert [row["epoch"] for row in log] == list(range(1, 41))


def test_loss_of_an_epoch_is_the_mean_over_the_photographs(rows, tmp_path):
    """Five photographs in batches of two: the last batch of one weighs half."""
    seen = []

    def constant(total, tags):
        seen.append(len(tags))
        return total * 0 + len(seen) * len(tags)

    log = training_of(rows, loss=Watched(constant), epochs=1).run(tmp_path / "state", "ours")
    assert seen == [2, 2, 1]
    assert log[0]["loss"] == pytest.approx((2 * 1 + 2 * 2 + 1 * 3) / 5, abs=1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_two_learning_rates_decay_by_the_poly_rule(rows, tmp_path, optimizer):
    rates = []

    def look(total, tags):
        rates.append([group["lr"] for group in training.optimizer.param_groups])
        return total

    training = training_of(rows, loss=Watched(look), optimizer=optimizer, poly_power=0.7)
    training.run(tmp_path / "state", "ours")
    decay = (1 - np.arange(9) / 9) ** 0.7  # 3 epochs of 3 batches
    np.testing.assert_allclose(rates, np.outer(decay, [1e-3, 1e-2]), rtol=1e-9)


def test_every_trainable_parameter_has_one_group(rows):
    training = training_of(rows, frozen=("first",))
    backbone, head = (group["params"] for group in training.optimizer.param_groups)
    assert {id(parameter) for parameter in head} == {id(p) for p in training.model.head.parameters()}
    assert {id(parameter) for parameter in backbone} == {
        id(p) for name, p in training.model.backbone.named_parameters() if "first" not in name
    }


def test_layers_of_the_head_that_start_from_imagenet_learn_as_the_backbone_does(rows):
    model = TinyClassifier()
    first, second = nn.Linear(4, 4), nn.Linear(4, 2)
    model.head = nn.Sequential(first, second)
    model.head.pretrained = (first,)
    optimizer = Training(model, data_of(rows), TagLoss(), SETTINGS, CPU).optimizer
    backbone, head = ({id(parameter) for parameter in group["params"]} for group in optimizer.param_groups)
    assert head == {id(parameter) for parameter in second.parameters()}
    assert backbone == {id(p) for p in [*model.backbone.parameters(), *first.parameters()]}
    assert [group["initial_lr"] for group in optimizer.param_groups] == [1e-3, 1e-2]


def test_frozen_parameters_stay_and_the_others_move(rows, tmp_path):
    training = training_of(rows, frozen=("first",))
    before = {key: value.clone() for key, value in training.model.state_dict().items()}
    after = weights_after(training, tmp_path / "state")
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {
        "backbone.network.second.weight",
        "backbone.network.second.bias",
        "head.weight",
        "head.bias",
    }


def test_all_of_the_backbone_can_be_frozen(rows, tmp_path):
    training = training_of(rows, frozen=("first", "norm", "second"), epochs=1)
    before = {key: value.clone() for key, value in training.model.backbone.state_dict().items()}
    training.run(tmp_path / "state", "ours")
    assert_identical(dict(training.model.backbone.state_dict()), before)


def test_a_frozen_prefix_that_names_nothing_is_told(rows):
    with pytest.raises(TagsegError, match="'layer9'"):
        training_of(rows, frozen=("layer9",))


@pytest.mark.parametrize(("batch_norm", "moves"), [("frozen", False), ("trained", True)])
def test_batch_norm_is_frozen_or_trained_as_asked(rows, tmp_path, batch_norm, moves):
    training = training_of(rows, batch_norm=batch_norm, epochs=1)
    before = {key: value.clone() for key, value in training.model.backbone.network.norm.state_dict().items()}
    training.run(tmp_path / "state", "ours")
    after = training.model.backbone.network.norm.state_dict()
    assert {key: not torch.equal(before[key], after[key]) for key in before} == dict.fromkeys(before, moves)


def test_a_loss_that_is_not_finite_ends_the_training(rows, tmp_path):
    training = training_of(rows, loss=Watched(lambda total, tags: total * float("nan")))
    with pytest.raises(TagsegError, match="loss is nan in epoch 1.*learning rate"):
        training.run(tmp_path / "state", "ours")
    assert all(torch.isfinite(value).all() for value in training.model.state_dict().values())


@pytest.mark.parametrize("micro_batch", [1, 2, 100])
def test_a_batch_in_parts_gives_the_same_steps(rows, tmp_path, micro_batch):
    expected = training_of(rows, batch_size=3)
    expected.model.dropout.p = 0
    parts = training_of(rows, batch_size=3, micro_batch=micro_batch)
    parts.model.dropout.p = 0
    whole = weights_after(expected, tmp_path / "whole")
    torch.testing.assert_close(weights_after(parts, tmp_path / "parts"), whole, rtol=1e-4, atol=1e-6)
    assert [row["loss"] for row in parts.log] == pytest.approx(
        [row["loss"] for row in expected.log], rel=1e-5
    )


def test_an_epoch_says_how_long_it_waited(rows, tmp_path):
    (row,) = training_of(rows, epochs=1).run(tmp_path / "state", "ours")
    assert 0 < row["seconds_waiting_for_photographs"] < row["seconds"]


# --------------------------------------------------------------------------------------- resuming


def interrupt_after(epoch, training, monkeypatch):
    whole = training._train_epoch

    def interrupted(note):
        if training.epoch == epoch:
            raise KeyboardInterrupt
        return whole(note)

    monkeypatch.setattr(training, "_train_epoch", interrupted)


def interrupted_weights(rows, state, epoch, monkeypatch, **changes):
    first = training_of(rows, **changes)
    interrupt_after(epoch, first, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        weights_after(first, state)
    assert state.exists()
    second = training_of(rows, **changes)
    torch.manual_seed(999)  # another process has drawn other random numbers by now
    log = second.run(state, "ours")
    assert [row["epoch"] for row in log] == [1, 2, 3]
    return dict(second.model.state_dict())


@pytest.mark.parametrize(
    ("epoch", "changes"),
    [
        (1, {}),
        (2, {"optimizer": "sgd", "batch_norm": "trained"}),
        (1, {"frozen": ("first",)}),
        (1, {"workers": 1}),
    ],
)
def test_an_interrupted_training_ends_bit_identical(rows, tmp_path, monkeypatch, epoch, changes):
    expected = weights_after(training_of(rows, **changes), tmp_path / "uninterrupted")
    resumed = interrupted_weights(rows, tmp_path / "state", epoch, monkeypatch, **changes)
    assert_identical(resumed, expected)


def test_learning_rates_go_on_where_they_were(rows, tmp_path, monkeypatch):
    expected = training_of(rows).run(tmp_path / "uninterrupted", "ours")
    interrupted_weights(rows, tmp_path / "state", 2, monkeypatch)
    resumed = training_of(rows).run(tmp_path / "state", "ours")
    assert [row["head_lr"] for row in resumed] == [row["head_lr"] for row in expected]


def test_a_finished_state_trains_no_further(rows, tmp_path):
    expected = weights_after(training_of(rows), tmp_path / "state")
    assert_identical(weights_after(training_of(rows), tmp_path / "state"), expected)


@pytest.mark.parametrize("damage", ["another identity", "truncated", "empty", "absent"])
def test_a_state_that_is_not_ours_is_left_aside(rows, tmp_path, damage):
    expected = weights_after(training_of(rows), tmp_path / "uninterrupted")
    state = tmp_path / "state"
    if damage != "absent":
        weights_after(training_of(rows, epochs=1), state, "theirs" if "identity" in damage else "ours")
    if damage in ("truncated", "empty"):
        state.write_bytes(state.read_bytes()[: 500 if damage == "truncated" else 0])
    assert_identical(weights_after(training_of(rows), state), expected)


@pytest.mark.parametrize(
    "content", [[1], torch.zeros(2), {}, {"epoch": 3}, {"identity": 5}, {"identity": torch.zeros(3)}]
)
def test_a_file_of_something_else_is_no_state(rows, tmp_path, content):
    expected = weights_after(training_of(rows), tmp_path / "uninterrupted")
    torch.save(content, tmp_path / "state")
    assert_identical(weights_after(training_of(rows), tmp_path / "state"), expected)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": None},
        {"epoch": 1.0},
        {"epoch": 99},
        {"epoch": 2},
        {"log": "x"},
        {"so_far": {"steps": 3}},
        {"so_far": {"loss": torch.zeros(4)}},
        {"so_far": {"seconds": "many"}},
        {"so_far": {"sigma": 1}},
        {"model": {}},
        {"model": {"head.weight": torch.zeros(9, 9)}},
        {"optimizer": 5},
        {"schedule": 5},
        {"random": 5},
        {"random": [{}]},
        {"random": [{"cpu": torch.zeros(3)}]},
    ],
)
def test_a_malformed_state_costs_the_epochs_not_the_run(rows, tmp_path, change, capsys):
    expected = weights_after(training_of(rows), tmp_path / "uninterrupted")
    path = tmp_path / "state"
    weights_after(training_of(rows, epochs=1), path)
    torch.save({**torch.load(path, weights_only=True), **change}, path)
    capsys.readouterr()
    again = training_of(rows)
    assert_identical(weights_after(again, path), expected)
    assert len(again.log) == 3
    assert f"{path}: malformed (" in (said := capsys.readouterr().err) and "starts anew" in said


def test_what_a_state_would_run_is_not_run(rows, tmp_path):
    expected = weights_after(training_of(rows), tmp_path / "uninterrupted")
    torch.save({"identity": "ours", "epoch": MakesFolder(tmp_path / "executed")}, tmp_path / "state")
    assert_identical(weights_after(training_of(rows), tmp_path / "state"), expected)
    assert not (tmp_path / "executed").exists()


def test_a_flipped_bit_in_a_state_is_noticed(rows, tmp_path, capsys):
    path = tmp_path / "state"
    weights_after(training_of(rows, epochs=1), path)
    weight = torch.load(path, weights_only=True)["model"]["head.weight"]
    content = bytearray(path.read_bytes())
    content[content.index(weight.numpy().tobytes())] ^= 1
    path.write_bytes(content)
    weights_after(training_of(rows), path)
    assert f"{path}: unreadable (damaged, the checksum of " in capsys.readouterr().err


def test_the_state_lies_beside_the_checkpoint_until_success(tmp_path):
    with pytest.raises(ZeroDivisionError), resumable_state(tmp_path / "c.pt") as state:
        state.write_bytes(b"state")
        raise ZeroDivisionError
    assert state.parent == tmp_path and state.exists()
    with resumable_state(tmp_path / "c.pt") as again:
        assert again == state
    assert not state.exists()


def test_no_state_is_fine_too(tmp_path):
    with resumable_state(tmp_path / "c.pt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_fingerprint_depends_on_settings_files_and_code(tmp_path):
    for name, content in (("a", "1"), ("same", "1"), ("b", "2")):
        (tmp_path / name).write_text(content)
    first = fingerprint({"x": 1, "y": 2}, [tmp_path / "a"], "code")
    assert first == fingerprint({"y": 2, "x": 1}, [tmp_path / "same"], "code")
    others = [
        fingerprint({"x": 1, "y": 3}, [tmp_path / "a"], "code"),
        fingerprint({"x": 1, "y": 2}, [tmp_path / "b"], "code"),
        fingerprint({"x": 1, "y": 2}, [tmp_path / "a"], "other code"),
        fingerprint({"x": 1, "y": 2}, [tmp_path / "a", tmp_path / "a"], "code"),
    ]
    assert len({first, *others}) == 5


# ------------------------------------------------------------------------------------ told to end


def signal_in_step(wanted, number=signal.SIGTERM):
    """A loss that sends a signal while it is computed for the wanted time, in the middle of a step."""
    seen = []

    def look(total, tags):
        seen.append(len(tags))
        if len(seen) == wanted:
            os.kill(os.getpid(), number)
        return total

    return Watched(look)


def stopped(rows, state, step, workers=0, number=signal.SIGTERM, **changes):
    """Train until a signal in a step, counted from 1; return the training that was stopped."""
    training = training_of(rows, loss=signal_in_step(step, number), workers=workers, **changes)
    torch.manual_seed(1)
    with pytest.raises(SystemExit) as end:
        training.run(state, "ours")
    assert end.value.code == 128 + number and state.exists()
    return training


def losses(log):
    return [(row["epoch"], row["loss"], row["head_lr"]) for row in log]


@pytest.mark.parametrize("step", range(1, 10))
def test_sigterm_in_any_step_changes_no_bit(rows, tmp_path, step):
    """Weights, losses and learning rates; nine steps, three an epoch."""
    whole = training_of(rows)
    expected = weights_after(whole, tmp_path / "uninterrupted")
    first = stopped(rows, tmp_path / "state", step)
    assert (first.epoch, first.so_far.steps) == divmod(step, 3)
    second = training_of(rows)
    torch.manual_seed(999)
    assert losses(second.run(tmp_path / "state", "ours")) == losses(whole.log)
    assert_identical(dict(second.model.state_dict()), expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd", "batch_norm": "trained"},
        {"frozen": ("first",), "workers": 1},
        {"number": signal.SIGINT},
    ],
    ids=str,
)
def test_any_training_that_was_told_to_end_goes_on_as_it_was(rows, tmp_path, changes):
    settings = {key: value for key, value in changes.items() if key != "number"}
    expected = weights_after(training_of(rows, **settings), tmp_path / "uninterrupted")
    stopped(rows, tmp_path / "state", 5, **changes)
    assert_identical(weights_after(training_of(rows, **settings), tmp_path / "state"), expected)


def test_a_training_may_be_told_to_end_again_and_again(rows, tmp_path):
    """Each time after one step more: nine times at most, the last one after the last step."""
    expected = weights_after(training_of(rows), tmp_path / "uninterrupted")
    for done in range(9):
        assert divmod(done + 1, 3) == (
            (last := stopped(rows, tmp_path / "state", 1)).epoch,
            last.so_far.steps,
        )
    assert_identical(weights_after(training_of(rows), tmp_path / "state"), expected)


def test_a_resumed_training_says_where(rows, tmp_path, capsys):
    stopped(rows, tmp_path / "state", 5)
    assert "saved after epoch 1, step 2 of 3" in capsys.readouterr().err.splitlines()
    weights_after(training_of(rows), tmp_path / "state")
    assert "resumed after epoch 1, step 2 of 3" in capsys.readouterr().err.splitlines()


def test_a_state_without_steps_of_an_epoch_is_read(rows, tmp_path):
    """As it was written before there were any."""
    expected = weights_after(training_of(rows), tmp_path / "uninterrupted")
    stopped(rows, tmp_path / "state", 6)  # the epoch's last step
    state = torch.load(tmp_path / "state", weights_only=True)
    assert state["epoch"] == 2 and state.pop("so_far")["steps"] == 0
    torch.save(state, tmp_path / "state")
    assert_identical(weights_after(training_of(rows), tmp_path / "state"), expected)


def test_a_loss_that_is_not_finite_is_not_saved(rows, tmp_path):
    """A GPU's loss is looked at now and then alone; before it is saved it is."""
    training = training_of(rows)
    training.so_far.add(torch.tensor(float("nan")))
    with pytest.raises(TagsegError, match="loss is nan"):
        training._stop_epoch()


# ------------------------------------------------------------------------------------ the machine's failures


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


# ------------------------------------------------------------------------------------ order of data


def batches_of(rows, epoch, workers=0, **changes):
    training = training_of(rows, workers=workers, **changes)
    training.batches.epoch = epoch
    return [tensor for batch in training._loader for tensor in batch]


def test_loading_processes_change_no_batch(rows):
    assert_identical(batches_of(rows, 1, workers=2), batches_of(rows, 1))


def test_the_global_generator_changes_no_batch(rows):
    torch.manual_seed(3)
    first = batches_of(rows, 1)
    torch.manual_seed(4)
    assert_identical(batches_of(rows, 1), first)


@pytest.mark.parametrize("other", [{"epoch": 2}, {"epoch": 1, "random_seed": 6}])
def test_epoch_and_seed_change_the_batches(rows, other):
    first, second = batches_of(rows, 1), batches_of(rows, **other)
    assert not all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_every_photograph_comes_once_an_epoch(rows):
    training = training_of(rows, scales=(1, 1), flip=False)
    plain = {training.data[0, position][0].numpy().tobytes() for position in range(len(rows))}
    loaded = {image.numpy().tobytes() for images, _ in training._loader for image in images}
    assert loaded == plain and len(plain) == 5


def test_statistics_of_frozen_modules_stay_when_the_others_are_trained(rows, tmp_path):
    training = training_of(rows, batch_norm="trained", frozen=("norm",), epochs=1)
    before = {key: value.clone() for key, value in training.model.backbone.network.norm.state_dict().items()}
    weights_after(training, tmp_path / "state")
    after = training.model.backbone.network.norm.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
