"""What is said of a Spark that cannot be reached, before Spark's own minute of waiting."""

from __future__ import annotations

import socket

import pytest

from inkstream.errors import ServiceError, SettingError
from inkstream.local.masters import require_master
from inkstream.local.ports import free_port


def test_a_master_that_nobody_serves_is_named_with_what_to_do() -> None:
    port = free_port()
    with pytest.raises(ServiceError, match=rf"spark://127\.0\.0\.1:{port} .*refused.*up --workers"):
        require_master(f"spark://127.0.0.1:{port}")


def test_one_of_several_masters_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as served:
        require_master(f"spark://127.0.0.1:{free_port()},127.0.0.1:{served.getsockname()[1]}")


@pytest.mark.parametrize("master", ["spark://", "spark://host", "spark://host:port"])
def test_a_master_without_a_port_is_a_wrong_setting(master: str) -> None:
    with pytest.raises(SettingError, match="spark://host:port"):
        require_master(master)


@pytest.mark.parametrize("master", ["local[*,4]", "yarn", "k8s://https://host:6443"])
def test_other_masters_are_sparks_to_find(master: str) -> None:
    require_master(master)
