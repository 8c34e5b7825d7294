"""A CA's PEM file becomes a file that a JVM reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import trustme

from inkstream.errors import SettingError
from inkstream.local.java import java_home
from inkstream.local.truststore import PASSWORD, make_truststore


def test_every_authority_is_in_it_and_it_is_made_once(tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_bytes(b"".join(trustme.CA().cert_pem.bytes() for _ in range(2)))
    store = make_truststore(str(pem), tmp_path / "run")
    line = [str(java_home() / "bin" / "keytool"), "-list", "-keystore", str(store), "-storepass", PASSWORD]
    said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert said.count("trustedCertEntry") == 2
    made_at = store.stat().st_mtime_ns
    assert make_truststore(str(pem), tmp_path / "run") == store
    assert store.stat().st_mtime_ns == made_at
    assert [path.name for path in (tmp_path / "run").iterdir()] == [store.name]


@pytest.mark.parametrize(
    ("content", "about"),
    [
        (None, "cannot be read"),
        ("no PEM", "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "Java cannot read"),
    ],
)
def test_a_file_without_an_authority_is_named(tmp_path: Path, content: str | None, about: str) -> None:
    pem = tmp_path / "ca.pem"
    if content is not None:
        pem.write_text(content)
    with pytest.raises(SettingError, match=rf"cassandra\.ca_file has the value .*{about}"):
        make_truststore(str(pem), tmp_path / "run")
