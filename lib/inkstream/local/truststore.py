"""A PEM file of certificate authorities in, the PKCS12 file that a JVM reads out."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

from inkstream.errors import SettingError
from inkstream.local.java import java_home

PASSWORD = "changeit"  # the format wants one; what it holds is public
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def make_truststore(ca_file: str, folder: Path) -> Path:
    """The authorities of `ca_file` in a file below `folder`, named after their content, so that it is made once.

    Raises:
        SettingError: the file cannot be read, or holds no certificate that Java reads.
    """
    try:
        text = Path(ca_file).read_text()
    except (OSError, ValueError) as error:
        raise SettingError(f"cassandra.ca_file has the value {ca_file!r}, which cannot be read ({error})") from error
    certificates = CERTIFICATE.findall(text)
    if not certificates:
        raise SettingError(f"cassandra.ca_file has the value {ca_file!r}: there is no certificate (PEM) in it")
    store = folder / f"authorities-{hashlib.sha256(text.encode()).hexdigest()[:16]}.p12"
    if not store.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = Path(scratch) / store.name
            for number, certificate in enumerate(certificates):
                _add(made, f"ca{number}", certificate, ca_file)
            made.replace(store)
    return store


def _add(store: Path, alias: str, certificate: str, ca_file: str) -> None:
    keytool = [str(java_home() / "bin" / "keytool"), "-importcert", "-noprompt", "-storetype", "PKCS12"]
    line = [*keytool, "-keystore", str(store), "-storepass", PASSWORD, "-alias", alias]
    done = subprocess.run(line, input=certificate, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise SettingError(f"cassandra.ca_file has the value {ca_file!r}, which Java cannot read ({said})")
