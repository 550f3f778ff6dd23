"""WAIT and WAITAOF, as Redis 7.2 has them, while nobody follows."""
import threading
import time

import pytest
import redis

from conftest import until


def lsns(client):
    info = client.info("store")
    return int(info["last_lsn"]), int(info["durable_lsn"])


@pytest.fixture
def lazy(make_server):
    """Nothing is synced unless somebody asks."""
    return make_server("--cache-appendfsync", "no", "--appendfsync", "no")


def test_waitaof_syncs_what_was_written(lazy):
    client = lazy.client()
    with client.client() as one:
        one.set("k", "v" * 100)
        last, durable = lsns(client)
        assert durable < last
        assert one.execute_command("WAITAOF", 1, 0, 0) == [1, 0]
        assert lsns(client)[1] >= last


def test_what_was_acknowledged_survives_a_kill(lazy):
    client = lazy.client()
    for i in range(50):
        with client.client() as one:
            one.set(f"k{i}", i)
            assert one.execute_command("WAITAOF", 1, 0, 5000) == [1, 0]
    lazy.kill()
    client = lazy.start().client()
    assert client.dbsize() == 50


def test_a_connection_that_wrote_nothing_does_not_wait(lazy):
    client = lazy.client()
    client.set("k", "v")
    with client.client() as other:
        assert other.execute_command("WAITAOF", 1, 0, 0) == [1, 0]
        assert other.execute_command("WAIT", 0, 0) == 0
        assert other.execute_command("WAITAOF", 0, 0, 0)[1] == 0


@pytest.mark.parametrize("words, reply", [
    (("WAIT", 1, 80), 0), (("WAITAOF", 0, 1, 80), [1, 0]), (("WAITAOF", 1, 2, 80), [1, 0])])
def test_a_replica_is_waited_for_until_the_time_is_up(client, words, reply):
    with client.client() as one:
        one.execute_command("IMG.PUT", "k", open_pixel())
        begin = time.monotonic()
        assert one.execute_command(*words) == reply
        assert time.monotonic() - begin >= 0.08


def open_pixel():
    from images import png
    return png(1, 1)


def test_blocked_clients_are_counted_and_may_leave(server):
    client = server.client()
    with server.client().client() as one:
        one.execute_command("CLIENT", "SETNAME", "blocked")
        thread = threading.Thread(target=lambda: pytest.raises(
            redis.ConnectionError, one.execute_command, "WAIT", 1, 0))
        thread.start()
        until(lambda: client.info("clients")["blocked_clients"] == 1)
        entry = next(c for c in client.client_list() if c["name"] == "blocked")
        client.client_kill_filter(_id=entry["id"])
        thread.join(timeout=20)
        until(lambda: client.info("clients")["blocked_clients"] == 0)


def test_a_stop_ends_all_waits(make_server):
    server = make_server()
    with server.client().client() as one:
        one.set("k", "v")
        thread = threading.Thread(target=lambda: one.execute_command("WAIT", 1, 0))
        thread.start()
        until(lambda: server.client().info("clients")["blocked_clients"] == 1)
        server.stop()
        thread.join(timeout=20)
        assert not thread.is_alive()


@pytest.mark.parametrize("words, text", [
    (("WAIT", "x", 0), "^value is not an integer or out of range"),
    (("WAIT", 0, "x"), "^timeout is not an integer or out of range"),
    (("WAIT", 0, -1), "^timeout is negative"),
    (("WAIT", 0), "wrong number of arguments for 'wait' command"),
    (("WAITAOF", 2, 0, 0), "^value is out of range, value must between 0 and 1"),
    (("WAITAOF", -1, 0, 0), "^value is out of range, value must between 0 and 1"),
    (("WAITAOF", "x", 0, 0), "^value is not an integer or out of range"),
    (("WAITAOF", 1, -1, 0), "^value is out of range, must be positive"),
    (("WAITAOF", 1, 0, -1), "^timeout is negative"),
    (("WAITAOF", 1, 0, "x"), "^timeout is not an integer or out of range"),
    (("WAITAOF", 1, 0), "wrong number of arguments for 'waitaof' command"),
])
def test_errors_are_those_of_redis(client, words, text):
    with pytest.raises(redis.ResponseError, match=text):
        client.execute_command(*words)
