"""Settings of features, subsets, class patterns and CAM seeds."""

from typing import Literal

from pydantic import Field

from tagseg.runtime.settings import InputSizes, Precision, Seed, Settings


class FeatureSettings(Settings):
    """The forward pass that gives features and class activation maps."""

    sizes: InputSizes = Field([240], description="sides of the square inputs; projections of several are averaged")
    flip: bool = Field(False, description="mirrored inputs too")
    batch_size: int = Field(16, ge=1, le=65536)
    precision: Precision = "float32"
    bits: Literal[16, 8] = Field(16, description="of a stored number; 8: half the disk, per channel and image")


class ForwardStage(FeatureSettings):
    """Settings of the stages extract_features and compute_cam."""

    deterministic: bool = False


class SubsetSettings(Settings):
    """The images from which a class pattern is found."""

    cap: int = Field(800, ge=1, le=10**9, description="images per class, at most")
    random_seed: Seed | None = Field(None, description="null: the run's; another one samples the subsets alone anew")


class SubsetStage(SubsetSettings):
    """Settings of the stage sample_subsets: the random seed is resolved."""

    random_seed: Seed


class PatternSettings(Settings):
    """Thresholds on the projection q_c."""

    threshold: Literal["both", "cam", "mean"] = Field(
        "both",
        description="mean: 0, as in the paper; cam: where the mask agrees most with the classifier's CAM; "
        "both: between the two a pixel is uncertain (void), for the CRF and the segmenter to decide",
    )


class CamSettings(Settings):
    """Seed masks of class activation maps."""

    background_threshold: float = Field(
        0.2, ge=0, lt=1, description="fraction of the maximum below which a CAM seed is background"
    )


class SeedSettings(Settings):
    """From projections to seed masks."""

    conflicts: Literal["cam", "void"] = Field(
        "cam",
        description="pixels that several tags claim: cam: the class with the largest share of its CAM's maximum; "
        "void: uncertain, as in the paper",
    )
    least_correlation: float = Field(
        0.33,
        ge=0,
        le=1,
        description="a class whose masks correlate less with its CAM, mostly one of few images, has the CAM in place "
        "of its pattern; 0: never, as in the paper",
    )

    @property
    def needs_cam(self) -> bool:
        """Return whether the CAM decides about any pixel."""
        return self.conflicts == "cam" or self.least_correlation > 0


class SeedStage(SeedSettings, CamSettings):
    """Settings of the stage estimate_masks: with the threshold of the CAM seed."""


class MaskSettings(SeedSettings):
    """From projections to proxy masks."""

    refined: Literal["all", "single_class"] = Field(
        "all", description="images whose masks the dense CRF refines: all, or those of a single class, as in the paper"
    )
