"""Keys and strings through redis-py."""
import time

import pytest
import redis

from conftest import until


def test_set_options(client):
    assert client.set("k", "1", nx=True) and not client.set("k", "2", nx=True)
    assert client.set("k", "2", xx=True) and not client.set("other", "1", xx=True)
    assert client.set("k", "3", get=True) == b"2"
    client.set("k", "4", ex=100)
    assert 99 <= client.ttl("k") <= 100
    client.set("k", "5", keepttl=True)
    assert client.ttl("k") > 0
    client.set("k", "6")
    assert client.ttl("k") == -1
    with pytest.raises(redis.ResponseError, match="syntax error"):
        client.execute_command("SET", "k", "v", "NX", "XX")
    with pytest.raises(redis.ResponseError, match="invalid expire time in 'set' command"):
        client.execute_command("SET", "k", "v", "EX", "0")


def test_numbers(client):
    assert client.incr("n") == 1 and client.incrby("n", 41) == 42 and client.decrby("n", 2) == 40
    assert float(client.incrbyfloat("n", 0.5)) == 40.5
    client.set("text", "abc")
    with pytest.raises(redis.ResponseError, match="not an integer"):
        client.incr("text")
    client.set("max", 2 ** 63 - 1)
    with pytest.raises(redis.ResponseError, match="overflow"):
        client.incr("max")


def test_parts_of_strings(client):
    assert client.append("s", "Hello") == 5 and client.append("s", " World") == 11
    assert client.getrange("s", -5, -1) == b"World" and client.getrange("s", 0, 400) == b"Hello World"
    assert client.setrange("s", 6, "Redis") == 11 and client.get("s") == b"Hello Redis"
    assert client.setrange("pad", 3, "x") == 4 and client.get("pad") == b"\0\0\0x"
    assert client.strlen("s") == 11 and client.getrange("nosuch", 0, -1) == b""


def test_many_at_once(client):
    assert client.mset({"a": 1, "b": 2}) and client.mget("a", "nosuch", "b") == [b"1", None, b"2"]
    assert not client.msetnx({"b": 3, "c": 3}) and client.get("c") is None
    assert client.msetnx({"c": 3, "d": 4})
    assert client.getdel("c") == b"3" and client.get("c") is None
    assert client.getset("d", "5") == b"4" and client.getex("d", ex=50) == b"5" and client.ttl("d") > 0


def test_expiry_conditions(client):
    client.set("k", 1)
    assert client.execute_command("EXPIRE", "k", 100, "XX") == 0
    assert client.execute_command("EXPIRE", "k", 100, "NX") == 1
    assert client.execute_command("EXPIRE", "k", 50, "GT") == 0
    assert client.execute_command("EXPIRE", "k", 50, "LT") == 1
    assert client.persist("k") == 1 and client.ttl("k") == -1
    assert client.expireat("k", 1) == 1 and client.exists("k") == 0
    assert client.ttl("nosuch") == -2


def test_keys_expire_by_themselves(client):
    for i in range(200):
        client.set(f"short{i}", i, px=50)
    client.set("long", 1)
    until(lambda: client.dbsize() == 1)
    assert client.info("stats")["expired_keys"] >= 200


def test_rename_copy_type(client):
    client.set("a", "1", ex=100)
    client.rename("a", "b")
    assert client.get("a") is None and client.get("b") == b"1" and client.ttl("b") > 0
    assert client.copy("b", "c") and not client.copy("b", "c") and client.copy("b", "c", replace=True)
    assert client.execute_command("COPY", "b", "b", "DB", 3) == 1
    assert client.type("b") == b"string" and client.type("nosuch") == b"none"
    assert client.renamenx("b", "c") == 0
    with pytest.raises(redis.ResponseError, match="no such key"):
        client.rename("nosuch", "x")


def test_scan_shows_every_key_while_it_grows(client):
    pipe = client.pipeline(transaction=False)
    for i in range(5000):
        pipe.set(f"key:{i}", i)
    pipe.execute()
    seen, cursor, extra = set(), None, 0
    while cursor != 0:
        cursor, keys = client.scan(cursor or 0, match="key:*", count=50)
        seen.update(keys)
        for _ in range(30):
            extra += 1
            client.set(f"more:{extra}", 1)
    assert len(seen) == 5000
    assert len(list(client.scan_iter(_type="image"))) == 0


def test_databases_are_apart(server):
    zero, five = server.client(), server.client(db=5)
    zero.set("k", "zero")
    five.set("k", "five")
    assert zero.get("k") == b"zero" and five.get("k") == b"five"
    five.flushdb()
    assert zero.get("k") == b"zero" and five.dbsize() == 0
    zero.flushall()
    assert zero.dbsize() == 0
    with pytest.raises(redis.ResponseError, match="DB index is out of range"):
        zero.execute_command("SELECT", 16)


def test_binary_safe_keys(client):
    key = bytes(range(256))
    client.set(key, key)
    assert client.get(key) == key and client.keys() == [key]


def test_all_is_there_after_a_restart(server):
    client = server.client()
    for i in range(500):
        client.set(f"k{i}", "v" * i)
    client.delete("k3")
    client.set("large", "x" * 3000000)
    client.set("ttl", "1", ex=1000)
    client.rename("k4", "renamed")
    client.persist("ttl")
    server.stop()
    server.start()
    client = server.client()
    assert client.dbsize() == 501 and client.get("k499") == b"v" * 499 and client.get("k3") is None
    assert client.get("renamed") == b"vvvv" and client.strlen("large") == 3000000 and client.ttl("ttl") == -1


def test_flush_outlives_a_restart(server):
    client = server.client()
    client.set("old", 1)
    client.flushall()
    client.set("new", 1)
    server.stop()
    server.start()
    assert server.client().keys() == [b"new"]


def test_object_and_memory(client):
    client.set("i", 12345)
    client.set("e", "short")
    client.set("r", "x" * 100)
    assert [client.object("encoding", k) for k in "ier"] == [b"int", b"embstr", b"raw"]
    assert client.object("refcount", "i") == 1 and client.object("idletime", "i") <= 1
    assert 30 < client.memory_usage("e") < 200
    assert client.memory_usage("nosuch") is None
    assert time.time() - client.time()[0] < 5


@pytest.mark.parametrize("size", [4095, 4096, 9000, 16384, 16385])
def test_a_reply_holds_the_value_that_was_there_whatever_comes_behind_it(client, size):
    """In one pipeline: each GET sees what stood before it, though it is gone when the reply leaves."""
    pipe = client.pipeline(transaction=False)
    expected = []
    for letter in (b"a", b"b", b"c"):
        pipe.set("k", letter * size).get("k").append("k", b"+").get("k").expire("k", 100).get("k").delete("k").get("k")
        expected += [True, letter * size, size + 1, letter * size + b"+", True, letter * size + b"+", 1, None]
    pipe.set("k", b"d" * size).getset("k", b"short").set("k", b"e" * size).getdel("k")
    expected += [True, b"d" * size, True, b"e" * size]
    assert pipe.execute() == expected
