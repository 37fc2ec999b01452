"""How networks are trained, and the settings of the two training stages."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tagseg.models.settings import ClassifierSettings, SegmenterSettings
from tagseg.runtime.settings import InputSize, Precision, Seed, Settings

Rate = Annotated[float, Field(ge=0, le=10)]
Count = Annotated[int, Field(ge=1, le=65536)]
Module = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.]*\z")]
Frozen = list[Module] | Literal["all"]
Scale = Annotated[float, Field(ge=0.1, le=10)]


class TrainingSettings(Settings):
    """Schedule, optimizer and augmentation of one training; the configuration gives the defaults."""

    epochs: int = Field(ge=1, le=10000)
    batch_size: Count
    micro_batch: Count | None = Field(
        None, description="images on a GPU at once where memory is short; null: the whole batch"
    )
    optimizer: Literal["adam", "sgd"] = Field("adam", description="sgd has momentum 0.9")
    backbone_lr: Rate
    head_lr: Rate
    weight_decay: float = Field(1.0e-4, ge=0, le=1)
    poly_power: float = Field(0.9, ge=0, le=10, description="learning rates decay by (1 - step / steps) ** poly_power")
    batch_norm: Literal["frozen", "trained"] = Field("frozen", description="statistics and scales")
    frozen: Frozen = Field(description="modules of the backbone that are not trained; all: the head alone is trained")
    input_size: InputSize = Field(160, description="side of the square input, pixels")
    scales: Annotated[list[Scale], Field(min_length=2, max_length=2)] = Field(
        [0.8, 1.25], description="range of the random factor on input_size"
    )
    flip: bool = Field(True, description="random mirroring")
    precision: Precision = Field(
        "float32", description="auto: bfloat16 where the hardware computes in it, else float32"
    )

    @field_validator("scales")
    @classmethod
    def _ascend(cls, scales: list[float]) -> list[float]:
        if scales[0] > scales[1]:
            raise ValueError(f"{scales} is not in ascending order")
        return scales


class TrainingStage(Settings):
    """Settings that both stages share."""

    training: TrainingSettings
    random_seed: Seed
    deterministic: bool = False


class ClassifierStage(TrainingStage):
    """Settings of the stage train_classifier."""

    network: ClassifierSettings


class SegmenterStage(TrainingStage):
    """Settings of the stage train_segmenter."""

    network: SegmenterSettings
