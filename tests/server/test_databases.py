"""Databases side by side, and SWAPDB: clients of one database see the keys of another at once, whatever they are and wait for."""
import threading

import pytest
import redis

from conftest import until
from replicas import in_sync, start_pair
from twins import events
from wire import Wire, encode


def title(client, key):
    info = client.execute_command("IMG.INFO", key)
    return dict(zip(info[::2], info[1::2]))[b"title"]


def test_images_their_index_and_attributes_go_along(server, photos):
    photo = next(iter(photos.values()))
    zero, three = server.client(), server.client(db=3)
    zero.execute_command("IMG.INDEX", "ADD", "rooms", "TYPE", "numeric")
    zero.execute_command("IMG.PUT", "a", photo, "TITLE", "red house", "ATTR", "rooms", "4")
    three.set("k", "v")
    assert zero.swapdb(0, 3) is True
    assert zero.keys() == [b"k"] and zero.execute_command("IMG.SEARCH", "house", "NOCONTENT") == [0]
    assert three.execute_command("IMG.SEARCH", "house @rooms:[4 4]", "NOCONTENT") == [1, b"a"]
    assert title(three, "a") == b"red house" and three.execute_command("IMG.GET", "a") == photo
    assert sorted(zero.info("keyspace")) == ["db0", "db3"] and zero.client_info()["db"] == 0
    assert zero.move("k", 3) is True and sorted(three.keys()) == [b"a", b"k"] and zero.dbsize() == 0


def test_a_pipeline_selects_its_databases_on_the_way(server):
    with Wire(server.port) as wire:
        wire.send(b"".join(encode(*words) for words in (
            ("SELECT", 1), ("SET", "k", "one"), ("SELECT", 2), ("SET", "k", "two"), ("GET", "k"),
            ("SELECT", 1), ("GET", "k"), ("DEL", "other"), ("EXISTS", "k", "k"))))
        assert [wire.read() for _ in range(9)] == [b"+OK"] * 4 + [b"two", b"+OK", b"one", b":0", b":2"]
    for db, value in ((1, b"one"), (2, b"two")):
        client = server.client(db=db)
        assert client.get("k") == value and client.keys() == [b"k"]
        assert client.delete("k") == 1 and client.dbsize() == 0


@pytest.mark.parametrize("how", ["kill", "checkpoint", "stop"])
def test_it_is_there_after_a_restart(server, how):
    zero, one = server.client(), server.client(db=1)
    zero.set("k", "zero")
    one.set("k", "one")
    zero.swapdb(0, 1)
    zero.swapdb(1, 2)
    if how == "checkpoint":
        zero.save()
    server.stop() if how == "stop" else server.kill()
    server.start()
    assert server.client().get("k") == b"one" and server.client(db=2).get("k") == b"zero"
    assert server.client(db=1).dbsize() == 0
    server.client().swapdb(2, 0)
    assert server.client().get("k") == b"zero"


@pytest.fixture
def pair(folder):
    servers = start_pair(folder)
    yield servers
    for server in servers:
        server.stop()


def test_followers_swap_too(pair):
    leader, follower = pair
    reader = follower.client(db=0)
    leader.client().set("k", "zero")
    leader.client(db=1).set("k", "one")
    in_sync(leader, follower)
    assert reader.get("k") == b"zero"
    leader.client().swapdb(0, 1)
    in_sync(leader, follower)
    assert reader.get("k") == b"one"
    with pytest.raises(redis.ReadOnlyError):
        reader.swapdb(0, 1)


def test_who_waits_for_a_list_gets_what_the_other_database_has(server):
    got = []
    waiting = threading.Thread(target=lambda: got.append(server.client().blpop("jobs", 20)))
    waiting.start()
    other = server.client(db=1)
    until(lambda: other.info("clients")["blocked_clients"] == 1)
    other.rpush("jobs", "x", "y")
    other.swapdb(1, 0)
    waiting.join()
    assert got == [(b"jobs", b"x")] and server.client().lrange("jobs", 0, -1) == [b"y"]
    waiting = threading.Thread(target=lambda: got.append(other.blpop("more", 20)))
    waiting.start()
    until(lambda: server.client().info("clients")["blocked_clients"] == 1)
    server.client(db=1).rpush("more", "z")
    waiting.join()
    assert got[1] == (b"more", b"z")


def test_within_a_transaction(client):
    pipe = client.pipeline()
    pipe.set("k", "x" * 100_000).swapdb(0, 1).get("k").append("k", "y")
    pipe.execute_command("SELECT", 1).append("k", "z").strlen("k")
    assert pipe.execute() == [True, True, None, 1, True, 100_001, 100_001]


def test_events_name_the_number_that_clients_know(server, peer):
    commands = [("SET", "k", "v"), ("SWAPDB", 0, 1), ("SET", "l", "v"), ("MOVE", "l", 1), ("SELECT", 1), ("DEL", "k")]
    assert events(server.port, commands) == events(peer, commands)


def test_what_clients_cached_is_told_to_be_old(server):
    with Wire(server.port) as wire:
        wire.command("HELLO", "3")
        wire.command("CLIENT", "TRACKING", "ON")
        wire.command("GET", "k")
        server.client().swapdb(0, 1)
        assert wire.read() == [b"invalidate", None]
