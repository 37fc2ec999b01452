"""The multi-label classifier: it learns the tags, and gives the features and the CAM."""

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.models.backbones import Backbone, Network, build_backbone
from tagseg.models.settings import ClassifierSettings
from tagseg.runtime.errors import TagsegError
from tagseg.storage.checkpoints import load_network


class Classifier(Network):
    """Backbone, global average pooling, linear layer: images (N, 3, H, W) -> scores (N, classes - 1).

    Score i belongs to the class index i + 1; the background has none.
    """

    head: nn.Linear

    def __init__(self, settings: ClassifierSettings, classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = build_backbone(settings.backbone, settings.weights, settings.output_stride)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(self.backbone.channels, classes - 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before the sigmoid of images (N, 3, H, W) in [0, 255]."""
        return self.head(self.dropout(self.backbone(images).mean(dim=(2, 3))))

    def scores_and_cam(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (N, classes - 1) and CAM (N, classes - 1, h, w) (Zhou et al. 2016).

        The CAM of a class is the sum of the last feature maps weighted by the linear weights of the class;
        its mean over positions, plus the bias, is the score.
        """
        maps = self.backbone(images).float()
        cam = F.conv2d(maps, self.head.weight[:, :, None, None])
        return cam.mean(dim=(2, 3)) + self.head.bias, cam


def load_classifier(path: Path, classes: tuple[str, ...]) -> Classifier:
    """Return the classifier of a checkpoint, in evaluation mode.

    Raises TagsegError if the file is not a checkpoint of a classifier of these classes.
    """
    return load_network(path, "classifier", classes, ClassifierSettings, Classifier)


def feature_extractor(classifier: Classifier, node: str) -> Backbone:
    """Return the classifier's backbone cut off after `node`, in evaluation mode (the paper's f, Eq. 1).

    Raises TagsegError if the network has no such node, or the classifier ends before it.
    """
    settings = classifier.settings
    backbone = build_backbone(settings.backbone, None, settings.output_stride, node)
    untrained = backbone.load_state_dict(classifier.backbone.state_dict(), strict=False).missing_keys
    if untrained:
        raise TagsegError(f"node {node!r}: comes after what the classifier pools. Use an earlier node.")
    return backbone.eval()
