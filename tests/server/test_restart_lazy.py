"""A large checkpoint is loaded while commands are served already: what is asked for comes first."""
import os
import random
import re
import shutil

import pytest
import redis
from conftest import until
from images import png
from test_restart import counts, damage, data, fill, state
from wire import Wire, encode

LAZY = ("--analysis", "no", "--load-first-bytes", "1", "--checkpoint-interval", "0", "--checkpoint-bytes", "0")
MANY, SOME = 300_000, 30_000           # in 4096 chunks, in 64


def checkpointed(server, count):
    """A store with a checkpoint of so many keys, and hardly anything behind it, killed."""
    with Wire(server.port, timeout=60) as wire:
        for first in range(0, count, 10_000):
            wire.send(b"".join(encode("SET", f"k{i}", f"value {i}") for i in range(first, first + 10_000)))
            assert wire.file.read(5 * 10_000) == b"+OK\r\n" * 10_000
    server.client().save()
    server.kill()
    return server


@pytest.fixture
def some(make_server):
    return checkpointed(make_server(*LAZY), SOME)


def left(client):
    return client.info("persistence")["load_chunks_left"]


def test_keys_are_answered_before_all_is_loaded(make_server):
    many = checkpointed(make_server(*LAZY), MANY)
    client = many.start().client()
    assert client.get("k77") == b"value 77" and client.get("nosuch") is None
    serving = re.search(r"serving; (\d+) of (\d+) chunks", many.log())
    assert int(serving[1]) > 0.9 * int(serving[2]) > 1000
    assert client.mget("k1", "k2", "k3") == [b"value 1", b"value 2", b"value 3"]
    assert client.rename("k5", "moved") and client.delete("k6") == 1 and client.append("k7", "!") == 8
    assert client.copy("k8", "copied", destination_db=3)
    assert client.dbsize() == MANY - 1         # waits for all
    until(lambda: left(client) == 0)
    assert "All of the checkpoint is loaded" in many.log()
    assert client.get("k7") == b"value 7!" and client.get("moved") == b"value 5"
    assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    many.kill()
    client = many.start().client()
    assert client.exists("k5", "k6") == 0 and client.get("k7") == b"value 7!"
    assert sum(1 for _ in client.scan_iter(count=10_000)) == MANY - 1
    for i in random.Random(1).sample(range(8, MANY), 500):
        assert client.get(f"k{i}") == b"value %d" % i


def test_commands_that_need_everything_wait_for_it(some):
    client = some.start().client()
    assert client.dbsize() == SOME
    some.kill()
    client = some.start().client()
    assert client.randomkey().startswith(b"k") and left(client) == 0
    some.kill()
    client = some.start().client()
    assert client.flushall() and client.dbsize() == 0
    some.kill()
    assert some.start().client().dbsize() == 0


def test_server_stops_and_is_killed_while_it_loads(some):
    for _ in range(3):
        client = some.start().client()
        client.incr("started")
        client.execute_command("WAITAOF", 1, 0, 5000)
        some.kill()
        client = some.start().client()
        client.incr("started")
        some.stop()
    client = some.start().client()
    assert client.get("started") == b"6" and client.dbsize() == SOME + 1


@pytest.mark.parametrize("spoil", ["nothing", "chunks"])
def test_everything_comes_back(make_server, spoil):
    server = make_server(*LAZY)
    client = server.client()
    fill(client)
    client.save()
    fill(client, 20, seed=3)
    before = state(client)
    server.kill()
    if spoil == "chunks":
        for path in data(server, "checkpoint-?"):
            damage(path, 100)
    server.start()
    assert state(client) == before
    server.kill()
    server.start()
    assert state(client) == before


def test_damage_found_while_serving_is_said_of_its_keys_alone(some):
    sizes = {path: os.path.getsize(path) for path in data(some, "checkpoint-?")}
    for path, size in sizes.items():
        with open(path, "r+b") as file:
            file.seek(size // 2 // 4096 * 4096)
            file.write(b"\xff" * 65536)
    client = some.start().client()
    until(lambda: left(client) == 0)
    damaged = client.info("persistence")["load_chunks_damaged"]
    assert damaged > 0 and "is damaged, and the server serves already" in some.log()
    pipe = client.pipeline(transaction=False)
    for i in range(0, SOME, 10):
        pipe.get(f"k{i}")
    answers = pipe.execute(raise_on_error=False)
    bad = [answer for answer in answers if isinstance(answer, redis.ResponseError)]
    assert 0 < len(bad) < len(answers) / 10 and all(str(answer).startswith("CORRUPT k") for answer in bad)
    for i, answer in enumerate(answers):
        assert answer == b"value %d" % (10 * i) or answer in bad
    with pytest.raises(redis.BusyLoadingError, match="damaged"):
        client.dbsize()
    for _ in range(2):                            # each ends its transaction
        with pytest.raises(redis.exceptions.ExecAbortError, match="LOADING a part of the checkpoint is damaged"):
            client.pipeline().incr("counted").execute()
    try:                                          # it may belong to a chunk that is damaged
        client.set("new", "1")
    except redis.ResponseError as error:
        assert str(error).startswith("CORRUPT new")
    some.kill()
    client = some.start().client()                # from the log alone
    assert client.dbsize() in (SOME, SOME + 1)
    assert client.info("persistence")["load_chunks_damaged"] == 0


def test_what_was_replayed_of_a_checkpoint_that_is_given_up_is_forgotten(make_server):
    """A large collection had died on the way: what it was made of lies elsewhere once the log is read."""
    server = make_server(*LAZY)
    client = server.client()
    client.sadd("dies", *range(5000))
    checkpointed(server, SOME)
    client = server.start().client()
    assert client.delete("dies") == 1
    for i in range(16):
        client.set(f"k{i}", "changed")
    assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    server.kill()
    given_up, living, home = 0, set(), os.path.join(server.folder, "data")
    shutil.copytree(home, home + ".kept")
    for part in range(12):
        shutil.rmtree(home)
        shutil.copytree(home + ".kept", home)
        [path] = [each for each in data(server, "checkpoint-*") if os.path.getsize(each) > 0]
        size = os.path.getsize(path)
        with open(path, "r+b") as file:
            file.seek(size * part // 12)
            file.write(bytes(size // 12))
        client = server.start().client()
        given_up += server.log().count("recovering from the log alone")
        try:
            client.dbsize()
        except redis.exceptions.BusyLoadingError:     # found out later: the next start does without it
            server.kill()
            client = server.start().client()
        assert client.dbsize() == SOME and client.get("k7") == b"changed" and not client.exists("dies")
        living.add(counts(client)["hot_live_records"])
        server.kill()
    assert len(living) == 1, living
    assert given_up > 0


def test_lost_segment_is_found_out_while_serving(make_server):
    server = make_server(*LAZY, "--segment-bytes", "1mb", "--hot-memory", "0")
    client = server.client()
    bodies = {f"img{i}": png(8, 8) + os.urandom(100_000) for i in range(60)}
    for key, body in bodies.items():
        client.execute_command("IMG.PUT", key, body)
    client.save()
    server.kill()
    os.unlink(data(server, "hot-*.seg")[1])
    client = server.start().client()
    lost = 0
    for key, body in bodies.items():
        try:
            assert client.execute_command("IMG.GET", key) == body
        except redis.ResponseError as error:
            assert str(error) == f"CORRUPT {key}"
            lost += 1
    assert 0 < lost < 20
    assert client.dbsize() == len(bodies) and "is missing" in server.log()
    assert client.info("store")["lost_records"] == lost
