"""Images, compose, Kubernetes: valid by their schemas, and every image, variable, port, command and path exists."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import check_jsonschema.builtin_schemas
import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml

from inkstream.cli.main import app
from inkstream.local.jar_locks import TOP
from inkstream.settings import NOT_SETTINGS, PREFIX, Settings, home
from inkstream.store.topics import topic_configs

DOCKER = home() / "docker"
KUBERNETES = DOCKER / "k8s"
[SCHEMAS] = check_jsonschema.builtin_schemas.__path__
MANIFESTS = sorted(path for path in KUBERNETES.glob("*.yaml") if path.name != "kustomization.yaml")
Tree = dict[str, Any]


def _yaml(path: Path) -> Tree:
    [content] = yaml.safe_load_all(path.read_text())
    return content  # type: ignore[no-any-return]


def _compose() -> dict[str, Tree]:
    return _yaml(DOCKER / "compose.yaml")["services"]  # type: ignore[no-any-return]


def _objects() -> list[Tree]:
    return [found for path in MANIFESTS for found in yaml.safe_load_all(path.read_text())]


def _pods() -> Iterator[tuple[str, Tree]]:
    """(name, spec) of each pod that a manifest makes."""
    for found in _objects():
        if "template" in found.get("spec", {}):
            yield found["metadata"]["name"], found["spec"]["template"]["spec"]


def _containers() -> Iterator[tuple[Tree, Tree]]:
    """(pod, container), those that come before included."""
    for _, pod in _pods():
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield pod, container


def _dockerfile() -> dict[str, list[list[str]]]:
    """Target -> its instructions, continued lines joined; what stands before the first stage is under ''."""
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    stages: dict[str, list[list[str]]] = {"": []}
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == "FROM":
            stages[words[3]] = []
        if words and not line.startswith("#"):
            stages[list(stages)[-1]].append(words)
    return stages


def _texts() -> dict[str, str]:
    """Every file of docker/, and the page about it."""
    files = [path for path in DOCKER.rglob("*") if path.is_file()]
    return {str(path.relative_to(home())): path.read_text() for path in [*files, home() / "docs" / "deployment.md"]}


def unknown_variables(text: str) -> set[str]:
    """The INKSTREAM_ variables of a text that are no settings."""
    dumped = Settings.model_construct().model_dump()
    known = {f"{PREFIX}{section}__{key}".upper() for section, values in dumped.items() for key in values}
    return set(re.findall(rf"\b{PREFIX}[A-Z_]+[A-Z]\b", text)) - known - NOT_SETTINGS


def unknown_words(arguments: list[str]) -> list[str]:
    """What the command line would not take of `COMMAND --option value ...`."""
    commands = typer.main.get_group(app).commands  # type: ignore[attr-defined]
    name, *rest = arguments
    if name.startswith("-"):
        return []
    if name not in commands:
        return [name]
    known = {option for parameter in commands[name].params for option in parameter.opts} | {"--help"}
    return [word for word in rest if word.startswith("--") and word not in known]


def test_the_compose_file_is_valid() -> None:
    schema = json.loads((Path(SCHEMAS) / "vendor" / "compose-spec.json").read_text())
    jsonschema.validate(_yaml(DOCKER / "compose.yaml"), schema)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_the_manifest_is_valid(path: Path) -> None:
    for found in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)
        assert found["kind"] == "Namespace" or found["metadata"]["namespace"] == "inkstream"


def test_a_field_that_kubernetes_does_not_know_would_be_found() -> None:
    [gateway, *_] = yaml.safe_load_all((KUBERNETES / "gateway.yaml").read_text())
    gateway["spec"]["replica"] = 3
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(gateway, kubernetes_validate.latest_version(), strict=True)


def test_kustomize_lists_every_manifest() -> None:
    assert sorted(_yaml(KUBERNETES / "kustomization.yaml")["resources"]) == [path.name for path in MANIFESTS]


def test_every_image_is_of_one_fixed_version_and_ours_are_built_here() -> None:
    version = importlib.metadata.version("inkstream")
    ours = {f"inkstream-{target}:{version}" for target in ("gateway", "jobs")}
    images = {service["image"] for service in _compose().values()} | {c["image"] for _, c in _containers()}
    kustomized = {f"{image['name']}:{image['newTag']}" for image in _yaml(KUBERNETES / "kustomization.yaml")["images"]}
    assert {image for image in images if image.startswith("inkstream-")} == ours == kustomized
    assert all(re.fullmatch(r"[a-z/-]+:v?\d+\.\d+[.0-9a-z-]*", image) for image in images), images
    for service in _compose().values():
        if service["image"] in ours:
            assert service["image"] == f"inkstream-{service['build']['target']}:{version}"
            assert service["build"]["target"] in _dockerfile()
    for name, text in _texts().items():
        assert set(re.findall(r"inkstream-(?:gateway|jobs):[0-9.]+\d", text)) <= ours, name


def test_kafka_and_cassandra_are_of_the_versions_that_the_tests_run_on() -> None:
    locked = {group: TOP[group][0].rpartition(":")[2] for group in ("kafka", "cassandra")}
    assert {name: _compose()[name]["image"].rpartition(":")[2] for name in locked} == locked


@pytest.mark.parametrize("name", sorted(_texts()))
def test_every_variable_is_a_setting(name: str) -> None:
    assert unknown_variables(_texts()[name]) == set()


def test_a_variable_that_is_none_would_be_found() -> None:
    assert unknown_variables("INKSTREAM_KAFKA__SERVERS: kafka:9092, INKSTREAM_HOME=x") == {"INKSTREAM_KAFKA__SERVERS"}


def test_the_settings_of_the_cluster_are_replicated_and_secured() -> None:
    found = {found["metadata"]["name"]: found for found in _objects() if found["kind"] in ("ConfigMap", "Secret")}
    values = found["settings"]["data"]
    assert values["INKSTREAM_KAFKA__REPLICATION_FACTOR"] == values["INKSTREAM_CASSANDRA__REPLICATION_FACTOR"] == "3"
    assert len(values["INKSTREAM_KAFKA__BOOTSTRAP_SERVERS"].split(",")) == 3
    assert (values["INKSTREAM_KAFKA__SECURITY_PROTOCOL"], values["INKSTREAM_CASSANDRA__TLS"]) == ("SASL_SSL", "true")
    assert not [name for name in values if "PASSWORD" in name or "TOKEN" in name]
    assert {"INKSTREAM_KAFKA__PASSWORD", "INKSTREAM_CASSANDRA__PASSWORD", "INKSTREAM_GATEWAY__TOKENS"} <= set(
        found["secrets"]["stringData"]
    )
    named = {Path(values[f"INKSTREAM_{service}__CA_FILE"]).name for service in ("KAFKA", "CASSANDRA")}
    assert named == set(found["ca"]["data"])


def test_the_broker_takes_the_largest_message() -> None:
    settings = Settings.model_construct()
    largest = max(int(config["max.message.bytes"]) for config in topic_configs(settings).values())
    # A topic's own limit is above the broker's; what replicas fetch must not be below the uploads'.
    assert int(_compose()["kafka"]["environment"]["KAFKA_REPLICA_FETCH_MAX_BYTES"]) == settings.image.max_message_bytes
    assert largest >= settings.image.max_message_bytes


def test_every_command_exists_with_its_options() -> None:
    lines = [words for text in _texts().values() for words in re.findall(r"\./submit\.sh ([a-z]+[^\n`>|;\"]*)", text)]
    arguments = [shlex.split(line) for line in lines]
    arguments += [service["command"] for service in _compose().values() if "build" in service and "command" in service]
    arguments += [
        container["args"]
        for _, container in _containers()
        if container["image"].startswith("inkstream-jobs") and "args" in container
    ]
    for stage in ("gateway", "jobs"):
        arguments += [
            json.loads(" ".join(words[1:]))
            for words in _dockerfile()[stage]
            if words[0] == "CMD" and words[1].startswith('["')
        ]
    commands = [words for words in arguments if words and words[0] != ".venv/bin/python"]
    assert len(commands) > 8
    assert [unknown_words(words) for words in commands if unknown_words(words)] == []


def test_a_command_that_is_none_would_be_found() -> None:
    assert unknown_words(["streams"]) == ["streams"]
    assert unknown_words(["stream", "--onse"]) == ["--onse"]


def test_what_the_dockerfile_copies_exists_and_travels_to_the_build() -> None:
    allowed = {line[1:] for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = set()
    for name, stage in _dockerfile().items():
        for words in stage:
            if words[0] == "COPY" and words[1].startswith("--from="):
                assert words[1].removeprefix("--from=") in _dockerfile(), name
            elif words[0] == "COPY":
                copied |= set(words[1:-1])
    assert copied == allowed
    assert [path for path in sorted(copied) if not (home() / path).exists()] == []


def test_both_images_run_as_nobody_special_and_tell_how_they_are() -> None:
    for stage in ("gateway", "jobs"):
        instructions = [words[0] for words in _dockerfile()[stage]]
        assert ["USER", "10001"] in _dockerfile()[stage]
        assert {"HEALTHCHECK", "EXPOSE", "CMD"} <= set(instructions)
    for pod, container in _containers():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), container["name"]
        assert "memory" in container["resources"]["limits"], container["name"]


def test_what_runs_for_long_is_watched() -> None:
    for name, pod in _pods():
        for container in pod["containers"]:
            assert name == "setup" or "livenessProbe" in container, name
    assert [name for name, service in _compose().items() if "image" in service and "healthcheck" not in service] == [
        "stream",  # theirs is in the image
        "gateway",
    ]


def test_every_path_that_compose_mounts_exists() -> None:
    mounts = [mount for service in _compose().values() for mount in service.get("volumes", [])]
    volumes = set(_yaml(DOCKER / "compose.yaml")["volumes"])
    for mount in mounts:
        place = mount.partition(":")[0]
        assert (DOCKER / place).is_dir() if place.startswith(".") else place in volumes, mount
    waits = {other for service in _compose().values() for other in service.get("depends_on", {})}
    assert waits <= set(_compose())


def test_every_port_that_is_named_is_one_that_is_open() -> None:
    exposed = {
        stage: {int(words[1]) for words in _dockerfile()[stage] if words[0] == "EXPOSE"}
        for stage in ("gateway", "jobs")
    }
    text = (DOCKER / "Dockerfile").read_text()
    assert exposed["jobs"] == {int(re.findall(r"INKSTREAM_STREAM__METRICS_PORT=(\d+)", text)[0])}
    for stage, ports in exposed.items():
        checks = [" ".join(words) for words in _dockerfile()[stage] if words[0] == "HEALTHCHECK"]
        assert {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", checks[0])} == ports
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in _prometheus()["scrape_configs"]}
    assert jobs == {"stream": [f"stream:{min(exposed['jobs'])}"], "gateway": [f"gateway:{min(exposed['gateway'])}"]}
    for _, container in _containers():
        named = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        probes = [container[kind] for kind in ("startupProbe", "livenessProbe", "readinessProbe") if kind in container]
        asked = [probe.get("httpGet", probe.get("tcpSocket", {})).get("port") for probe in probes]
        assert {port for port in asked if port} <= set(named), container["name"]
        for stage, ports in exposed.items():
            if container["image"].startswith(f"inkstream-{stage}") and container["name"] in ("gateway", "stream"):
                assert set(named.values()) == ports
    assert _services_lead_somewhere() == []


def test_the_paths_that_are_asked_for_are_the_gateways_own() -> None:
    probes = [
        container[kind]["httpGet"]["path"]
        for _, container in _containers()
        for kind in ("startupProbe", "livenessProbe", "readinessProbe")
        if container["name"] == "gateway"
    ]
    asked = {*probes, *re.findall(r"127\.0\.0\.1:8000(/\w+)", (DOCKER / "Dockerfile").read_text()), "/metrics"}
    served = (home() / "lib" / "inkstream" / "gateway" / "app.py").read_text()
    assert {path for path in asked if f'@app.get("{path}"' not in served} == set()
    redis = next(found for found in _objects() if found["metadata"]["name"] == "settings")
    name, port = re.findall(r"redis://(\w+):(\d+)", redis["data"]["INKSTREAM_GATEWAY__REDIS_URL"])[0]
    [service] = [found for found in _objects() if found["kind"] == "Service" and found["metadata"]["name"] == name]
    assert service["spec"]["ports"][0]["port"] == int(port)


def _prometheus() -> Tree:
    return _yaml(DOCKER / "prometheus" / "prometheus.yaml")


def _services_lead_somewhere() -> list[str]:
    """The ports of Services, the Ingress and NetworkPolicies that no pod of theirs has."""
    wrong = []
    pods = {
        tuple(sorted(found["spec"]["template"]["metadata"]["labels"].items())): found["spec"]["template"]["spec"]
        for found in _objects()
        if "template" in found.get("spec", {})
    }
    for found in _objects():
        spec = found.get("spec", {})
        selector = (
            spec.get("selector") if found["kind"] == "Service" else spec.get("podSelector", {}).get("matchLabels")
        )
        if found["kind"] not in ("Service", "NetworkPolicy") or not selector:
            continue
        chosen = [pod for labels, pod in pods.items() if set(selector.items()) <= set(labels)]
        named = [port for pod in chosen for container in pod["containers"] for port in container.get("ports", [])]
        open_ = {port["name"] for port in named} | {port["containerPort"] for port in named}
        asked = [port.get("targetPort", port["port"]) for port in spec.get("ports", [])]
        asked += [port["port"] for rule in spec.get("ingress", []) for port in rule.get("ports", [])]
        wrong += [f"{found['kind']} {found['metadata']['name']}: {port}" for port in asked if port not in open_]
        wrong += [] if chosen else [f"{found['kind']} {found['metadata']['name']} chooses no pod"]
    return wrong


def test_the_virtual_machine_runs_the_compose_file() -> None:
    content = _yaml(DOCKER / "cloud-init.yaml")
    unit = next(file["content"] for file in content["write_files"] if file["path"].endswith(".service"))
    assert {(home() / path).is_file() for path in re.findall(r"-f (\S+)", unit)} == {True}
    environment = next(file for file in content["write_files"] if file["path"].endswith("compose.env"))
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", (DOCKER / "compose.yaml").read_text()))
    assert needed == set(re.findall(r"^([A-Z_]+)=", environment["content"], re.MULTILINE))
    assert environment["permissions"] == "0600"
