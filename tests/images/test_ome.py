"""What OME says of an image, whatever its file is called."""

import json
import os
from xml.etree import ElementTree

import numpy as np
import pytest

from uvala.arrays import Size
from uvala.images.boxes import PixelFacts
from uvala.images.ome import ome_xml, ome_zarr_attributes
from uvala.images.stage import Layer

ABOUT = (Layer(1, np.dtype(np.uint8)), PixelFacts(), ())
OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"

NAMES = [
    ("zellen_ä", "zellen_ä"),
    ('a "quoted" & <b>', 'a "quoted" & <b>'),
    (os.fsdecode(b"caf\xe9"), "caf\ufffd"),
    ("bell\x07", "bell\ufffd"),
]


@pytest.mark.parametrize(("name", "read"), NAMES, ids=lambda value: ascii(value))
def test_the_xml_of_any_file_name_can_be_read(name, read):
    description = ome_xml(name, Size(4, 5), *ABOUT)
    assert description.isascii()
    assert ElementTree.fromstring(description).find(f"{OME}Image").get("Name") == read


@pytest.mark.parametrize(("name", "read"), NAMES, ids=lambda value: ascii(value))
def test_the_json_of_any_file_name_is_utf_8(name, read):
    attributes = ome_zarr_attributes(name, [Size(4, 5)], *ABOUT, nearest=True)
    text = json.dumps(attributes, ensure_ascii=False).encode()
    assert json.loads(text)["multiscales"][0]["name"] == read
