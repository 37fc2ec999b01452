"""The dense CRF and the multi-scale prediction."""

from typing import Literal

from pydantic import Field

from tagseg.runtime.settings import InputSizes, Precision, Settings
from tagseg.storage.images import MAX_GIGABYTES


class CrfSettings(Settings):
    """The two pairwise terms of the dense CRF: standard deviations in pixels (sxy) and grey values (srgb)."""

    iterations: int = Field(10, ge=1, le=1000)
    gaussian_sxy: float = Field(3, ge=0.1, le=10000)
    gaussian_compat: float = Field(3, ge=0, le=1000)
    bilateral_sxy: float = Field(80, ge=0.1, le=10000)
    bilateral_srgb: float = Field(5, ge=0.1, le=10000, description="13 is usual on VOC")
    bilateral_compat: float = Field(10, ge=0, le=1000)


class ProxyCrfSettings(CrfSettings):
    """The dense CRF on hard labels."""

    bilateral_sxy: float = Field(50, ge=0.1, le=10000)
    confidence: float = Field(0.7, gt=0.5, lt=1, description="probability that a hard label is right")


class InferenceSettings(Settings):
    """The test phase."""

    sizes: InputSizes = Field([128, 160, 192], description="sides of the square inputs; logits are averaged over them")
    flip: bool = Field(False, description="mirrored inputs too")
    precision: Precision = "float32"


class CrfStage(Settings):
    """Settings that all stages with a dense CRF share; `crf` null: no CRF."""

    crf: CrfSettings | None = None
    reference_side: int | None = Field(
        None,
        ge=1,
        le=100000,
        description="longer side of the images for which sxy is given, it scales with other sizes; null: sxy "
        "is in pixels of any image",
    )
    longest_side: int = Field(
        1024, ge=32, le=100000, description="pixels: longer side of the CRF and the scores; masks are enlarged"
    )


class RefineStage(CrfStage):
    """Settings of the stage refine_masks."""

    crf: ProxyCrfSettings | None = None
    images: Literal["all", "single_class"] = Field("all", description="whose masks are refined; the others are copied")


class DecideStage(CrfStage):
    """Settings of the stage decide_masks."""

    restrict_to_tags: bool = Field(False, description="only the tags of an image and background are possible")


class LogitsStage(Settings):
    """Settings of the stage compute_logits."""

    inference: InferenceSettings
    longest_side: int = Field(1024, ge=32, le=100000)
    deterministic: bool = False


class SegmentStage(CrfStage):
    """Settings of the stage segment_images."""

    inference: InferenceSettings
    deterministic: bool = False
    max_image_memory: float = Field(MAX_GIGABYTES, gt=0, description="GB that reading one image may take")
