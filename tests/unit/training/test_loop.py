"""The training loop: what it learns, what stays frozen, the order of images; the losses against loops."""

import numpy as np
import pytest
import torch
from torch import nn

import tiny_training
from tagseg.runtime.errors import TagsegError
from tagseg.training.loop import Training
from tagseg.training.losses import MaskLoss, TagLoss
from tiny_training import Watched, assert_identical, data_of, training_of, weights_after


def test_loss_falls(rows, tmp_path):
    plain = {"input_size": 8, "scales": (1, 1), "flip": False}
    training = training_of(rows, epochs=40, head_lr=0.1, backbone_lr=0.02, **plain)
    training.model.dropout.p = 0
    log = training.run(tmp_path / "state", "ours")
    assert log[-1]["loss"] < 0.75 * log[0]["loss"]
    assert [row["epoch"] for row in log] == list(range(1, 41))


def test_loss_of_an_epoch_is_the_mean_over_the_images(rows, tmp_path):
    """Five images in batches of two: the last batch of one weighs half."""
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


def test_layers_of_the_head_that_start_from_imagenet_learn_as_the_backbone_does(rows):
    model = tiny_training.TinyClassifier()
    first, second = nn.Linear(4, 4), nn.Linear(4, 2)
    model.head = nn.Sequential(first, second)
    model.head.pretrained = (first,)
    optimizer = Training(model, data_of(rows), TagLoss(), tiny_training.SETTINGS, tiny_training.CPU).optimizer
    backbone, head = ({id(parameter) for parameter in group["params"]} for group in optimizer.param_groups)
    assert head == {id(parameter) for parameter in second.parameters()}
    assert backbone == {id(p) for p in [*model.backbone.parameters(), *first.parameters()]}
    assert [group["initial_lr"] for group in optimizer.param_groups] == [1e-3, 1e-2]


def test_frozen_parameters_stay_and_the_others_move(rows, tmp_path):
    training = training_of(rows, frozen=["first"])
    before = {key: value.clone() for key, value in training.model.state_dict().items()}
    after = weights_after(training, tmp_path / "state")
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {key.rpartition(".")[0] for key in changed} == {"backbone.network.second", "head"}
    with pytest.raises(TagsegError, match="'layer9'"):
        training_of(rows, frozen=["layer9"])


@pytest.mark.parametrize(
    ("batch_norm", "frozen", "moves"), [("frozen", [], False), ("trained", [], True), ("trained", ["norm"], False)]
)
def test_batch_norm_is_frozen_or_trained_as_set(rows, tmp_path, batch_norm, frozen, moves):
    training = training_of(rows, batch_norm=batch_norm, frozen=frozen, epochs=1)
    before = {key: value.clone() for key, value in training.model.backbone.network.norm.state_dict().items()}
    training.run(tmp_path / "state", "ours")
    after = training.model.backbone.network.norm.state_dict()
    assert {key: not torch.equal(before[key], after[key]) for key in before} == dict.fromkeys(before, moves)


def test_a_loss_that_is_not_finite_ends_the_training(rows, tmp_path):
    training = training_of(rows, loss=Watched(lambda total, tags: total * float("nan")))
    with pytest.raises(TagsegError, match="loss is nan in epoch 1. Lower these learning rates"):
        training.run(tmp_path / "state", "ours")
    assert all(torch.isfinite(value).all() for value in training.model.state_dict().values())


@pytest.mark.parametrize("micro_batch", [1, 2, 100])
def test_a_batch_in_parts_gives_the_same_steps(rows, tmp_path, micro_batch):
    weights, losses = [], []
    for size in (None, micro_batch):
        training = training_of(rows, batch_size=3, micro_batch=size)
        training.model.dropout.p = 0
        weights.append(weights_after(training, tmp_path / f"state {size}"))
        losses.append([row["loss"] for row in training.log])
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-6)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def batches_of(rows, epoch, workers=0, **changes):
    training = training_of(rows, workers=workers, **changes)
    training.batches.epoch = epoch
    return [tensor for batch in training._loader for tensor in batch]


def test_epoch_and_seed_change_the_batches_and_loading_processes_do_not(rows):
    first = batches_of(rows, 1)
    assert_identical(batches_of(rows, 1, workers=2), first)
    for other in (batches_of(rows, 2), batches_of(rows, 1, random_seed=6)):
        assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_every_image_occurs_once_per_epoch(rows):
    training = training_of(rows, scales=[1, 1], flip=False)
    plain = {training.data[0, position][0].numpy().tobytes() for position in range(len(rows))}
    loaded = [image.numpy().tobytes() for images, _ in training._loader for image in images]
    assert set(loaded) == plain and len(loaded) == 5


MASK_LOSS = MaskLoss()


def scores_and_masks():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 4, 6, 6, generator=generator, requires_grad=True)
    masks = torch.randint(0, 4, (2, 6, 6), generator=generator).to(torch.uint8)
    masks[0, :3], masks[1, :, 4:] = 255, 255
    return scores, masks


def test_segmenters_loss_is_the_mean_cross_entropy_of_pixels_that_are_not_void():
    scores, masks = scores_and_masks()
    expected = [
        -scores[image, :, y, x].log_softmax(0)[masks[image, y, x].long()]
        for image, y, x in (masks != 255).nonzero().tolist()
    ]
    torch.testing.assert_close(MASK_LOSS(scores, masks), torch.stack(expected).mean())


def test_void_never_enters_the_segmenters_loss():
    scores, masks = scores_and_masks()
    value = MASK_LOSS(scores, masks)
    value.backward()
    void = (masks == 255)[:, None].expand_as(scores)
    assert (scores.grad[void] == 0).all() and (scores.grad[~void] != 0).all()
    altered = scores.detach().clone()
    altered[void] = 1000
    torch.testing.assert_close(MASK_LOSS(altered, masks), value.detach(), rtol=0, atol=0)
    scores.grad = None
    nothing = MASK_LOSS(scores, torch.full_like(masks, 255))
    nothing.backward()
    assert nothing.item() == 0 and (scores.grad == 0).all()


def test_labels_are_shrunk_to_the_scores_without_mixing():
    masks = torch.zeros(1, 16, 16, dtype=torch.uint8)
    masks[:, 8:], masks[:, :, 12:] = 3, 255
    scores = torch.zeros(1, 4, 4, 4)
    scores[:, 0, :2], scores[:, 3, 2:] = 50, 50
    scores[..., 3] = torch.tensor([-9.0, 7, 8, 9])[:, None]  # void: no matter what
    assert MASK_LOSS(scores, masks).item() == pytest.approx(0, abs=1e-6)


def test_the_tags_loss_is_the_mean_of_the_binary_cross_entropies():
    scores, tags = torch.randn(5, 7), torch.randint(0, 2, (5, 7)).float()
    expected = -(tags * scores.sigmoid().log() + (1 - tags) * (-scores).sigmoid().log()).mean()
    torch.testing.assert_close(TagLoss()(scores, tags), expected)


@pytest.mark.parametrize("loss", [TagLoss(), MaskLoss()], ids=["tags", "masks"])
def test_parts_of_different_weight_add_up_to_the_whole(loss):
    if isinstance(loss, MaskLoss):
        scores, targets = scores_and_masks()
        targets[1] = 255
        targets[1, 0, 0] = 2
    else:
        scores, targets = torch.randn(2, 4), torch.randint(0, 2, (2, 4)).float()
    parts = [(scores[:1], targets[:1]), (scores[1:], targets[1:])]
    total = sum(loss.total(*part) for part in parts)
    weight = sum(loss.weight(targets, scores.shape) for scores, targets in parts)
    torch.testing.assert_close(total / weight, loss(scores, targets))
