"""Looks of classes: which they are, and what they leave of a photograph."""

import itertools

import numpy as np
import pytest

from tagseg.images import VOID
from tagseg.mask_looks import (
    HATCHES,
    MARKERS,
    OKABE_ITO,
    OPACITY,
    TEXTURES,
    Look,
    labels_in,
    laid_over,
    looks_of,
    texture,
)


def test_classes_take_the_colours_in_order_of_their_number():
    looks = looks_of([9, 0, 3, VOID, 3])
    assert list(looks) == [3, 9]
    assert list(looks.values()) == [Look(OKABE_ITO[0], "plain"), Look(OKABE_ITO[1], "plain")]


def test_beyond_seven_classes_the_colours_return_with_another_texture():
    looks = list(looks_of(range(1, 36)).values())
    assert [look.colour for look in looks[7:14]] == list(OKABE_ITO)
    assert {look.texture for look in looks[7:14]} == {"stripes"}
    assert len(set(looks)) == 35
    assert list(looks_of(range(1, 37)).values())[35] == looks[0]


def test_every_texture_has_a_hatch_and_a_marker_of_its_own():
    for table in (HATCHES, MARKERS):
        assert tuple(table) == TEXTURES
        assert len(set(table.values())) == len(TEXTURES)


def test_labels_are_those_of_all_masks():
    masks = [np.array([[0, 3]], np.uint8), None, np.array([[VOID]], np.uint8)]
    assert labels_in(masks) == {0, 3, VOID}


@pytest.mark.parametrize("name", [*TEXTURES[1:], "void"])
def test_textures_repeat_and_leave_most_of_the_colour(name):
    drawn = texture(name, (60, 80), 10)
    assert np.array_equal(drawn[:50, :70], drawn[10:, 10:])
    assert 0.15 < drawn.mean() < 0.45


def test_textures_differ_in_a_good_part_of_the_pixels():
    drawn = [texture(name, (60, 80), 10) for name in (*TEXTURES, "void")]
    assert min((one != two).mean() for one, two in itertools.combinations(drawn, 2)) > 0.15


def test_void_leans_the_other_way_than_stripes():
    stripes, void = (texture(name, (30, 30), 10) for name in ("stripes", "void"))
    assert stripes[0, 0] and np.array_equal(np.diag(stripes), np.ones(30, bool))
    assert np.array_equal(np.diag(void[:, ::-1]), np.full(30, void[0, 29]))


def test_each_label_is_laid_over_in_its_own_look():
    photograph = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    mask = np.zeros((80, 120), np.uint8)
    mask[:, 40:80], mask[:, 80:] = 1, 2
    image = laid_over(photograph, mask, {1: Look("#E69F00", "plain"), 2: Look("#0072B2", "stripes")})
    assert np.array_equal(image[:, :40], photograph[:, :40])
    for area, colour in ((np.s_[:, 41:80], (0xE6, 0x9F, 0)), (np.s_[:, 81:], (0, 0x72, 0xB2))):
        blended = (1 - OPACITY) * photograph[area] + OPACITY * np.array(colour)
        near = np.abs(image[area] - blended).max(axis=-1) < 1
        white = (image[area] == 255).all(axis=-1)
        assert (near | white).all()
        assert white.mean() == pytest.approx(0.25 if area == np.s_[:, 81:] else 0, abs=0.1)


def test_background_alone_leaves_the_photograph():
    photograph = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    assert np.array_equal(laid_over(photograph, np.zeros((8, 12), np.uint8), {}), photograph)
