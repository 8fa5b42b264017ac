"""Use a file of `uvala export RUN --to onnx` where neither uvala nor PyTorch is installed.

python examples/exported_alone.py MODEL.onnx IMAGE.npy MASK.npy; the image is [H, W] or [H, W, C].
"""

import json
import sys

import numpy as np
import onnxruntime


def main(model: str, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model)
    said = session.get_modelmeta().custom_metadata_map
    classes, values = (json.loads(said[name]) for name in ("classes", "mask_values"))

    # in the units of the file, whatever its dtype, of any size: scaling and padding happen inside
    channels_first = np.moveaxis(np.atleast_3d(image), -1, 0)[None].astype(np.float32)
    inputs = {"image": channels_first}
    if len(session.get_inputs()) == 2:  # NaN: it is scaled by its own levels
        inputs["levels"] = np.full((1, channels_first.shape[1], 2), np.nan, np.float32)
    (probabilities,) = session.run(["probabilities"], inputs)

    likeliest = probabilities[0].argmax(axis=0)
    for index, name in enumerate(classes):
        print(f"{name}: {(likeliest == index).mean():.1%} of the pixels")
    return np.array(values)[likeliest]  # as class k is spelt in the masks trained on


if __name__ == "__main__":
    np.save(sys.argv[3], main(sys.argv[1], np.load(sys.argv[2])))
