"""A training that was interrupted or told to end goes on where it was, and ends bit-identical."""

import signal

import pytest
import torch

from helpers import MakesFolder, photograph_rows
from tagseg.errors import TagsegError
from tagseg.training import fingerprint, resumable_state
from tiny_training import assert_identical, stopped, training_of, weights_after


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return photograph_rows(tmp_path_factory.mktemp("photographs"), 5)


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
