"""The same bytes are stored once: found, compared, counted, and freed with the last key."""
import random

import pytest

from conftest import until
from images import png
from test_history import at, last_lsn

NOISE = random.Random(4)
BIG = png(200, 200, noise=NOISE.randbytes)
OTHER = png(200, 200, noise=NOISE.randbytes)


def put(client, key, data, *words):
    return client.execute_command("IMG.PUT", key, data, *words)


def store(client, name):
    return int(client.info("store")[name])


def grown(client, run):
    before = store(client, "appended_bytes")
    run()
    return store(client, "appended_bytes") - before


@pytest.mark.parametrize("memory", ["64mb", "0"])
def test_the_second_copy_is_not_stored(make_server, memory):
    server = make_server("--hot-memory", memory, "--history-window", "0")
    client = server.client()
    etag = put(client, "a", BIG, "TITLE", "first")
    assert grown(client, lambda: put(client, "b", BIG, "TITLE", "second")) < 1000
    assert put(client, "c", BIG) == etag
    assert store(client, "dedupe_hits") == 2
    assert store(client, "dedupe_bytes_saved") == 2 * len(BIG)
    assert store(client, "dedupe_reads") == (2 if memory == "0" else 0)
    assert client.execute_command("IMG.INFO", "b", "title")[1] == b"second"
    assert client.execute_command("IMG.SEARCH", "first")[0] == 1
    assert all(client.execute_command("IMG.GET", key) == BIG for key in "abc")
    assert store(client, "hot_live_bytes") < len(BIG) + 10_000


@pytest.mark.parametrize("order", ["abc", "cba", "bac"])
def test_keys_go_in_any_order_and_the_last_takes_the_bytes(make_server, order):
    server = make_server("--history-window", "0")
    client = server.client()
    for key in "abc":
        put(client, key, BIG)
    for i, key in enumerate(order):
        client.delete(key)
        if i == 1:
            server.kill()
            client = server.start().client()
        for left in order[i + 1:]:
            assert client.execute_command("IMG.GET", left) == BIG
    assert store(client, "hot_live_bytes") < 10_000
    assert store(client, "shared_records") == 0
    assert grown(client, lambda: put(client, "d", BIG)) > len(BIG)


def test_a_body_of_the_past_is_found(client):
    put(client, "a", BIG)
    lsn = last_lsn(client)
    put(client, "a", OTHER)
    assert grown(client, lambda: put(client, "b", BIG)) < 1000
    assert grown(client, lambda: put(client, "a", BIG)) < 1000
    client.config_set("history-window", "0")
    until(lambda: store(client, "history_versions") == 0)
    assert client.execute_command("IMG.GET", "a") == client.execute_command("IMG.GET", "b") == BIG
    assert lsn > 0


def test_the_same_bytes_under_the_same_key(client):
    put(client, "a", BIG, "TITLE", "one")
    lsn = last_lsn(client)
    assert grown(client, lambda: put(client, "a", BIG, "TITLE", "two")) < 1000
    client.delete("a")
    assert at(client, "a", lsn) == BIG
    client.flushall()
    client.execute_command("IMG.RESTORE", "a", "LSN", lsn)
    assert client.execute_command("IMG.INFO", "a", "title")[1] == b"one"


def test_after_an_edit_and_a_restart_it_is_still_found(make_server):
    server = make_server("--hot-memory", "0")
    client = server.client()
    put(client, "a", BIG)
    client.execute_command("IMG.EDIT", "a", "TITLE", "x")
    assert grown(client, lambda: put(client, "b", BIG)) < 1000
    server.kill()
    client = server.start().client()
    assert grown(client, lambda: put(client, "c", BIG)) < 1000
    client.delete("a", "b")
    assert client.execute_command("IMG.GET", "c") == BIG


def test_it_can_be_turned_off(client):
    client.config_set("dedupe", "no")
    put(client, "a", BIG)
    assert grown(client, lambda: put(client, "b", BIG)) > len(BIG)
    assert store(client, "dedupe_hits") == 0


def test_pipelined_puts_keep_their_order(make_server):
    server = make_server("--hot-memory", "0")
    client = server.client()
    put(client, "seed", BIG)
    pipe = client.pipeline(transaction=False)
    for step in range(40):
        pipe.execute_command("IMG.PUT", "k", BIG if step % 2 else OTHER)
        pipe.execute_command("IMG.GET", "k")
    replies = pipe.execute()
    assert replies[1::2] == [BIG if step % 2 else OTHER for step in range(40)]
    assert store(client, "dedupe_hits") >= 38


def test_the_body_moves_between_tiers_for_all_its_keys(client):
    put(client, "a", BIG)
    put(client, "b", BIG)
    assert client.execute_command("IMG.TIER", "SET", "warm", "b") == 1
    assert [client.execute_command("IMG.TIER", "GET", key) for key in "ab"] == [b"warm"] * 2
    client.delete("a")
    assert client.execute_command("IMG.GET", "b") == BIG


def test_an_edited_link_needs_no_other_record_of_its_key(make_server):
    server = make_server("--history-window", "0", "--segment-bytes", "1mb")
    client = server.client()

    def on_to_the_next_segments():
        for _ in range(6):
            client.set("filler", NOISE.randbytes(400_000))

    put(client, "a", BIG)
    on_to_the_next_segments()
    put(client, "b", BIG, "TITLE", "one", "EX", "1000")
    on_to_the_next_segments()
    client.delete("a")
    client.execute_command("IMG.EDIT", "b", "TITLE", "two")
    on_to_the_next_segments()                   # nothing in the segment of the first LINK is needed
    until(lambda: store(client, "hot_dead_bytes") < 2_500_000)
    server.stop()
    client = server.start().client()
    assert client.execute_command("IMG.GET", "b") == BIG
    assert client.execute_command("IMG.INFO", "b", "title")[1] == b"two"
    assert client.ttl("b") > 900
