"""Checks of rankings, calibration, temperatures and intervals, for metrics_verified.py."""

from collections.abc import Iterator
from typing import Any

import metrics_definitions as definitions
import numpy as np
import sklearn.metrics
import torch
import torchmetrics.functional.classification as torch_classes
from scipy import stats
from scipy.special import softmax

from uvala import metrics

Check = Iterator[tuple[Any, Any] | None]


def rankings(cases: int) -> Iterator[tuple[Any, Any]]:
    """(scores, truth): many ties and none, one kind of pixel only, single pixels."""
    rng = np.random.default_rng(10)
    for number in range(cases):
        shape = [(1, 1), (1, 12), (8, 8), (12, 5)][number % 4]
        truth = rng.random(shape) < rng.choice([0, 0.05, 0.5, 0.95, 1])
        scores = rng.random(shape).astype(rng.choice(["f4", "f8"])) + truth * rng.choice([0, 0.4])
        yield np.round(scores, rng.choice([0, 1, 2, 9])), truth


def rankings_of_scikit_learn(cases: int) -> Check:
    """ROC AUC, average precision, best F1; its 0 without a positive is NaN here."""
    for scores, truth in rankings(cases):
        flat = truth.ravel(), scores.ravel()
        ours = (
            metrics.roc_auc(scores, truth),
            metrics.average_precision(scores, truth),
            metrics.best_f1(scores, truth).f1,
        )
        theirs = [sklearn.metrics.roc_auc_score(*flat), np.nan, np.nan]
        if truth.any():
            precision, recall, _ = sklearn.metrics.precision_recall_curve(*flat)
            f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
            theirs[1:] = sklearn.metrics.average_precision_score(*flat), f1.max()
        yield ours, theirs


def areas_by_pairs(cases: int) -> Check:
    for scores, truth in rankings(cases):
        yield metrics.roc_auc(scores, truth), definitions.roc_auc(scores, truth)


def probabilities(cases: int) -> Iterator[tuple[Any, Any]]:
    """(float32 [K, H, W], classes): of some skill or none, uncertain to certain, classes that are absent."""
    rng = np.random.default_rng(11)
    for number in range(cases):
        shape = [(1, 1), (1, 16), (8, 8), (16, 12)][number % 4]
        num_classes = int(rng.integers(2, 6))
        truth = rng.integers(0, num_classes, shape)
        logits = rng.normal(0, rng.choice([0.3, 2, 8]), (num_classes, *shape))
        logits += rng.choice([0, 3]) * (np.arange(num_classes)[:, None, None] == truth)
        yield (
            softmax(logits, axis=0).astype(np.float32),
            np.minimum(truth, rng.integers(0, 5)).astype(np.uint8),
        )


def calibration(cases: int) -> Check:
    """ECE, MCE, Brier, NLL."""
    for p, truth in probabilities(cases):
        counts = metrics.count_probabilities(p, truth)
        theirs = [
            *definitions.calibration_errors(p, truth),
            definitions.brier(p, truth),
            definitions.nll(p, truth),
        ]
        yield [counts.ece, counts.mce, counts.brier, counts.nll], theirs


def calibration_of_torchmetrics(cases: int) -> Check:
    """ECE, MCE; a confidence of exactly 1 has a sixteenth bin there."""
    for p, truth in probabilities(cases):
        counts = metrics.count_probabilities(p, truth)
        yield None if p.max() == 1 else ([counts.ece, counts.mce], by_torch_calibration(p, truth))


def by_torch_calibration(p: Any, truth: Any) -> list[float]:
    rows, classes = torch.as_tensor(p)[None], torch.as_tensor(truth)[None].long()
    error = torch_classes.multiclass_calibration_error
    return [float(error(rows, classes, len(p), n_bins=15, norm=norm)) for norm in ("l1", "max")]


def likelihood_of_scikit_learn(cases: int) -> Check:
    """NLL, of p clipped to 1e-7 as ours is, and the Brier score of two classes, which is half of ours."""
    for p, truth in probabilities(cases):
        counts, classes = metrics.count_probabilities(p, truth), truth.ravel()
        flat = p.reshape(len(p), -1).T.astype(float).clip(1e-7)
        theirs = [sklearn.metrics.log_loss(classes, flat, labels=range(len(p)))]
        if len(p) == 2:
            theirs.append(2 * sklearn.metrics.brier_score_loss(classes, flat[:, 1], pos_label=1))
        yield [counts.nll, counts.brier][: len(theirs)], theirs


def areas_from_bins(cases: int) -> Check:
    for scores, truth, counts in images(cases):
        yield counts.roc_auc[1], metrics.roc_auc(scores, truth)


def precision_from_bins(cases: int) -> Check:
    """Average precision, best F1."""
    for scores, truth, counts in images(cases):
        theirs = metrics.average_precision(scores, truth), metrics.best_f1(scores, truth).f1
        yield [counts.average_precision[1], counts.best_f1(1).f1], theirs


def images(cases: int) -> Iterator[tuple[Any, Any, metrics.ProbabilityCounts]]:
    """(probability of class 1, truth, counts) of 200 x 200 pixels, of which 5 to 50% are of the class."""
    rng = np.random.default_rng(12)
    for _ in range(cases):
        truth, spread = rng.random((200, 200)) < rng.uniform(0.05, 0.5), rng.choice([1, 5])
        logits = rng.normal(0, spread, truth.shape) + 2 * spread * truth - spread
        p = softmax([np.zeros(truth.shape), logits], axis=0).astype(np.float32)
        yield p[1], truth, metrics.count_probabilities(p, truth.astype(np.uint8))


def samples(cases: int) -> Iterator[tuple[Any, Any, float]]:
    """(log-probabilities, classes, fitted temperature), 60 pixels each: from shy to overconfident."""
    rng = np.random.default_rng(13)
    for _ in range(cases):
        logits = rng.normal(0, rng.choice([0.5, 3, 12]), (60, rng.integers(2, 5)))
        classes = np.where(rng.random(60) < 0.7, logits.argmax(axis=1), rng.integers(0, logits.shape[1], 60))
        logs = np.log(softmax(logits, axis=1))
        yield logs, classes, metrics.fit_temperature(logs, classes)


def never_less_likely(cases: int) -> Check:
    """By how much the fitted temperature makes truth less likely than T = 1."""
    for logs, classes, found in samples(cases):
        after, before = (definitions.likelihood_and_slope(logs, classes, t)[0] for t in (found, 1.0))
        yield max(after - before, 0), 0


def slopes(cases: int) -> Check:
    """The derivative of the likelihood at the fitted temperature, unless that is a bound."""
    for logs, classes, found in samples(cases):
        inside = 0.1 < found < 10
        yield (definitions.likelihood_and_slope(logs, classes, found)[1], 0) if inside else None


# intervals


def bootstraps(cases: int) -> Check:
    """The BCa interval of the mean at the level of Hesterberg (2015), from the same draws."""
    rng = np.random.default_rng(14)
    for _ in range(cases):
        # multiples of 1/1024 add up without rounding, which would decide whether a resample is a tie
        values = np.round(rng.beta(8, 1.2, rng.integers(5, 60)) * 1024) / 1024
        n = len(values)
        level = 1 - 2 * stats.norm.sf(stats.t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1)))
        options = {"n_resamples": 2000, "confidence_level": level, "random_state": np.random.default_rng(0)}
        theirs = stats.bootstrap((values,), np.mean, **options).confidence_interval
        yield metrics.bootstrap_interval(values), [values.mean(), *theirs]


def permutations(cases: int) -> Check:
    rng = np.random.default_rng(15)
    for _ in range(cases):
        a = rng.random(rng.integers(2, 11)).round(rng.choice([1, 6]))
        b = (a + rng.normal(rng.choice([0, 0.2]), 0.2, len(a))).round(rng.choice([1, 6]))
        yield metrics.paired_difference(a, b, resamples=2).p_value, definitions.sign_flip_p(b - a)
