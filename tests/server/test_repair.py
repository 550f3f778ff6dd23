"""A record that one of two cannot read is fetched from the other."""
import random

import pytest
import redis
from conftest import until
from images import png
from replicas import assert_same, in_sync, info
from test_replication import pair  # noqa: F401 (a fixture)
from test_verify import flip


def picture(n):
    return png(150, 150, noise=random.Random(n).randbytes)


def heal(server, key, count):
    """Reads until the record is repaired."""
    with pytest.raises(redis.ResponseError, match="CORRUPT"):
        server.client().execute_command("IMG.GET", key)
    until(lambda: info(server)["records_repaired"] == count)


@pytest.fixture
def both(pair):  # noqa: F811
    leader, follower = pair("--analysis", "no", "--hot-memory", "0", "--scrub-bytes-per-second", "1gb")
    for i in range(8):
        leader.client().execute_command("IMG.PUT", f"i{i}", picture(i), "TITLE", f"title {i}")
    in_sync(leader, follower)
    return leader, follower


@pytest.mark.parametrize("who", [0, 1])
def test_a_flipped_bit_of_a_body_is_repaired(both, who):
    flip(both[who], picture(3)[200:260])
    heal(both[who], "i3", 1)
    assert both[who].client().execute_command("IMG.GET", "i3") == picture(3)
    assert both[who].client().execute_command("IMG.VERIFY", "i3") == [b"ok"]
    assert info(both[1 - who])["records_given_for_repair"] == 1
    both[who].stop()
    both[who].start()
    assert both[who].client().execute_command("IMG.GET", "i3") == picture(3)
    assert assert_same(*both) == 8


@pytest.mark.parametrize("who", [0, 1])
def test_flipped_bits_of_a_head_are_found_by_verify(both, who):
    flip(both[who], b"title 4", 3)
    verdict = both[who].client().execute_command("IMG.VERIFY", "i4", "i5")
    assert verdict == [b"corrupt", b"ok"]
    until(lambda: info(both[who])["records_repaired"] == 1)
    assert assert_same(*both) == 8


def test_the_scrub_of_a_follower_repairs_too(both):
    leader, follower = both
    flip(follower, picture(1)[300:360])
    flip(follower, picture(6)[300:360])
    assert follower.client().execute_command("IMG.VERIFY") == b"Background scrub started"
    until(lambda: info(follower)["records_repaired"] == 2)
    assert assert_same(leader, follower) == 8


def test_what_nobody_can_read_stays_corrupt(both):
    leader, follower = both
    for server in both:
        flip(server, picture(2)[300:360])
    with pytest.raises(redis.ResponseError, match="CORRUPT"):
        leader.client().execute_command("IMG.GET", "i2")
    until(lambda: info(leader)["repairs_failed"] == info(follower)["repairs_failed"] == 1)
    for server in both:
        with pytest.raises(redis.ResponseError, match="CORRUPT"):
            server.client().execute_command("IMG.GET", "i2")
        assert server.client().execute_command("IMG.GET", "i1") == picture(1)
