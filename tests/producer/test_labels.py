from __future__ import annotations

import pytest

from inkstream.producer.labels import label_from_name


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/x/scan_01_7.png", "7"),
        ("/x/_0.jpeg", "0"),
        ("/x/7/scan.png", "7"),
        ("/x/7/scan_7.png", "7"),
        ("7/a", "7"),
        ("/x/a_3.tar.gz", None),
        ("/x/3/scan_7.png", None),
        ("/x/scan_12.png", None),
        ("/x/12/scan.png", None),
        ("/x/7.png", None),
        ("/x/scan7.png", None),
        ("/x/seven/scan.png", None),
        ("/7/x/scan.png", None),
        ("/x/scan_٣.png", None),
        ("/x/scan_.png", None),
    ],
)
def test_the_digit_is_claimed_by_the_end_of_the_name_or_by_the_folder(path: str, label: str | None) -> None:
    assert label_from_name(path) == label
