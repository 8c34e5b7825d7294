"""/train: who may start a training, one at a time, followed to its end; and what a failed one says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr
from tests.conftest import needs_tensorflow
from tests.model.drawings import golden, write_idx

from gateway.conftest import gateway
from inkstream.errors import SettingError
from inkstream.gateway.pages.training import draw_curve
from inkstream.gateway.trainings import Busy, Trainings
from inkstream.model.bundle import load_bundle
from inkstream.model.checkpoints import EpochEnd
from inkstream.settings import Settings

PATIENCE_S = 300
READ = {"Authorization": "Bearer a-token-for-reading"}
ADMIN = {"Authorization": "Bearer a-token-for-teachers", "Accept": "text/html"}
TOKENS = SecretStr("read:guest:a-token-for-reading admin:teacher:a-token-for-teachers")
SMALL = {"name": "small", "data": "digits", "recipe": "dense", "epochs": "1"}


@pytest.fixture(scope="module")
def place(prepared: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a local folder that holds a data set, and one that is cut short."""
    folder = tmp_path_factory.mktemp("trainings")
    for name in ("digits", "cut"):
        for split in ("train", "t10k"):
            write_idx(folder / "data" / name, split, *golden())
    with (folder / "data" / "cut" / "train-images-idx3-ubyte").open("r+b") as file:
        file.truncate(1_000)
    (folder / "data" / "kafka").mkdir()
    return prepared.model_copy(update={"local": prepared.local.model_copy(update={"folder": str(folder)})})


@pytest.fixture(scope="module")
def client(place: Settings) -> Iterator[httpx.Client]:
    with gateway(place, tokens=TOKENS) as address, httpx.Client(base_url=address, timeout=60) as opened:
        yield opened


def followed(client: httpx.Client, name: str) -> str:
    """The card of a training once it has ended, as a reload of the page shows it."""
    until = time.monotonic() + PATIENCE_S
    while True:
        page = client.get("/train", headers=READ).text
        [card] = [part for part in page.split("<section")[1:] if f">{name} <" in part]
        if "data-running" not in card:
            return re.sub(r"\s+", " ", card)
        assert time.monotonic() < until
        time.sleep(0.5)


@pytest.mark.services
@needs_tensorflow
def test_a_training_is_started_alone_and_followed_to_its_end(client: httpx.Client, place: Settings) -> None:
    started = client.post("/train", data=SMALL, headers=ADMIN)
    assert (started.status_code, started.headers.get("location")) == (303, "/train")
    other = client.post("/train", data=SMALL | {"name": "other"}, headers=ADMIN)
    assert other.status_code == 409
    assert "The training small is still running" in other.text
    with pytest.raises(Busy):  # nor from another gateway
        Trainings(place).start("other", "digits", "dense", 1)
    # broken is another test's, which may have come first
    assert {training.name for training in Trainings(place).all()} - {"broken"} == {"small"}
    page = client.get("/train", headers=READ).text
    assert '<meta http-equiv="refresh"' in page
    assert "the first epoch is under way" in page
    card = followed(client, "small")
    assert "finished after 1 epoch" in card
    assert "right of 48 test pictures" in card
    assert "<polyline" in card
    assert load_bundle(place.local.path / "models" / "small").recipe["name"] == "dense"
    assert Trainings(place).running() is None
    again = client.post("/train", data=SMALL, headers=ADMIN)
    assert again.status_code == 422
    assert "There is a model small already" in again.text


@pytest.mark.services
@needs_tensorflow
def test_a_failed_training_says_why(client: httpx.Client) -> None:
    assert client.post("/train", data=SMALL | {"name": "broken", "data": "cut"}, headers=ADMIN).status_code == 303
    card = followed(client, "broken")
    assert "failed" in card
    assert "the file is damaged, fetch it again" in card


@pytest.mark.services
def test_who_has_no_admin_s_token_reads_and_starts_nothing(client: httpx.Client, prepared: Settings) -> None:
    assert client.get("/train").status_code == 401
    page = client.get("/train", headers=READ)
    assert (page.status_code, "<form" in page.text) == (200, False)
    assert '<form class="panel start"' in client.get("/train", headers=ADMIN).text
    foreign = {"Origin": "https://elsewhere.example"}
    answers = [
        client.post("/train", data=SMALL | {"name": "none"}, headers=each) for each in ({}, READ, ADMIN | foreign)
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 403]
    with gateway(prepared) as address:  # without tokens everybody may look
        assert "INKSTREAM_GATEWAY__TOKENS" in httpx.get(f"{address}/train").text
        assert httpx.post(f"{address}/train", data=SMALL).status_code == 403


@pytest.mark.services
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "../away"}, "is no name for a model"),
        ({"data": "../data/digits"}, "There is no data set"),
        ({"data": "kafka"}, "There is no data set"),
        ({"recipe": "none"}, "is no recipe"),
        ({"epochs": 2_000}, "1,000 epochs"),
    ],
)
def test_a_wrong_value_is_named_and_starts_nothing(place: Settings, change: dict[str, object], told: str) -> None:
    values = {"name": "none", "data": "digits", "recipe": "dense", "epochs": 1, **change}
    with pytest.raises(SettingError, match=told):
        Trainings(place).start(**values)  # type: ignore[arg-type]
    assert not (place.local.path / "models" / "none.run").exists()


def test_a_learning_curve_falls_from_the_upper_edge() -> None:
    ends = [EpochEnd(n, 1.0, 1 - wrong, 1.0, 1 - wrong / 2, 1.0) for n, wrong in enumerate((0.5, 0.25, 0.0), start=1)]
    curve = draw_curve(tuple(ends))
    assert curve.learnt == "0.00,0.00 50.00,50.00 100.00,100.00"
    assert curve.held == "0.00,50.00 50.00,75.00 100.00,100.00"
    assert curve.most == "50 %"
    assert draw_curve(tuple(ends[:1])).learnt == "0.00,0.00 100.00,0.00"
