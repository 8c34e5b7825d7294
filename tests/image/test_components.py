"""Connected components against a count by hand, at as many as a picture of work size can have."""

from __future__ import annotations

import cv2
import numpy as np

from inkstream.image.components import components, having, labelled
from inkstream.image.ink import WORK_SIDE


def test_as_many_dots_as_fit_keep_a_label_each() -> None:
    dots = np.zeros((WORK_SIDE, WORK_SIDE), np.uint8)
    dots[::2, ::2] = 255
    labels, stats = components(dots)
    assert len(stats) - 1 == (WORK_SIDE // 2) ** 2 == len(np.unique(labels[dots > 0]))
    assert (stats[1:, cv2.CC_STAT_AREA] == 1).all()
    assert np.array_equal(labelled(dots), labels)
    last = labels[-2, -2]
    assert np.argwhere(having(labels, np.array([last]))).tolist() == [[WORK_SIDE - 2, WORK_SIDE - 2]]


def test_having_is_where_one_of_the_labels_is() -> None:
    labels = np.array([[0, 1, 2], [3, 0, 70], [70, 2, 1]], np.uint16)
    assert having(labels, np.array([1, 70])).tolist() == [[0, 255, 0], [0, 0, 255], [255, 0, 255]]
    assert not having(labels, np.array([], int)).any()
