"""The past survives a start from a checkpoint: versions, restores, shared bodies, digests, the floor.
Each test saves in the middle, kills the server, and sees that the checkpoint was in fact used."""
import os
import random

import pytest
import redis

from conftest import until
from images import png
from test_dedupe import grown, store
from test_history import at, last_lsn, versions
from test_restart import data, fill, server, state     # noqa: F401

NOISE = random.Random(9)


def picture():
    return png(60, 60, noise=NOISE.randbytes)


def settled(client):
    """Nothing changes by itself any more: every image has been looked at, and that is on the disk."""
    until(lambda: client.info("images")["analysis_left"] == 0)
    if store(client, "durable_lsn") >= last_lsn(client):
        return
    client.set("settled", "1")                # behind all results, which wait for no sync themselves
    client.delete("settled")
    assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1


def restart(server, client):
    """Kills and starts; the log was replayed from the checkpoint on only."""
    settled(client)
    last = last_lsn(client)
    server.kill()
    assert data(server, "manifest-?")
    server.start()
    until(lambda: client.info("persistence")["async_loading"] == 0)
    assert last_lsn(client) >= last
    assert store(client, "recovered_records") < last / 2


def seen(client, keys, first=0):
    """Everything that can be asked about these keys, at every moment from the first on."""
    found = {}
    for key in keys:
        found[key] = versions(client, key)
        for lsn in range(first, last_lsn(client) + 1):
            found[key, lsn] = at(client, key, lsn)
    return found


def story(client, keys, pick, steps):
    """All that can begin or end a version, in an order that follows from `pick`."""
    bodies = [picture() for _ in range(4)]
    for _ in range(steps):
        key, other = pick.choice(keys), pick.choice(keys)
        step = pick.randrange(9)
        if step <= 2:
            client.execute_command("IMG.PUT", key, pick.choice(bodies), "TITLE", f"t{pick.randrange(9)}")
        elif step == 3 and client.type(key) == b"image":
            client.execute_command("IMG.EDIT", key, "TITLE", f"e{pick.randrange(9)}")
        elif step == 4:
            client.delete(key)
        elif step == 5 and client.exists(key):
            client.copy(key, other, replace=True) if key != other else None
        elif step == 6 and client.exists(key) and key != other:
            client.rename(key, other)
        elif step == 7 and len(versions(client, key)) > 1:
            line = pick.choice(versions(client, key))
            client.execute_command("IMG.RESTORE", key, "AT", "LSN", line[b"lsn"])
        elif step == 8:
            client.set(key, "a string") if pick.randrange(2) else client.expire(key, 10000)


@pytest.mark.parametrize("seed", range(6))
def test_every_moment_looks_the_same_after_a_start_from_a_checkpoint(server, client, seed):
    pick, keys = random.Random(seed), [f"k{i}" for i in range(6)]
    story(client, keys, pick, 150)
    client.save()
    story(client, keys, pick, 40)
    settled(client)
    before, now = seen(client, keys), state(client)
    restart(server, client)
    assert seen(client, keys) == before
    assert state(client) == now
    story(client, keys, pick, 30)
    settled(client)
    client.save()
    before, now = seen(client, keys), state(client)
    restart(server, client)
    assert seen(client, keys) == before
    assert state(client) == now
    live = store(client, "hot_live_bytes")
    server.kill()
    for path in data(server, "manifest-?"):
        os.unlink(path)
    server.start()                        # from the log alone it is the same, to the byte
    floor = store(client, "history_floor_lsn")
    assert floor < 10
    assert seen(client, keys, floor).items() <= before.items()
    assert store(client, "hot_live_bytes") == live


def test_a_deleted_image_is_restored_from_before_the_checkpoint(server, client):
    fill(client, 500)
    body = picture()
    etag = client.execute_command("IMG.PUT", "k", body, "TITLE", "sunrise")
    lsn = last_lsn(client)
    client.delete("k")
    client.save()
    restart(server, client)
    assert client.get("k") is None
    assert client.execute_command("IMG.RESTORE", "k", "AT", "LSN", lsn) == etag
    assert client.execute_command("IMG.GET", "k") == body
    assert client.execute_command("IMG.SEARCH", "sunrise", "NOCONTENT") == [1, b"k"]


@pytest.mark.parametrize("window", ["0", "86400"])
def test_shared_bodies_live_until_the_last_key_goes(make_server, window):
    server = make_server("--history-window", window)
    client = server.client()
    fill(client, 500)
    body = picture()
    for key in "abc":
        client.execute_command("IMG.PUT", key, body)
    client.delete("a")
    client.save()
    client.rename("b", "d")
    restart(server, client)
    assert client.execute_command("IMG.GET", "c") == client.execute_command("IMG.GET", "d") == body
    client.delete("c")
    client.save()
    restart(server, client)
    assert client.execute_command("IMG.GET", "d") == body
    shared = store(client, "shared_records")
    client.delete("d")
    if window == "0":
        assert shared >= 1
        assert store(client, "shared_records") == shared - 1


def test_the_same_bytes_are_still_known(server, client):
    fill(client, 500)
    body = picture()
    client.execute_command("IMG.PUT", "a", body)
    client.save()
    restart(server, client)
    assert grown(client, lambda: client.execute_command("IMG.PUT", "b", body)) < 1000
    assert store(client, "dedupe_hits") == 1
    assert client.execute_command("IMG.GET", "b") == body


def test_what_was_forgotten_stays_forgotten(server, client):
    fill(client, 500)
    client.execute_command("IMG.PUT", "k", picture())
    lsn = last_lsn(client)
    client.delete("k")
    client.config_set("history-window", 0)
    until(lambda: store(client, "history_versions") == 0)
    client.save()
    restart(server, client)
    assert versions(client, "k") == []
    with pytest.raises(redis.ResponseError):
        at(client, "k", lsn)


def test_a_clone_of_the_past_does_not_start_from_a_younger_checkpoint(make_server):
    server = make_server()
    client = server.client()
    body = picture()
    client.execute_command("IMG.PUT", "k", body)
    lsn = last_lsn(client)
    client.execute_command("IMG.PUT", "k", picture())
    client.save()
    server.kill()
    manifests = data(server, "manifest-?")
    server.start("--open-at", "LSN", str(lsn), "--readonly")
    assert client.execute_command("IMG.GET", "k") == body
    with pytest.raises(redis.ResponseError):
        client.save()
    server.kill()
    assert data(server, "manifest-?") == manifests
