"""Our rows of the paper's tables 1 to 3, and the score files behind them."""

import os

from tagseg.models.nodes import CAM_SEED, OUR_SEED, PAPER_NODES
from tagseg.workflow.plan import Plan

Rows = dict[str, list[dict[str, str | None]]]


class PaperTables:
    """The settings of the scripts that build the tables."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def _scores_if_run(self, seed: str, number: int, backbone: str | None = None, split: str = "val") -> str | None:
        """Return a score file of the tables; None where it does not exist and nothing is trained for it."""
        path = self.plan.scores(seed, number, backbone, split)
        own = self.plan.scores(self.plan.config.layer, number)  # the target `all` makes it anyway
        return path if self.plan.config.tables.missing == "run" or path == own or os.path.exists(path) else None

    def table_1(self) -> Rows:
        """Return the rows of table 1: name, the paper's row of that name, score file."""
        rows = [(self._name(seed), seed, 1) for seed in self.plan.config.tables.seeds]
        if self.plan.rounds > 1:
            rows.append((f"{paper_name(self.plan.config.layer)} + retrain", self.plan.config.layer, self.plan.rounds))
        content = [
            {
                "name": name,
                "paper": name if paper_name(seed) in PAPER_NODES and number < 3 else None,
                "scores": self._scores_if_run(seed, number),
            }
            for name, seed, number in rows
        ]
        return {"rows": content}

    def _name(self, seed: str) -> str:
        return f"{paper_name(self.plan.config.layer)}, our rules" if seed == OUR_SEED else paper_name(seed)

    def table_2(self) -> Rows:
        """Return the rows of table 2: our networks, with their score files of val and test."""
        layer, tested = self.plan.config.layer, "test" in self.plan.config.dataset.ground_truth
        others = [name for name in self.plan.config.tables.networks if name != self.plan.backbone]
        rows = [
            {
                "name": f"tagseg ({backbone})",
                "val": self._scores_if_run(layer, self.plan.rounds, backbone),
                "test": self._scores_if_run(layer, self.plan.rounds, backbone, "test") if tested else None,
            }
            for backbone in (self.plan.backbone, *others)
        ]
        return {"rows": rows}

    def table_3(self) -> Rows:
        """Return the row of table 3: the final network on val."""
        return {"rows": [{"scores": self._scores_if_run(self.plan.config.layer, self.plan.rounds)}]}

    @staticmethod
    def score_files(table: Rows) -> list[str]:
        """Return the score files that a table reads."""
        cells = [row.get(key) for row in table["rows"] for key in ("scores", "val", "test")]
        return [path for path in cells if path]


def paper_name(seed: str) -> str:
    """Return the name of a seed in tables and figures: a block's as in the paper, CAM in capitals."""
    names = {node: name for name, node in PAPER_NODES.items()} | {CAM_SEED: "CAM"}
    return names.get(seed, seed)
