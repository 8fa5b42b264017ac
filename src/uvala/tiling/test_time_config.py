"""Whether an image is also predicted mirrored and turned, and the results averaged."""

from pydantic import Field

from uvala.config import Config

__all__ = ["TestTimeConfig"]


class TestTimeConfig(Config):
    """Mirrored and turned views of an image whose probabilities are averaged when predicting."""

    __test__ = False  # pytest collects classes by their name

    flip_vertical: bool = Field(False, description="also mirrored top to bottom")
    flip_horizontal: bool = Field(False, description="also mirrored left to right")
    quarter_turns: bool = Field(False, description="also turned by 90 degrees; with a flip, all 8 views")
