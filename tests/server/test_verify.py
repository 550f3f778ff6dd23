"""IMG.VERIFY and the scrub: what lies on the disk is what was put, or it is said so."""
import os
import random

import pytest
import redis

from conftest import until
from images import png

NOISE = random.Random(11)


def picture():
    return png(120, 120, noise=NOISE.randbytes)


def flip(server, needle, offset=30):
    """Changes one bit on the disk, some bytes behind where `needle` begins."""
    folder = os.path.join(server.folder, "data")
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        with open(path, "r+b") as file:
            at = file.read().find(needle)
            if at < 0:
                continue
            file.seek(at + offset)
            byte = file.read(1)[0]
            file.seek(at + offset)
            file.write(bytes([byte ^ 16]))
            return
    raise AssertionError("it is not on the disk")


def info(client, name):
    return int(client.info("store")[name])


def verify(client, *keys):
    return client.execute_command("IMG.VERIFY", *keys)


@pytest.fixture
def tested(make_server):
    return make_server("--hot-memory", "0", "--meta-memory", "1mb",
                       "--scrub-bytes-per-second", "1gb", "--cache-appendfsync", "always")


def test_whole_images_are_ok(tested):
    client = tested.client()
    for key in "ab":
        client.execute_command("IMG.PUT", key, picture())
    client.execute_command("IMG.EDIT", "b", "TITLE", "x")
    client.copy("a", "c")
    assert verify(client, "a", "b", "c", "nosuch") == [b"ok", b"ok", b"ok", None]
    client.set("s", "1")
    reply = verify(client, "s", "a")
    assert isinstance(reply[0], redis.ResponseError) and reply[1] == b"ok"


@pytest.mark.parametrize("size", [10, 120, 700])
def test_one_bit_is_noticed(tested, size):
    client = tested.client()
    good, bad = (png(size, size, noise=NOISE.randbytes) for _ in range(2))
    client.execute_command("IMG.PUT", "good", good)
    client.execute_command("IMG.PUT", "bad", bad)
    flip(tested, bad[40:80])
    assert verify(client, "good", "bad") == [b"ok", b"corrupt"]
    with pytest.raises(redis.ResponseError, match="^CORRUPT"):
        client.execute_command("IMG.GET", "bad")
    assert client.execute_command("IMG.GET", "good") == good
    assert "corrupt" in tested.log().lower()


def test_metadata_is_proven_too(tested):
    client = tested.client()
    client.execute_command("IMG.PUT", "k", picture())
    client.execute_command("IMG.EDIT", "k", "TITLE", "a title that can be found again, on the disk")
    flip(tested, b"a title that can be found again", 5)
    assert verify(client, "k") == [b"corrupt"]


def test_caches_hide_nothing(make_server):
    server = make_server("--hot-memory", "64mb")
    client = server.client()
    data = picture()
    client.execute_command("IMG.PUT", "k", data)
    flip(server, data[40:80])
    assert client.execute_command("IMG.GET", "k") == data
    assert verify(client, "k") == [b"corrupt"]


def scrub(client):
    rounds = info(client, "scrub_rounds")
    assert verify(client) == b"Background scrub started"
    until(lambda: info(client, "scrub_rounds") == rounds + 1)


def test_a_scrub_reads_everything_that_is_needed(tested):
    client = tested.client()
    pictures = [picture() for _ in range(5)]
    for i, data in enumerate(pictures):
        client.execute_command("IMG.PUT", f"k{i}", data)
    client.execute_command("IMG.EDIT", "k0", "TITLE", "x")
    client.set("s", "v" * 5000)
    client.expire("s", 1000)
    client.delete("k1")
    scrub(client)
    assert info(client, "scrub_records") >= 7
    assert info(client, "scrub_bytes") > 5 * len(pictures[0])
    assert info(client, "scrub_corrupt") == 0
    flip(tested, pictures[1][40:80])           # of the past
    flip(tested, pictures[2][40:80])
    scrub(client)
    assert info(client, "scrub_corrupt") == 2
    assert tested.log().count("scrub: record") == 2


def test_a_string_is_written_again_from_memory(tested):
    client = tested.client()
    text = bytes(range(256)) * 20
    client.set("s", text, ex=1000)
    flip(tested, text[:200])
    scrub(client)
    assert info(client, "scrub_repaired") == 1
    scrub(client)
    assert info(client, "scrub_corrupt") == 1
    tested.kill()
    client = tested.start().client()
    assert client.get("s") == text and client.ttl("s") > 900


def test_a_scrub_keeps_to_its_rate(make_server):
    server = make_server("--scrub-bytes-per-second", "200kb")
    client = server.client()
    for i in range(8):
        client.execute_command("IMG.PUT", f"k{i}", picture())
    verify(client)
    with pytest.raises(redis.ResponseError, match="a scrub is under way"):
        verify(client)
    until(lambda: info(client, "scrub_records") >= 2)
    assert info(client, "scrub_running") == 1
    client.config_set("scrub-bytes-per-second", "1gb")
    until(lambda: info(client, "scrub_running") == 0)
    client.config_set("scrub-bytes-per-second", "0")
    with pytest.raises(redis.ResponseError, match="scrubbing is off"):
        verify(client)


def test_a_server_stops_while_it_verifies(tested):
    client = tested.client()
    for i in range(20):
        client.execute_command("IMG.PUT", f"k{i}", png(900, 900, noise=NOISE.randbytes))
    pipe = client.pipeline(transaction=False)
    pipe.execute_command("IMG.VERIFY")
    pipe.execute_command("IMG.VERIFY", *[f"k{i}" for i in range(20)])
    pipe.execute_command("SHUTDOWN")
    try:
        pipe.execute()
    except redis.ConnectionError:
        pass
    assert tested.process.wait(timeout=20) == 0


def test_an_unreadable_value_does_not_bring_back_the_old_one(tested):
    client = tested.client()
    old, new = (NOISE.randbytes(3000) for _ in range(2))
    client.set("s", old)
    client.set("s", new)
    client.set("other", "1")
    tested.kill()
    flip(tested, new[:100])
    client = tested.start().client()
    assert client.get("s") is None and client.get("other") == b"1"
    assert info(client, "corrupt_records") > 0


def test_an_unreadable_image_is_corrupt_after_a_restart_too(tested):
    client = tested.client()
    old, new = picture(), picture()
    client.execute_command("IMG.PUT", "k", old)
    client.execute_command("IMG.PUT", "k", new)
    client.set("other", "1")
    tested.kill()
    flip(tested, new[40:80])
    client = tested.start().client()
    with pytest.raises(redis.ResponseError, match="^CORRUPT"):
        client.execute_command("IMG.GET", "k")
    assert client.execute_command("IMG.VERIFY", "k") == [b"corrupt"]
    first = client.execute_command("IMG.VERSIONS", "k")[1][1]
    assert client.execute_command("IMG.GET", "k", "LSN", first) == old
    client.execute_command("IMG.RESTORE", "k", "LSN", first)
    assert client.execute_command("IMG.GET", "k") == old
