"""Our networks against those of their origins: forward time in turn, and the memory of a training step.

pip install --no-deps segmentation-models-pytorch==0.6.0 dynamic-network-architectures==0.4.4
python benchmarks/networks.py speed [ROUNDS]
python benchmarks/networks.py memory
python benchmarks/networks.py step NAME SIDE BATCH CHECKPOINTING    # what `memory` calls, once per process
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from uvala.models.catalog import create_model
from uvala.weights.peers import from_peer

ROUNDS = 15


def speed(rounds: int) -> None:
    """One image through both, in turn; the ratio of each pair, its median and quartiles."""
    print("| network | image | theirs, s | ours, s | ratio, median | quartiles | largest difference |")
    print("|---|---|--:|--:|--:|---|--:|")
    for name, origin, make, shape in CONTESTS:
        torch.manual_seed(0)
        theirs = make().eval()
        ours = from_peer(origin, theirs.state_dict())
        image = torch.randn(shape)
        with torch.inference_mode():
            difference = (theirs(image) - ours(image)).abs().max().item()
            times = [(seconds(theirs, image), seconds(ours, image)) for _ in range(rounds)]
        ratios = [our / their for their, our in times]
        low, middle, high = statistics.quantiles(ratios, n=4)
        their, our = (statistics.median(column) for column in zip(*times, strict=True))
        print(
            f"| {name} | {'x'.join(map(str, shape))} | {their:.3f} | {our:.3f} | {middle:.3f} "
            f"| {low:.3f}-{high:.3f} | {difference:.1e} |",
            flush=True,
        )


def seconds(model: nn.Module, image: Tensor) -> float:
    """Wall-clock time of one forward pass."""
    began = time.perf_counter()
    model(image)
    return time.perf_counter() - began


def pytorch_unet() -> nn.Module:
    """The layer list of Pytorch-UNet (its README and state_dict), for three channels and two classes."""

    class Twice(nn.Module):
        def __init__(self, before: int, after: int) -> None:
            super().__init__()
            self.double_conv = nn.Sequential(
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
                nn.Conv2d(after, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            )

        def forward(self, x: Tensor) -> Tensor:
            return self.double_conv(x)

    class Down(nn.Module):
        def __init__(self, before: int, after: int) -> None:
            super().__init__()
            self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), Twice(before, after))

        def forward(self, x: Tensor) -> Tensor:
            return self.maxpool_conv(x)

    class Up(nn.Module):
        def __init__(self, before: int, after: int) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(before, before // 2, 2, stride=2)
            self.conv = Twice(before, after)

        def forward(self, low: Tensor, skip: Tensor) -> Tensor:
            low = self.up(low)
            down, right = skip.shape[2] - low.shape[2], skip.shape[3] - low.shape[3]
            low = nn.functional.pad(low, [right // 2, right - right // 2, down // 2, down - down // 2])
            return self.conv(torch.cat([skip, low], dim=1))

    class Out(nn.Module):
        def __init__(self, before: int, after: int) -> None:
            super().__init__()
            self.conv = nn.Conv2d(before, after, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x)

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inc = Twice(3, 64)
            self.down1, self.down2 = Down(64, 128), Down(128, 256)
            self.down3, self.down4 = Down(256, 512), Down(512, 1024)
            self.up1, self.up2 = Up(1024, 512), Up(512, 256)
            self.up3, self.up4 = Up(256, 128), Up(128, 64)
            self.outc = Out(64, 2)

        def forward(self, image: Tensor) -> Tensor:
            one = self.inc(image)
            two = self.down1(one)
            three = self.down2(two)
            four = self.down3(three)
            x = self.up1(self.down4(four), four)
            return self.outc(self.up4(self.up3(self.up2(x, three), two), one))

    return Whole()


def smp(kind: str, encoder: str) -> Callable[[], nn.Module]:
    """A network of segmentation_models_pytorch, three channels, two classes."""

    def make() -> nn.Module:
        import segmentation_models_pytorch as package

        return getattr(package, kind)(encoder, encoder_weights=None, in_channels=3, classes=2)

    return make


def nnunet(kind: str) -> Callable[[], nn.Module]:
    """A network of nnU-Net in seven stages, one channel, two classes."""

    def make() -> nn.Module:
        from dynamic_network_architectures.architectures import unet

        depths = (
            {"n_conv_per_stage": 2, "n_conv_per_stage_decoder": 2}
            if kind == "PlainConvUNet"
            else {"n_blocks_per_stage": [1, 3, 4, 6, 6, 6, 6], "n_conv_per_stage_decoder": 1}
        )
        return getattr(unet, kind)(
            input_channels=1,
            n_stages=7,
            features_per_stage=[32, 64, 128, 256, 512, 512, 512],
            conv_op=nn.Conv2d,
            kernel_sizes=3,
            strides=[1, 2, 2, 2, 2, 2, 2],
            num_classes=2,
            conv_bias=True,
            norm_op=nn.InstanceNorm2d,
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
            deep_supervision=False,
            **depths,
        )

    return make


CONTESTS = [
    ("Pytorch-UNet", "milesial", pytorch_unet, (1, 3, 256, 256)),
    ("smp Unet resnet34", "smp", smp("Unet", "resnet34"), (1, 3, 512, 512)),
    ("smp UnetPlusPlus resnet34", "smp", smp("UnetPlusPlus", "resnet34"), (1, 3, 256, 256)),
    ("smp Linknet resnet34", "smp", smp("Linknet", "resnet34"), (1, 3, 512, 512)),
    ("nnU-Net plain", "dna", nnunet("PlainConvUNet"), (1, 1, 512, 512)),
    ("nnU-Net residual encoder", "dna", nnunet("ResidualEncoderUNet"), (1, 1, 256, 256)),
]

STEPS = [
    ("paper_unet", 572, 1),
    ("pytorch_unet", 512, 1),
    ("unet:resnet34", 512, 2),
    ("plain_conv_unet", 512, 2),
    ("unetpp", 256, 2),
]


def memory() -> None:
    """Memory above the process with its weights and gradients, and time, of a training step, a process each.

    Kept: after the forward pass, for the way back. Peak: the most at any time, scratch memory included.
    """
    print("| network | image | kept, MB | checkpointed | peak, MB | checkpointed | ratio | s | s |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, side, batch in STEPS:
        plain, saving = (measured_step(name, side, batch, flag) for flag in ("0", "1"))
        print(
            f"| {name} | {batch}x{side}x{side} | {plain[0]:.0f} | {saving[0]:.0f} | {plain[1]:.0f} "
            f"| {saving[1]:.0f} | {saving[1] / plain[1]:.2f} | {plain[2]:.1f} | {saving[2]:.1f} |",
            flush=True,
        )


def measured_step(name: str, side: int, batch: int, checkpointing: str) -> list[float]:
    """(kept and peak memory in MB, seconds) of `step` in a process of its own."""
    command = [sys.executable, __file__, "step", name, str(side), str(batch), checkpointing]
    # what is freed goes back to the system at once, so that the resident memory is what is in use
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "262144"}
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    return [float(number) for number in out.split()]


def step(name: str, side: int, batch: int, checkpointing: bool) -> None:
    """One training step; prints what it keeps, the peak of its memory, and its time."""
    torch.manual_seed(0)
    model = create_model(name, in_channels=1, num_classes=2).train()
    if checkpointing:
        model.use_checkpointing()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)  # gradients are there in any case
    image = torch.randn(batch, 1, side, side)
    before = resident()
    began = time.perf_counter()
    outputs = model(image)
    loss = sum(each.square().mean() for each in (outputs if isinstance(outputs, list) else [outputs]))
    kept = resident() - before
    loss.backward()
    print(kept, peak() - before, time.perf_counter() - began)


def resident() -> float:
    """Memory of this process now, MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def peak() -> float:
    """The most memory that this process ever had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["speed", *rounds]:
            speed(int(rounds[0]) if rounds else ROUNDS)
        case ["memory"]:
            memory()
        case ["step", name, side, batch, flag]:
            step(name, int(side), int(batch), flag == "1")
        case _:
            print(__doc__)
