"""CLIENT TRACKING: several connections at once, compared with redis-server; and what only Tintype has."""
import random

import pytest

from conftest import until
from wire import Wire, encode


class Cast:
    """Named connections to one server. After each command, all that any of them was told."""

    def __init__(self, port, names):
        self.wires = {name: Wire(port) for name in names}
        for name, wire in self.wires.items():
            if name[0] == "3":
                wire.command("HELLO", "3")
        self.ids = {name: int(wire.command("CLIENT", "ID")[1:]) for name, wire in self.wires.items()}
        self.has_ids, self.names = False, {str(number).encode(): name for name, number in self.ids.items()}

    def tidy(self, reply):
        """Ids as names; the keys of one message, and flags, in one order."""
        kind, value = reply
        if kind == ":" and value in self.names and self.has_ids:
            return kind, "@" + self.names[value]
        if not isinstance(value, list):
            return reply
        self.has_ids |= value[:1] == [("$", b"tracking-redir-broken")]
        items = [self.tidy(item) for item in value]
        told = len(items) > 1 and items[0] == ("$", b"invalidate") or items[-1:] and items[0] == ("$", b"message")
        if told and items[-1][0] == "*" and isinstance(items[-1][1], list):
            items[-1] = ("*", sorted(items[-1][1]))
        return kind, items

    def do(self, name, line):
        """`line`: commands with " ; " between them, sent at once."""
        for command in line.split(" ; "):
            words = command.split(" ")
            self.wires[name].send(encode(*(self.ids[w[1:]] if w[:1] == "@" else w for w in words)))
        heard, self.has_ids = {}, "CLIENT" in line
        for other in sorted(self.wires, key=lambda one: one != name):
            self.wires[other].send(encode("PING" if other == "2sub" else "ECHO", "the end"))
            replies = [self.tidy(reply) for reply in self.until_end(self.wires[other])]
            first = len(replies) and (other == name) * (1 + line.count(" ; "))
            heard[other] = replies[:first] + sorted(replies[first:])          # messages of one command: no order
        return heard

    @staticmethod
    def until_end(wire):
        out, ends = [], [("$", b"the end"), ("*", [("$", b"pong"), ("$", b"the end")])]
        while not out or out[-1] not in ends:
            out.append(wire.typed())
        return out[:-1]

    def drop(self, name):
        self.wires.pop(name).close()

    def close(self):
        for wire in self.wires.values():
            wire.close()


NAMES = ["3a", "3b", "2c", "2sub"]


@pytest.fixture
def casts(server, peer):
    made = Cast(server.port, NAMES), Cast(peer, NAMES)
    for cast in made:
        cast.do("2sub", "SUBSCRIBE __redis__:invalidate")
    yield made
    for cast in made:
        cast.close()


def same(casts, name, line):
    ours, theirs = (cast.do(name, line) for cast in casts)
    assert ours == theirs, (name, line)
    return ours


TABLE = """
3a CLIENT TRACKINGINFO
3a CLIENT GETREDIR
3a CLIENT CACHING yes
3a CLIENT TRACKING on
3a CLIENT TRACKINGINFO
3a CLIENT GETREDIR
3a CLIENT CACHING yes
3a CLIENT CACHING no
3a CLIENT CACHING maybe
3a GET k
3b SET k v
3b SET k w
3a MGET k l m
3b MSET k 1 l 2 n 3
3a GET k
3a SET k 5
3a SELECT 3
3a GET k
3b SET k 6
3a EXISTS k l
3b DEL k l nosuch
3a SELECT 0
3a HGETALL h
3b HSET h f v
3a HGET h f
3b HDEL h f
3a LRANGE q 0 -1
3b RPUSH q a b c
3a LRANGE q 0 -1
3b LMOVE q r LEFT RIGHT
3a STRLEN e
3b APPEND e x
3a TTL e
3b EXPIRE e 1000
3a TTL e
3b PERSIST e
3a GET e
3b RENAME e f
3a GET f
3b COPY f g
3a GET g
3b SETRANGE g 0 zz
3a GET g
3b GETEX g EX 100
3a GET g
3b GETDEL g
3a ZRANGE z 0 -1
3b ZADD z 1 a
3a ZSCORE z a
3b ZADD z 1 a
3b ZADD z 2 a
3a SMEMBERS s
3b SADD s 1
3a SISMEMBER s 1
3b SADD s 1
3b SREM s 1
3a GET q
3b LTRIM q 5 6
3a MULTI ; GET k ; SET k in ; GET k ; EXEC
3b SET k out
3a MULTI ; SET k in ; GET k ; EXEC
3b SET k out
3a GET k
3a GET l
3b FLUSHDB
3b SET k x
3a GET k
3b FLUSHALL
3a CLIENT TRACKING off
3a CLIENT TRACKINGINFO
3a GET k
3b SET k x
3a CLIENT TRACKING on NOLOOP
3a CLIENT TRACKINGINFO
3a GET k
3a SET k 1
3a GET k
3b SET k 2
3a RESET
3a GET k
3b SET k 3
3a CLIENT TRACKINGINFO
2c CLIENT TRACKING on
2c GET k
3b SET k 4
2c CLIENT TRACKING on REDIRECT @2sub
2c CLIENT GETREDIR
2c CLIENT TRACKINGINFO
2c MGET k l
3b SET k 5
2c SET l 5
2c GET k
3b FLUSHDB
2c CLIENT TRACKING on REDIRECT @3b
2c GET k
3a SET k 5
2c GET k
2c SET k 6
2c CLIENT TRACKING off
3b FLUSHALL
"""

OPTIONS = """
3a CLIENT TRACKING
3a CLIENT TRACKING maybe
3a CLIENT TRACKING on nonsense
3a CLIENT TRACKING on PREFIX
3a CLIENT TRACKING on PREFIX a
3a CLIENT TRACKING on REDIRECT
3a CLIENT TRACKING on REDIRECT x
3a CLIENT TRACKING on REDIRECT 999999
3a CLIENT TRACKING on REDIRECT @3b REDIRECT @3b
3a CLIENT TRACKING on BCAST OPTIN
3a CLIENT TRACKING on OPTIN OPTOUT
3a CLIENT TRACKING on BCAST PREFIX a PREFIX ab
3a CLIENT TRACKING on BCAST PREFIX ab PREFIX a
3a CLIENT TRACKING on OPTIN
3a CLIENT TRACKING on OPTOUT
3a CLIENT TRACKING on BCAST
3a GET k
3b SET k 1
3a CLIENT CACHING yes
3a CLIENT TRACKINGINFO
3a GET k
3b SET k 2
3a GET k
3b SET k 3
3a CLIENT CACHING no
3a CLIENT CACHING yes
3a MULTI ; GET k ; GET l ; EXEC
3b MSET k 1 l 2
3a GET k
3b SET k 1
3a CLIENT CACHING yes
3a CLIENT ID
3a GET k
3b SET k 2
3a CLIENT TRACKING off
3a CLIENT TRACKING on OPTOUT
3a CLIENT CACHING no
3a CLIENT TRACKINGINFO
3a GET k
3b SET k 3
3a GET k
3b SET k 4
3a CLIENT CACHING yes
3a CLIENT TRACKING off PREFIX x
3a CLIENT TRACKING on BCAST
3a CLIENT TRACKINGINFO
3a CLIENT TRACKING on BCAST PREFIX a
3b SET k 5
3b MSET k 5 l 6 m 7
3b DEL k nosuch
3a SET own 1
3b FLUSHALL
3a CLIENT TRACKING on
3a CLIENT TRACKING off
3a CLIENT TRACKING on BCAST PREFIX a: PREFIX b: NOLOOP
3a CLIENT TRACKINGINFO
3a CLIENT TRACKING on BCAST PREFIX a:b
3a CLIENT TRACKING on BCAST PREFIX c: NOLOOP
3a CLIENT TRACKINGINFO
3b MSET a:1 1 b:2 2 c:3 3 d:4 4
3a MSET a:1 1 b:2 2 c:3 3 d:4 4
3b INCR a:1
3b LPUSH b:l x
3b LPOP b:l
3b GET a:1
3b MULTI ; SET a:1 1 ; SET a:2 2 ; EXEC
2c CLIENT TRACKING on BCAST REDIRECT @2sub PREFIX a
2c CLIENT TRACKINGINFO
3b MSET a:1 1 z 2
2c MSET a:1 1 z 2
3a CLIENT TRACKING off
3b SET a:1 1
2c CLIENT TRACKING off
3b SET a:1 1
"""


@pytest.mark.parametrize("script", [TABLE, OPTIONS], ids=["table", "options"])
def test_clients_hear_what_redis_tells_them(casts, script):
    for line in script.strip().splitlines():
        name, words = line.split(" ", 1)
        same(casts, name, words)


def test_random_commands_tell_the_same(casts):
    pick = random.Random(7)
    keys = ["a", "b", "ab", "ba", "c"]
    reads = ["GET {}", "MGET {} {}", "TTL {}", "EXISTS {} {}", "STRLEN {}", "TYPE {}"]
    writes = ["SET {} 1", "DEL {} {}", "MSET {} 1 {} 2", "INCR {}", "EXPIRE {} 100", "RENAME {} {}", "APPEND {} 1",
              "PERSIST {}", "GETDEL {}", "FLUSHDB", "SETNX {} 5", "COPY {} {} REPLACE", "UNLINK {} {}"]
    modes = ["on", "off", "on NOLOOP", "on OPTIN", "on OPTOUT", "on BCAST", "on BCAST PREFIX a", "on BCAST PREFIX b PREFIX c NOLOOP"]
    for _ in range(1500):
        name = pick.choice(["3a", "3b", "2c"])
        kind = pick.random()
        if kind < 0.08:
            line = "CLIENT TRACKING " + pick.choice(modes)
            line += " REDIRECT @2sub" if name == "2c" and " on" in line else ""
        elif kind < 0.13:
            line = "CLIENT CACHING " + pick.choice(["yes", "no"])
        elif kind < 0.15:
            line = "CLIENT TRACKINGINFO"
        else:
            line = pick.choice(reads if kind < 0.6 else writes).format(pick.choice(keys), pick.choice(keys))
        same(casts, name, line)


def test_a_client_whose_redirection_is_gone_hears_of_it(casts):
    for name, line in [("3a", "CLIENT TRACKING on REDIRECT @2sub"), ("3a", "GET k")]:
        same(casts, name, line)
    for cast in casts:
        cast.drop("2sub")
        until(lambda cast=cast: b"id=%d " % cast.ids["2sub"] not in cast.wires["3b"].command("CLIENT", "LIST"))
    for name, line in [("3b", "SET k 1"), ("3a", "CLIENT TRACKINGINFO"), ("3a", "GET k"), ("3b", "SET k 2"),
                       ("3a", "CLIENT GETREDIR"), ("3a", "CLIENT TRACKING on"), ("3a", "CLIENT TRACKINGINFO")]:
        same(casts, name, line)


def test_the_table_is_bounded_and_counted(server):
    client = server.client()
    client.config_set("tracking-table-max-keys", 100)
    with Wire(server.port) as wire, Wire(server.port) as other:
        wire.command("HELLO", 3)
        wire.command("CLIENT", "TRACKING", "on")
        other.command("HELLO", 3)
        other.command("CLIENT", "TRACKING", "on", "BCAST", "PREFIX", "x", "PREFIX", "y")
        for i in range(300):
            wire.send(encode("GET", "k%d" % i))
        told = set()
        while len(told) < 200:
            reply = wire.read()
            if isinstance(reply, list):
                assert reply[0] == b"invalidate"
                told.add(reply[1][0])
        info = client.info()
        assert info["tracking_clients"] == 2 and info["tracking_total_keys"] == 100
        assert info["tracking_total_items"] == 100 and info["tracking_total_prefixes"] == 2
        me = [c for c in client.client_list() if c["flags"] == "tB"]
        assert len(me) == 1 and me[0]["redir"] == "0"
    until(lambda: client.info("clients")["tracking_clients"] == 0)
    assert client.info("stats")["tracking_total_prefixes"] == 0


def test_keys_that_go_by_their_time_or_for_lack_of_memory_are_told(server):
    client = server.client()
    with Wire(server.port) as wire:
        wire.command("HELLO", 3)
        wire.command("CLIENT", "TRACKING", "on", "NOLOOP")
        wire.command("SET", "short", "x", "PX", "30")
        wire.command("GET", "short")
        assert wire.read() == [b"invalidate", [b"short"]]
        wire.command("SET", "big", "x" * 1000)
        wire.command("GET", "big")
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", 1)
        client.execute_command("PING")
        assert wire.read() == [b"invalidate", [b"big"]]
        client.config_set("maxmemory", 0)


def test_images_are_tracked_as_keys_are(server, photos):
    photo = next(iter(photos.values()))
    client = server.client()
    client.config_set("analysis", "no")
    client.execute_command("IMG.PUT", "img", photo)
    with Wire(server.port) as wire:
        wire.command("HELLO", 3)
        wire.command("CLIENT", "TRACKING", "on")
        assert wire.command("IMG.GET", "img") == photo
        client.execute_command("IMG.EDIT", "img", "TITLE", "A title")
        assert wire.read() == [b"invalidate", [b"img"]]
        assert wire.command("IMG.INFO", "img", "title")
        client.delete("img")
        assert wire.read() == [b"invalidate", [b"img"]]


def test_a_flush_tells_once_and_the_table_begins_anew(server):
    client = server.client()
    with Wire(server.port) as wire:
        wire.command("HELLO", 3)
        wire.command("CLIENT", "TRACKING", "on")
        for start in range(0, 200_000, 2000):
            wire.send(encode("EXISTS", *("key:%d" % i for i in range(start, start + 2000))))
            wire.read()
        assert client.info("stats")["tracking_total_keys"] == 200_000
        client.flushall()
        assert wire.read() == [b"invalidate", None]
        assert client.info("stats")["tracking_total_keys"] == 0
        wire.command("GET", "again")
        client.set("again", 1)
        assert wire.read() == [b"invalidate", [b"again"]]
