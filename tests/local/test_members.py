"""How many brokers or nodes a folder has, and the ports by which they know each other."""

from __future__ import annotations

import socket

import pytest

from inkstream.errors import SettingError, SetupError
from inkstream.local.cassandra import Cassandra, token_of
from inkstream.local.kafka import Kafka
from inkstream.local.members import SHAPE_FILE, build_members, made_with
from inkstream.settings import Settings


def test_a_folder_without_data_takes_any_number(own: Settings) -> None:
    folder = own.local.path
    assert [broker.name for broker in build_members(Kafka, own, folder, None)] == ["kafka"]
    assert [node.name for node in build_members(Cassandra, own, folder, 2)] == ["cassandra", "cassandra-2"]


def test_data_of_one_needs_no_file_and_stays_with_one(own: Settings) -> None:
    folder = own.local.path
    [broker] = build_members(Kafka, own, folder, 1)
    broker._make_folders()
    (broker.data_folder / "meta.properties").touch()
    assert not (broker.data_folder / SHAPE_FILE).exists()
    assert made_with(folder, "kafka") == 1
    with pytest.raises(SettingError, match=r"--brokers has the value 3, and the data in .*/kafka was made with 1:"):
        build_members(Kafka, own, folder, 3)


def test_data_of_several_is_found_again_without_a_number(own: Settings) -> None:
    folder = own.local.path
    nodes = build_members(Cassandra, own, folder, 3)
    for node in nodes:
        node.choose_ports()
        node._make_folders()
    assert made_with(folder, "cassandra") == 0  # a start that failed before there was data binds nobody
    (nodes[0].data_folder / "data").mkdir()
    assert made_with(folder, "cassandra") == 3
    again = build_members(Cassandra, own, folder, None)
    for node in again:
        node.choose_ports()
    assert {node.ports["storage_port"] for node in again} == {nodes[0].ports["storage_port"]}


def test_a_damaged_file_of_the_number_is_named(own: Settings) -> None:
    data = own.local.path / "data" / "kafka"
    data.mkdir(parents=True)
    (data / "meta.properties").touch()
    (data / SHAPE_FILE).touch()
    with pytest.raises(SetupError, match=r"kafka/cluster\.json cannot be read .* how many members"):
        build_members(Kafka, own, own.local.path, None)
    (data / SHAPE_FILE).unlink()


def test_nodes_share_their_ports_and_have_an_address_each(own: Settings) -> None:
    nodes = build_members(Cassandra, own, own.local.path, 3)
    for node in nodes:
        node.choose_ports()
    assert [node.endpoint for node in nodes] == [f"127.0.0.{number}:{own.local.cassandra_port}" for number in (1, 2, 3)]
    assert len({node.ports["storage_port"] for node in nodes}) == 1


def test_brokers_have_ports_of_their_own_and_keep_them(own: Settings) -> None:
    brokers = build_members(Kafka, own, own.local.path, 3, usual=False)
    for broker in brokers:
        broker.choose_ports()
    assert brokers[0].ports["port"] == own.local.kafka_port
    ports = [port for broker in brokers for port in broker.ports.values()]
    assert len(set(ports)) == 6
    port = brokers[1].ports["controller_port"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(SetupError, match=rf"The port {port} of 127\.0\.0\.1 is taken .* know kafka-2 by it"):
            brokers[1].choose_ports()


def test_each_node_owns_the_same_part_of_the_ring() -> None:
    assert token_of(1, 1) == 0
    tokens = [token_of(number, 3) for number in (1, 2, 3)]
    around = [(following - token) % 2**64 for token, following in zip(tokens, [*tokens[1:], tokens[0]], strict=True)]
    assert max(around) - min(around) <= 1
    assert all(-(2**63) < token < 2**63 for token in tokens)
