"""SORT and LCS: random commands against redis-server, byte for byte."""
import random

from twins import events


def sort_command(rng):
    key = rng.choice(["l", "l", "s", "z", "missing", "str" if rng.random() < 0.1 else "l"])
    words = [rng.choice(["SORT", "SORT_RO"]), key]
    number = lambda: rng.choice(["0", "1", "3", "-1", "100", "-7", "x" if rng.random() < 0.05 else "2"])
    get = lambda: ["GET", rng.choice(["#", "w_*", "h_*->f", "h_*->none", "nostar", "*", "h_*->", "h_*", "none_*"])]
    alpha = rng.random() < 0.6
    options = [["ALPHA"]] if alpha else []
    if rng.random() < 0.4:
        by = ["w_*", "h_*->f", "none_*"] + (["nosort"] if key != "s" else [])
        options.append(["BY", rng.choice(by)])
        if alpha and options[-1][1] != "nosort":        # elements that compare equal come in any order
            options[-1][1] = "h_*->f"
    for chance, option in ((0.4, [rng.choice(["ASC", "DESC", "desc"])]), (0.4, ["LIMIT", number(), number()]), (0.3, get()), (0.3, get()),
                           (0.2, ["STORE", "d"]), (0.03, ["NONSENSE"]), (0.03, ["LIMIT", "1"])):
        if rng.random() < chance:
            options.append(option)
    rng.shuffle(options)
    return words + [word for option in options for word in option]


def fill_command(rng):
    element = rng.choice(["1", "2", "3", "10", "-5", "2.5", "abc", "b", "", "a" * 70, "7", "8"] if rng.random() < 0.3 else list("12345678"))
    return rng.choice([
        lambda: ["RPUSH", "l", element], lambda: ["SADD", "s", element], lambda: ["ZADD", "z", str(rng.randrange(9)), element], lambda: ["LPOP", "l"],
        lambda: ["SET", "w_" + element, str(rng.randrange(100))], lambda: ["HSET", "h_" + element, "f", "u" + element], lambda: ["LTRIM", "l", "-12", "-1"],
        lambda: ["DEL", rng.choice(["s", "z", "d", "w_" + element])], lambda: ["LRANGE", "d", "0", "-1"], lambda: ["TYPE", "d"]])()


def test_redis_sorts_the_same(twins):
    rng = random.Random(51)
    twins.same(["SET", "str", "a string"])
    for element in ("1", "2", "3", "4", "5", "6", "7", "8", "10", "-5", "2.5", "abc", "b", "", "a" * 70):
        twins.same(["HSET", "h_" + element, "f", "u" + element])
    for _ in range(8000):
        twins.same(fill_command(rng))
        twins.same(sort_command(rng), rng.choice([2, 3]))


def test_events_are_those_of_redis(server, peer):
    commands = [["RPUSH", "l", "3", "1", "2"], ["SORT", "l", "STORE", "d"], ["SORT", "l", "LIMIT", "5", "1", "STORE", "d"], ["SORT", "none", "STORE", "d"]]
    told = events(server.port, commands)
    assert told == events(peer, commands) and len(told) > 6


def lcs_command(rng):
    text = lambda: "".join(rng.choice("abcd") for _ in range(rng.randrange(30)))
    key = lambda: rng.choice(["a", "b", "c", "list" if rng.random() < 0.1 else "a", "missing"])
    options = [["IDX"], ["LEN"], ["WITHMATCHLEN"], ["MINMATCHLEN", rng.choice(["0", "1", "2", "4", "-3", "x" if rng.random() < 0.1 else "3"])], ["NONSENSE"], ["MINMATCHLEN"]]
    return rng.choice([
        lambda: ["SET", rng.choice("abc"), text()], lambda: ["LCS", key(), key()], lambda: ["LCS", key(), key(), "LEN"],
        lambda: ["LCS", key(), key(), "IDX"] + rng.choice(options[2:4]) + rng.choice(options[2:4]), lambda: ["LCS", key(), key()] + rng.choice(options) + rng.choice(options)])()


def test_redis_finds_the_same_subsequences(twins):
    rng = random.Random(52)
    twins.same(["RPUSH", "list", "x"])
    for _ in range(6000):
        twins.same(lcs_command(rng), rng.choice([2, 3]))


def test_the_table_of_a_subsequence_is_bounded(twins):
    for words in (["SET", "a", "x" * 30000], ["SET", "b", "y" * 30000], ["LCS", "a", "b"], ["LCS", "a", "b", "LEN"], ["LCS", "a", "missing", "LEN"]):
        twins.same(words)


def test_sorting_by_other_keys_needs_no_declared_ones(twins):
    for words in (["SORT", "l", "BY", "w_*", "GET", "STORE", "LIMIT", "0", "1", "STORE", "d"], ["SORT", "l"], ["SORT_RO", "l", "BY", "x"],
                  ["ZUNIONSTORE", "d", "2", "a", "b", "WEIGHTS", "1", "2"], ["SINTERCARD", "2", "a", "b"], ["LMPOP", "1", "l", "LEFT"], ["ZMPOP", "2", "a", "b", "MIN"],
                  ["ZINTER", "3", "a", "b"], ["SINTERCARD", "x", "a"], ["SMOVE", "a", "b", "c"], ["LMOVE", "a", "b", "LEFT", "LEFT"]):
        twins.same(["COMMAND", "GETKEYS"] + words)
