"""Sorted sets: random commands against redis-server, byte for byte; texts of scores; what chance decides; large ones."""
import random

from twins import events, unordered

MEMBERS = ["a", "b", "c", "d", "1", "-7", "007", "", "x" * 70, "9" * 19, "\r\n", "ab", "abc"]
SCORES = ["0", "1", "-1", "2", "2.5", "-0.25", "1e3", "inf", "-inf", "100", "3", "-0", "+5", "0x10", "1000000"]
BAD = ["x", "", "nan", " 1", "1 ", "1e999", "(1"]


def words_of(rng):
    key = rng.choice(["z", "z", "z", "y", "y", "w", "str", "missing"])
    other = rng.choice(["y", "w", "set", "z", "missing", "str" if rng.random() < 0.1 else "y"])
    member = lambda: rng.choice(MEMBERS)
    score = lambda: rng.choice(SCORES) if rng.random() < 0.97 else rng.choice(BAD)
    pairs = lambda: [w for _ in range(rng.randrange(1, 4)) for w in (score(), member())]
    bound = lambda: rng.choice(["-inf", "+inf", "0", "(0", "1", "(1", "2.5", "(2.5", "-1", "100", "(inf", "3"] + (BAD if rng.random() < 0.1 else []))
    lex = lambda: rng.choice(["-", "+", "[a", "(a", "[b", "(abc", "[", "(", "[zz"] + (["a", "", "++"] if rng.random() < 0.1 else []))
    index = lambda: rng.choice(["0", "1", "-1", "2", "-2", "5", "-100", "100", "x" if rng.random() < 0.1 else "3"])
    limit = lambda: rng.choice([[], [], ["LIMIT", index(), index()], ["LIMIT", "1", "2"], ["LIMIT", "0", "-1"], ["LIMIT", "1"]])
    scores = lambda: rng.choice([[], ["WITHSCORES"]])
    return key, other, member, score, pairs, bound, lex, index, limit, scores


def range_command(rng, w):
    key, other, _, _, _, bound, lex, index, limit, scores = w
    by = rng.choice([[], ["BYSCORE"], ["BYLEX"], ["BYSCORE", "REV"], ["BYLEX", "REV"], ["REV"], ["BYLEX", "BYSCORE"]])
    edge = bound if "BYSCORE" in by else lex if "BYLEX" in by else index
    same = rng.choice(["lex", "lex", "lex", "none", "str"])      # names are in order where all scores are the same
    key = same if "BYLEX" in by else key
    return rng.choice([
        lambda: ["ZRANGE", key, edge(), edge()] + by + limit() + scores(), lambda: ["ZRANGE", key, edge(), edge()] + by + limit() + scores(),
        lambda: ["ZRANGESTORE", "w", key, edge(), edge()] + by + limit(), lambda: ["ZREVRANGE", key, index(), index()] + scores(),
        lambda: ["ZRANGEBYSCORE", key, bound(), bound()] + limit() + scores(), lambda: ["ZREVRANGEBYSCORE", key, bound(), bound()] + scores() + limit(),
        lambda: ["ZRANGEBYLEX", same, lex(), lex()] + limit(), lambda: ["ZREVRANGEBYLEX", same, lex(), lex()] + limit() + scores(),
        lambda: ["ZCOUNT", key, bound(), bound()], lambda: ["ZLEXCOUNT", same, lex(), lex()],
        lambda: ["ZREMRANGEBYRANK", key, index(), rng.choice(["0", "1", "-3"])], lambda: ["ZREMRANGEBYSCORE", key, rng.choice(["2", "(2", "100"]), bound()],
        lambda: ["ZREMRANGEBYLEX", same, lex(), rng.choice(["[a", "(b", "-"])]])()


def algebra_command(rng, w):
    key, other = w[0], w[1]
    names = [key, other, rng.choice(["y", "set", "missing"])][:rng.randrange(1, 4)]
    number = str(len(names)) if rng.random() < 0.95 else rng.choice(["0", "-1", "x", "9"])
    weights = ["WEIGHTS"] + [rng.choice(["1", "2", "-0.5", "0", "inf" if rng.random() < 0.1 else "3", "x" if rng.random() < 0.1 else "4"]) for _ in names]
    options = rng.choice([[], weights, ["AGGREGATE", rng.choice(["SUM", "MIN", "MAX", "max", "AVG"])], ["WITHSCORES"], weights + ["AGGREGATE", "MIN"],
                          ["WITHSCORES", "AGGREGATE", "MAX"], ["LIMIT", rng.choice(["0", "1", "-1", "x"])]])
    name = rng.choice(["ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD", "ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"])
    return [name] + (["w"] if name.endswith("STORE") else []) + [number] + names + options


def random_command(rng):
    w = words_of(rng)
    key, other, member, score, pairs, *_ = w
    flags = lambda: [f for f in ("NX", "XX", "GT", "LT", "CH", "INCR") if rng.random() < 0.2]
    few = lambda: rng.choice(["0", "1", "2", "3", "100", "-1", "x"])
    end = lambda: rng.choice(["MIN", "MAX", "min", "MID" if rng.random() < 0.1 else "MAX"])
    keys = lambda: rng.choice([["1", key], ["2", key, "y"], ["2", "missing", key], ["0", key], ["9", key], ["x"]])
    return rng.choice([
        lambda: ["ZADD", key] + pairs(), lambda: ["ZADD", key] + pairs(), lambda: ["ZADD", key] + flags() + pairs(),
        lambda: ["ZADD", key] + flags() + [score(), member()], lambda: ["ZADD", key] + flags() + [score()], lambda: ["ZINCRBY", key, score(), member()],
        lambda: ["ZADD", "lex", "0", member(), "0", member()], lambda: ["ZADD", "lex", "0", member()],
        lambda: ["ZREM", key, member(), member()], lambda: ["ZSCORE", key, member()], lambda: ["ZMSCORE", key, member(), member()],
        lambda: ["ZCARD", key], lambda: ["ZRANK", key, member()], lambda: ["ZREVRANK", key, member()], lambda: range_command(rng, w),
        lambda: range_command(rng, w), lambda: range_command(rng, w), lambda: algebra_command(rng, w), lambda: algebra_command(rng, w),
        lambda: ["ZPOPMIN", key] + rng.choice([[], [few()]]), lambda: ["ZPOPMAX", key] + rng.choice([[], [few()], ["1", "2"]]),
        lambda: ["ZMPOP"] + keys() + [end()] + rng.choice([[], ["COUNT", few()], ["COUNT"]]), lambda: ["ZSCAN", key, "0", "COUNT", "1000"],
        lambda: ["ZRANDMEMBER", key, "1000"] + rng.choice([[], ["WITHSCORES"], ["WITHVALUES"]]),
        lambda: ["ZRANDMEMBER", key, rng.choice(["0", "x", "-9223372036854775808"])],
        lambda: ["ZRANDMEMBER", key, "9223372036854775807", "WITHSCORES"], lambda: ["SADD", "set", member()], lambda: ["TYPE", key],
        lambda: ["DEL", key] if key != "str" and rng.random() < 0.3 else ["EXISTS", key],
        lambda: [rng.choice(["ZADD", "ZREM", "ZSCORE", "ZRANGE", "ZPOPMIN", "ZUNION", "ZMPOP", "ZINCRBY"]), key]])()


def in_any_order(words):
    if words[0] == "ZRANDMEMBER":
        flat = lambda reply: len(words) > 3 and isinstance(reply[1], list) and reply[1] and reply[1][0][0] == "$"
        return lambda reply: unordered(reply, 2 if flat(reply) else 1)
    if words[0] == "ZSCAN":
        return lambda reply: (reply[0], reply[1][0], unordered(reply[1][1], 2)) if reply[0] == "*" else reply
    return None


def test_redis_answers_the_same(twins):
    rng = random.Random(41)
    twins.same(["SET", "str", "a string"])
    for _ in range(20_000):
        words = random_command(rng)
        twins.same(words, rng.choice([2, 3]), in_any_order(words))


def test_ranges_of_names_are_the_same(twins):
    rng = random.Random(42)
    for n in range(300):
        twins.same(["ZADD", "z", "0", "%x" % (n * 7919 % 4096)])
        twins.same(["ZADD", "y", "0", rng.choice(MEMBERS)])
    edge = lambda: rng.choice(["-", "+"]) if rng.random() < 0.2 else rng.choice("[(") + "%x" % rng.randrange(4096)
    for _ in range(3000):
        name, key = rng.choice(["ZRANGEBYLEX", "ZREVRANGEBYLEX", "ZLEXCOUNT"]), rng.choice("zy")
        limit = [] if name == "ZLEXCOUNT" else rng.choice([[], ["LIMIT", str(rng.randrange(-2, 9)), str(rng.randrange(-2, 9))]])
        twins.same([name, key, edge(), edge()] + limit)


def test_large_ones_are_answered_the_same(twins):
    rng = random.Random(43)
    score = lambda: str(rng.randrange(-8000, 8000) / 4)
    member = lambda: "member:%d" % rng.randrange(4000)
    for _ in range(1500):
        twins.same(["ZADD", "z", score(), member(), score(), member(), score(), member()])
    for _ in range(6000):
        low = rng.randrange(-3500, 3500)
        twins.same(rng.choice([
            ["ZADD", "z", score(), member()], ["ZREM", "z", member()], ["ZRANK", "z", member()], ["ZREVRANK", "z", member()], ["ZINCRBY", "z", score(), member()],
            ["ZRANGE", "z", str(low), str(low + 20), "WITHSCORES"], ["ZREVRANGE", "z", str(low), str(low + 20)], ["ZCOUNT", "z", "(" + score(), score()],
            ["ZRANGE", "z", score(), score(), "BYSCORE", "LIMIT", "5", "20"], ["ZRANGE", "z", score(), score(), "BYSCORE", "REV", "LIMIT", "5", "20"],
            ["ZPOPMIN", "z"], ["ZPOPMAX", "z", "3"], ["ZREMRANGEBYRANK", "z", str(low), str(low)]]))
    twins.same(["ZREMRANGEBYSCORE", "z", "-100", "100"])
    twins.same(["ZRANGE", "z", "0", "-1", "WITHSCORES"], 3)


def test_events_are_those_of_redis(server, peer):
    commands = [["ZADD", "z", "1", "a", "2", "b", "3", "c"], ["ZADD", "z", "1", "a"], ["ZADD", "z", "XX", "5", "q"], ["ZADD", "z", "INCR", "1", "a"], ["ZINCRBY", "z", "0", "a"],
                ["ZINCRBY", "z", "1", "b"], ["ZREM", "z", "q"], ["ZREM", "z", "a"], ["ZRANGESTORE", "y", "z", "0", "-1"], ["ZRANGESTORE", "y", "z", "5", "9"],
                ["ZRANGESTORE", "y", "z", "5", "9"], ["ZUNIONSTORE", "y", "1", "z"], ["ZINTERSTORE", "y", "2", "z", "y"], ["ZDIFFSTORE", "y", "2", "z", "y"],
                ["ZPOPMIN", "z"], ["ZMPOP", "2", "none", "z", "MAX"], ["ZADD", "z", "1", "a", "2", "b", "3", "c"], ["ZREMRANGEBYRANK", "z", "0", "0"],
                ["ZREMRANGEBYSCORE", "z", "2", "2"], ["ZREMRANGEBYLEX", "z", "-", "+"], ["ZREMRANGEBYLEX", "z", "-", "+"], ["ZPOPMAX", "z"]]
    told = events(server.port, commands)
    assert told == events(peer, commands) and len(told) > 30


def test_scores_are_written_as_short_as_they_can(client):
    scores = {"a": 3.14, "b": 0.1 + 0.2, "c": 1e25, "d": 1.5e-9, "e": -2.5, "f": 1 / 3, "g": 2**53, "h": float("inf"), "i": 1e17}
    client.zadd("z", scores)
    assert dict(client.zrange("z", 0, -1, withscores=True)) == {k.encode(): v for k, v in scores.items()}
    raw = client.execute_command("ZMSCORE", "z", *"abcdegi", NEVER_DECODE=True)
    assert [float(x) for x in raw] == [scores[k] for k in "abcdegi"]
    client.set_response_callback("ZSCORE", lambda reply: reply)
    assert [client.zscore("z", k) for k in "abcdegi"] == [b"3.14", b"0.30000000000000004", b"1e+25", b"1.5e-9", b"-2.5", b"9007199254740992", b"100000000000000000"]


def test_ranks_come_with_scores(twins, client):
    client.zadd("z", {"a": 1.5, "b": 2})
    old, new = (pair[0] for pair in twins.wires)
    assert old.typed("ZRANK", "z", "b", "WITHSCORE") == ("*", [(":", b"1"), ("$", b"2")])
    assert old.typed("ZREVRANK", "z", "a", "WITHSCORE") == ("*", [(":", b"1"), ("$", b"1.5")])
    assert old.typed("ZRANK", "z", "c", "WITHSCORE") == ("*", None) and new.typed("ZRANK", "z", "c", "WITHSCORE") == ("_", b"")
    assert new.typed("ZRANK", "z", "a", "WITHSCORE") == ("*", [(":", b"0"), (",", b"1.5")])


def test_sorted_sets_survive_a_kill(server):
    client = server.client()
    client.zadd("small", {"a": 1, "b": 2.5, "": -1})
    client.zadd("large", {"member %d" % i: i * 7919 % 5000 / 8 for i in range(5000)})
    client.zremrangebyrank("large", 100, 300)
    client.zincrby("large", 3.25, "member 77")
    client.zpopmax("large", 20)
    client.zunionstore("union", {"small": 2, "large": -1})
    before = [client.zrange(key, 0, -1, withscores=True) for key in ("small", "large", "union")]
    client.execute_command("WAITAOF", 1, 0, 5000)
    server.kill()
    server.start()
    client = server.client()
    assert [client.zrange(key, 0, -1, withscores=True) for key in ("small", "large", "union")] == before
