"""Measurements of objects, against definitions and closed formulas."""

import csv

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from uvala.errors import ShapeError, StorageError
from uvala.instances.measure import measure_objects, write_table


def random_labels(random):
    shape = random.integers(1, 12, 2)
    return random.integers(0, 5, shape) * 3 * (random.random(shape) < random.random())


def rectangle(height, width, at=(2, 3)):
    labels = np.zeros((height + 5, width + 6), int)
    labels[at[0] : at[0] + height, at[1] : at[1] + width] = 1
    return labels


def measured(labels, *images, **options):
    """The row of the only object."""
    return {name: column.item() for name, column in measure_objects(labels, *images, **options).items()}


def test_position_and_intensity_are_those_of_the_definitions():
    random = np.random.default_rng(0)
    for _ in range(400):
        labels = random_labels(random)
        image = random.normal(size=(2, *labels.shape))
        columns = measure_objects(labels, image, foreground=abs(image[0]))
        numbers = np.unique(labels[labels > 0])
        assert_array_equal(columns["label"], numbers)
        for index, number in enumerate(numbers):
            one = labels == number
            rows, places = np.nonzero(one)
            values = image[1][one]
            expected = {
                "area_px": one.sum(),
                "centroid_row_px": rows.mean(),
                "centroid_column_px": places.mean(),
                "top": rows.min(),
                "left": places.min(),
                "bottom": rows.max() + 1,
                "right": places.max() + 1,
                "touches_edge": min(rows.min(), places.min()) == 0
                or rows.max() == labels.shape[0] - 1
                or places.max() == labels.shape[1] - 1,
                "intensity_mean_1": values.mean(),
                "intensity_min_1": values.min(),
                "intensity_max_1": values.max(),
                "intensity_sum_1": values.sum(),
                "score": abs(image[0][one]).mean(),
            }
            found = {name: columns[name][index] for name in expected}
            assert_allclose(list(found.values()), list(expected.values()), rtol=1e-12, atol=1e-12)


class TestShape:
    """A rectangle has closed formulas: the variance of n positions in a row is (n^2 - 1) / 12."""

    @pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.5), (2.0, 0.25)], ids=str)
    @pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1), (7, 4), (5, 5)], ids=str)
    def test_of_a_rectangle(self, size, spacing):
        row = measured(rectangle(*size), spacing=spacing, unit="um")
        axes = sorted(4 * step * np.sqrt((n**2 - 1) / 12) for n, step in zip(size, spacing, strict=True))
        area = size[0] * spacing[0] * size[1] * spacing[1]
        found = [row[f"{name}_um"] for name in ("minor_axis", "major_axis", "equivalent_diameter")]
        assert_allclose(found, [*axes, np.sqrt(4 * area / np.pi)], atol=1e-7)
        assert_allclose((row["area_um2"], row["solidity"]), (area, 1))
        eccentricity = np.sqrt(1 - (axes[0] / axes[1]) ** 2) if axes[1] else 0
        assert_allclose(row["eccentricity"], eccentricity, atol=1e-7)

    def test_physical_positions_are_those_in_pixels_times_the_spacing(self):
        row = measured(rectangle(3, 5), spacing=(0.5, 2.0), unit="um")
        assert (row["centroid_row_px"], row["centroid_column_px"]) == (3, 5)
        assert (row["centroid_row_um"], row["centroid_column_um"]) == (1.5, 10)

    def test_the_perimeter_goes_through_the_centres_of_the_outermost_pixels(self):
        assert measured(rectangle(4, 6), spacing=(0.5, 0.5), unit="um")["perimeter_um"] == 0.5 * 2 * (3 + 5)

    def test_there_is_no_perimeter_where_pixels_are_not_square(self):
        assert "perimeter_um" not in measured(rectangle(4, 6), spacing=(0.5, 1), unit="um")

    @pytest.mark.parametrize(
        ("labels", "angle"),
        [(rectangle(9, 1), 0), (np.eye(9), 45), (np.eye(9)[::-1], -45)],
        ids=["upright", "falling", "rising"],
    )
    def test_the_angle_is_measured_from_the_vertical_counter_clockwise(self, labels, angle):
        assert_allclose(measured(labels.astype(int))["orientation_deg"], angle, atol=1e-12)

    def test_a_lying_line_is_at_a_right_angle_to_the_vertical(self):
        assert_allclose(abs(measured(rectangle(1, 9))["orientation_deg"]), 90)

    def test_an_l_covers_three_quarters_of_its_box(self):
        labels = np.kron([[1, 0], [1, 1]], np.ones((20, 20), int))
        assert_allclose(measured(labels)["solidity"], 3 / 3.5, rtol=0.02)  # the hull cuts one corner off


class TestTable:
    def test_without_objects_it_has_the_same_columns_and_no_rows(self):
        options = {"spacing": (0.5, 0.5), "unit": "um"}
        image = np.zeros((2, 8, 11), np.uint8)
        empty = measure_objects(np.zeros((8, 11), int), image, foreground=image[0] / 2, **options)
        full = measure_objects(rectangle(3, 5), image, foreground=image[0] / 2, **options)
        assert list(empty) == list(full)
        assert {len(column) for column in empty.values()} == {0}

    def test_an_image_without_pixels_has_no_objects(self):
        assert measure_objects(np.zeros((0, 4), int), np.zeros((3, 0, 4)))["label"].size == 0

    def test_one_pixel_has_a_number_in_every_column(self):
        row = measured(np.ones((1, 1), int), np.full((1, 1, 1), 7, np.uint16), foreground=np.ones((1, 1)))
        assert np.isfinite(list(row.values())).all()

    def test_intensities_keep_the_type_of_the_image(self):
        columns = measure_objects(rectangle(2, 2), np.full((7, 8), 200, np.uint8))
        assert columns["intensity_max"].dtype == np.uint8
        assert columns["intensity_sum"].item() == 800  # more than the type holds

    def test_a_mask_is_an_image_of_zeros_and_ones(self):
        assert measured(rectangle(2, 2), np.ones((7, 8), bool))["intensity_sum"] == 4

    def test_objects_may_have_any_numbers(self):
        columns = measure_objects(rectangle(2, 2) * 10**12)
        assert (columns["label"].item(), columns["area_px"].item()) == (10**12, 4)

    @pytest.mark.parametrize(
        "options",
        [
            {"image": np.zeros((1, 3, 3))},
            {"image": np.zeros((7, 8), complex)},
            {"foreground": np.zeros((8, 7))},
            {"spacing": (0.5, 0.5)},
            {"spacing": (0.5, -0.5), "unit": "um"},
            {"spacing": (1, 1), "unit": ""},
        ],
        ids=["size", "complex", "turned", "no unit", "negative", "empty unit"],
    )
    def test_what_does_not_fit_together_is_refused(self, options):
        with pytest.raises(ShapeError):
            measure_objects(rectangle(2, 2), **options)


class TestCsv:
    def test_a_row_per_object_under_the_names_of_the_columns(self, tmp_path):
        columns = {
            "label": np.array([1, 7]),
            "touches_edge": np.array([True, False]),
            "mean": np.array([0.1, np.nan]),
        }
        write_table(columns, tmp_path / "objects.csv")
        lines = (tmp_path / "objects.csv").read_text().splitlines()
        assert lines == ["label,touches_edge,mean", "1,true,0.1", "7,false,"]

    def test_no_objects_are_a_header(self, tmp_path):
        write_table(measure_objects(np.zeros((3, 3), int)), tmp_path / "objects.csv")
        assert len((tmp_path / "objects.csv").read_text().splitlines()) == 1

    def test_numbers_are_read_as_they_were(self, tmp_path):
        columns = measure_objects(random_labels(np.random.default_rng(5)))
        write_table(columns, tmp_path / "objects.csv")
        with (tmp_path / "objects.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [float(row["eccentricity"]) for row in rows] == columns["eccentricity"].tolist()

    def test_a_name_that_is_taken_by_a_folder_is_refused(self, tmp_path):
        with pytest.raises(StorageError):
            write_table({}, tmp_path)
