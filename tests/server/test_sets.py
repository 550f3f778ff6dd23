"""Sets: random commands against redis-server, byte for byte but for order; what chance decides; large ones."""
import random

from twins import events, unordered

MEMBERS = ["1", "2", "3", "-5", "70000", "9999999999", "9" * 19, "9" * 25, "a", "b", "c", "007", "", "x" * 70, "\r\n"]


def random_command(rng):
    key = rng.choice(["s", "t", "u", "u", "s", "str", "missing"])
    keys = lambda: [rng.choice(["s", "t", "u", "missing", "str" if rng.random() < 0.1 else "s"]) for _ in range(rng.randrange(1, 4))]
    numbers = rng.random() < 0.5
    member = lambda: rng.choice(MEMBERS[:6] if numbers else MEMBERS)
    some = lambda: [member() for _ in range(rng.randrange(1, 5))]
    count = lambda: rng.choice(["0", "x", "-9223372036854775808", "100000", "1.5"])

    def card():
        names = keys()
        number = str(len(names)) if rng.random() < 0.9 else rng.choice(["0", "-1", "x", "9"])
        return ["SINTERCARD", number] + names + rng.choice([[], ["LIMIT", rng.choice(["0", "1", "2", "-1", "x"])], ["LIMIT"], ["FOO", "1"]])
    return rng.choice([
        lambda: ["SADD", key] + some(), lambda: ["SADD", key] + some(), lambda: ["SREM", key] + some(), lambda: ["SCARD", key],
        lambda: ["SISMEMBER", key, member()], lambda: ["SMISMEMBER", key] + some(), lambda: ["SMEMBERS", key],
        lambda: ["SMOVE", key, rng.choice("stu"), member()], lambda: ["SINTER"] + keys(), lambda: ["SUNION"] + keys(), lambda: ["SDIFF"] + keys(),
        lambda: ["SINTERSTORE", rng.choice("tu")] + keys(), lambda: ["SUNIONSTORE", rng.choice("tu")] + keys(),
        lambda: ["SDIFFSTORE", rng.choice("tu")] + keys(), card, lambda: ["SPOP", key, rng.choice(["0", "x", "-1", "100000"])],
        lambda: ["SPOP", key, "1", "2"], lambda: ["SPOP", "nothing"], lambda: ["SRANDMEMBER", key, count()], lambda: ["SRANDMEMBER", key, "1", "2"],
        lambda: ["SSCAN", key, "0", "COUNT", "1000"], lambda: ["SSCAN", key, "0", "MATCH", rng.choice(["*", "[0-9]*", "a"]), "COUNT", "1000"],
        lambda: ["SSCAN", key, rng.choice(["x", "0"]), rng.choice(["COUNT", "TYPE"]), rng.choice(["0", "x"])],
        lambda: ["DEL", key] if key != "str" and rng.random() < 0.3 else ["TYPE", key],
        lambda: [rng.choice(["SADD", "SCARD", "SREM", "SMOVE", "SINTER", "SINTERCARD", "SUNIONSTORE"]), key]])()


def in_any_order(words):
    if words[0] == "SSCAN":
        return lambda reply: (reply[0], reply[1][0], unordered(reply[1][1])) if reply[0] == "*" else reply
    if words[0] in ("SMEMBERS", "SINTER", "SUNION", "SDIFF", "SPOP", "SRANDMEMBER"):
        return unordered
    return None


def test_redis_answers_the_same(twins):
    rng = random.Random(31)
    twins.same(["SET", "str", "a string"])
    for _ in range(15_000):
        words = random_command(rng)
        twins.same(words, rng.choice([2, 3]), in_any_order(words))


def test_large_ones_are_answered_the_same(twins):
    rng = random.Random(32)
    for name in "abc":
        for _ in range(300):
            twins.same(["SADD", name] + [str(rng.randrange(4000)) if name == "a" else "m%d" % rng.randrange(3000) for _ in range(10)])
        twins.same(["SADD", name] + [str(n) for n in range(0, 3000, 7)])
    for words in (["SINTER", "a", "b"], ["SINTER", "b", "c"], ["SUNION", "a", "b", "c"], ["SDIFF", "a", "b"], ["SDIFF", "c", "a", "b"]):
        twins.same(words, 3, unordered)
        twins.same([words[0] + "STORE", "d"] + words[1:])
        twins.same(["SMEMBERS", "d"], 2, unordered)
    for _ in range(3000):
        twins.same([rng.choice(["SADD", "SREM", "SISMEMBER"]), rng.choice("abc"), "m%d" % rng.randrange(3300)])
        twins.same(["SREM", "a", str(rng.randrange(4000))])
    for name in "abc":
        twins.same(["SMEMBERS", name], 2, unordered)


def test_events_are_those_of_redis(server, peer):
    commands = [["SADD", "s", "1", "2", "3"], ["SADD", "s", "1"], ["SREM", "s", "9"], ["SREM", "s", "1"], ["SMOVE", "s", "t", "2"], ["SMOVE", "s", "t", "2"],
                ["SADD", "u", "3"], ["SMOVE", "s", "u", "3"], ["SUNIONSTORE", "d", "t", "u"], ["SINTERSTORE", "d", "t", "u"], ["SINTERSTORE", "d", "t", "u"],
                ["SDIFFSTORE", "d", "t", "u"], ["SPOP", "t"], ["SADD", "t", "a"], ["SPOP", "t", "0"], ["SPOP", "t", "5"], ["SPOP", "t", "5"]]
    told = events(server.port, commands)
    assert told == events(peer, commands) and len(told) > 25


def test_what_chance_takes_is_gone(client):
    client.sadd("s", *range(5000))
    taken = {client.spop("s") for _ in range(50)} | set(client.spop("s", 100)) | set(client.spop("s", 4000))
    assert len(taken) == 4150 and client.scard("s") == 850
    assert not taken & client.smembers("s")
    assert {client.srandmember("s") for _ in range(8000)} >= set(list(client.smembers("s"))[:50])
    for count in (1, 10, 849, 850, 2000):
        drawn = client.srandmember("s", count)
        assert len(drawn) == len(set(drawn)) == min(count, 850)
    assert len(client.srandmember("s", -3000)) == 3000


def test_sets_survive_a_kill(server):
    client = server.client()
    client.sadd("numbers", *range(100))
    client.sadd("small", "a", 1, "")
    client.sadd("large", *("member %d" % i for i in range(5000)))
    client.srem("large", *("member %d" % i for i in range(0, 5000, 3)))
    client.spop("large", 50)
    client.sunionstore("union", "numbers", "large")
    before = [client.smembers(key) for key in ("numbers", "small", "large", "union")]
    client.execute_command("WAITAOF", 1, 0, 5000)
    server.kill()
    server.start()
    client = server.client()
    assert [client.smembers(key) for key in ("numbers", "small", "large", "union")] == before


def test_unions_of_large_sets_fit_into_transactions(make_server):
    server = make_server("--segment-bytes", "32mb")
    client = server.client()
    for key in "abc":
        client.sadd(key, *("%s %d %s" % (key, i, "x" * 60) for i in range(6000)))
    pipe = client.pipeline()
    pipe.sunionstore("u", "a", "b", "c").sunionstore("u", "u", "a").sdiffstore("d", "u", "b").sort("d", alpha=True, store="l").spop("u", 15000)
    assert pipe.execute()[:4] == [18000, 18000, 12000, 12000]
    left = client.smembers("u")
    client.execute_command("WAITAOF", 1, 0, 5000)
    server.kill()
    server.start()
    client = server.client()
    assert client.smembers("u") == left and len(left) == 3000 and client.llen("l") == client.scard("d") == 12000
