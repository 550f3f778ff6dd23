"""CLIENT PAUSE, UNPAUSE and UNBLOCK."""
import time

import pytest
import redis

from conftest import until
from wire import Wire, encode


def parked(client):
    return sum("b" in one["flags"] for one in client.client_list())


def test_writes_wait_and_reads_do_not(server, client):
    client.set("k", 1)
    assert client.client_pause(60_000, all=False)
    with Wire(server.port) as writer, Wire(server.port) as publisher:
        writer.send(encode("GET", "k") + encode("INCR", "k") + encode("GET", "k"))
        publisher.send(encode("PUBLISH", "c", "m"))
        assert writer.read() == b"1"
        until(lambda: parked(client) == 2)
        assert client.get("k") == b"1"
        assert client.client_unpause()
        assert writer.read() == b":2" and writer.read() == b"2" and publisher.read() == b":0"


def test_all_commands_wait_until_the_time_is_up(server, client):
    start = time.monotonic()
    assert client.client_pause(300)
    assert client.ping()
    assert 0.25 < time.monotonic() - start < 5


def test_nothing_expires_meanwhile(client):
    client.set("k", 1, px=700)
    client.client_pause(60_000, all=False)
    until(lambda: client.get("k") is None)
    assert client.dbsize() == 1 and client.info("stats")["expired_keys"] == 0
    client.client_unpause()
    until(lambda: client.dbsize() == 0)


def test_a_paused_client_may_go(server, client):
    client.client_pause(60_000)
    wires = [Wire(server.port) for _ in range(20)]
    for wire in wires:
        wire.send(encode("SET", "k", "v") * 10)
        wire.close()
    control = Wire(server.port)
    assert control.command("CLIENT", "UNPAUSE") == b"+OK"
    assert client.ping()


def test_a_waiting_client_is_unblocked(server, client):
    with Wire(server.port) as wire:
        number = int(wire.command("CLIENT", "ID")[1:])
        wire.send(encode("WAIT", 1, 0))
        until(lambda: client.client_unblock(number))
        assert wire.read() == b":0"
        wire.send(encode("WAIT", 1, 0))
        until(lambda: client.client_unblock(number, error=True))
        assert wire.read() == b"-UNBLOCKED client unblocked via CLIENT UNBLOCK"
        assert client.client_unblock(number) is False
        assert client.client_unblock(987654) is False


def test_mistakes(client):
    for words, why in ((("x",), "not an integer"), (("-1",), "negative"), (("1", "SOME"), "mode must be"), (("9" * 30,), "not an integer")):
        with pytest.raises(redis.ResponseError, match=why):
            client.execute_command("CLIENT", "PAUSE", *words)
    with pytest.raises(redis.ResponseError, match="TIMEOUT or ERROR"):
        client.execute_command("CLIENT", "UNBLOCK", "1", "NOW")
