"""Pytorch-UNet in an older form that circulates in tutorials: biases, and no more than 512 channels.

Its keys are those of https://github.com/milesial/Pytorch-UNet, its shapes are not.
"""

from uvala.weights.form import Form
from uvala.weights.origins.milesial import names, read

__all__ = ["ORIGINS"]

ORIGINS = {
    "seed003": (Form("UNet with 512 channels at most, of tutorials", "pytorch_unet_512", read, names),)
}
