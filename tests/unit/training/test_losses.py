"""The losses: against the obvious loop, and in parts against the whole."""

import pytest
import torch

from tagseg.training.losses import MaskLoss, TagLoss

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
