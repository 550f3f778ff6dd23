"""What a leader's disk lost while it was down comes back from its follower, and nothing else does."""
import random

import pytest
from conftest import until
from images import png
from replicas import assert_same, in_sync, info, link_is_up
from test_replication import pair  # noqa: F401 (a fixture)
from test_verify import flip


@pytest.fixture
def both(pair):  # noqa: F811
    return pair("--analysis", "no", "--appendfsync", "always", "--cache-appendfsync", "always",
                "--checkpoint-bytes", "0")


def picture(n):
    return png(90, 90, noise=random.Random(n).randbytes)


def damaged(both, *needles, offset=0):
    """Both are in sync; the leader's power fails, bits flip, and it comes back."""
    leader, follower = both
    in_sync(leader, follower)
    leader.kill()
    for needle in needles:
        flip(leader, needle, offset)
    leader.start()
    until(lambda: link_is_up(follower))


def whole_again(both, regained):
    leader, follower = both
    until(lambda: info(leader)["keys_regained"] == regained)
    until(lambda: link_is_up(follower) and info(follower)["replication_rejoining"] == 0)
    in_sync(leader, follower)
    one, other = (server.client().execute_command("IMG.DIGEST", "BUCKETS", 16) for server in both)
    assert one == other           # but what versions an image had


def test_values_of_all_types_come_back(both):
    client = both[0].client()
    client.set("word", "a word that stands alone", px=10_000_000)
    client.set("text", b"a long text begins" + random.Random(1).randbytes(200_000))
    client.hset("small", mapping={"field": "of a small hash"})
    client.hset("large", mapping={f"field {i}": f"value {i} of a large hash" for i in range(600)})
    client.rpush("list", *(f"element {i} of a list" for i in range(600)))
    client.zadd("zset", {f"member {i} of a zset": i / 3 for i in range(600)})
    client.sadd("set", *(f"member {i} of a set" for i in range(600)))
    client.execute_command("IMG.PUT", "image", picture(1), "TITLE", "a title of its own")
    client.execute_command("IMG.EDIT", "image", "TAGS", "red,green")
    client.set("untouched", 1)
    before = client.pttl("word")
    damaged(both, b"stands alone", b"text begins", b"of a small hash", b"value 300 of a large",
            b"element 300 of", b"member 300 of a zset", b"member 300 of a set")
    whole_again(both, 7)
    assert both[0].client().dbsize() == 9
    client = both[0].client()
    assert client.get("word") == b"a word that stands alone" and 0 < client.pttl("word") <= before
    assert client.hlen("large") == client.llen("list") == client.zcard("zset") == client.scard("set") == 600
    for server in both:
        server.stop()
    both[0].start()
    both[1].start()
    until(lambda: link_is_up(both[1]))
    assert assert_same(*both) == 9


def test_an_image_whose_very_name_cannot_be_read_comes_back(both):
    client = both[0].client()
    for i in range(4):
        client.execute_command("IMG.PUT", f"image {i} is named so", picture(i), "TITLE", f"title {i}")
    client.execute_command("IMG.EDIT", "image 2 is named so", "TITLE", "a later title")
    damaged(both, b"image 2 is named so")
    whole_again(both, 1)
    client = both[0].client()
    assert client.execute_command("IMG.GET", "image 2 is named so") == picture(2)
    hits = client.execute_command("IMG.SEARCH", "@title:(later)", "NOCONTENT")
    assert hits == [1, b"image 2 is named so"]


def test_the_end_of_the_log_comes_back(both):
    """To the leader it looks like a torn tail, of which nobody was told."""
    client = both[0].client()
    client.set("early", 1)
    client.set("the last key of all", "the last value of all")
    damaged(both, b"the last key of all")
    leader, follower = both
    leader.client().set("later", 2)
    until(lambda: follower.client().get("later") == b"2")
    whole_again(both, 1)
    assert both[0].client().dbsize() == 3
    assert leader.client().get("the last key of all") == b"the last value of all"


def test_what_was_deleted_meanwhile_stays_deleted(both):
    client = both[0].client()
    for i in range(50):
        client.set(f"key {i} of fifty", f"value {i} of fifty")
    leader, follower = both
    in_sync(leader, follower)
    follower.stop()
    client.delete(*(f"key {i} of fifty" for i in range(10, 30)))
    leader.kill()
    flip(leader, b"value 5 of fifty", 0)
    leader.start()
    client = leader.client()
    assert client.get("key 5 of fifty") is None
    client.set("key 6 of fifty", "newer")
    follower.start()
    whole_again(both, 1)
    assert both[0].client().dbsize() == 30
    assert client.get("key 5 of fifty") == b"value 5 of fifty"
    assert client.get("key 6 of fifty") == b"newer"


def test_a_leader_that_lost_something_and_follows_later_is_mended(both):
    """As Sentinel has it: it starts as a leader, and is told then."""
    leader, follower = both
    client = leader.client()
    client.set("word", "a word that stands alone")
    client.set("other", 1)
    in_sync(leader, follower)
    leader.kill()
    flip(leader, b"stands alone", 0)
    follower.client().execute_command("REPLICAOF", "NO", "ONE")
    leader.start()
    assert leader.client().get("word") is None
    leader.client().execute_command("REPLICAOF", "127.0.0.1", follower.port)
    until(lambda: link_is_up(leader) and info(leader)["replication_rejoining"] == 0)
    assert leader.client().get("word") == b"a word that stands alone"
    assert assert_same(follower, leader) == 2
