"""Tiles are as large as a ceiling of memory allows."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from uvala.errors import ConfigError
from uvala.models.catalog import create_model
from uvala.models.facts import measure
from uvala.tiling.config import TileConfig
from uvala.tiling.memory import measure_memory, tile_within
from uvala.tiling.run import predict_probabilities
from uvala.tiling.use import TiledUse

CPU = torch.device("cpu")
MB = 10**6


def limits(model: nn.Module, memory: int, *, config: TileConfig | None = None, **options) -> TileConfig:
    facts, tiles = measure(model, 3), config or TileConfig()
    use = TiledUse(model, device=CPU, halo=facts.halo, multiple=facts.multiple, tiles=tiles)
    return tile_within(use, 3, memory, **options)


class TestWhatANetworkNeeds:
    """Counted from the tensors that are alive, against what is known of them."""

    def test_of_one_convolution_by_hand(self):
        # 3 channels as read and as cloned, 5 logits, and these in rows
        need = measure_memory(nn.Conv2d(3, 5, 1), 3, multiple=1, activate=lambda logits: logits)
        assert (need.each_pixel, need.outputs) == (4 * (3 + 3 + 5 + 5), 5)

    def test_a_map_that_nobody_holds_any_more_does_not_count(self):
        narrow = nn.Sequential(nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 1, 1))
        deeper = nn.Sequential(*narrow[:2], *(nn.Conv2d(8, 8, 1) for _ in range(9)), narrow[2])
        both = [measure_memory(each, 1, multiple=1).each_pixel for each in (narrow, deeper)]
        assert both[0] == both[1]

    def test_a_network_that_is_told_of_the_whole_image_needs_a_map_more(self):
        model = create_model("unet", in_channels=1, num_classes=2, width=8, depth=2, norm="instance")
        told, alone = (measure_memory(model, 1, multiple=2, told=told).each_pixel for told in (True, False))
        assert alone < told < 2 * alone

    def test_leaves_the_network_as_it_was(self, pocket_unet):
        pocket_unet.train()
        weights = {name: value.clone() for name, value in pocket_unet.state_dict().items()}
        measure_memory(pocket_unet, 3, multiple=4)
        assert pocket_unet.training
        assert all(torch.equal(value, weights[name]) for name, value in pocket_unet.state_dict().items())
        pocket_unet.eval()

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the peak of memory")
    def test_is_about_what_the_process_takes(self):
        model = create_model("unet", in_channels=3, num_classes=2, width=16, depth=3)
        need = measure_memory(model, 3, multiple=4)
        # less the image as it is read, which is there before
        counted = need.fixed + (need.each_pixel - 3 * 4) * 1024**2
        taken = int(subprocess.run([sys.executable, "-c", PEAK], capture_output=True, check=True).stdout)
        assert counted / 1.5 < taken < counted * 1.5


# bytes by which the peak of a process that predicts 1024x1024 pixels lies above what it took before
PEAK = """
import torch
from uvala.models.catalog import create_model
from uvala.tiling.run import probabilities_whole
torch.set_num_threads(1)
model = create_model("unet", in_channels=3, num_classes=2, width=16, depth=3)
def kilobytes(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))
probabilities_whole(model, torch.randn(3, 64, 64), torch.device("cpu"))
image = torch.randn(3, 1024, 1024)
before = kilobytes("VmRSS")
probabilities_whole(model, image, torch.device("cpu"))
print(1024 * (kilobytes("VmHWM") - before))
"""


class TestCeiling:
    """Less memory makes smaller tiles, and no other numbers."""

    def test_less_memory_makes_smaller_tiles(self, unet):
        found = [limits(unet, memory * MB) for memory in (100, 400, 1600)]
        assert found[0].size < found[1].size < found[2].size
        assert found[0].whole_below < found[1].whole_below < found[2].whole_below

    def test_tiles_need_no_more_than_the_ceiling(self, unet):
        need, found = measure_memory(unet, 3, multiple=16), limits(unet, 300 * MB)
        assert need.of_tiles(found.size, 96) <= 300 * MB < need.of_tiles(found.size + 16, 96)

    def test_numbers_stay_the_same(self, pocket_unet):
        image = torch.randn(3, 300, 260, generator=torch.Generator().manual_seed(0))
        every = [limits(pocket_unet, memory) for memory in (20 * MB, 10**10)]
        uses = [TiledUse(pocket_unet, device=CPU, halo=22, multiple=4, tiles=tiles) for tiles in every]
        results = [predict_probabilities(use, image) for use in uses]
        assert limits(pocket_unet, 20 * MB).whole_below < 300 * 260
        torch.testing.assert_close(*results, rtol=0, atol=1e-6)

    def test_a_batch_that_does_not_fit_becomes_single_tiles(self, unet):
        config = TileConfig(batch=8)
        assert limits(unet, 400 * MB, config=config).batch == 1
        assert limits(unet, 10**11, config=config).batch == 8

    def test_sums_of_large_images_that_are_blended_count(self, instance_unet):
        large, small = (limits(instance_unet, 300 * MB, large=each) for each in (True, False))
        assert large.size < small.size

    def test_networks_that_take_turns_have_less_each(self, unet):
        alone, shared = (limits(unet, 300 * MB, networks=number) for number in (1, 5))
        assert alone.size > shared.size

    def test_the_tile_that_is_read_ahead_counts(self, unet):
        need = measure_memory(unet, 3, multiple=16)
        more = need.of_tiles(64, 32) - replace(need, channels=0).of_tiles(64, 32)
        assert more == 128 * 128 * 3 * 4

    def test_too_little_for_the_smallest_tile_is_refused_with_what_it_needs(self, unet):
        with pytest.raises(ConfigError, match=r"3 MB of memory.*expected (\d+) MB or more") as refused:
            limits(unet, 3 * MB)
        needed = int(refused.value.expected.split()[0])
        assert limits(unet, needed * MB).size == 32
