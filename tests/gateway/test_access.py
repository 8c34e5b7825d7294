from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from gateway.conftest import gateway
from inkstream.errors import SettingError
from inkstream.gateway.access import read_tokens
from inkstream.settings import GatewaySettings, Settings

READ, UPLOAD, ADMIN = "r" * 16, "u" * 16, "a" * 16
TOKENS = SecretStr(f"read:wall:{READ} upload:phones:{UPLOAD}\nadmin:me:{ADMIN}")
SEVEN = (files("inkstream") / "samples" / "clean_01_0.png").read_bytes()


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.services
def test_each_role_may_what_it_may(prepared: Settings) -> None:
    with gateway(prepared, tokens=TOKENS) as address, httpx.Client(base_url=address, timeout=30) as client:
        send = {"params": {"wait": 0}, "files": {"file": ("a.png", SEVEN)}}
        assert client.get("/api/predictions").status_code == 401
        assert "Basic" in client.get("/api/predictions").headers["www-authenticate"]
        assert client.get("/").status_code == 401
        assert client.get("/api/predictions", headers=bearer(READ)).status_code == 200
        assert client.get("/api/predictions", auth=("anybody", READ)).status_code == 200
        assert client.get("/api/predictions", headers=bearer("x" * 16)).status_code == 401
        assert client.post("/api/images", headers=bearer(READ), **send).status_code == 403  # type: ignore[arg-type]
        assert client.post("/api/images", headers=bearer(UPLOAD), **send).status_code == 202  # type: ignore[arg-type]
        assert client.get("/classes", headers=bearer(UPLOAD)).status_code == 401
        assert client.get("/classes", headers=bearer(ADMIN)).status_code == 200
        assert client.get("/healthz").status_code == 200


@pytest.mark.services
def test_a_sender_is_asked_to_wait_and_another_is_not(prepared: Settings) -> None:
    with gateway(prepared, tokens=TOKENS, uploads_per_minute=2) as address:
        statuses = []
        for secret in (UPLOAD, UPLOAD, UPLOAD, ADMIN):
            with httpx.Client(base_url=address, headers=bearer(secret), timeout=30) as client:
                response = client.post("/api/images", params={"wait": 0}, files={"file": ("a.png", SEVEN)})
            statuses.append(response.status_code)
            if response.status_code == 429:
                assert 1 <= int(response.headers["retry-after"]) <= 61
        assert statuses == [202, 202, 429, 202]


def test_tokens_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# phones\nupload:phones:{UPLOAD}\n")
    tokens = read_tokens(GatewaySettings(tokens_file=str(file), tokens=SecretStr(f"read:wall:{READ}")))
    assert [(token.role, token.name) for token in tokens] == [("read", "wall"), ("upload", "phones")]
    assert UPLOAD not in repr(tokens)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("king:me:" + "s" * 16, "role"),
        ("read:" + "s" * 16, "role"),
        ("read:me:short", "16 characters"),
        (f"read:me:{READ} read:me:{ADMIN}", "name"),
    ],
)
def test_a_wrong_token_is_refused_and_not_shown(text: str, word: str) -> None:
    with pytest.raises(SettingError, match=word) as raised:
        read_tokens(GatewaySettings(tokens=SecretStr(text)))
    assert "sss" not in str(raised.value)
    assert READ not in str(raised.value)
