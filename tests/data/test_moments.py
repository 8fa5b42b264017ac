"""Mean and standard deviation, block by block."""

import numpy as np
import pytest

from uvala.data.moments import moments_of


def moments(blocks):
    each = moments_of(blocks[0].dtype)
    for block in blocks:
        each.add(block)
    return each.mean_and_spread()


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "uint16", "int32", "float16", "float32", "float64", "bool"]
)
def test_are_those_of_numpy(dtype):
    values = (np.random.default_rng(0).random((300, 200)) * 100).astype(dtype)
    wide = values.astype(np.float64)
    np.testing.assert_allclose(moments(np.array_split(values, 7)), (wide.mean(), wide.std()), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_do_not_depend_on_the_order_of_the_blocks(dtype):
    blocks = np.array_split((np.random.default_rng(0).random((300, 200)) * 100).astype(dtype), 7)
    assert moments(blocks) == moments(blocks[::-1])


@pytest.mark.parametrize("value", [-32768, 32767])
def test_of_extreme_integers_are_exact(value):
    assert moments([np.full((512, 512), value, np.int16)] * 3) == (value, 0.0)


def test_of_numbers_far_from_zero_keep_their_digits():
    mean, spread = moments(np.array_split(1e9 + np.arange(1000.0), 9))
    assert (mean, spread) == pytest.approx((1e9 + 499.5, np.arange(1000.0).std()), rel=1e-13)


def test_leave_out_what_is_no_number():
    assert moments([np.array([1.0, np.nan, 3.0]), np.array([np.inf, np.nan])]) == (2.0, 1.0)


def test_of_nothing_are_zero():
    assert moments([np.array([np.nan])]) == (0.0, 0.0)
