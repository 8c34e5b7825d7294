"""The locks and the shipped model in; a software bill of materials (CycloneDX 1.6, JSON) out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from inkstream.local.jars import GROUPS, lock_file, read_lock
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.settings import home

LINE = re.compile(r"^(?P<requirement>[^#\s][^\\\n]*)(?P<hashes>(?: \\\n +--hash=sha256:[0-9a-f]{64})+)", re.MULTILINE)
INSTALLED_WHERE = "inkstream:installed-where"


def bill_of_materials() -> str:
    """Everything that the demo, the stream and the gateway run: packages, jars and the model, each with SHA-256.

    A package has the hash of each of its files, of which an installation takes one; a jar that several of the services
    load stands there once.
    """
    root = Component(
        type=ComponentType.APPLICATION, name="inkstream", version=version("inkstream"), bom_ref="inkstream"
    )
    bill = Bom(components=[*_packages(home() / "requirements" / "runtime.txt"), *_jars(), _model()])
    bill.metadata.component = root
    bill.register_dependency(root, bill.components)
    return str(JsonV1Dot6(bill).output_as_string(indent=2))


def _packages(lock: Path) -> Iterator[Component]:
    for found in LINE.finditer(lock.read_text()):
        requirement = Requirement(found["requirement"])
        [pin] = requirement.specifier
        yield Component(
            name=requirement.name,
            version=pin.version,
            purl=PackageURL("pypi", None, requirement.name, pin.version),
            bom_ref=f"pypi:{requirement.name}@{pin.version}",
            hashes=[_sha256(digest) for digest in re.findall(r"sha256:(\w+)", found["hashes"])],
            properties=[Property(name=INSTALLED_WHERE, value=str(requirement.marker))] if requirement.marker else [],
        )


def _jars() -> Iterator[Component]:
    for jar in dict.fromkeys(jar for group in GROUPS for jar in read_lock(lock_file(group))):
        classifier = {"classifier": jar.classifier} if jar.classifier else {}
        yield Component(
            group=jar.group,
            name=jar.artifact,
            version=jar.version,
            purl=PackageURL("maven", jar.group, jar.artifact, jar.version, classifier),
            bom_ref=f"maven:{jar.coordinate}",
            hashes=[_sha256(jar.sha256)],
        )


def _model() -> Component:
    bundle = load_bundle(shipped_bundle())
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name="digits",
        version=bundle.version,
        bom_ref=f"model:{bundle.version}",
        hashes=[_sha256(bundle.version)],
    )


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
