"""The settings of each stage: the part of the configuration that it depends on, as JSON for its command line."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tagseg.datasets.demo.adapter import DemoDatasetSettings
from tagseg.models.nodes import OUR_SEED
from tagseg.patterns.settings import MaskSettings, PatternSettings
from tagseg.storage.images import IMAGE_SUFFIXES
from tagseg.training.settings import TrainingSettings
from tagseg.workflow.code_digest import code_digest
from tagseg.workflow.listing import file_digest, listing
from tagseg.workflow.plan import Plan
from tagseg.workflow.sizes import training_seconds

SCRIPTS = Path(__file__).parents[2]


def as_json(**content: Any) -> str:
    """Return settings as JSON for a job's command line; models become objects."""
    return json.dumps(content, sort_keys=True, default=BaseModel.model_dump)


def code(script: str) -> str:
    """Return the digest of a script and of every module of ours that it imports."""
    return code_digest(SCRIPTS / f"{script}.py")


def weights_file(network: Mapping[str, Any]) -> list[str]:
    """Return the file of weights of a network, if it names one."""
    return [] if network["weights"] in (None, "imagenet") else [network["weights"]]


def weights_digest(network: Mapping[str, Any]) -> str:
    """Return a digest of the file of weights; "" without one. Its time stamp then does not matter."""
    return "".join(map(file_digest, weights_file(network)))


class Stages:
    """Settings of the stages of a run. Methods that take `wildcards` are params of rules."""

    def __init__(self, plan: Plan) -> None:
        self.config, self.adapter, self.backbone = plan.config, plan.adapter, plan.backbone
        self.shared_disk = plan.shared_disk

    def index_settings(self) -> dict[str, Any]:
        """Return what the reader of images and tags needs to know."""
        dataset, options = self.config.dataset, self.adapter.index_options()
        keys = ("max_unreadable_fraction", "max_image_memory", "negatives")
        common = {key: getattr(dataset, key) for key in keys}
        copied = {} if self.shared_disk else {"copy_images": True}
        return dict(kind=dataset.kind, root=self.adapter.root, **common, **copied, **options)

    def ground_truth_settings(self) -> dict[str, Any]:
        """Return what the reader of the ground truth needs to know."""
        options = self.adapter.ground_truth_options()
        return dict(kind=self.config.dataset.kind, root=self.adapter.root, **options)

    def demo_settings(self) -> str:
        """Return what the demo data set is generated from."""
        dataset = self.config.dataset
        demo = dataset.demo.model_dump() if isinstance(dataset, DemoDatasetSettings) else {}
        return as_json(**demo, random_seed=self.config.random_seed)

    @cached_property
    def image_listing(self) -> str:
        """A digest of the user's files on which the index depends."""
        is_demo = isinstance(self.config.dataset, DemoDatasetSettings)
        generated = code("generate_demo") + self.demo_settings() if is_demo else ""
        skipped = [self.config.results, *self.adapter.ground_truth_paths()]
        return listing(self.adapter.image_paths(), self.adapter.suffixes, skipped, generated)

    @cached_property
    def ground_truth_listing(self) -> str:
        """A digest of the user's files of ground truth."""
        return listing(self.adapter.ground_truth_paths(), self.adapter.suffixes, [self.config.results])

    def new_images_listing(self) -> str:
        """Return a digest of the images that the target `segment` reads."""
        folder = self.config.new_photos
        return listing([folder], IMAGE_SUFFIXES, [self.config.results]) if folder else ""

    def subset_settings(self) -> str:
        """Return how the subset of each class is sampled: with its own seed, or with the run's."""
        subsets, own = self.config.subsets, self.config.subsets.random_seed
        return as_json(cap=subsets.cap, random_seed=self.config.random_seed if own is None else own)

    def feature_settings(self) -> str:
        """Return the settings of the classifier's forward pass."""
        return as_json(**self.config.features.model_dump(), deterministic=self.config.deterministic)

    def pattern_settings(self, wildcards: Any) -> str:
        """Return how the patterns of a seed are found."""
        settings = PatternSettings() if wildcards.layer == OUR_SEED else self.config.patterns
        return as_json(**settings.model_dump())

    def _masks(self, seed: str) -> MaskSettings:
        return MaskSettings() if seed == OUR_SEED else self.config.masks

    def seed_settings(self, wildcards: Any) -> str:
        """Return how the projections of a seed become masks."""
        masks = self._masks(wildcards.layer).model_dump(exclude={"refined"})
        return as_json(**masks, background_threshold=self.config.cam.background_threshold)

    def proxy_settings(self, wildcards: Any) -> str:
        """Return how the masks of a seed are refined."""
        return as_json(**self.crf_settings("proxy"), images=self._masks(wildcards.seed).refined)

    def training_settings(self, network: Any, training: Any) -> str:
        """Return the settings of a training."""
        config = self.config
        return as_json(
            network=network, training=training, random_seed=config.random_seed, deterministic=config.deterministic
        )

    def segmenter(self, backbone: str) -> dict[str, dict[str, Any]]:
        """Return `network` and `training` of the segmenter on a backbone: the run's own, or one of table 2."""
        section = self.config.segmenter
        network, training = section.network.model_dump(), section.training.model_dump()
        other = self.config.tables.networks.get(backbone)
        if backbone != self.backbone:
            # A file holds weights of the run's own backbone.
            network |= {"backbone": backbone, "weights": network["weights"] and "imagenet"}
        if backbone != self.backbone and other:
            network |= other.changes("network")
            training |= other.changes("training")
        return {"network": network, "training": training}

    def segmenter_seconds(self, wildcards: Any) -> float:
        """Return the seconds that the training of a segmenter takes per image."""
        training = TrainingSettings(**self.segmenter(wildcards.backbone)["training"])
        return training_seconds(training, self.config.gpus)

    def segmenter_weights(self, wildcards: Any) -> list[str]:
        """Return the file of weights that the segmenter on a backbone starts from, if there is one."""
        return weights_file(self.segmenter(wildcards.backbone)["network"])

    def crf_settings(self, phase: str) -> dict[str, Any]:
        """Return the dense CRF on proxy masks or in the test phase, and the sizes that it works at."""
        crf = self.config.crf
        return {
            "crf": getattr(crf, phase),
            "reference_side": crf.reference_side,
            "longest_side": self.config.longest_side,
        }

    def decision_settings(self, wildcards: Any) -> str:
        """Return how logits become masks: labels for retraining on train, the test phase elsewhere."""
        retrain, settings = self.config.segmenter.retrain, self.crf_settings("test")
        on_train = wildcards.split == "train"
        if on_train and not retrain.crf:
            settings["crf"] = None
        return as_json(**settings, restrict_to_tags=on_train and retrain.restrict_to_tags)

    def logits_settings(self) -> dict[str, Any]:
        """Return the settings of the multi-scale prediction."""
        config = self.config
        return {
            "inference": config.segmenter.inference,
            "longest_side": config.longest_side,
            "deterministic": config.deterministic,
        }

    def segment_settings(self) -> str:
        """Return the settings of the target `segment`: logits, test phase and the limit of images."""
        limit = {"max_image_memory": self.config.dataset.max_image_memory}
        return as_json(**self.logits_settings() | self.crf_settings("test") | limit)

    def figure_settings(self, keys: Sequence[str]) -> str:
        """Return the settings of a figure: some keys of `figures`, and the random seed."""
        figures = {**self.config.figures.model_dump(), "random_seed": self.config.random_seed}
        return as_json(**{key: figures[key] for key in keys})

    def shown_config(self) -> str:
        """Return the configuration that the report shows: all but what the target `segment` reads."""
        return as_json(**self.config.model_dump(exclude={"new_photos", "checkpoint"}))

    def captions(self) -> str:
        """Return a digest of the captions that the report takes from docs/report."""
        paths = sorted((SCRIPTS.parent / "docs/report").glob("*.rst"))
        return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]
