"""From probabilities to objects, and from objects to what a network learns and what others read; no torch.

from uvala import instances

labels = instances.find_objects(probability, instances.ObjectConfig(method="watershed", min_size=20))
weights = instances.border_weight_map(labels)             # Ronneberger et al. (2015), equation 2
table = instances.measure_objects(labels, image, spacing=(0.5, 0.5), unit="um")
shapes = instances.to_geojson(labels, class_name="nucleus")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvala.instances.border import border_classes, border_weight_map, distance_map
    from uvala.instances.coco import CocoImage, to_coco
    from uvala.instances.components import connected_components
    from uvala.instances.config import ObjectConfig
    from uvala.instances.decode import Maps, find_objects
    from uvala.instances.filters import drop_border_objects, fill_holes, remove_small, renumber
    from uvala.instances.geojson import to_geojson
    from uvala.instances.label_file import LabelFile
    from uvala.instances.large import write_large_objects
    from uvala.instances.measure import measure_objects, write_table
    from uvala.instances.merge import objects_in_blocks
    from uvala.instances.tuning import Tuned, tune

# imported when first used: the settings in `config` are read by the command line, which has no time for SciPy
_HOME = {
    "CocoImage": "uvala.instances.coco",
    "LabelFile": "uvala.instances.label_file",
    "Maps": "uvala.instances.decode",
    "ObjectConfig": "uvala.instances.config",
    "Tuned": "uvala.instances.tuning",
    "border_classes": "uvala.instances.border",
    "border_weight_map": "uvala.instances.border",
    "connected_components": "uvala.instances.components",
    "distance_map": "uvala.instances.border",
    "drop_border_objects": "uvala.instances.filters",
    "fill_holes": "uvala.instances.filters",
    "find_objects": "uvala.instances.decode",
    "measure_objects": "uvala.instances.measure",
    "objects_in_blocks": "uvala.instances.merge",
    "remove_small": "uvala.instances.filters",
    "renumber": "uvala.instances.filters",
    "to_coco": "uvala.instances.coco",
    "to_geojson": "uvala.instances.geojson",
    "tune": "uvala.instances.tuning",
    "write_large_objects": "uvala.instances.large",
    "write_table": "uvala.instances.measure",
}

__all__ = [
    "CocoImage",
    "LabelFile",
    "Maps",
    "ObjectConfig",
    "Tuned",
    "border_classes",
    "border_weight_map",
    "connected_components",
    "distance_map",
    "drop_border_objects",
    "fill_holes",
    "find_objects",
    "measure_objects",
    "objects_in_blocks",
    "remove_small",
    "renumber",
    "to_coco",
    "to_geojson",
    "tune",
    "write_large_objects",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'uvala.instances' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
