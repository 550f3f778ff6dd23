"""DUMP and RESTORE: values go to redis-server and come back, whatever their form there; damaged bytes; options."""
import random

import pytest
import redis

from twins import events

TEXTS = ["", "x", "12", "-70000", "9" * 19, "0" * 5, "a" * 63, "b" * 64, "compressible " * 40, "y" * 20000, "\r\n", "3.5"]


def values(rng):
    text = lambda: rng.choice(TEXTS) if rng.random() < 0.5 else "t%d" % rng.randrange(10**6)
    number = lambda: rng.choice([rng.randrange(-5, 200), rng.randrange(-2**15, 2**15), rng.randrange(-2**31, 2**31), rng.randrange(-2**62, 2**62)])
    some = lambda: rng.choice([1, 3, 20, 130, 600])
    return rng.choice([
        lambda key: ["SET", key, text()], lambda key: ["SET", key, number()], lambda key: ["RPUSH", key] + [text() for _ in range(some())],
        lambda key: ["RPUSH", key] + [number() for _ in range(some())], lambda key: ["SADD", key] + [number() for _ in range(some())],
        lambda key: ["SADD", key] + [text() for _ in range(some())], lambda key: ["SADD", key] + [rng.randrange(1000) for _ in range(some())],
        lambda key: ["HSET", key] + [text() for _ in range(some() * 2)], lambda key: ["HSET", key] + [number() for _ in range(some() * 2)],
        lambda key: ["ZADD", key] + [w for _ in range(some()) for w in (rng.choice([number() / 8, "inf", "-inf", 0.1, rng.random()]), text())]])


def content(client, key):
    kind = client.type(key)
    read = {b"string": lambda: client.get(key), b"list": lambda: client.lrange(key, 0, -1), b"set": lambda: client.smembers(key),
            b"hash": lambda: client.hgetall(key), b"zset": lambda: client.zrange(key, 0, -1, withscores=True)}
    return kind, read[kind]()


def test_values_go_to_redis_and_come_back(client, peer):
    rng = random.Random(61)
    theirs = redis.Redis(port=peer)
    for n in range(400):
        words = values(rng)("key")
        theirs.delete("key")
        theirs.execute_command(*words)
        want = content(theirs, "key")
        client.restore("key", 0, theirs.dump("key"), replace=True)
        assert content(client, "key") == want, (n, words[:2])
        theirs.restore("back", 0, client.dump("key"), replace=True)
        assert content(theirs, "back") == want, (n, words[:2])


def test_damaged_payloads_are_refused(client):
    client.zadd("z", {"a": 1, "b": 2.5})
    payload = client.dump("z")
    for i in range(len(payload)):
        broken = payload[:i] + bytes([payload[i] ^ 1]) + payload[i + 1:]
        with pytest.raises(redis.ResponseError, match="DUMP payload version or checksum are wrong"):
            client.restore("x", 0, broken)
        with pytest.raises(redis.ResponseError):
            client.restore("x", 0, payload[:i])
    assert not client.exists("x")


def test_mistakes_are_answered_as_redis_does(twins, client):
    client.set("text", "text")
    payload = client.dump("text")
    for words in ([["DUMP", "none"], ["RESTORE", "k", 0, payload], ["RESTORE", "k", 0, payload], ["RESTORE", "k", 0, payload, "REPLACE"], ["GET", "k"]] +
                  [["RESTORE", "k", *rest] for rest in ((-1, payload, "REPLACE"), ("x", payload, "REPLACE"), (0, b"", "REPLACE"), (0, b"short", "REPLACE"),
                   (0, payload, "REPLACE", "NONSENSE"), (0, payload, "IDLETIME"), (0, payload, "REPLACE", "IDLETIME", -1), (0, payload, "FREQ", 256),
                   (0, payload, "FREQ", "x"), (0, payload, "REPLACE", "FREQ", 3, "IDLETIME", 3), (1, payload, "REPLACE", "ABSTTL"))] +
                  [["EXISTS", "k"], ["RESTORE", "k", 1, payload, "ABSTTL"], ["EXISTS", "k"], ["RESTORE", "k", 100000000, payload], ["TTL", "k"],
                   ["RESTORE", "k", 9999999999999, payload, "ABSTTL", "REPLACE"], ["PEXPIRETIME", "k"]]):
        twins.same(words)


def test_events_are_those_of_redis(server, peer, client):
    client.set("text", "text")
    payload = client.dump("text")
    commands = [["RESTORE", "k", 0, payload], ["RESTORE", "k", 0, payload], ["RESTORE", "k", 0, payload, "REPLACE"], ["RESTORE", "k", 1, payload, "REPLACE", "ABSTTL"]]
    told = events(server.port, commands)
    assert told == events(peer, commands) and len(told) > 5


def test_idle_time_is_restored(client):
    client.sadd("s", "a")
    client.restore("copy", 0, client.dump("s"), idletime=1000)
    assert 1000 <= client.object("idletime", "copy") < 1010
    client.config_set("maxmemory-policy", "allkeys-lfu")
    client.restore("often", 0, client.dump("s"), frequency=200)
    assert 190 <= client.object("freq", "often") <= 200


def test_images_are_not_dumped(client, photos):
    client.execute_command("IMG.PUT", "i", next(iter(photos.values())))
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.dump("i")


def sealed(body):
    """With the footer of a payload: version 10 and the CRC-64 (Jones) of what is before."""
    body += (10).to_bytes(2, "little")
    crc = 0
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return body + crc.to_bytes(8, "little")


def test_a_payload_is_read_to_its_end_also_when_its_time_is_over(twins, client):
    twins.same(["SET", "old", "1"])
    whole = sealed(b"\x02\x02\x01a\x01b")       # a set of two
    for payload in (sealed(b"\x02\x02\x01a"), sealed(b"\x02\x02\x01a\x01a"), whole):
        twins.same(["RESTORE", "k", 1, payload, "ABSTTL"])
        twins.same(["EXISTS", "k"])
    twins.same(["RESTORE", "old", 1, whole, "ABSTTL"])
    twins.same(["RESTORE", "old", 1, sealed(b"\x02\x02\x01a"), "ABSTTL", "REPLACE"])
    twins.same(["GET", "old"])
    twins.same(["RESTORE", "old", 1, whole, "ABSTTL", "REPLACE"])
    twins.same(["EXISTS", "old"])
    assert client.dbsize() == 0
