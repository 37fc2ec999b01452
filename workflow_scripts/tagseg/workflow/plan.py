"""The plan of a run: its paths, and the inputs and settings of its jobs."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tagseg.datasets.base import Adapter, PublishedArchive
from tagseg.datasets.demo.adapter import DemoDatasetSettings
from tagseg.datasets.registry import ADAPTERS
from tagseg.models.nodes import AUTO, CAM_SEED, PAPER_NODES, TRUE_SEED
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import IMAGE_SUFFIXES
from tagseg.storage.index import INDEX_FILES
from tagseg.workflow.code_digest import code_digest
from tagseg.workflow.config_check import parse_config, surroundings
from tagseg.workflow.configuration import Config
from tagseg.workflow.listing import file_digest, listing

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


class Plan:
    """Paths and settings of a run. Methods that take `wildcards` are input functions of rules."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.config: Config = parse_config(content)
        self.folder = f"{self.config.results}/{self.config.run}"
        self.backbone = self.config.segmenter.network.backbone
        self.rounds = self.config.segmenter.rounds
        self.index = [f"{self.folder}/index/{name}" for name in INDEX_FILES]
        self.ground_truth = f"{self.folder}/ground_truth/{{split}}"
        network = "{seed}/{backbone}/round{round}"
        self.network = network
        self.logits = f"{self.folder}/logits/{network}/{{split}}/shard-{{shard}}.h5"
        self.predictions = f"{self.folder}/predictions/{network}/{{split}}/shard-{{shard}}"

    @cached_property
    def adapter(self) -> Adapter:
        """The adapter of the run's data set."""
        dataset = self.config.dataset
        return ADAPTERS[dataset.kind](dataset, surroundings(self.config))

    def shards(self, pattern: str) -> list[str]:
        """Return the paths of all shards: `pattern` with {shard} filled in."""
        return [pattern.replace("{shard}", str(shard)) for shard in range(self.config.shards)]

    # The data set

    def index_settings(self) -> dict[str, Any]:
        """Return what the reader of images and tags needs to know."""
        dataset, fraction = self.config.dataset, self.config.dataset.max_unreadable_fraction
        options = self.adapter.index_options()
        return dict(kind=dataset.kind, root=self.adapter.root, max_unreadable_fraction=fraction, **options)

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

    def archives(self) -> list[PublishedArchive]:
        """Return all archives that can be fetched, with the configured addresses and checksums."""
        configured = self.config.fetch.archives.model_dump()
        archives = [archive for adapter in ADAPTERS.values() for archive in adapter.archives]
        return [replace(archive, **configured[archive.name]) for archive in archives]

    # Networks and masks

    def subset_settings(self) -> str:
        """Return how the subset of each class is sampled: with its own seed, or with the run's."""
        subsets, own = self.config.subsets, self.config.subsets.random_seed
        return as_json(cap=subsets.cap, random_seed=self.config.random_seed if own is None else own)

    def feature_settings(self) -> str:
        """Return the settings of the classifier's forward pass."""
        return as_json(**self.config.features.model_dump(), deterministic=self.config.deterministic)

    def features_for(self, wildcards: Any) -> list[str]:
        """Return the shard's features of a layer; of all candidates where the layer is chosen among them."""
        layers = self.config.ablation.layers if wildcards.layer == AUTO else [wildcards.layer]
        return [f"{self.folder}/features/{layer}/shard-{wildcards.shard}.h5" for layer in layers]

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

    def labels_of_round(self, wildcards: Any) -> list[str]:
        """Return the masks on which a round is trained: proxy masks, or the last round's predictions."""
        number = int(wildcards.round)
        if number == 1:
            return self.shards(f"{self.folder}/proxy_masks/{wildcards.seed}/shard-{{shard}}")
        return self.predicted(wildcards.seed, number - 1, "train", wildcards.backbone)

    def checkpoint(self, seed: str, number: int) -> str:
        """Return the segmenter's checkpoint of a seed and a round."""
        return f"{self.folder}/segmenter/{seed}/{self.backbone}/round{number}/checkpoint.pth"

    def predicted(self, seed: str, number: int, split: str, backbone: str | None = None) -> list[str]:
        """Return all shards of the predictions of a split by the network of a seed and round."""
        words = {"seed": seed, "round": number, "split": split, "backbone": backbone or self.backbone}
        return self.shards(self.predictions.format(**words, shard="{shard}"))

    def final_predictions(self, wildcards: Any) -> list[str]:
        """Return the final network's predictions of a split, for the test server."""
        self._check_submitted(wildcards.split)
        return self.predicted(self.config.layer, self.rounds, wildcards.split)

    # Scores and tables

    def scores(self, seed: str, number: int, backbone: str | None = None, split: str = "val") -> str:
        """Return the score file of a split for the network of a seed and round."""
        return f"{self.folder}/scores/{split}/{seed}/{backbone or self.backbone}/round{number}.json"

    def _scores_if_run(self, seed: str, number: int, backbone: str | None = None, split: str = "val") -> str | None:
        """Return a score file of the tables; None where it does not exist and nothing is trained for it."""
        path = self.scores(seed, number, backbone, split)
        own = self.scores(self.config.layer, number)  # the target `all` makes it anyway
        return path if self.config.tables.missing == "run" or path == own or os.path.exists(path) else None

    def table_1(self) -> dict[str, list[dict[str, str | None]]]:
        """Return the rows of table 1: name, the paper's row of that name, score file."""
        rows = [(paper_name(seed), seed, 1) for seed in self.config.tables.seeds]
        if self.rounds > 1:
            rows.append((f"{paper_name(self.config.layer)} + retrain", self.config.layer, self.rounds))
        content = [
            {
                "name": name,
                "paper": name if paper_name(seed) in PAPER_NODES and number < 3 else None,
                "scores": self._scores_if_run(seed, number),
            }
            for name, seed, number in rows
        ]
        return {"rows": content}

    def table_2(self) -> dict[str, list[dict[str, str | None]]]:
        """Return the rows of table 2: our networks, with their score files of val and test."""
        layer, tested = self.config.layer, "test" in self.config.dataset.ground_truth
        others = [name for name in self.config.tables.networks if name != self.backbone]
        rows = [
            {
                "name": f"tagseg ({backbone})",
                "val": self._scores_if_run(layer, self.rounds, backbone),
                "test": self._scores_if_run(layer, self.rounds, backbone, "test") if tested else None,
            }
            for backbone in (self.backbone, *others)
        ]
        return {"rows": rows}

    def table_3(self) -> dict[str, list[dict[str, str | None]]]:
        """Return the row of table 3: the final network on val."""
        return {"rows": [{"scores": self._scores_if_run(self.config.layer, self.rounds)}]}

    @staticmethod
    def score_files(table: Mapping[str, list[dict[str, str | None]]]) -> list[str]:
        """Return the score files that a table reads."""
        cells = [row.get(key) for row in table["rows"] for key in ("scores", "val", "test")]
        return [path for path in cells if path]

    @staticmethod
    def flags(inputs: Any) -> list[str]:
        """Return the named inputs of a rule as flags of its script: files, or the folder of the index."""
        words = []
        for name, value in inputs.items():
            paths = [value] if isinstance(value, str) else list(value)
            paths = [os.path.dirname(paths[0])] if name == "index" else paths
            words += [f"--{name.replace('_', '-')}", *paths]
        return words

    def of_figure_layers(self, pattern: str) -> list[str]:
        """Return the paths of all shards of the figures' layers."""
        layers = self.config.figures.layers
        return [path for layer in layers for path in self.shards(pattern.replace("{layer}", layer))]

    def figure_settings(self, keys: Sequence[str]) -> str:
        """Return the settings of a figure: some keys of `figures`, and the random seed."""
        figures = {**self.config.figures.model_dump(), "random_seed": self.config.random_seed}
        return as_json(**{key: figures[key] for key in keys})

    def shown_config(self) -> str:
        """Return the configuration that the report shows: all but what the target `segment` reads."""
        return as_json(**self.config.model_dump(exclude={"new_photos"}))

    def captions(self) -> str:
        """Return a digest of the captions that the report takes from docs/report."""
        paths = sorted((SCRIPTS.parent / "docs/report").glob("*.rst"))
        return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]

    # Targets that may have to be refused. Their own input function does it: where that of a producer raises,
    # Snakemake takes what an earlier run left for a file of the user's.

    def upper_bound_tables(self, wildcards: Any) -> list[str]:
        """Return the tables of the upper bound."""
        self._check_upper_bound()
        return [f"{self.folder}/tables/upper_bound.{suffix}" for suffix in ("md", "csv")]

    def upper_bound_scores(self, wildcards: Any) -> str:
        """Return the scores of the network that learns from ground truth."""
        self._check_upper_bound()
        return self.scores(TRUE_SEED, 1)

    def ground_truth_to_learn(self, wildcards: Any) -> str:
        """Return the ground truth of train."""
        self._check_upper_bound()
        return self.ground_truth.replace("{split}", "train")

    def _check_upper_bound(self) -> None:
        if "train" not in self.config.dataset.ground_truth:
            raise TagsegError("upper_bound: no ground truth of train. Add train to dataset.ground_truth.")

    def segmented_folder(self, wildcards: Any) -> str:
        """Return the folder of results for `new_photos`."""
        if self.config.new_photos is None:
            raise TagsegError("segment: no images named. Add --config new_photos=FOLDER.")
        return f"{self.folder}/segmented/{Path(self.config.new_photos).resolve().name}"

    def submission_archive(self, wildcards: Any) -> str:
        """Return the archive for the test server."""
        wanted = self.config.submission
        self._check_submitted(wanted.split)
        return f"{self.folder}/submission/{wanted.competition}_{wanted.split}.tgz"

    def _check_submitted(self, split: str) -> None:
        dataset = self.config.dataset
        listed = getattr(dataset, f"{split}_list", None) if dataset.kind == "voc" else split == "val"
        if not listed and dataset.kind in ("demo", "voc"):
            raise TagsegError(
                f"submission: no image in {split}. Set dataset.test_list and dataset.test_root, or set "
                "submission.split to val for a rehearsal."
            )


def paper_name(seed: str) -> str:
    """Return the name of a seed in tables and figures: a block's as in the paper, CAM in capitals."""
    names = {node: name for name, node in PAPER_NODES.items()} | {CAM_SEED: "CAM"}
    return names.get(seed, seed)
