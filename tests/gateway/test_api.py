from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Iterator
from importlib.resources import files
from itertools import takewhile

import httpx
import orjson
import pytest
from kafka import KafkaConsumer

from gateway.conftest import gateway
from inkstream.settings import Settings
from inkstream.store.kafka_client import kafka_client_options

SAMPLES = files("inkstream") / "samples"
SEVEN = (SAMPLES / "clean_01_0.png").read_bytes()
PHOTO = (SAMPLES / "photo_01_5.jpg").read_bytes()
CUT = (SAMPLES / "photo_01_5.jpg").read_bytes()[:3_000]
WAIT = {"wait": 60}
PNG = {"Content-Type": "image/png"}
JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture(scope="module")
def client(answering: Settings) -> Iterator[httpx.Client]:
    with gateway(answering) as address, httpx.Client(base_url=address, timeout=70) as opened:
        yield opened


@pytest.mark.services
def test_a_file_gets_its_answer(client: httpx.Client) -> None:
    response = client.post("/api/images", params=WAIT, files={"file": ("nought.png", SEVEN)})
    answer = response.json()
    assert (response.status_code, answer["outcome"], answer["label"]) == (200, "recognised", "0")
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    stored = client.get(answer["location"]).json()
    assert stored == {**answer, "filename": "nought.png"}
    assert client.get(f"{answer['location']}/picture").content == SEVEN
    prepared = client.get(f"{answer['location']}/prepared", params={"size": 2})
    assert prepared.headers["content-type"] == "image/png"
    assert prepared.content[16:24] == bytes([0, 0, 0, 56]) * 2


@pytest.mark.services
@pytest.mark.parametrize("name", ["file", "image", "img"])
def test_each_field_name_is_taken_in_each_kind_of_body(client: httpx.Client, name: str) -> None:
    text = base64.b64encode(SEVEN).decode()
    bodies = [
        {"files": {name: ("a.png", SEVEN)}},
        {"json": {name: text}},
        {"json": {name: f"data:image/png;base64,{text}"}},
        {"data": {name: text}},
    ]
    for body in bodies:
        answer = client.post("/api/image_recognition", params=WAIT, **body).json()  # type: ignore[arg-type]
        assert answer["label"] == "0"


@pytest.mark.services
def test_bare_bytes_and_a_sentence_for_text(client: httpx.Client) -> None:
    response = client.post(
        "/", params=WAIT, content=PHOTO, headers={"Content-Type": "image/jpeg", "Accept": "text/plain"}
    )
    assert response.text == "The digit is 5\n"


@pytest.mark.services
def test_a_browser_without_scripts_is_led_to_the_picture(client: httpx.Client) -> None:
    response = client.post("/", params=WAIT, files={"file": ("a.png", SEVEN)}, headers={"Accept": "text/html"})
    assert response.status_code == 303
    assert client.get(response.headers["location"], headers={"Accept": "text/html"}).status_code == 200


@pytest.mark.services
def test_a_damaged_picture_is_an_answer(client: httpx.Client) -> None:
    response = client.post("/api/images", params=WAIT, files={"file": ("cut.jpg", CUT)})
    assert response.status_code == 200
    assert (response.json()["outcome"], response.json()["reason_code"]) == ("rejected", "unreadable")
    assert response.json()["label"] is None


@pytest.mark.services
def test_several_pictures_are_answered_in_their_order(client: httpx.Client) -> None:
    files_ = [("file", ("a.png", SEVEN)), ("file", ("b.jpg", PHOTO))]
    images = client.post("/api/images", params=WAIT, files=files_).json()["images"]
    assert [(image["filename"], image["label"]) for image in images] == [("a.png", "0"), ("b.jpg", "5")]


@pytest.mark.services
def test_without_waiting_the_answer_is_found_later(client: httpx.Client) -> None:
    response = client.post("/api/images", params={"wait": 0}, files={"file": ("a.png", SEVEN)})
    assert response.status_code == 202
    until = time.monotonic() + 60
    while client.get(response.headers["location"]).status_code == 404:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert client.get(response.headers["location"]).json()["label"] == "0"


@pytest.mark.services
def test_an_idempotency_key_gives_the_same_id_and_answer(client: httpx.Client) -> None:
    sent = [
        client.post(
            "/api/images", params=WAIT, files={"file": ("a.png", SEVEN)}, headers={"Idempotency-Key": "k1"}
        ).json()
        for _ in range(2)
    ]
    assert [one["again"] for one in sent] == [False, True]
    assert {**sent[0], "again": True} == sent[1]
    other = client.post("/api/images", files={"file": ("a.png", PHOTO)}, headers={"Idempotency-Key": "k1"})
    assert other.status_code == 422


@pytest.mark.services
def test_long_idempotency_keys_that_differ_at_their_end_are_two(client: httpx.Client) -> None:
    keys = [{"Idempotency-Key": "k" * 300 + end} for end in "ab"]
    sent = [client.post("/api/images?wait=0", content=SEVEN, headers=PNG | key).json()["id"] for key in keys]
    assert len(set(sent)) == 2


@pytest.mark.services
def test_the_same_bytes_are_one_upload_when_asked(client: httpx.Client) -> None:
    params = {**WAIT, "same_bytes": "true"}
    first, second = (client.post("/api/images", params=params, content=PHOTO, headers=JPEG).json() for _ in range(2))
    assert first["id"] == second["id"]
    assert second["again"]


@pytest.mark.services
def test_a_correction_goes_to_its_topic(client: httpx.Client, answering: Settings) -> None:
    image_id = client.post("/api/images", params=WAIT, content=SEVEN, headers=PNG).json()["id"]
    response = client.post(f"/api/images/{image_id}/correction", json={"label": 4})
    assert (response.status_code, response.json()) == (202, {"id": image_id, "label": "4"})
    consumer = KafkaConsumer(
        answering.kafka.corrected,
        **kafka_client_options(answering.kafka),
        auto_offset_reset="earliest",
        consumer_timeout_ms=10_000,
    )
    found = next(orjson.loads(message.value) for message in consumer if message.key == image_id.encode())
    consumer.close()
    assert (found["id"], found["label"], found["by"]) == (image_id, "4", "address:127.0.0.1")


@pytest.mark.services
def test_a_day_is_listed_page_by_page_newest_first(client: httpx.Client) -> None:
    for _ in range(3):
        client.post("/api/images", params=WAIT, content=SEVEN, headers=PNG)
    whole = client.get("/api/predictions", params={"limit": 1000}).json()
    assert whole["cursor"] is None
    paged: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/api/predictions", params={"limit": 2, "cursor": cursor}).json()
        paged += [row["id"] for row in page["predictions"]]
        cursor = page["cursor"]
    assert paged == [row["id"] for row in whole["predictions"]]
    moments = [row["uploaded_at"] for row in whole["predictions"]]
    assert moments == sorted(moments, reverse=True)
    only = client.get("/api/predictions", params={"label": "0", "limit": 1000}).json()["predictions"]
    assert {row["label"] for row in only} == {"0"}


@pytest.mark.services
def test_answers_are_told_as_they_come(client: httpx.Client) -> None:
    with client.stream("GET", "/api/events") as events:
        until = time.monotonic() + 100
        lines = takewhile(
            lambda _: time.monotonic() < until, events.iter_lines()
        )  # one comes every ten seconds at least
        next(lines)  # it listens
        image_id = client.post("/api/images", params=WAIT, content=SEVEN, headers=PNG).json()["id"]
        told = (json.loads(line.removeprefix("data: "))["id"] for line in lines if line.startswith("data: "))
        # An upload that an earlier test did not wait for may be answered first.
        assert image_id in told


@pytest.mark.services
@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"files": {"file": ("a.pdf", b"%PDF-1.7 and so on")}}, 415, "PDF"),
        ({"content": b"hello", "headers": {"Content-Type": "text/plain"}}, 415, "form"),
        ({"files": {"file": ("big.png", SEVEN + bytes(10 * 1024 * 1024))}}, 413, "bytes"),
        ({"files": {"other": ("a.png", SEVEN)}}, 422, "file"),
        ({"json": {"img": "no base64!"}}, 400, "base64"),
        ({"json": ["a"]}, 422, "object"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "JSON"),
        ({"json": {"url": "http://127.0.0.1/a.png"}}, 422, "public"),
        ({"json": {"url": "file:///etc/passwd"}}, 422, "http"),
    ],
)
def test_what_is_refused_says_why(client: httpx.Client, body: dict[str, object], status: int, word: str) -> None:
    response = client.post("/api/images", **body)  # type: ignore[arg-type]
    assert response.status_code == status
    assert word in response.json()["detail"]


@pytest.mark.services
def test_pixels_over_the_limit_are_refused_before_kafka(client: httpx.Client) -> None:
    header = b"IHDR" + (20_000).to_bytes(4, "big") * 2 + SEVEN[24:29]
    wide = SEVEN[:12] + header + zlib.crc32(header).to_bytes(4, "big") + SEVEN[33:]
    response = client.post("/api/images", files={"file": ("wide.png", wide)})
    assert response.status_code == 413
    assert "20,000 x 20,000" in response.json()["detail"]


@pytest.mark.services
def test_headers_keep_a_browser_safe_and_other_sites_out(client: httpx.Client) -> None:
    response = client.get("/")
    assert "script-src 'self'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert client.post("/api/images", files={"file": ("a.png", SEVEN)}, headers=foreign).status_code == 403
    assert (
        "access-control-allow-origin" not in client.get("/healthz", headers={"Origin": "https://evil.example"}).headers
    )


@pytest.mark.services
def test_an_address_that_leads_nowhere_is_a_page_for_people(client: httpx.Client) -> None:
    page = client.get("/now<b>here", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "Nothing lies at /now&lt;b&gt;here." in page.text
    assert client.get("/nowhere").json() == {"detail": "Not Found"}


@pytest.mark.services
def test_the_health_of_all_ends_is_told(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert ready | {"last_answer_s": None} == {
        "kafka": True,
        "answers": True,
        "cassandra": True,
        "limits": "memory",
        "last_answer_s": None,
        "waiting": 0,
    }
    assert b"inkstream_gateway_uploads_total" in client.get("/metrics").content
