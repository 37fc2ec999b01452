"""The multi-label classifier: it learns the tags, and gives the features and the CAM."""

from dataclasses import asdict, dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.backbones import Backbone, build_backbone
from tagseg.checkpoints import load_settings, rebuilt
from tagseg.errors import TagsegError


@dataclass(frozen=True)
class ClassifierSettings:
    """What a classifier is built of; see config.yaml for the meaning of each."""

    backbone: str
    weights: str | None
    output_stride: int
    dropout: float = 0.0


class Classifier(nn.Module):
    """Backbone, global average pooling, one linear layer: images (N, 3, H, W) -> scores (N, classes - 1).

    Class number c has score c - 1; there is none for the background.
    """

    def __init__(self, settings: ClassifierSettings, classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.backbone: Backbone = build_backbone(settings.backbone, settings.weights, settings.output_stride)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(self.backbone.channels, classes - 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before the sigmoid of images (N, 3, H, W) in [0, 255]."""
        return self.head(self.dropout(self.backbone(images).mean(dim=(2, 3))))

    def scores_and_cam(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (N, classes - 1) and CAM (N, classes - 1, h, w) (Zhou et al. 2016).

        The CAM of a class is the sum of the last feature maps weighted by the class's linear weights;
        its mean over positions, plus the bias, is the score.
        """
        maps = self.backbone(images).float()
        cam = F.conv2d(maps, self.head.weight[:, :, None, None])
        return cam.mean(dim=(2, 3)) + self.head.bias, cam


def describe(classifier: Classifier, classes: tuple[str, ...]) -> dict:
    """Return what a checkpoint needs to rebuild the classifier without any weights file."""
    return {
        "kind": "classifier",
        "classes": list(classes),
        "settings": {**asdict(classifier.settings), "weights": None},
    }


def load_classifier(path: str, classes: tuple[str, ...]) -> Classifier:
    """Return the classifier of a checkpoint, in evaluation mode.

    Raises TagsegError where the checkpoint is none or of other classes.
    """
    settings, state = load_settings(path, "classifier", classes, ClassifierSettings)
    return rebuilt(Classifier, settings, len(classes), state, path)


def feature_extractor(classifier: Classifier, node: str) -> Backbone:
    """Return the classifier's backbone cut off after `node`, in evaluation mode (the paper's f, Eq. 1).

    Raises TagsegError where the network has no such node, or the classifier ends before it.
    """
    settings = classifier.settings
    backbone = build_backbone(settings.backbone, None, settings.output_stride, node)
    untrained = backbone.load_state_dict(classifier.backbone.state_dict(), strict=False).missing_keys
    if untrained:
        raise TagsegError(f"node {node!r} comes after what the classifier pools; choose an earlier one")
    return backbone.eval()
