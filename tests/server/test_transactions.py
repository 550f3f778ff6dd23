"""MULTI, EXEC, DISCARD, WATCH, UNWATCH, over strings and images, with real clients and a peer."""
import random

import pytest
import redis

from conftest import until
from wire import Wire, encode


def test_a_transaction_runs_as_one(client, photos):
    photo = next(iter(photos.values()))
    pipe = client.pipeline(transaction=True)
    pipe.set("a", 1).incr("a").append("a", "x").execute_command("IMG.PUT", "img", photo, "TAGS", "cat")
    pipe.execute_command("IMG.EDIT", "img", "ADDTAGS", "dog").execute_command("IMG.SEARCH", "@tags:{dog}", "NOCONTENT")
    pipe.execute_command("IMG.GET", "img").rename("a", "b").get("b").copy("img", "img2").delete("img").dbsize()
    out = pipe.execute()
    assert out[:3] == [True, 2, 2] and len(out[3]) == 32 and out[4] == 1
    assert out[5] == [1, b"img"] and out[6] == photo
    assert out[7:] == [True, b"2x", 1, 1, 2]
    assert client.execute_command("IMG.GET", "img2") == photo and client.get("img") is None


def test_errors_inside_do_not_stop_the_rest(client):
    pipe = client.pipeline()
    pipe.set("s", "text").incr("s").set("t", 2).execute_command("IMG.GET", "s").get("t")
    out = pipe.execute(raise_on_error=False)
    assert out[0] is True and out[2] is True and out[4] == b"2"
    assert isinstance(out[1], redis.ResponseError) and isinstance(out[3], redis.ResponseError)


def test_a_command_that_cannot_be_queued_refuses_all(server):
    with Wire(server.port) as wire:
        assert wire.command("MULTI") == b"+OK"
        assert wire.command("SET", "k", "v") == b"+QUEUED"
        assert wire.command("NOSUCH").startswith(b"-ERR unknown command")
        assert wire.command("SET", "k") == b"-ERR wrong number of arguments for 'set' command"
        assert wire.command("EXEC") == b"-EXECABORT Transaction discarded because of previous errors."
        assert wire.command("GET", "k") is None
        assert wire.command("EXEC") == b"-ERR EXEC without MULTI"
        assert wire.command("DISCARD") == b"-ERR DISCARD without MULTI"
        wire.command("MULTI")
        assert wire.command("MULTI") == b"-ERR MULTI calls can not be nested"
        assert wire.command("WATCH", "k") == b"-ERR WATCH inside MULTI is not allowed"
        assert wire.command("SHUTDOWN") == b"-ERR Command not allowed inside a transaction"
        assert wire.command("DISCARD") == b"+OK"
        wire.command("MULTI")
        assert wire.command("EXEC") == []


CHANGES = [("set", lambda c: c.set("k", 2)), ("append", lambda c: c.append("k", "x")), ("del", lambda c: c.delete("k")),
           ("expire", lambda c: c.expire("k", 100)), ("rename to it", lambda c: c.rename("other", "k")),
           ("flushall", lambda c: c.flushall()), ("mset", lambda c: c.mset({"k": 1, "l": 2})),
           ("in a transaction", lambda c: c.pipeline().incr("k").execute()),
           ("set and deleted", lambda c: (c.set("absent", 1), c.delete("absent")))]


@pytest.mark.parametrize("change", [pytest.param(f, id=name) for name, f in CHANGES])
def test_a_watched_key_that_changes(client, server, change):
    client.mset({"k": 1, "other": 5})
    pipe = client.pipeline()
    pipe.watch("k", "absent")
    pipe.multi()
    pipe.set("done", 1)
    change(server.client())
    with pytest.raises(redis.WatchError):
        pipe.execute()
    assert client.get("done") is None


def test_a_watched_key_that_does_not_change(client, server):
    client.set("k", 1)
    with Wire(server.port) as wire:
        wire.command("WATCH", "k")
        server.client(db=1).set("k", 5)
        client.set("other", 1)
        client.get("k")
        wire.command("MULTI")
        wire.command("INCR", "k")
        assert wire.command("EXEC") == [b":2"]
        wire.command("WATCH", "k")
        client.incr("k")
        wire.command("UNWATCH")
        wire.command("MULTI")
        assert wire.command("EXEC") == []
        wire.command("WATCH", "k")
        client.incr("k")
        wire.command("MULTI")
        assert wire.command("EXEC") is None
        wire.command("MULTI")
        assert wire.command("EXEC") == []      # EXEC forgets what was watched


def test_a_watched_key_that_expires(client, server):
    client.set("k", 1, px=700)
    with Wire(server.port) as wire:
        wire.command("WATCH", "k")
        until(lambda: client.exists("k") == 0)
        wire.command("MULTI")
        assert wire.command("EXEC") is None


def test_image_changes_are_seen(client, server, photos):
    photo = next(iter(photos.values()))
    client.execute_command("IMG.PUT", "i", photo)
    for change in (["IMG.EDIT", "i", "TITLE", "x"], ["IMG.PUT", "i", photo]):
        with Wire(server.port) as wire:
            wire.command("WATCH", "i")
            client.execute_command(*change)
            wire.command("MULTI")
            assert wire.command("EXEC") is None, change


def test_large_values_and_a_queue_with_a_limit(make_server):
    server = make_server("--client-query-buffer-limit", "4mb")
    with Wire(server.port) as wire:
        wire.command("MULTI")
        assert wire.command("SET", "big", b"x" * 3_000_000) == b"+QUEUED"
        assert wire.command("SET", "big2", b"x" * 3_000_000).startswith(b"-TOOLARGE client-query-buffer-limit")
        assert wire.command("EXEC").startswith(b"-EXECABORT")
        wire.command("MULTI")
        wire.command("SET", "big", b"y" * 3_000_000)
        wire.command("APPEND", "big", "z")
        wire.command("STRLEN", "big")
        assert wire.command("EXEC") == [b"+OK", b":3000001", b":3000001"]


def test_all_or_nothing_after_kill(make_server, folder):
    server = make_server("--cache-appendfsync", "always")
    client = server.client()
    for round in range(5):
        with Wire(server.port) as wire:
            for n in range(200):
                wire.send(encode("MULTI") + b"".join(encode("SET", f"k{i}", f"{round}-{n}") for i in range(40)) +
                          encode("EXEC"))
            for _ in range(42 * random.randrange(20, 150)):
                wire.read()
            server.kill()
        server.start()
        values = set(client.mget([f"k{i}" for i in range(40)]))
        assert len(values) == 1, values
        assert client.dbsize() == 40


def test_a_full_disk_refuses_before_anything_runs(make_server):
    server = make_server("--disk-bytes-max", "48mb", "--history-window", "0")
    client = server.client()
    with Wire(server.port) as wire:
        wire.command("MULTI")
        for i in range(6):
            wire.command("SET", f"k{i}", b"x" * 12_000_000)
        assert wire.command("EXEC").startswith(b"-EXECABORT Transaction discarded because of: DISKFULL")
    assert client.dbsize() == 0 and client.set("small", 1)


def test_redis_answers_the_same(server, peer):
    """Random sessions of two connections, against redis-server, byte for byte."""
    rng = random.Random(7)
    keys = ["a", "b", "c"]
    makers = [lambda k: ("SET", k, rng.randrange(9)), lambda k: ("INCR", k), lambda k: ("GET", k),
              lambda k: ("DEL", k), lambda k: ("APPEND", k, "x"), lambda k: ("EXPIRE", k, 100),
              lambda k: ("MULTI",), lambda k: ("EXEC",), lambda k: ("EXEC",), lambda k: ("DISCARD",),
              lambda k: ("WATCH", k), lambda k: ("UNWATCH",), lambda k: ("SET", k), lambda k: ("SELECT", rng.choice([0, 1])),
              lambda k: ("RENAME", k, rng.choice(keys)), lambda k: ("MSET", k, 1, "b", 2), lambda k: ("SETRANGE", k, 3, "y"),
              lambda k: ("FLUSHDB",), lambda k: ("PERSIST", k), lambda k: ("GETDEL", k), lambda k: ("COPY", k, "c", "REPLACE"),
              lambda k: ("SWAPDB", 0, rng.choice([0, 1, 2])), lambda k: ("MOVE", k, rng.choice([0, 1, 2])),
              lambda k: ("SWAPDB", rng.choice([1, 16, -1, "x"]), rng.choice([2, 99, "y"]))]
    ours = [Wire(server.port), Wire(server.port)]
    theirs = [Wire(peer), Wire(peer)]
    for n in range(6000):
        who, words = rng.randrange(2), rng.choice(makers)(rng.choice(keys))
        assert ours[who].command(*words) == theirs[who].command(*words), (n, who, words)
    for wire in ours + theirs:
        wire.close()


def test_sort_stores_long_values_inside_a_transaction(client):
    client.mset({"obj:%d" % i: "x" * 50_000 for i in range(60)})
    client.rpush("ids", *range(60))
    pipe = client.pipeline()
    pipe.sort("ids", get="obj:*", store="sorted").rpush("sorted", "end").llen("sorted")
    assert pipe.execute() == [60, 61, 61] and client.lindex("sorted", 0) == b"x" * 50_000


def test_what_a_sort_finds_only_because_of_its_own_transaction_is_refused_alone(client):
    pipe = client.pipeline()
    pipe.mset({"obj:%d" % i: "y" * 2000 for i in range(20)}).rpush("ids", *(list(range(20)) * 1000))
    pipe.sort("ids", get="obj:*", store="sorted").set("after", 1)
    out = pipe.execute(raise_on_error=False)
    assert out[:2] == [True, 20_000] and out[3] is True
    assert str(out[2]).startswith("OVERLOADED") and not client.exists("sorted")


def test_sets_longer_than_segments_are_united_inside_a_transaction(client):
    for name in "abc":
        for k in range(0, 100_000, 5000):
            client.sadd(name, *("%s:member:%020d" % (name, i) for i in range(k, k + 5000)))
    pipe = client.pipeline()
    pipe.sunionstore("u", "a", "b", "c").set("x", 1)
    assert pipe.execute() == [300_000, True]


def test_move_takes_a_key_to_another_database(server, peer):
    script = [["SET", "s", "v", "EX", "1000"], ["RPUSH", "l", "a", "b"], ["MOVE", "s", "3"], ["MOVE", "s", "3"], ["MOVE", "nosuch", "3"],
              ["MOVE", "l", "0"], ["MOVE", "l", "99"], ["MOVE", "l", "x"], ["MOVE", "l", "3"], ["EXISTS", "s", "l"], ["SELECT", "3"],
              ["GET", "s"], ["TTL", "s"], ["LRANGE", "l", "0", "-1"], ["SET", "t", "1"], ["SELECT", "0"], ["SET", "t", "2"],
              ["MOVE", "t", "3"], ["GET", "t"], ["SADD", "big", *map(str, range(2000))], ["MOVE", "big", "5"], ["SELECT", "5"],
              ["SCARD", "big"], ["MULTI"], ["MOVE", "big", "0"], ["SELECT", "0"], ["SISMEMBER", "big", "77"], ["EXEC"]]
    outs = []
    for port in (server.port, peer):
        with Wire(port) as wire:
            outs.append([wire.command(*words) for words in script])
    assert outs[0] == outs[1]
