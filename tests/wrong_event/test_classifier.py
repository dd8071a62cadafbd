"""A classifier that is given what it takes, and what it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks.classify.classifier import Classifier, embedded_classifier
from tasks.records import BadInput

TEXTS = ["soup and bread", "wind and mast", "soup and pan", "mast and rope"]


def made(rows: Any, features: list[str]) -> Classifier:
    options = {"dimensions": 2, "width": 8, "seed": 0, "network_seed": 0}
    return embedded_classifier(["a", "b"], rows, features, **options)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a text"], "given was list of str"),
        ("a text", "given was str"),
        ([{"wide": 1, "high": 2}], "given was list of dict"),
        ([[1.0, 2.0], [1.0]], "given was list of list"),
        ([[1.0, 2.0, 3.0]], "given was an array of shape (1, 3)"),
        ([], "given was an array of shape (0,)"),
        ([1.0, 2.0], "given was an array of shape (2,)"),
        ([[1.0, float("nan")]], "some of those given are not finite"),
    ],
)
def test_a_classifier_of_numbers_says_what_it_takes(given, said):
    classifier = made(np.random.default_rng(0).normal(size=(4, 2)), ["wide", "high"])
    with pytest.raises(BadInput) as caught:
        classifier.predict(given)
    assert str(caught.value) == f"this classifier takes numbers, 2 a row (wide, high); {said}"


def test_images_are_flattened():
    images = np.random.default_rng(0).normal(size=(4, 3, 3))
    classifier = made(images.reshape(4, 9), ["image"])
    assert classifier.predict(images) == classifier.predict(images.reshape(4, 9))
    with pytest.raises(
        BadInput, match=r"takes numbers, 9 a row \(image\); given was an array of shape \(4, 8\)"
    ):
        classifier.predict(images.reshape(4, 9)[:, :8])


@pytest.mark.parametrize(
    ("given", "said"), [("a text", "str"), ([3, 4], "list of int"), (np.eye(2), "ndarray of ndarray")]
)
def test_a_classifier_of_texts_says_what_it_takes(given, said):
    with pytest.raises(BadInput) as caught:
        made(TEXTS, []).predict(given)
    assert str(caught.value) == f"this classifier takes a list of texts; given was {said}"


def test_numbers_too_large_to_be_compared_are_refused():
    rows = np.array([[0.0, 1e300], [1.0, -1e300]])
    with pytest.raises(BadInput, match="feature mass: its numbers are too large"):
        made(rows, ["size", "mass"])
