"""Random commands of all core types, with every option that COMMAND DOCS names, to Tintype and to redis-server: the same
replies, byte for byte, in RESP2 and RESP3, errors included; and the same keyspace events in the same order. Between the
batches: iterations, dumps, messages (exchanges.py). `make differential COMMANDS=n SEED=n` sends millions.

Tintype follows Redis 7.2, the peer is 7.0. What may differ, and nothing else:

* an encoding: of sets and lists 7.2 says "listpack" where they are small, 7.0 does not; here it goes by what a value holds,
  not by what it held before or by the command that made it; nothing is shared, so OBJECT REFCOUNT is 1;
* ZRANK and ZREVRANK take WITHSCORE from 7.2 on, so that a third word is a syntax error instead of one too many;
* LPOS does not take the smallest of all integers as RANK, as in 7.2;
* BITCOUNT looks at its unit even if the numbers before it leave nothing to count;
* SORT of numbers takes no offence at what an earlier conversion left in errno;
* "expired" is told when a server finds out, so that these events are left out;
* RESTORE takes no TTL that ends beyond the years that 64 bits of milliseconds can tell;
* a double is told in the fewest digits that name it (7.2: 0.1), not in seventeen (7.0: 0.10000000000000001)."""
import os
import random

import pytest

from exchanges import Exchanges
from grammar import Grammar
from wire import Wire, encode

COMMANDS = int(os.environ.get("DIFFERENTIAL_COMMANDS", "100000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
BATCH = 100

SCANS = {"SCAN", "SSCAN", "HSCAN", "ZSCAN"}
UNORDERED = {"SMEMBERS", "SINTER", "SUNION", "SDIFF", "HGETALL", "HKEYS", "HVALS", "KEYS", "SPOP", "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER"}
CLOCK = {"TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"}
ENCODINGS = {b"raw": b"embstr", b"quicklist": b"listpack", b"hashtable": b"listpack", b"intset": b"listpack", b"int": b"embstr", b"skiplist": b"listpack"}
SORT_ERROR = b"ERR One or more scores can't be converted into double"
PONG = [("$", b"pong"), ("$", b"that is all")]
DOUBLES = {"ZADD", "ZINCRBY", "ZSCORE", "ZMSCORE"}


def double(text):
    try:
        return repr(float(text))
    except ValueError:
        return text


def comparable(reply, doubles):
    """With each double by its value; in RESP2 (`doubles`) it comes as a string."""
    kind, value = reply
    if isinstance(value, list):
        return kind, [comparable(part, doubles) for part in value]
    return (kind, double(value)) if kind == "," or doubles and kind == "$" else reply


def same_scan(words, ours, theirs):
    """All of it in one call, in any order; or the beginning of what is walked through elsewhere (exchanges.py)."""
    if ours[0] != "*" or theirs[0] != "*":
        return ours == theirs
    (mine, items), (other, others) = (comparable(reply, words[0] == "ZSCAN")[1] for reply in (ours, theirs))
    if words[1 if words[0] == "SCAN" else 2] != "0" or mine[1] != other[1]:
        return True
    return mine[1] not in ("0.0", b"0") or sorted(map(repr, items[1])) == sorted(map(repr, others[1]))


def same(words, ours, theirs):
    name = words[0]
    if name in SCANS:
        return same_scan(words, ours, theirs)
    if name == "EXEC" and ours[0] == theirs[0] == "*" and ours[1] and theirs[1]:
        return len(ours[1]) == len(theirs[1]) and all(map(same, words[1], ours[1], theirs[1]))
    if ours == theirs:
        return True
    if name in CLOCK and ours[0] == theirs[0] == ":":
        return abs(int(ours[1]) - int(theirs[1])) <= (30_000 if name[0] == "P" else 30)
    if name == "OBJECT":
        return words[1] == "REFCOUNT" or ENCODINGS.get(ours[1], ours[1]) == ENCODINGS.get(theirs[1], theirs[1])
    if name == "SORT" and ours[0] == "*" and theirs[1] == SORT_ERROR:
        return True
    if name == "LPOS" and "-9223372036854775808" in words:
        return ours[0] == "-"
    if name in UNORDERED or words[:2] in (["PUBSUB", "CHANNELS"], ["PUBSUB", "SHARDCHANNELS"]) or name == "SORT" and "BY" in words:
        return isinstance(ours[1], list) and isinstance(theirs[1], list) and sorted(map(repr, ours[1])) == sorted(map(repr, theirs[1]))
    doubles = name in DOUBLES or "WITHSCORES" in words or "POP" in name
    return comparable(ours, doubles) == comparable(theirs, doubles)


class Sides:
    """A connection to each server in each protocol; a batch goes out on both of one, and is then compared."""

    def __init__(self, ours, theirs):
        self.ports, self.listeners = (ours, theirs), []
        self.wires = {resp: (Wire(ours, 60), Wire(theirs, 60)) for resp in (2, 3)}
        for wire in self.wires[3]:
            wire.command("HELLO", "3")

    def listen(self):
        """From now on batch() compares, too, what each server tells of its keys, in that order."""
        for wire, port in zip(self.wires[2], self.ports):
            wire.command("CONFIG", "SET", "notify-keyspace-events", "KEA")
            self.listeners.append(Wire(port, 60))
            self.listeners[-1].typed("PSUBSCRIBE", "__key*@*__:*")

    def events(self):
        for wire in self.listeners:
            wire.send(encode("PING", "that is all"))
        return [[tuple(part[1] for part in event[2:]) for event in iter(lambda w=wire: w.typed()[1], PONG)] for wire in self.listeners]

    def batch(self, made, resp):
        data = b"".join(encode(words[0]) if words[0] == "EXEC" else encode(*words) for words in made)
        for wire in self.wires[resp]:
            wire.send(data)
        return [[wire.typed() for _ in made] for wire in self.wires[resp]]

    def close(self):
        for wire in [*self.wires[2], *self.wires[3], *self.listeners]:
            wire.close()


def dumps_of(wire):
    """As redis-server makes them."""
    values = [["SET", "d", "abc"], ["SET", "d", "77"], ["RPUSH", "d", "a", "1", "b"], ["SADD", "d", "1", "2", "300"], ["SADD", "d", "a", "b"],
              ["HSET", "d", "a", "1", "b", "x" * 70], ["HSET", "d", "f", "1"], ["ZADD", "d", "1", "a", "2.5", "b"], ["ZADD", "d", "1", "x" * 70, "-inf", "b"]]
    made = []
    for words in values:
        wire.command(*words)
        made.append(wire.command("DUMP", "d"))
        wire.command("DEL", "d")
    return made


def told(events):
    """When a key is found to be too old is up to each server."""
    return [event for event in events if event[1] != b"expired" and b":expired" not in event[0]]


def told_apart(ours, theirs, made):
    at = next((i for i, (one, other) in enumerate(zip(ours, theirs)) if one != other), min(len(ours), len(theirs)))
    return {"seed": SEED, "ours": ours[max(0, at - 4):at + 6], "theirs": theirs[max(0, at - 4):at + 6], "batch": made}


def random_batch(grammar, rng):
    """EXEC comes with the commands that it is to do."""
    def key():
        return rng.choice("tlszh") + str(rng.randrange(4))
    made = []
    while len(made) < BATCH:
        dice = rng.random()
        if dice < 0.002:
            made.append([rng.choice(["FLUSHALL", "FLUSHDB"])])
        elif dice < 0.06:
            made.append([rng.choice(["DEL", "UNLINK"]), key()])
        elif dice < 0.09:
            made.append(rng.choice([["WATCH", key()], ["WATCH", key(), key()], ["UNWATCH"], ["EXEC", []], ["DISCARD"], ["WATCH"]]))
        elif dice < 0.12:
            queued = [grammar.command() for _ in range(rng.randrange(1, 5))]
            refused = [["MULTI"]] * (rng.random() < 0.1) + [["WATCH", key()]] * (rng.random() < 0.1)
            made += [["MULTI"], *queued, *refused, ["EXEC", queued] if rng.random() < 0.9 else ["DISCARD"]]
        else:
            made.append(grammar.command())
    return made


@pytest.fixture
def sides(server, peer):
    made = Sides(server.port, peer)
    yield made
    made.close()


def test_random_commands_are_answered_as_by_redis(sides):
    rng, count, errors = random.Random(SEED), 0, 0
    grammar = Grammar(sides.wires[3][1].command("COMMAND", "DOCS"), rng)
    grammar.dumps = dumps_of(sides.wires[3][1])
    exchanges = Exchanges(sides, same, rng)
    sides.listen()
    while count < COMMANDS:
        made, resp = random_batch(grammar, rng), rng.choice([2, 3])
        ours, theirs = sides.batch(made, resp)
        for i, words in enumerate(made):
            assert same(words, ours[i], theirs[i]), {"seed": SEED, "command": count + i, "resp": resp, "words": words, "ours": ours[i],
                                                     "theirs": theirs[i], "before": made[max(0, i - 12):i]}
            errors += theirs[i][0] == "-"
        ours, theirs = map(told, sides.events())
        assert ours == theirs, told_apart(ours, theirs, made)
        if rng.random() < 0.2:
            exchanges.one()
        count += len(made)
    exchanges.close()
    assert len(grammar.names) > 125 and 0.02 < errors / count < 0.5
