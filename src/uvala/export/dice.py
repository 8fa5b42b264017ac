"""What 8 bits cost: Dice on the validation images, of PyTorch and of the file."""

from dataclasses import asdict, dataclass

import numpy as np

from uvala.data.wording import count
from uvala.errors import BackendError
from uvala.export.config import ExportConfig
from uvala.export.trials import RunImages
from uvala.metrics.pixels import confusion_matrix, dice, macro
from uvala.prediction.engine import ImagePredictor, Predictor
from uvala.prediction.exported import ExportedPredictor
from uvala.prediction.session import Session
from uvala.tiling.test_time_config import TestTimeConfig

__all__ = ["DiceLoss", "require_dice", "require_images", "validation_dice"]


@dataclass(frozen=True)
class DiceLoss:
    """Mean Dice over the classes, of all validation images together: 0 to 1."""

    pytorch: float
    file: float
    images: int

    def as_dict(self) -> dict[str, float | int]:
        """For JSON."""
        return asdict(self)


def require_images(found: RunImages) -> None:
    """BackendError where 8 bits can neither be calibrated nor judged."""
    missing = [
        kind for kind, images in {"training": found.train, "validation": found.val}.items() if not images
    ]
    if missing:
        raise BackendError(
            found=f"no {' and no '.join(missing)} images ({found.words})",
            expected="those of the run, by which 8 bits are calibrated and judged",
            fix="bring the data set back to where it was, or leave --int8 out",
        )


def validation_dice(session: Session, predictor: Predictor, found: RunImages) -> DiceLoss:
    """Dice of both on the run's validation images. predictor: looks at each image once, as the file here."""
    classes = predictor.card.network.num_classes
    # the mean of several views would hide what one look has lost
    ways: tuple[ImagePredictor, ...] = (predictor, ExportedPredictor(session, test_time=TestTimeConfig()))
    sums = np.zeros((len(ways), classes, classes), np.int64)
    for image, truth in found.pairs():
        for way, total in zip(ways, sums, strict=True):
            total += confusion_matrix(way(image).mask, truth, classes)
    before, after = (macro(dice(total)) for total in sums)
    return DiceLoss(before, after, len(found.val))


def require_dice(found: DiceLoss, config: ExportConfig) -> None:
    """BackendError if 8 bits cost more Dice than they may."""
    lost = found.pytorch - found.file
    if not lost <= config.most_dice_lost:
        raise BackendError(
            found=f"Dice {found.file:.4f} with 8 bits on {count(found.images, 'validation image')}, "
            f"{found.pytorch:.4f} without: {100 * lost:.2f} points less",
            expected=f"at most {100 * config.most_dice_lost:g} points less",
            fix="nothing was written; leave --int8 out, or allow more with --set most_dice_lost=SHARE",
        )
