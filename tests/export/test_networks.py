"""Networks of every kind leave as files: those that pad, that take odd sizes as they are, that unpool."""

import numpy as np
import pytest

from drawn import discs
from uvala.api.exporting import export
from uvala.errors import BackendError
from uvala.models.facts import measure
from uvala.prediction.exported import ExportedPredictor
from uvala.prediction.file_kinds import SUFFIXES

NETWORKS = ["pytorch_unet", "unet", "unet:resnet34", "unetpp", "attention_unet", "fcn32s", "segnet"]
NETWORKS += ["plain_conv_unet"]  # of instance norms
PAIRS = [(name, to) for name in NETWORKS for to in ("onnx", "openvino")]
PAIRS += [("unet:resnet34", "torch"), ("fcn32s", "torch")]  # torch.export takes its time


@pytest.mark.parametrize(("name", "to"), PAIRS)
def test_file_says_what_pytorch_says(run_of, tmp_path, name, to):
    written = export(run_of(name).path, tmp_path / f"net{SUFFIXES[to]}", to=to)
    assert written.verification.difference < 1e-4
    assert written.verification.agreement > 0.9999


@pytest.mark.parametrize("name", ["fcn32s", "segnet"])
def test_file_predicts_odd_sizes_as_the_run_does(run_of, tmp_path, name):
    run, image = run_of(name), discs((67, 133), seed=5)[0]
    found = ExportedPredictor(export(run.path, tmp_path / "net.onnx").path)(image[None])
    np.testing.assert_allclose(found.probabilities, run.predict(image).probabilities, rtol=0, atol=1e-4)


def test_a_file_whose_tiles_would_be_wrong_between_multiples_has_no_halo(run_of, tmp_path):
    run = run_of("unet:resnet34")
    options = dict(run.card.network.options) | {"interpolation": "bilinear"}
    network = run.card.network.model_copy(update={"options": options})
    run.folder.write_card(run.card.model_copy(update={"network": network}))
    assert measure(run.folder.model(), 1).halo is not None
    assert export(run.path, tmp_path / "net.onnx").card.halo is None


def test_what_torch_records_wrongly_is_not_written(run_of, tmp_path):
    with pytest.raises(BackendError, match=r"disagrees with PyTorch.*choose another --to"):
        export(run_of("fcn16s").path, tmp_path / "net.pt2", to="torch")
    assert not list(tmp_path.glob("net.pt2*"))
