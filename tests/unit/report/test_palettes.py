"""Styles of classes, and what they leave of an image."""

import numpy as np
import pytest

from tagseg.report.palettes import OKABE_ITO, OPACITY, ClassStyle, class_styles, overlay_labels


def test_beyond_seven_classes_the_colours_return_with_another_texture():
    styles = list(class_styles(range(1, 36)).values())
    assert [style.colour for style in styles[7:14]] == list(OKABE_ITO)
    assert {style.texture for style in styles[7:14]} == {"stripes"}
    assert len(set(styles)) == 35
    assert list(class_styles(range(1, 37)).values())[35] == styles[0]


def test_each_label_is_overlaid_in_its_own_style():
    image = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    mask = np.zeros((80, 120), np.uint8)
    mask[:, 40:80], mask[:, 80:] = 1, 2
    overlay = overlay_labels(
        image, mask, {1: ClassStyle("#E69F00", "plain"), 2: ClassStyle("#0072B2", "stripes")}
    )
    assert np.array_equal(overlay[:, :40], image[:, :40])
    for area, colour in ((np.s_[:, 41:80], (0xE6, 0x9F, 0)), (np.s_[:, 81:], (0, 0x72, 0xB2))):
        blended = (1 - OPACITY) * image[area] + OPACITY * np.array(colour)
        near = np.abs(overlay[area] - blended).max(axis=-1) < 1
        white = (overlay[area] == 255).all(axis=-1)
        assert (near | white).all()
        assert white.mean() == pytest.approx(0.25 if area == np.s_[:, 81:] else 0, abs=0.1)
