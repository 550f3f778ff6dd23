"""Tiers: moves on request and by policy, reads during moves, restarts and kills in between."""
import os
import threading

import pytest
import redis

from conftest import until
from images import get, info, png, put, put_photos


def tier(client, *words):
    return client.execute_command("IMG.TIER", *words)


def stats(client):
    reply = tier(client, "STATS")
    return {name.decode(): dict(zip(map(bytes.decode, fields[::2]), fields[1::2]))
            for name, fields in zip(reply[::2], reply[1::2])}


def run(client, *words):
    reply = tier(client, "RUN", *words)
    return dict(zip(map(bytes.decode, reply[::2]), reply[1::2]))


def tiers_of(client, keys):
    return {key: tier(client, "GET", key).decode() for key in keys}


def test_there_and_back(server, photos):
    client = server.client()
    put_photos(client, photos)
    names = sorted(photos)
    assert tier(client, "GET", names[0]) == b"hot" and tier(client, "GET", "nosuch") is None
    assert tier(client, "SET", "warm", *names[:5], "nosuch") == 5
    assert tier(client, "SET", "warm", names[0]) == 1
    for name in names:
        assert get(client, name) == photos[name]
        assert info(client, name, "tier")["tier"] == (b"warm" if name in names[:5] else b"hot")
    numbers = stats(client)
    assert numbers["warm"]["live-bytes"] >= sum(len(photos[name]) for name in names[:5])
    assert numbers["warm"]["records"] >= 5 and numbers["hot"]["dead-bytes"] > 0
    assert any(files for _, _, files in os.walk(os.path.join(server.folder, "warm")))
    assert tier(client, "SET", "hot", names[0]) == 1 and tier(client, "GET", names[0]) == b"hot"
    assert client.info("tiers")["tier_moves"] == 6


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_tiers_outlive_a_restart(server, photos, how):
    client = server.client()
    put_photos(client, photos)
    names = sorted(photos)
    tier(client, "SET", "warm", *names[:6])
    tier(client, "SET", "hot", *names[:2])
    client.delete(names[5])
    before = tiers_of(client, names[:5] + names[6:])
    for _ in range(2):
        getattr(server, how)()
        server.start()
        client = server.client()
        assert client.exists(names[5]) == 0 and get(client, names[5]) is None
        assert tiers_of(client, before) == before
        assert all(get(client, name) == photos[name] for name in before)


def test_an_edited_or_replaced_image_is_the_new_one(server, photos):
    client = server.client()
    put(client, "k", photos["Aqua.jpg"], "TITLE", "old")
    tier(client, "SET", "warm", "k")
    client.execute_command("IMG.EDIT", "k", "TITLE", "new")
    assert tier(client, "GET", "k") == b"warm" and get(client, "k") == photos["Aqua.jpg"]
    put(client, "r", photos["Dune.jpg"], "TIER", "warm")
    until(lambda: tier(client, "GET", "r") == b"warm")
    put(client, "r", photos["Garden.jpg"])
    assert tier(client, "GET", "r") == b"hot"
    client.expire("k", 1000)
    client.rename("k", "k2")
    server.kill()
    server.start()
    client = server.client()
    assert info(client, "k2", "title", "tier") == {"title": b"new", "tier": b"warm"}
    assert get(client, "k2") == photos["Aqua.jpg"] and client.ttl("k2") > 0
    assert get(client, "r") == photos["Garden.jpg"] and client.dbsize() == 2


def test_reads_during_moves(server, photos):
    client, ended, wrong = server.client(), threading.Event(), []
    put_photos(client, photos)

    def read():
        mine = server.client()
        while not ended.is_set():
            wrong.extend(name for name in photos if get(mine, name) != photos[name])
    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(4):
        assert tier(client, "SET", "warm", *photos) == len(photos)
        assert tier(client, "SET", "hot", *photos) == len(photos)
    ended.set()
    reader.join()
    assert not wrong and client.info("tiers")["tier_moves"] == 8 * len(photos)


def test_cold_reads_during_moves(make_server, folder, photos):
    server = make_server("--warm-dir", folder + "/warm", "--hot-memory", "0")
    client = server.client()
    put_photos(client, photos)
    pipe = client.pipeline(transaction=False)
    for target in ("warm", "hot"):
        pipe.execute_command("IMG.TIER", "SET", target, *photos)
        for name in photos:
            pipe.execute_command("IMG.GET", name)
    replies = pipe.execute()
    assert replies[1:len(photos) + 1] == list(photos.values()) == replies[len(photos) + 2:]


def test_a_deletion_during_a_move_stays(server, photos):
    client = server.client()
    put_photos(client, photos)
    pipe = client.pipeline(transaction=False)
    pipe.execute_command("IMG.TIER", "SET", "warm", *photos)
    names = sorted(photos)
    pipe.delete(names[0])
    pipe.execute_command("IMG.PUT", names[1], photos[names[2]])
    pipe.execute()
    for again in range(2):
        assert get(client, names[0]) is None and get(client, names[1]) == photos[names[2]]
        assert all(get(client, name) == photos[name] for name in names[2:])
        if not again:
            server.kill()
            server.start()
            client = server.client()


@pytest.mark.parametrize("after_moves", range(0, 12, 2))
def test_kill_9_during_a_move_loses_nothing(server, photos, after_moves):
    client = server.client()
    put_photos(client, photos)
    mover = server.client()
    pipe = mover.pipeline(transaction=False)
    for target in ("warm", "hot", "warm"):
        for name in photos:
            pipe.execute_command("IMG.TIER", "SET", target, name)
    thread = threading.Thread(target=lambda: pytest.raises(redis.ConnectionError, pipe.execute))
    thread.start()
    until(lambda: client.info("tiers")["tier_moves"] >= after_moves)
    server.kill()
    thread.join()
    server.start()
    client = server.client()
    assert client.dbsize() == len(photos)
    assert all(get(client, name) == data for name, data in photos.items())
    assert tier(client, "SET", "warm", *photos) == len(photos)
    assert all(get(client, name) == data for name, data in photos.items())


def test_policies_are_kept_and_applied(server):
    client = server.client()
    assert tier(client, "POLICY", "LIST") == [b"default", b"BASIS created WARM 30d COLD 90d"]
    for i in range(6):
        put(client, f"{'old' if i % 2 else 'new'}/{i}", png(100, 100 + i), "TAGS", "keep" if i == 5 else "x")
    assert run(client, "DRYRUN")["to-warm"] == 0
    assert tier(client, "POLICY", "SET", "soon", "PREFIX", "old/", "TAG", "x", "WARM", "0s") == b"OK"
    planned = run(client, "DRYRUN")
    assert (planned["dryrun"], planned["scanned"], planned["to-warm"]) == (1, 6, 2)
    assert tier(client, "GET", "old/1") == b"hot"
    done = run(client)
    assert (done["dryrun"], done["to-warm"], done["bytes"]) == (0, 2, planned["bytes"])
    expected = {"old/1": "warm", "old/3": "warm", "old/5": "hot", "new/0": "hot"}
    until(lambda: tiers_of(client, expected) == expected)
    server.kill()
    server.start()
    client = server.client()
    assert set(tier(client, "POLICY", "LIST")[::2]) == {b"default", b"soon"} and tiers_of(client, expected) == expected
    assert tier(client, "POLICY", "DEL", "soon") == 1 and tier(client, "POLICY", "DEL", "soon") == 0
    assert run(client, "DRYRUN")["to-warm"] == 0


def test_a_policy_may_delete_and_promote(server):
    client = server.client()
    put(client, "tmp/1", png(30, 30))
    put(client, "p/1", png(30, 31))
    tier(client, "POLICY", "SET", "gone", "PREFIX", "tmp/", "DELETE", "0s")
    assert run(client, "DRYRUN")["to-delete"] == 1 and client.exists("tmp/1") == 1
    run(client)
    until(lambda: client.exists("tmp/1") == 0)
    assert client.exists("p/1") == 1
    tier(client, "POLICY", "SET", "back", "PREFIX", "p/", "BASIS", "accessed", "WARM", "1d", "PROMOTE")
    tier(client, "SET", "warm", "p/1")
    assert get(client, "p/1") == png(30, 31)
    until(lambda: tier(client, "GET", "p/1") == b"hot")


@pytest.mark.parametrize("words, error", [
    (["SET", "cold", "k"], "cold tier is not available"), (["SET", "lukewarm", "k"], "syntax error"),
    (["SET", "warm"], "wrong number of arguments for 'img.tier|set'"), (["NOSUCH"], "unknown subcommand"),
    (["POLICY", "SET", "p"], "syntax error"), (["POLICY", "SET", "p", "PROMOTE"], "needs WARM, COLD or DELETE"),
    (["POLICY", "SET", "p", "WARM", "soon"], "invalid value"), (["RUN", "FAST"], "syntax error"),
    (["POLICY", "SET", "p", "WARM", "1d", "WARM", "2d"], "syntax error")])
def test_errors(client, words, error):
    with pytest.raises(redis.ResponseError, match=error):
        tier(client, *words)


def test_without_a_warm_directory(make_server, photos):
    client = make_server().client()
    put(client, "k", photos["Dune.jpg"])
    with pytest.raises(redis.ResponseError, match="there is no warm tier"):
        tier(client, "SET", "warm", "k")
    assert tier(client, "SET", "hot", "k") == 1 and run(client)["to-warm"] == 0
