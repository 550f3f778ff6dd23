"""FLUSHALL and FLUSHDB of many keys: answered at once, freed in slices, gone for good."""
import random

from conftest import until
from images import png
from wire import Wire, encode

KEYS = 60_000


def fill(client):
    pipe = client.pipeline(transaction=False)
    for i in range(0, KEYS, 1000):
        pipe.mset({"key:%d" % k: "x" * (k % 300) for k in range(i, i + 1000)})
        pipe.sadd("set:%d" % i, *range(700)).rpush("list:%d" % i, *range(30)).setex("short:%d" % i, 1000, "x")
    pipe.execute()


def pending(client):
    return client.info("memory")["lazyfree_pending_objects"]


def test_keys_are_gone_at_once_and_freed_behind(client, server):
    for words in (["FLUSHALL"], ["FLUSHALL", "SYNC"], ["FLUSHDB", "ASYNC"]):
        fill(client)
        before = client.info("memory")["used_memory"]
        freed = client.info("memory")["lazyfreed_objects"]
        with Wire(server.port) as wire:
            wire.send(encode(*words) + encode("DBSIZE") + encode("GET", "key:7") + encode("SET", "key:7", "new"))
            assert [wire.read() for _ in range(4)] == [b"+OK", b":0", None, b"+OK"]
        until(lambda: pending(client) == 0)
        assert client.get("key:7") == b"new" and client.dbsize() == 1
        info = client.info("memory")
        assert info["lazyfreed_objects"] - freed >= KEYS and info["used_memory"] < before / 2


def test_what_was_flushed_does_not_come_back(make_server):
    server = make_server("--checkpoint-interval", "1", "--cache-appendfsync", "always")
    client = server.client()
    fill(client)
    client.flushall()
    client.mset({"key:1": "after", "other": "y"})
    server.kill()
    server.start()
    assert sorted(server.client().keys()) == [b"key:1", b"other"]
    fill(server.client())
    server.client().execute_command("SAVE")
    server.client().flushdb()
    until(lambda: pending(server.client()) == 0)
    server.client().execute_command("SAVE")
    server.stop()
    server.start()
    assert server.client().keys() == []


def test_keys_set_after_a_flush_are_not_evicted_for_what_is_still_being_freed(client):
    fill(client)
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 0.7))
    client.flushall()
    pipe = client.pipeline(transaction=False)
    for i in range(500):
        pipe.set("new:%d" % i, i)
    pipe.execute()
    assert client.dbsize() == 500 and client.info("stats")["evicted_keys"] == 0


def test_images_of_a_flushed_database_are_in_the_past_at_once(client, photos):
    photo = next(iter(photos.values()))
    client.execute_command("IMG.PUT", "img", photo)
    client.mset({"key:%d" % k: k for k in range(5000)})
    client.flushall()
    assert client.dbsize() == 0 and client.execute_command("IMG.VERSIONS", "img")


def test_whoever_asks_for_a_flushed_image_need_not_wait_for_the_others(make_server):
    """The past is asked, names are given to new images, and all is saved, while most still wait."""
    server = make_server("--flush-slice-keys", "1")
    client = server.client()
    pipe = client.pipeline(transaction=False)
    for i in range(20_000):
        pipe.execute_command("IMG.PUT", f"k{i}", png(4, 4, (i % 250, i // 250, 1)))
    assert len(pipe.execute()) == 20_000
    lsn = int(client.info("store")["last_lsn"])
    with Wire(server.port) as wire:
        asked = [encode("IMG.GET", f"k{i}", "AT", "LSN", lsn) for i in (0, 7777, 19_999)]
        puts = [encode("IMG.PUT", "k7777", png(5, 5)), encode("DEL", "k7777"), encode("IMG.VERSIONS", "k7777")]
        wire.send(encode("FLUSHALL") + b"".join(asked + puts))
        replies = [wire.read() for _ in range(7)]
    assert replies[0] == b"+OK" and len(replies[6]) == 2
    assert replies[1:4] == [png(4, 4, (i % 250, i // 250, 1)) for i in (0, 7777, 19_999)]
    assert pending(client) > 0
    client.save()
    server.kill()
    client = server.start().client()
    assert client.dbsize() == 0
    for i in random.sample(range(20_000), 100):
        assert client.execute_command("IMG.GET", f"k{i}", "AT", "LSN", lsn) == png(4, 4, (i % 250, i // 250, 1))
