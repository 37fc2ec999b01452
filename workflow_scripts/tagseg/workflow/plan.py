"""The plan of a run: its configuration, its paths, and the inputs of its rules."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tagseg.datasets.base import Adapter, PublishedArchive
from tagseg.datasets.registry import ADAPTERS
from tagseg.models.nodes import AUTO, OUR_SEED, TRUE_SEED
from tagseg.runtime.errors import TagsegError
from tagseg.storage.index import COPIED, INDEX_FILES
from tagseg.workflow.config_check import parse_config, surroundings
from tagseg.workflow.configuration import Config


class Plan:
    """Paths and settings of a run. Methods that take `wildcards` are input functions of rules."""

    def __init__(
        self,
        content: Mapping[str, Any],
        command_line: Sequence[str] = (),
        shared_disk: bool = True,
        is_job: bool = False,
    ) -> None:
        self.config: Config = parse_config(content, command_line, shared_disk, is_job)
        self.folder = f"{self.config.results}/{self.config.run}"
        self.backbone = self.config.segmenter.network.backbone
        self.rounds = self.config.segmenter.rounds
        self.shared_disk = shared_disk
        self.index = [f"{self.folder}/index/{name}" for name in INDEX_FILES]
        self.images = [] if shared_disk else [f"{self.folder}/index/{COPIED}"]
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

    def archives(self) -> list[PublishedArchive]:
        """Return all archives that can be fetched, with the configured addresses and checksums."""
        configured = self.config.fetch.archives.model_dump()
        archives = [archive for adapter in ADAPTERS.values() for archive in adapter.archives]
        return [replace(archive, **configured[archive.name]) for archive in archives]

    def node(self, wildcards: Any) -> str:
        """Return the node of a seed: the run's layer for `ours`."""
        return self.config.layer if wildcards.layer == OUR_SEED else wildcards.layer

    def features_of(self, wildcards: Any) -> list[str]:
        """Return all shards of the features of a seed."""
        return self.shards(f"{self.folder}/features/{self.node(wildcards)}/shard-{{shard}}.h5")

    def features_for(self, wildcards: Any) -> list[str]:
        """Return the shard's features of a seed; of all candidates where the layer is chosen among them."""
        layers = self.config.ablation.layers if wildcards.layer == AUTO else [self.node(wildcards)]
        return [f"{self.folder}/features/{layer}/shard-{wildcards.shard}.h5" for layer in layers]

    def cam_for(self, wildcards: Any) -> list[str]:
        """Return the shard's CAM, if it decides about masks of a seed."""
        needed = wildcards.layer == OUR_SEED or self.config.masks.needs_cam
        return [f"{self.folder}/cam/shard-{wildcards.shard}.h5"] if needed else []

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

    def scores(self, seed: str, number: int, backbone: str | None = None, split: str = "val") -> str:
        """Return the score file of a split for the network of a seed and round."""
        return f"{self.folder}/scores/{split}/{seed}/{backbone or self.backbone}/round{number}.json"

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
            raise TagsegError("new_photos: not set. Add --config new_photos=FOLDER.")
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
