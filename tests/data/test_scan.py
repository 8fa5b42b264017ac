"""One pass over all files, in order, whatever happens to one of them."""

import numpy as np
import pytest

from uvala.data.sample import Sample
from uvala.data.scan import file_name, scan
from uvala.images.read import Source


def samples_of(drawn):
    return [
        Sample(path.name, Source(path), Source(drawn.root / "masks" / path.name))
        for path in sorted((drawn.root / "images").iterdir())
    ]


@pytest.mark.parametrize("workers", [1, 4])
def test_facts_come_in_the_order_of_the_samples(drawn, workers):
    drawn.pairs(20)
    facts = scan(samples_of(drawn), drawn.root, workers=workers)
    assert [each.sample.name for each in facts] == [f"s{seed:02d}.png" for seed in range(20)]
    assert [each.image.mean[0] for each in facts] == [
        pytest.approx(drawn.image_of(drawn.discs(seed), seed).mean()) for seed in range(20)
    ]


def test_a_broken_file_leaves_the_facts_of_the_others(drawn):
    drawn.pairs(3)
    (drawn.root / "masks/s01.png").write_bytes(b"no image")
    first, second, third = scan(samples_of(drawn), drawn.root)
    assert (second.mask, [problem.file for problem in second.problems]) == (None, ["masks/s01.png"])
    assert second.image is not None
    assert first.mask is not None is not third.mask


def test_a_missing_file_is_a_problem_and_no_crash(drawn):
    drawn.pairs(2)
    samples = samples_of(drawn)
    (drawn.root / "images/s00.png").unlink()
    assert [problem.file for problem in scan(samples, drawn.root)[0].problems] == ["images/s00.png"]


def test_an_object_mask_of_another_size_than_the_first_is_a_problem(drawn):
    image = drawn.save("a.png", drawn.photograph(0))
    masks = [drawn.save(f"{n}.png", np.full((64, 64 + n), 255, np.uint8)) for n in (0, 1)]
    sample = Sample("a.png", Source(image), tuple(Source(mask) for mask in masks))
    (facts,) = scan([sample], drawn.root)
    assert (facts.mask, [problem.file for problem in facts.problems]) == (None, ["1.png"])


def test_files_are_named_relative_to_the_data_with_their_page(tmp_path):
    assert file_name(Source(tmp_path / "a" / "b.tif", 3), tmp_path) == "a/b.tif#3"
    assert file_name(Source(tmp_path / "b.tif"), tmp_path / "elsewhere") == (tmp_path / "b.tif").as_posix()
