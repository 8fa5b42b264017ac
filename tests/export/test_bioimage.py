"""A package is what the BioImage Model Zoo's own library takes it for."""

import json
import warnings
from zipfile import ZipFile

import pytest

from uvala.api.exporting import export


@pytest.fixture(scope="module")
def package(disc_run, tmp_path_factory):
    return export(disc_run.path, tmp_path_factory.mktemp("zoo") / "discs.zip", to="bioimageio").path


def test_holds_weights_in_two_forms_and_all_that_explains_them(package):
    with ZipFile(package) as archive:
        names = set(archive.namelist())
        said = json.loads(archive.read("rdf.yaml"))
    outputs = {"test_probabilities.npy"}
    assert names == outputs | {
        *("rdf.yaml", "weights.onnx", "weights.pt", "README.md", "cover.png", "test_input.npy")
    }
    assert said["inputs"][0]["axes"][2]["size"]["step"] == 4
    assert said["outputs"][0]["axes"][2]["halo"] == 24  # 22, up to the next multiple
    assert said["inputs"][0]["axes"][2]["concatenable"]


def test_says_of_a_network_without_exact_blocks_that_it_is_not_to_be_cut(run_of, tmp_path):
    path = export(run_of("plain_conv_unet").path, tmp_path / "net.zip", to="bioimageio").path
    with ZipFile(path) as archive:
        said = json.loads(archive.read("rdf.yaml"))
    assert not any(axis.get("concatenable") for axis in said["inputs"][0]["axes"])


@pytest.mark.filterwarnings("ignore")  # files that bioimageio leaves open
def test_library_reproduces_the_test_arrays_with_both_weights(package, monkeypatch):
    pytest.importorskip("bioimageio.core", reason="checks packages; of the extra `dev`")
    from bioimageio.core import test_model as checked  # its name would make it a test
    from pydantic import VERSION

    if tuple(map(int, VERSION.split(".")[:2])) >= (2, 14):
        from bioimageio.spec import __version__ as spec

        pytest.skip(f"bioimageio.spec {spec} cannot serialise with pydantic {VERSION}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = checked(package)
    assert found.status == "passed", found.format()
    assert {detail.loc[1] for detail in found.details if detail.loc[:1] == ("weights",)} == {
        "onnx",
        "pytorch_state_dict",
    }
