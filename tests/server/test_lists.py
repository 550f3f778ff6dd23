"""Lists: random commands against redis-server, byte for byte; long ones; what survives."""
import random

from twins import events

ELEMENTS = ["a", "b", "c", "1", "-7", "007", "", "x" * 70, "9" * 19, "y" * 300, "\r\n"]
ENDS = ["LEFT", "RIGHT", "left", "UP"]


def random_command(rng):
    key = rng.choice(["l", "l", "l", "m", "m", "s", "missing"])
    other = rng.choice(["l", "m", "m", "n", "s"])
    element = lambda: rng.choice(ELEMENTS)
    some = lambda: [element() for _ in range(rng.randrange(1, 4))]
    index = lambda: rng.choice(["0", "1", "-1", "2", "-2", "5", "-5", "100", "-100", "x", str(rng.randrange(-9, 9))])
    few = lambda: rng.choice(["0", "1", "2", "3", "100", "-1", "x"])
    end = lambda: rng.choice(ENDS[:3] if rng.random() < 0.9 else ENDS)
    keys = lambda: rng.choice([["1", key], ["2", key, other], ["2", "missing", key], ["3", "missing", other, key], ["0", key], ["9", key], ["x"]])
    option = lambda: rng.choice([["RANK", index()], ["COUNT", few()], ["MAXLEN", few()], ["NONSENSE", "1"]] if rng.random() < 0.2
                                else [["RANK", rng.choice("123") if rng.random() < 0.5 else "-1"], ["COUNT", rng.choice("0123")], ["MAXLEN", rng.choice("0357")]])
    return rng.choice([
        lambda: ["LPUSH", key] + some(), lambda: ["RPUSH", key] + some(), lambda: ["RPUSH", key] + some(), lambda: ["LPUSHX", key] + some(),
        lambda: ["RPUSHX", key] + some(), lambda: ["LPOP", key], lambda: ["RPOP", key], lambda: ["LPOP", key, few()], lambda: ["RPOP", key, few()],
        lambda: ["LLEN", key], lambda: ["LRANGE", key, index(), index()], lambda: ["LRANGE", key, "0", "-1"], lambda: ["LINDEX", key, index()],
        lambda: ["LSET", key, index(), element()], lambda: ["LINSERT", key, rng.choice(["BEFORE", "AFTER", "before", "NEAR"]), element(), element()],
        lambda: ["LREM", key, rng.choice(["0", "1", "-1", "2", "-2", "x"]), element()],
        lambda: ["LTRIM", key, index(), index()] if rng.random() < 0.4 else ["LTRIM", key, "0", "30"],
        lambda: ["LPOS", key, element()], lambda: ["LPOS", key, element()] + option(), lambda: ["LPOS", key, element()] + option() + option(),
        lambda: ["LMOVE", key, other, end(), end()], lambda: ["RPOPLPUSH", key, other], lambda: ["LMPOP"] + keys() + [end()],
        lambda: ["LMPOP"] + keys() + [end(), "COUNT", few()], lambda: ["LMPOP"] + keys() + [end(), "COUNT"], lambda: ["TYPE", key],
        lambda: ["DEL", key] if key != "s" and rng.random() < 0.3 else ["EXISTS", key],
        lambda: [rng.choice(["LPUSH", "LPOP", "LSET", "LLEN", "LMOVE", "LMPOP", "LPOS"]), key]])()


def test_redis_answers_the_same(twins):
    rng = random.Random(21)
    twins.same(["SET", "s", "a string"])
    for _ in range(15_000):
        twins.same(random_command(rng), rng.choice([2, 3]))


def test_long_ones_are_answered_the_same(twins):
    rng = random.Random(22)
    for n in range(0, 6000, 6):
        twins.same(["RPUSH", "l"] + ["element:%d%s" % (n + i, "x" * (n % 90)) for i in range(6)])
    for n in range(2500):
        place = str(rng.randrange(-6500, 6500))
        element = "element:%d" % rng.randrange(6000)
        twins.same(rng.choice([
            ["LINDEX", "l", place], ["LSET", "l", place, "y" * rng.randrange(200)], ["LINSERT", "l", "BEFORE", "y" * rng.randrange(40), element],
            ["LREM", "l", rng.choice("012"), "y" * rng.randrange(60)], ["LRANGE", "l", place, str(int(place) + 50)], ["LPOS", "l", "y" * 50, "RANK", "-1"],
            ["LPUSH", "l", element], ["RPUSH", "l", element], ["LPOP", "l", "7"], ["RPOP", "l"], ["LMOVE", "l", "m", "LEFT", "RIGHT"]]))
    twins.same(["LTRIM", "l", "100", "-100"])
    twins.same(["LRANGE", "l", "0", "-1"])
    twins.same(["LRANGE", "m", "0", "-1"])


def test_events_are_those_of_redis(server, peer):
    commands = [["LPUSH", "l", "a", "b"], ["RPUSH", "l", "c"], ["LPUSHX", "none", "c"], ["LSET", "l", "0", "x"], ["LINSERT", "l", "AFTER", "x", "y"],
                ["LREM", "l", "0", "nothing"], ["LREM", "l", "0", "y"], ["LMOVE", "l", "m", "LEFT", "RIGHT"], ["RPOPLPUSH", "l", "l"], ["LPOP", "l"],
                ["LMPOP", "2", "none", "l", "RIGHT"], ["RPUSH", "m", "1", "2", "3"], ["LTRIM", "m", "0", "1"], ["RPOP", "m", "0"], ["RPOP", "m", "10"],
                ["RPUSH", "m", "1"], ["LTRIM", "m", "1", "0"]]
    told = events(server.port, commands)
    assert told == events(peer, commands) and len(told) > 25


def test_lists_survive_a_kill(server):
    client = server.client()
    client.rpush("small", "a", 1, "")
    client.rpush("large", *("element %d" % i for i in range(5000)))
    for i in range(200):
        client.lpush("large", "front %d" % i)
        client.linsert("large", "after", "element %d" % (i * 7), "inserted %d" % i)
    client.lrem("large", 0, "element 11")
    client.ltrim("large", 3, -4)
    client.lset("large", 2500, "middle")
    before = client.lrange("small", 0, -1), client.lrange("large", 0, -1)
    client.execute_command("WAITAOF", 1, 0, 5000)
    server.kill()
    server.start()
    client = server.client()
    assert (client.lrange("small", 0, -1), client.lrange("large", 0, -1)) == before
