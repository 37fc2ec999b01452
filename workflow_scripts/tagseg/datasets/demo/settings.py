"""Settings of the generated data set."""

from pydantic import Field

from tagseg.runtime.settings import Seed, Settings


class DemoSettings(Settings):
    """What the demo generates."""

    train: int = Field(140, ge=1, le=10**6, description="images")
    val: int = Field(48, ge=1, le=10**6, description="images")
    width: int = Field(240, ge=32, le=4096, description="pixels")
    height: int = Field(180, ge=32, le=4096, description="pixels")
    classes: int = Field(6, ge=3, le=8)
    multi_class_fraction: float = Field(0.15, ge=0, le=1)


class DemoStage(DemoSettings):
    """The settings of the script that generates the demo: with the seed of the run."""

    random_seed: Seed = 0
