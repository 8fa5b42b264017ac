"""nnU-Net v2 on a contest: its own fingerprint, plan, preprocessing, trainer and prediction, on the CPU.

Its preparation does not count as training, and its schedule is the one it has: that of 1000 epochs, of which
the contest's minutes are the beginning.
"""

import json
import os
from pathlib import Path

import numpy as np
import torch
from contest_data import Case, Contest
from contestants import Recipe

__all__ = ["ITS_DATA", "WHY_ALONE", "nnunet"]

ITS_DATA = "isbi2012"
WHY_ALONE = (
    f"it is converted for {ITS_DATA} alone (one channel, membranes): preparation and prediction take half an "
    "hour for ten minutes of training"
)
NUMBER, ITERATIONS = 1, 250
CPU = torch.device("cpu")


def nnunet(contest: Contest, seed: int, out: Path) -> Recipe:
    """Its recipe on ITS_DATA; ValueError for other data."""
    if contest.name != ITS_DATA:
        raise ValueError(f"nnU-Net on {contest.name}: {WHY_ALONE}")
    home = (out / "nnunet").resolve()
    folders = {name: home / name for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    # read when the package is imported; one process prepares batches, since two cores are all there is
    os.environ |= {name: str(path) for name, path in folders.items()} | {"nnUNet_n_proc_DA": "1"}
    for path in folders.values():
        path.mkdir(parents=True, exist_ok=True)
    prepared = folders["nnUNet_preprocessed"] / dataset_name(contest)
    if not (prepared / "splits_final.json").exists():
        convert(contest, folders["nnUNet_raw"] / dataset_name(contest))
        plan_and_preprocess()
        split = {"train": names(contest.training), "val": names(contest.validation)}
        (prepared / "splits_final.json").write_text(json.dumps([split]))
    return training(prepared, seed)


def dataset_name(contest: Contest) -> str:
    return f"Dataset{NUMBER:03d}_{contest.name}"


def names(cases: list[Case]) -> list[str]:
    return [Path(case.name).stem for case in cases]


def convert(contest: Contest, raw: Path) -> None:
    """The images with a mask in nnU-Net's folders; the class looked for is 1."""
    from PIL import Image

    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True, exist_ok=True)
    cases = [*contest.training, *contest.validation]
    for case, name in zip(cases, names(cases), strict=True):
        wanted = (case.truth == contest.positive).astype(np.uint8)
        Image.fromarray(case.image[0].astype(np.uint8)).save(raw / "imagesTr" / f"{name}_0000.png")
        Image.fromarray(wanted).save(raw / "labelsTr" / f"{name}.png")
    about = {
        "channel_names": {"0": "grey"},
        "labels": {"background": 0, "membrane": 1},
        "numTraining": len(cases),
        "file_ending": ".png",
    }
    (raw / "dataset.json").write_text(json.dumps(about))


def plan_and_preprocess() -> None:
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )

    extract_fingerprints([NUMBER], num_processes=1, check_dataset_integrity=True)
    plan_experiments([NUMBER])
    preprocess([NUMBER], configurations=("2d",), num_processes=(1,))


def training(prepared: Path, seed: int) -> Recipe:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (what its own transforms draw from)
    plans = json.loads((prepared / "nnUNetPlans.json").read_text()) | {"continue_training": False}
    about = json.loads((prepared / "dataset.json").read_text())
    trainer = nnUNetTrainer(plans, "2d", 0, about, CPU)
    trainer.on_train_start()
    done = 0

    def step() -> float:
        nonlocal done
        if done % ITERATIONS == 0:
            trainer.current_epoch = done // ITERATIONS
            trainer.on_train_epoch_start()
        done += 1
        trainer.network.train()
        return float(trainer.train_step(next(trainer.dataloader_train))["loss"])

    def probabilities(image: np.ndarray) -> np.ndarray:
        trainer.set_deep_supervision_enabled(False)
        trainer.network.eval()
        predictor = nnUNetPredictor(device=CPU, perform_everything_on_device=False, allow_tqdm=False)
        predictor.manual_initialization(
            trainer.network,
            trainer.plans_manager,
            trainer.configuration_manager,
            [trainer.network.state_dict()],
            about,
            "nnUNetTrainer",
            trainer.inference_allowed_mirroring_axes,
        )
        # a PNG is a stack of one slice to nnU-Net
        found = predictor.predict_single_npy_array(
            image[:, None], {"spacing": [999, 1, 1]}, save_or_return_probabilities=True
        )[1]
        trainer.set_deep_supervision_enabled(True)
        return np.asarray(found[::-1, 0], np.float32)  # membrane first, as in the masks

    return Recipe(step, probabilities)
