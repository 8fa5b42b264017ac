"""SegNet: places of maxima next to torch's own indices, and what an output depends on."""

import pytest
import torch
import torch.nn.functional as F
from torch.export import Dim, export

import goldens
from uvala.models.catalog import create_model
from uvala.models.facts import measure
from uvala.models.segnet import pool_with_corners, unpool


def make(**options):
    return goldens.filled(create_model("segnet", in_channels=2, num_classes=3, **{"width": 2, **options}))


def many_ties(*shape):
    """Integers from 0 to 3, so that most squares have several maxima."""
    return torch.randint(0, 4, shape).float()


@pytest.fixture
def one_thread():
    """The order in which torch writes to one place twice is given on one thread only."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


IMAGES = [torch.randn, many_ties, torch.zeros]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("draw", IMAGES, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("size", [(8, 12), (2, 2), (2, 40), (64, 64)], ids=str)
class TestPlaces:
    """Bit for bit what max_pool2d and max_unpool2d give on one thread of a CPU."""

    def test_maxima_and_their_corners(self, one_thread, stride, draw, size):
        x = draw(2, 3, *size)
        maximum, corners = pool_with_corners(x, stride)
        expected, indices = F.max_pool2d(x, 2, stride, return_indices=True)
        rows = torch.arange(0, size[0] - 1, stride)[:, None] + corners // 2
        columns = torch.arange(0, size[1] - 1, stride) + corners % 2
        assert torch.equal(maximum, expected)
        assert torch.equal(rows * size[1] + columns, indices)

    def test_values_that_go_back(self, one_thread, stride, draw, size):
        x = draw(2, 3, *size)
        pooled, indices = F.max_pool2d(x, 2, stride, return_indices=True)
        values = torch.randn_like(pooled)
        expected = F.max_unpool2d(values, indices, 2, stride, output_size=size)
        assert torch.equal(unpool(values, pool_with_corners(x, stride)[1], stride), expected)

    def test_gradient_of_the_values(self, one_thread, stride, draw, size):
        x = draw(1, 2, *size)
        _, corners = pool_with_corners(x, stride)
        values = torch.ones(corners.shape, requires_grad=True)
        unpool(values, corners, stride).sum().backward()
        # one for each pixel that shows the value: none for one that another has overwritten
        numbers = torch.arange(1.0, values.numel() + 1).reshape(values.shape)
        stays = torch.isin(numbers, unpool(numbers, corners, stride))
        assert torch.equal(values.grad, stays.float())


def test_place_does_not_depend_on_the_layout_in_memory():
    x = many_ties(2, 3, 9, 11)
    _, corners = pool_with_corners(x, 1)
    _, other = pool_with_corners(x.to(memory_format=torch.channels_last), 1)
    assert torch.equal(corners, other)


@pytest.mark.parametrize(("stride", "context"), [(1, 31), (2, 186)])
class TestContext:
    """What a network says of its context is what a tile needs, and no more."""

    def test_is_what_the_facts_say(self, stride, context):
        assert measure(make(pool_stride=stride), 2).halo == context

    @pytest.mark.parametrize("axis", [2, 3])
    def test_is_enough_for_a_tile(self, stride, context, axis):
        model = make(pool_stride=stride).double()
        halo = -(-context // model.multiple) * model.multiple  # a tile begins at a multiple
        length, start = 2 * halo + 3 * model.multiple, halo + model.multiple
        image = torch.randn(1, 2, model.multiple + 6, model.multiple + 6).double()
        image = image.repeat_interleave(20, dim=axis).narrow(axis, 0, length)
        image = image + 0.1 * torch.randn_like(image)
        with torch.no_grad():
            whole = model(image)
            left = model(image.narrow(axis, start - halo, length - start + halo))
            right = model(image.narrow(axis, 0, start + model.multiple + halo))
        square = (axis, start, model.multiple)
        torch.testing.assert_close(left.narrow(axis, halo, model.multiple), whole.narrow(*square))
        torch.testing.assert_close(right.narrow(*square), whole.narrow(*square))


def test_stride_1_needs_about_as_much_context_as_it_says():
    # the last pixel counts only where it moves a maximum, which a small image need not show
    model, halo = make(width=8, pool_stride=1).double(), make(pool_stride=1).context - 2
    torch.manual_seed(0)
    image = torch.randn(1, 2, 60, 140).double()
    with torch.no_grad():
        whole, left, right = model(image), model(image[..., 60 - halo :]), model(image[..., : 60 + halo])
    assert (left[..., halo] - whole[..., 60]).abs().max() > 1e-9
    assert (right[..., 59] - whole[..., 59]).abs().max() > 1e-9


@pytest.mark.parametrize("size", [(6, 6), (7, 9), (5, 9), (1, 1)], ids=str)
def test_stride_1_pads_only_what_is_smaller_than_6(size):
    model, image = make(pool_stride=1), torch.randn(1, 2, *size)
    below, right = max(0, 6 - size[0]), max(0, 6 - size[1])
    whole = F.pad(image, (0, right, 0, below), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(model(image), model(whole)[..., : size[0], : size[1]])


def test_stride_1_exports_for_any_size_from_7():
    model = make(pool_stride=1)
    # at 6 the deepest map is a single pixel, which export takes for another case
    sizes = {2: Dim("rows", min=7, max=64), 3: Dim("columns", min=7, max=64)}
    program = export(model, (torch.randn(1, 2, 9, 12),), dynamic_shapes=(sizes,))
    image = torch.randn(1, 2, 31, 7)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(image), model(image))


def test_stride_1_compiles_to_one_graph():
    model, image = make(pool_stride=1), torch.randn(1, 2, 9, 12)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(image), model(image))


def test_stride_changes_no_key():
    assert make(pool_stride=1).state_dict().keys() == make(pool_stride=2).state_dict().keys()
