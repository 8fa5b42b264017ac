"""A network is converted once."""

import torch

from uvala.backends import converted as converted_module
from uvala.backends.converted import converted, structure_of


def contents(network, text="converted"):
    made = []

    def convert(folder):
        made.append(folder)
        (folder / "file").write_text(text)

    with converted(network, "kind", (), convert) as folder:
        return (folder / "file").read_text(), len(made)


def test_the_same_weights_are_converted_once(pocket):
    assert contents(pocket) == ("converted", 1)
    assert contents(pocket, "again") == ("converted", 0)


def test_other_weights_of_one_structure_are_another_network(make):
    first, second = make("pocket_unet", seed=1), make("pocket_unet", seed=2)
    assert structure_of(first) == structure_of(second)
    assert contents(first, "first") == ("first", 1)
    assert contents(second, "second") == ("second", 1)


def test_another_width_is_another_structure(make):
    assert structure_of(make("pocket_unet", width=4)) != structure_of(make("pocket_unet", width=8))


def test_those_used_longest_ago_make_room(tmp_path, monkeypatch):
    monkeypatch.setenv("UVALA_CACHE", str(tmp_path))
    monkeypatch.setattr(converted_module, "_LIMIT", 25)
    for number in range(3):
        contents(torch.nn.Conv2d(1, 1 + number, 1), "ten bytes.")
    assert sum(file.stat().st_size for file in tmp_path.rglob("file")) == 20
    assert contents(torch.nn.Conv2d(1, 3, 1)) == ("converted", 1)


def test_without_a_place_for_it_nothing_is_kept(pocket, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("UVALA_CACHE", str(tmp_path / "file"))
    assert [contents(pocket), contents(pocket)] == [("converted", 1)] * 2
