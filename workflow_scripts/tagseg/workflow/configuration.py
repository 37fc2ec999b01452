"""The configuration as pydantic models: types, bounds, defaults and what the keys mean."""

import json
from typing import Annotated, Any, Generic, Literal, TypeVar, Union

from pydantic import AfterValidator, Field, create_model

from tagseg.datasets.base import DatasetSettings, Folder
from tagseg.datasets.registry import ADAPTERS
from tagseg.models.nodes import AUTO, CAM_SEED, OUR_SEED, TRUE_SEED, canonical_node
from tagseg.models.settings import ClassifierSettings, SegmenterSettings
from tagseg.patterns.settings import CamSettings, FeatureSettings, MaskSettings, PatternSettings, SubsetSettings
from tagseg.runtime.settings import Distinct, Seed, Settings
from tagseg.segmentation.settings import CrfSettings, InferenceSettings, ProxyCrfSettings
from tagseg.training.settings import Frozen, Rate, TrainingSettings

Dataset = TypeVar("Dataset", bound=DatasetSettings)
Name = Annotated[str, Field(min_length=1)]


def _node(*reserved: str) -> AfterValidator:
    """Return the check of a node's name, which must not be a word that paths use for something else."""

    def check(name: str) -> str:
        if name in reserved:
            raise ValueError(f"{name} is reserved; name a node of the backbone")
        return canonical_node(name)

    return AfterValidator(check)


_NODE = Field(pattern=r"^[A-Za-z][A-Za-z0-9_.]*\z")
Layer = Annotated[str, _NODE, _node(CAM_SEED, OUR_SEED, TRUE_SEED)]
FixedLayer = Annotated[str, _NODE, _node(CAM_SEED, OUR_SEED, TRUE_SEED, AUTO)]
MaskSeed = Annotated[str, _NODE, _node(TRUE_SEED)]


def _check_threads(value: Any) -> Any:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1024
    if value != "auto" and not is_count:
        raise ValueError("input should be auto or an integer from 1 to 1024")
    return value


class ClassifierTraining(TrainingSettings):
    """Training of the classifier."""

    epochs: int = Field(4, ge=1, le=10000)
    batch_size: int = Field(16, ge=1, le=65536)
    backbone_lr: Rate = 2.0e-5
    head_lr: Rate = 2.0e-3
    frozen: Frozen = Field(
        ["conv_stem", "bn1", "blocks.0", "blocks.1", "blocks.2"],
        description="modules of the backbone that are not trained; all: the head learns from features computed once",
    )


class SegmenterTraining(TrainingSettings):
    """Training of the segmenter."""

    epochs: int = Field(8, ge=1, le=10000)
    batch_size: int = Field(8, ge=1, le=65536)
    backbone_lr: Rate = 1.0e-4
    head_lr: Rate = 1.0e-3
    frozen: Frozen = Field(
        ["conv_stem", "bn1", "blocks.0", "blocks.1"], description="modules of the backbone that are not trained, or all"
    )


class ClassifierSection(Settings):
    """The multi-label classifier that learns the tags."""

    network: ClassifierSettings = ClassifierSettings()
    training: ClassifierTraining = ClassifierTraining()


class RetrainSettings(Settings):
    """Labels of round 2 and later."""

    restrict_to_tags: bool = Field(True, description="predictions on train take only the image's tags and background")
    crf: bool = Field(True, description="refined by crf.test")


class SegmenterSection(Settings):
    """DeepLab-LargeFOV, trained on proxy masks and retrained on its own predictions."""

    keep_logits: bool = Field(True, description="another crf.test then needs no network; false: deleted after use")
    rounds: int = Field(1, ge=1, le=100, description="1: proxy masks only; 2: retrained once, as in the paper")
    retrain: RetrainSettings = RetrainSettings()
    network: SegmenterSettings = SegmenterSettings()
    training: SegmenterTraining = SegmenterTraining()
    inference: InferenceSettings = InferenceSettings()


class CrfSection(Settings):
    """The dense CRF."""

    reference_side: Annotated[int, Field(ge=1, le=100000)] | None = Field(
        500,
        description="sxy is for images whose longer side has this many pixels, and scales with the image; null: no "
        "scaling",
    )
    proxy: ProxyCrfSettings | None = Field(ProxyCrfSettings(), description="on proxy masks; null: none")
    test: CrfSettings | None = Field(CrfSettings(), description="on the softmax of the segmenter; null: none")


class LayersSection(Settings):
    """The layers that the target `ablation` compares, and from which `layer: auto` chooses."""

    layers: Annotated[list[FixedLayer], Field(min_length=1), Distinct] = [
        "blocks.5.0",
        "blocks.5.1",
        "blocks.5.3",
        "blocks.6",
    ]


class ArchiveSettings(Settings):
    """Address and published checksum of an archive."""

    url: str = Field(pattern=r"^https?://[^/\s]+/\S+\z")
    md5: str = Field(pattern=r"^[0-9a-f]{32}\z")


def _published() -> dict[str, ArchiveSettings]:
    archives = [archive for adapter in ADAPTERS.values() for archive in adapter.archives]
    return {archive.name: ArchiveSettings(url=archive.url, md5=archive.md5) for archive in archives}


class FetchSection(Settings):
    """Data sets that are fetched where the user has no copy."""

    folder: Folder = Field("data", description="archives, and what is unpacked from them")
    archives: create_model(  # type: ignore[valid-type]
        "Archives", __base__=Settings, **{name: (ArchiveSettings, archive) for name, archive in _published().items()}
    ) = Field(default_factory=lambda: _published(), validate_default=True)


class SubmissionSection(Settings):
    """The archive for the VOC test server."""

    competition: Literal["comp5", "comp6"] = Field(
        "comp6", description="comp5: trained on VOC's own data alone; comp6: on any data"
    )
    split: Literal["val", "test"] = Field("test", description="val for a rehearsal")


def _optional(model: type[Settings], *without: str) -> Any:
    """Return a model of the same keys, none of them required and each null where it is not set."""
    fields = {name: field for name, field in model.model_fields.items() if name not in without}
    types: dict[str, Any] = {name: (field.rebuild_annotation() | None, Field(None)) for name, field in fields.items()}
    return create_model(f"Other{model.__name__}", __base__=Settings, **types)


class OtherNetwork(Settings):
    """Where a row of table 2 differs from segmenter.network and segmenter.training."""

    network: _optional(SegmenterSettings, "backbone") = Field(default_factory=dict, validate_default=True)  # type: ignore
    training: _optional(TrainingSettings) = Field(default_factory=dict, validate_default=True)  # type: ignore

    def changes(self, section: str) -> dict[str, Any]:
        """Return the keys of `network` or `training` that are set."""
        return getattr(self, section).model_dump(exclude_unset=True)


class TablesSection(Settings):
    """The target `tables`: the paper's tables 1 to 3 with ours."""

    seeds: Annotated[list[MaskSeed], Field(min_length=1), Distinct] = Field(
        ["blocks.5.0", "blocks.5.3", "blocks.6", "cam"],
        description="rows of table 1: nodes, cam, or ours: `layer` under tagseg's default rules",
    )
    networks: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.:]*\z")], OtherNetwork] = Field(
        {}, description="rows of table 2 beside the segmenter's own: a backbone, and what differs"
    )
    missing: Literal["run", "empty"] = Field("run", description="empty: what was never run stays an empty cell")


class FiguresSection(Settings):
    """The target `figures`: the paper's figures 1, 3, 4 and 5."""

    layers: Annotated[list[FixedLayer], Field(min_length=3, max_length=3), Distinct] = [
        "blocks.5.0",
        "blocks.5.3",
        "blocks.6",
    ]
    classes: Annotated[list[Name], Field(min_length=1), Distinct] | None = Field(
        None, description="shown classes; null: chosen by tags alone"
    )
    images: int = Field(6, ge=1, le=100)


class ReportSection(Settings):
    """What the report of `all` shows besides the run's own results."""

    tables: bool = Field(False, description="tables 1 to 3, and the comparison of the seeds' proxy masks")
    figures: bool = False
    upper_bound: bool = False


class Config(Settings, Generic[Dataset]):
    """config.yaml with its overlays and --config."""

    run: str = Field("demo", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*\z", description="results go to results/<run>/")
    results: Name = "results"
    random_seed: Seed = 0
    deterministic: bool = Field(True, description="the same bits every time on a GPU too; false is faster there")
    gpus: int = Field(1, ge=1, le=1024, description="GPUs per training; 2 or more requires --resources gpu=N")
    threads: Annotated[int | str, AfterValidator(_check_threads)] = Field(
        "auto", description="threads that compute; auto: the machine's cores, 8 at most"
    )
    longest_side: int = Field(
        1024, ge=32, le=100000, description="pixels; larger images are shrunk for CRF and predictions"
    )
    shards: int = Field(1, ge=1, le=10000, description="parts of features, CAM and masks")
    dataset: Dataset
    fetch: FetchSection = FetchSection()
    photos: Folder | None = Field(None, description="folder of your images (dataset.kind photos)")
    new_photos: Folder | None = Field(None, description="folder of images for the target `segment`")
    checkpoint: Name | None = Field(
        None, description="network for `segment`: checkpoint.pth of another run; null: that of this run"
    )
    layer: Layer = Field("blocks.5.0", description="node whose features give the class patterns; auto: chosen")
    ablation: LayersSection = LayersSection()
    subsets: SubsetSettings = SubsetSettings()
    patterns: PatternSettings = PatternSettings()
    masks: MaskSettings = MaskSettings()
    classifier: ClassifierSection = ClassifierSection()
    features: FeatureSettings = FeatureSettings()
    cam: CamSettings = CamSettings()
    crf: CrfSection = CrfSection()
    segmenter: SegmenterSection = SegmenterSection()
    submission: SubmissionSection = SubmissionSection()
    tables: TablesSection = TablesSection()
    figures: FiguresSection = FiguresSection()
    report: ReportSection = ReportSection()


def json_schema() -> str:
    """Return the JSON schema of the configuration, for editors."""
    kinds: Any = Union[tuple(adapter.settings_type for adapter in ADAPTERS.values())]  # noqa: UP007
    model: Any = Config[Annotated[kinds, Field(discriminator="kind")]]
    return json.dumps(model.model_json_schema(), indent=1) + "\n"
