"""The colours that Pascal VOC gives to class numbers, which many programs have taken over."""

__all__ = ["VOC_COLOURS", "VOC_VOID"]


def _colour(index: int) -> int:
    """The colour of class `index`: its bits 0, 3, 6 are the high bits of red, 1, 4, 7 of green, 2, 5 of blue.

    So defined by the VOC development kit (Everingham et al. 2010, "The Pascal visual object classes
    challenge").
    """
    packed = 0
    for bit in range(8):
        level, channel = divmod(bit, 3)
        packed |= (index >> bit & 1) << (7 - level) << (8 * (2 - channel))
    return packed


VOC_COLOURS = tuple(_colour(index) for index in range(256))
"""Packed colours (red << 16 | green << 8 | blue) of classes 0 to 255; all differ."""

VOC_VOID = 255
"""The class number, light yellow in VOC masks, of pixels that nobody labelled."""
