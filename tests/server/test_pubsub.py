"""Channels, patterns, shard channels, and keyspace notifications, compared with redis-server."""
import random
import time

import pytest
import redis

from conftest import until
from wire import Wire, encode


def test_redis_py_listens(client, server):
    listener = server.client().pubsub()
    listener.subscribe("news", "weather")
    listener.psubscribe("n?ws", "*")
    seen = [listener.get_message(timeout=5) for _ in range(4)]
    assert [m["data"] for m in seen] == [1, 2, 3, 4]
    assert client.publish("news", "hello") == 3 and client.publish("other", "x") == 1
    got = [listener.get_message(timeout=5) for _ in range(4)]
    assert [(m["type"], m["pattern"], m["channel"], m["data"]) for m in got] == [
        ("message", None, b"news", b"hello"), ("pmessage", b"n?ws", b"news", b"hello"),
        ("pmessage", b"*", b"news", b"hello"), ("pmessage", b"*", b"other", b"x")]
    assert set(client.pubsub_channels()) == {b"news", b"weather"}
    assert client.pubsub_numsub("news", "nosuch") == [(b"news", 1), (b"nosuch", 0)] and client.pubsub_numpat() == 2
    info = client.info("stats")
    assert info["pubsub_channels"] == 2 and info["pubsub_patterns"] == 2
    assert len(client.client_list(_type="pubsub")) == 1 and client.client_list(_type="pubsub")[0]["psub"] == "2"
    listener.close()
    until(lambda: client.pubsub_channels() == [] and client.pubsub_numpat() == 0)


SCRIPT = [["SUBSCRIBE", "a", "b", "a"], ["GET", "k"], ["PING"], ["PING", "x"], ["PSUBSCRIBE", "a*"],
          ["UNSUBSCRIBE", "a"], ["SSUBSCRIBE", "s"], ["SUNSUBSCRIBE"], ["UNSUBSCRIBE"], ["UNSUBSCRIBE", "nosuch"],
          ["PUNSUBSCRIBE"], ["PUNSUBSCRIBE"], ["PING"], ["GET", "k"], ["SUBSCRIBE", ""], ["UNSUBSCRIBE"], ["SUBSCRIBE"],
          ["PUBSUB", "CHANNELS", "x", "y"], ["PUBSUB", "NUMSUB"], ["PUBSUB", "NUMPAT"], ["PUBSUB", "NOSUCH"],
          ["SUBSCRIBE", "z"], ["RESET"], ["PUBSUB", "CHANNELS"], ["PUBLISH", "nobody", "x"], ["SPUBLISH", "s", "x"]]


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_those_of_redis(server, peer, protocol):
    outs = []
    for port in (server.port, peer):
        with Wire(port) as wire:
            wire.command("HELLO", protocol)
            wire.send(b"".join(encode(*words) for words in SCRIPT) + encode("ECHO", "end"))
            out = []
            while not out or out[-1] != b"end":
                out.append(wire.read())
            outs.append(out)
    assert outs[0] == outs[1]


def test_messages_of_ones_own_come_behind_the_reply(server):
    with Wire(server.port) as wire:
        wire.command("HELLO", 3)
        wire.command("SUBSCRIBE", "c")
        assert wire.command("PUBLISH", "c", "m") == b":1" and wire.read() == [b"message", b"c", b"m"]
        for words in (["MULTI"], ["PUBLISH", "c", "1"], ["SET", "k", "v"], ["PUBLISH", "c", "2"]):
            wire.command(*words)
        assert wire.command("EXEC") == [b":1", b"+OK", b":1"]
        assert wire.read() == [b"message", b"c", b"1"] and wire.read() == [b"message", b"c", b"2"]


def test_messages_do_not_overtake_replies(server, photos):
    client, photo = server.client(), next(iter(photos.values()))
    client.execute_command("IMG.PUT", "i", photo)
    with Wire(server.port) as wire:
        wire.command("HELLO", 3)
        wire.command("SUBSCRIBE", "c")
        wire.send(encode("IMG.GET", "i", "WIDTH", 100, "FORMAT", "webp") + encode("ECHO", "x"))
        assert client.publish("c", "m") == 1
        replies = [wire.read() for _ in range(3)]
        assert [b"message", b"c", b"m"] in replies
        replies.remove([b"message", b"c", b"m"])
        assert replies[0][:4] == b"RIFF" and replies[1] == b"x"


def test_large_messages_are_shared(server):
    client = server.client()
    listeners = [Wire(server.port) for _ in range(50)]
    for wire in listeners:
        wire.command("SUBSCRIBE", "big")
    before = client.info("memory")["memory_replies"]
    payload = b"x" * 1_000_000
    pipe = client.pipeline(transaction=False)
    for _ in range(3):
        pipe.publish("big", payload)
    assert pipe.execute() == [50] * 3
    assert client.info("memory")["memory_replies"] - before < 20 * len(payload)
    for wire in listeners:
        for _ in range(3):
            assert wire.read() == [b"message", b"big", payload]
        wire.close()


def test_a_subscriber_that_does_not_read_is_dropped(make_server):
    server = make_server("--pubsub-output-limit", "4mb")
    client = server.client()
    with Wire(server.port) as deaf, Wire(server.port) as good:
        deaf.command("SUBSCRIBE", "c")
        good.command("SUBSCRIBE", "c")
        for n in range(100):
            client.publish("c", b"%03d" % n + b"x" * 200_000)
            assert good.read()[2][:3] == b"%03d" % n
        until(lambda: client.info("stats")["client_output_buffer_limit_disconnections"] == 1)
        assert client.publish("c", "last") == 1
    assert "messages wait for it" in server.log()


def test_many_channels_and_subscribers(server):
    client = server.client()
    with Wire(server.port) as wire:
        names = [f"channel:{i}" for i in range(50_000)]
        start = time.monotonic()
        wire.send(encode("SUBSCRIBE", *names))
        for n in range(len(names)):
            last = wire.read()
        assert last == [b"subscribe", b"channel:49999", b":50000"]
        assert client.publish("channel:777", "x") == 1 and len(client.pubsub_channels("channel:777*")) == 11
        assert wire.read() == [b"message", b"channel:777", b"x"]
        wire.send(encode("UNSUBSCRIBE"))
        for n in range(len(names)):
            last = wire.read()
        assert last[2] == b":0" and client.pubsub_channels() == []
        assert time.monotonic() - start < 20


def test_notifications_are_those_of_redis(server, peer):
    rng = random.Random(11)
    keys = ["a", "b", "c"]
    makers = [lambda k: ("SET", k, 1), lambda k: ("SET", k, 1, "EX", 100), lambda k: ("INCR", k), lambda k: ("DECR", k),
              lambda k: ("INCRBYFLOAT", k, "0.5"), lambda k: ("APPEND", k, "x"), lambda k: ("SETRANGE", k, 1, "7"),
              lambda k: ("DEL", k, rng.choice(keys)), lambda k: ("EXPIRE", k, 100), lambda k: ("EXPIRE", k, -1),
              lambda k: ("PERSIST", k), lambda k: ("RENAME", k, rng.choice(keys)), lambda k: ("COPY", k, "c", "DB", 1),
              lambda k: ("GETDEL", k), lambda k: ("GETEX", k, "EX", 50), lambda k: ("GETEX", k, "PERSIST"),
              lambda k: ("GETSET", k, 3), lambda k: ("MSET", k, 1, "b", 2), lambda k: ("MSETNX", k, 1, "b", 2),
              lambda k: ("SETNX", k, 1), lambda k: ("SETEX", k, 100, 5), lambda k: ("GET", k), lambda k: ("SET", k, 1, "XX", "GET"),
              lambda k: ("RENAMENX", k, "b"), lambda k: ("FLUSHDB",), lambda k: ("UNLINK", k), lambda k: ("MGET", k, "b")]
    wires, heard = [], []
    for port in (server.port, peer):
        wire, listener = Wire(port), Wire(port)
        assert wire.command("CONFIG", "SET", "notify-keyspace-events", "KEg$xnm") == b"+OK"
        listener.command("PSUBSCRIBE", "__key*__:*")
        wires.append(wire)
        heard.append(listener)
    for n in range(3000):
        words = rng.choice(makers)(rng.choice(keys))
        assert wires[0].command(*words) == wires[1].command(*words), (n, words)
    for wire in wires:
        wire.command("PUBLISH", "__key__:end", "end")
    both = []
    for listener in heard:
        out = []
        while not out or out[-1][3] != b"end":
            out.append(listener.read())
        both.append(out)
    for n, (ours, theirs) in enumerate(zip(*both)):
        assert ours == theirs, (n, both[0][n - 3:n + 3], both[1][n - 3:n + 3])
    assert len(both[0]) == len(both[1]) > 3000


def test_expiry_and_images_are_told(client, server, photos):
    client.config_set("notify-keyspace-events", "Exi")
    assert client.config_get("notify-keyspace-events") == {"notify-keyspace-events": "xiE"}
    with Wire(server.port) as listener:
        listener.command("PSUBSCRIBE", "__keyevent@0__:*")
        client.set("k", 1, px=20)
        assert listener.read()[2:] == [b"__keyevent@0__:expired", b"k"]
        client.execute_command("IMG.PUT", "i", next(iter(photos.values())))
        client.execute_command("IMG.EDIT", "i", "TITLE", "x")
        assert [listener.read()[2] for _ in range(2)] == [b"__keyevent@0__:img.put", b"__keyevent@0__:img.edit"]
    with pytest.raises(redis.ResponseError, match="Invalid event class character"):
        client.config_set("notify-keyspace-events", "KEq?")
