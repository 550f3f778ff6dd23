"""Hashes: random commands against redis-server, byte for byte; what chance decides; large ones."""
import random

from twins import events, unordered

FIELDS = ["a", "b", "1", "2", "-7", "007", "", "x" * 70, "long field name", "9" * 19, "\r\n"]
VALUES = ["0", "1", "-5", "10", "abc", "", "3.5", "1e3", "9223372036854775807", "y" * 80, " 1", "0x10", "-0", "nan", "inf"]


def random_command(rng):
    key = rng.choice(["h", "h", "h", "h", "g", "s", "missing"])
    field = lambda: rng.choice(FIELDS)
    value = lambda: rng.choice(VALUES + ["v%d" % rng.randrange(30)])
    some = lambda: [field() for _ in range(rng.randrange(1, 4))]
    pairs = lambda: [w for _ in range(rng.randrange(1, 4)) for w in (field(), value())]
    number = lambda: rng.choice(["1", "-1", "100", "-3", "9223372036854775807", "-9223372036854775808", "x", "1.5", "", "+1"])
    real = lambda: rng.choice(["1", "0.5", "-2.25", "1e5", "x", "", "inf", "nan", " 1", "1e400", "0.1", "3.0"])
    return rng.choice([
        lambda: ["HSET", key] + pairs(), lambda: ["HSET", key] + pairs(), lambda: ["HSET", key] + some(),
        lambda: ["HMSET", key] + pairs(), lambda: ["HSETNX", key, field(), value()], lambda: ["HGET", key, field()],
        lambda: ["HMGET", key] + some(), lambda: ["HLEN", key], lambda: ["HEXISTS", key, field()],
        lambda: ["HSTRLEN", key, field()], lambda: ["HDEL", key] + some(), lambda: ["HINCRBY", key, field(), number()],
        lambda: ["HINCRBYFLOAT", key, field(), real()], lambda: ["HGETALL", key], lambda: ["HKEYS", key], lambda: ["HVALS", key],
        lambda: ["HSCAN", key, "0", "COUNT", "1000"], lambda: ["HSCAN", key, "0", "MATCH", rng.choice(["*", "[0-9]*", "a", "zzz"]), "COUNT", "100"],
        lambda: ["HSCAN", key, rng.choice(["x", "-1", "0"]), rng.choice(["COUNT", "TYPE"]), rng.choice(["0", "x", "-1"])],
        lambda: ["HRANDFIELD", key, rng.choice(["0", "x", "-9223372036854775808", "100000"])],
        lambda: ["HRANDFIELD", key, "1000"] + rng.choice([["WITHVALUES"], ["WITHSCORES"], ["WITHVALUES", "x"]]),
        lambda: ["HRANDFIELD", key, rng.choice(["9223372036854775807", "-9223372036854775807"]), "WITHVALUES"],
        lambda: ["DEL", "h"] if rng.random() < 0.2 else ["TYPE", key], lambda: ["EXISTS", key],
        lambda: [rng.choice(["HSET", "HGET", "HDEL", "HMSET", "HINCRBY", "HLEN", "HSCAN"]), key]])()


def in_any_order(words):
    name = words[0]
    if name in ("HGETALL", "HKEYS", "HVALS"):
        return lambda reply: unordered(reply, 2 if name == "HGETALL" else 1)
    if name == "HRANDFIELD":
        flat = lambda reply: len(words) > 3 and isinstance(reply[1], list) and reply[1] and reply[1][0][0] == "$"
        return lambda reply: unordered(reply, 2 if flat(reply) else 1)
    if name == "HSCAN":
        return lambda reply: (reply[0], reply[1][0], unordered(reply[1][1], 2)) if reply[0] == "*" else reply
    return None


def test_redis_answers_the_same(twins):
    rng = random.Random(11)
    twins.same(["SET", "s", "a string"])
    for _ in range(12_000):
        words = random_command(rng)
        twins.same(words, rng.choice([2, 3]), in_any_order(words))


def test_large_ones_are_answered_the_same(twins):
    rng = random.Random(12)
    for n in range(0, 3000, 3):
        twins.same(["HSET", "h"] + ["%s%d" % (w, n + i) for i in range(3) for w in ("field:", "value:")])
    for _ in range(4000):
        field = "field:%d" % rng.randrange(3300)
        words = rng.choice([["HGET", "h", field], ["HDEL", "h", field], ["HSET", "h", field, "x" * rng.randrange(90)],
                            ["HINCRBY", "h", "n" + field, "3"], ["HSTRLEN", "h", field], ["HLEN", "h"]])
        twins.same(words)
    twins.same(["HGETALL", "h"], 3, unordered)


def test_events_are_those_of_redis(server, peer):
    commands = [["HSET", "h", "a", 1], ["HSETNX", "h", "a", 1], ["HSETNX", "h", "b", 1], ["HINCRBY", "h", "a", 2], ["HDEL", "h", "z"],
                ["HINCRBYFLOAT", "h", "b", "0.5"], ["HMSET", "h", "a", 3], ["HDEL", "h", "a"], ["HDEL", "h", "b", "a"]]
    told = events(server.port, commands)
    assert told == events(peer, commands) and len(told) > 14


def test_random_fields_are_all_drawn(client):
    client.hset("h", mapping={"f%d" % i: "v%d" % i for i in range(40)})
    assert {client.hrandfield("h") for _ in range(2000)} == {b"f%d" % i for i in range(40)}
    for count in (1, 7, 39, 40, 100):
        drawn = client.hrandfield("h", count)
        assert len(drawn) == len(set(drawn)) == min(count, 40)
    pairs = client.hrandfield("h", -500, withvalues=True)
    assert len(pairs) == 1000 and all(pairs[i + 1] == b"v" + pairs[i][1:] for i in range(0, 1000, 2))


def test_a_scan_passes_every_field_of_a_large_hash(client):
    client.hset("h", mapping={"f%d" % i: i for i in range(5000)})
    seen, cursor, rounds = {}, 0, 0
    while rounds == 0 or cursor != 0:
        cursor, part = client.hscan("h", cursor, count=100)
        seen.update(part)
        rounds += 1
    assert len(seen) == 5000 and rounds > 10


def test_hashes_survive_a_kill(server):
    client = server.client()
    client.hset("small", mapping={"a": 1, "b": "x"})
    client.hset("large", mapping={"f%d" % i: "v" * (i % 100) for i in range(2000)})
    client.hdel("large", "f7", "f8")
    client.hincrby("large", "n", 5)
    before = client.hgetall("small"), client.hgetall("large")
    client.execute_command("WAITAOF", 1, 0, 5000)
    server.kill()
    server.start()
    client = server.client()
    assert (client.hgetall("small"), client.hgetall("large")) == before
