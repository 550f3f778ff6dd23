"""Checkpoints and restarts: SAVE, BGSAVE, LASTSAVE; kill -9; checkpoints, footers and segments
that are damaged or missing. Whatever of it is gone, what the log holds comes back."""
import glob
import os
import random
import subprocess
import threading
import time

import pytest
import redis
from conftest import until
from images import png
from wire import Wire, encode


@pytest.fixture
def server(make_server, folder):
    """What analysis writes by itself would be on its way to the disk at any kill."""
    return make_server("--warm-dir", os.path.join(folder, "warm"), "--analysis", "no")


def fill(client, count=3000, seed=1):
    """Strings, deleted, expiring and long ones, images, edited, renamed and deleted ones, a policy."""
    pick = random.Random(seed)
    pipe = client.pipeline(transaction=False)
    for i in range(count):
        pipe.set(f"k{pick.randrange(count)}", pick.randbytes(pick.randrange(200)))
        if i % 7 == 0:
            pipe.delete(f"k{pick.randrange(count)}")
        if i % 11 == 0:
            pipe.expire(f"k{pick.randrange(count)}", 100000)
    for i in range(40):
        pipe.set(f"long{i}", pick.randbytes(20000 + 100 * i))
        pipe.execute_command("IMG.PUT", f"img{i}", png(8 + i % 5, 8), "TITLE", f"seed{seed} title{i % 4}")
        pipe.execute_command("IMG.EDIT", f"img{i // 2}", "TITLE", f"edited{i % 3}")
    for i in range(0, 40, 8):
        pipe.rename(f"img{i}", f"moved{i}")
        pipe.delete(f"img{i + 1}")
    pipe.execute_command("IMG.TIER", "POLICY", "SET", "p", "PREFIX", "img", "WARM", "90d")
    pipe.execute()


def state(client):
    until(lambda: client.info("persistence")["async_loading"] == 0)
    found = {}
    for key in client.scan_iter(count=1000):
        kind = client.type(key)
        value = client.get(key) if kind == b"string" else (
            client.execute_command("IMG.GET", key), client.execute_command("IMG.INFO", key, "title", "tier"))
        found[key] = kind, value, client.pexpiretime(key)
    for query in ("edited0", "edited1|title3", "*"):
        found[query] = sorted(client.execute_command("IMG.SEARCH", query, "NOCONTENT", "LIMIT", 0, 1000)[1:])
    found["policies"] = client.execute_command("IMG.TIER", "POLICY", "LIST")
    return found


def data(server, pattern):
    return sorted(glob.glob(os.path.join(server.folder, "data", pattern)))


def damage(path, where):
    with open(path, "r+b") as file:
        file.seek(where, os.SEEK_END if where < 0 else os.SEEK_SET)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x40]))


def test_save_bgsave_and_lastsave_answer_as_redis_does(server, client):
    assert client.lastsave() is not None
    client.set("a", "b")
    assert client.info("persistence")["rdb_changes_since_last_save"] > 0
    assert client.save() is True
    info = client.info("persistence")
    assert info["rdb_saves"] == 1 and info["rdb_changes_since_last_save"] == 0
    assert info["rdb_last_bgsave_status"] == "ok" and info["rdb_bgsave_in_progress"] == 0
    assert client.execute_command("LASTSAVE").timestamp() == info["rdb_last_save_time"]
    assert client.bgsave() is True
    until(lambda: client.info("persistence")["rdb_saves"] == 2)
    assert client.execute_command("BGSAVE", "SCHEDULE") is True
    with pytest.raises(redis.ResponseError, match="syntax"):
        client.execute_command("BGSAVE", "NOW")
    out = subprocess.run(["redis-cli", "-p", str(server.port), "SAVE"], capture_output=True, check=True)
    assert out.stdout == b"OK\n"


def test_checkpoint_spares_the_replay_of_what_it_holds(server, client):
    fill(client)
    client.save()
    fill(client, 50, seed=2)
    before = state(client)
    server.kill()
    server.start()
    assert client.info("store")["recovered_records"] < 600
    assert state(client) == before


def test_clean_shutdown_leaves_nothing_to_replay(server, client):
    fill(client)
    before = state(client)
    server.stop()
    server.start()
    assert client.info("store")["recovered_records"] <= 40      # the long values are read
    assert state(client) == before


@pytest.mark.parametrize("spoil", ["nothing", "manifests", "chunks", "files", "footers", "everything"])
def test_state_is_the_same_from_checkpoint_footers_or_records(server, client, spoil):
    fill(client)
    client.save()
    fill(client, 500, seed=3)
    client.save()
    fill(client, 300, seed=4)
    before = state(client)
    server.kill()
    assert data(server, "manifest-?") and data(server, "checkpoint-?")
    if spoil == "manifests":
        for path in data(server, "manifest-?"):
            os.unlink(path)
    if spoil == "chunks":
        for path in data(server, "checkpoint-?"):
            damage(path, 100)
    if spoil in ("files", "everything"):
        for path in data(server, "checkpoint-?"):
            os.unlink(path)
    if spoil in ("footers", "everything"):
        for path in data(server, "*.seg"):
            damage(path, -8100)
    server.start()
    assert state(client) == before
    server.kill()
    server.start()
    assert state(client) == before


def counts(client):
    """What the store knows of its segments, all being loaded."""
    until(lambda: client.info("persistence")["async_loading"] == 0)
    found = client.info("store")
    names = ("live_bytes", "dead_bytes", "live_records", "tombstones")
    return {name: found[name] for name in (f"{tier}_{name}" for tier in ("hot", "warm") for name in names)}


def overwrite(server, name):
    with Wire(server.port, timeout=60) as wire:
        for i in range(0, 3000, 10):
            wire.send(b"".join(encode("SET", f"{name}/{(i + j) % 70}", "x" * (i % 90)) for j in range(10)) +
                      encode("DEL", f"{name}/{i % 50}"))
            assert all(wire.read()[:1] in b"+:" for _ in range(11))


def test_an_unfinished_segment_is_counted_the_same_from_checkpoint_or_log(make_server):
    server = make_server("--analysis", "no", "--cache-appendfsync", "always", "--segment-bytes", "32mb")
    client = server.client()
    fill(client, 1000)
    writers = [threading.Thread(target=overwrite, args=(server, f"w{i}")) for i in range(4)]
    for writer in writers:                               # batches are on their way at SAVE
        writer.start()
    begun = client.info("store")["last_lsn"]
    until(lambda: client.info("store")["last_lsn"] > begun + 100)
    client.save()
    for writer in writers:
        writer.join()
    fill(client, 50, seed=2)
    until(lambda: client.info("store")["durable_lsn"] == client.info("store")["last_lsn"])
    before = counts(client)
    assert before["hot_tombstones"] > 200 and before["hot_dead_bytes"] > 50_000
    assert client.info("store")["footers_written"] == 0, "all of it lies in one segment"
    server.kill()
    found = counts(server.start().client())
    server.kill()
    for path in data(server, "manifest-?"):
        os.unlink(path)
    logged = counts(server.start().client())
    assert found == before
    # Of the past in the first moments of a store, before its window was logged, the log alone knows nothing.
    assert logged["hot_tombstones"] == found["hot_tombstones"]
    assert logged["hot_live_bytes"] + logged["hot_dead_bytes"] == found["hot_live_bytes"] + found["hot_dead_bytes"]


def test_second_checkpoint_writes_only_what_changed(server, client):
    fill(client, 20000)
    client.save()
    client.save()
    first = client.info("persistence")["checkpoint_bytes_written"]
    client.set("one", "more")
    client.save()
    client.save()
    written = client.info("persistence")["checkpoint_bytes_written"] - first
    assert 0 < written < first / 10


def test_a_server_at_rest_makes_its_next_start_quick(make_server):
    server = make_server("--checkpoint-interval", "0", "--checkpoint-bytes", "0", "--checkpoint-idle", "1")
    client = server.client()
    put = {f"k{i}": f"v{i}" for i in range(12000)}
    client.mset(dict(list(put.items())[:9000]))
    time.sleep(2.5)
    assert client.info("persistence")["checkpoint_lsn"] == 0      # not worth it
    client.mset(dict(list(put.items())[9000:]))
    time.sleep(2.5)                                               # to ask is work, too
    until(lambda: client.info("persistence")["checkpoint_lsn"] > 12000)
    until(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == 0)
    written = client.info("persistence")["checkpoint_bytes_written"]
    time.sleep(2.5)
    assert client.info("persistence")["checkpoint_bytes_written"] == written
    server.kill()
    server.start()
    client = server.client()
    assert client.info("store")["recovered_records"] < 100
    assert client.mget(list(put)) == [value.encode() for value in put.values()]


def test_a_checkpoint_of_nothing_counts(server, client):
    client.save()
    client.set("a", "1")
    assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    server.kill()
    assert server.start().client().get("a") == b"1"
    assert "damaged" not in server.log()


@pytest.mark.parametrize("checkpoint", (True, False))
def test_parts_of_a_value_that_died_are_not_missed(make_server, checkpoint):
    """Values of many segments, written again and again: of the dead ones a head may outlive its parts."""
    server = make_server("--segment-bytes", "1mb", "--history-window", "0", "--checkpoint-bytes", "0",
                         "--checkpoint-idle", "0", "--cache-appendfsync", "always")
    client = server.client(socket_timeout=60)
    if checkpoint:
        client.save()
    pick = random.Random(5)
    value = {}
    for i in range(300):
        key = f"long{i % 7}"
        value[key] = pick.randbytes(1000) * pick.randrange(600, 3000)
        client.set(key, value[key])
        client.set(f"beside{i}", pick.randbytes(3000))   # lies where heads do, and lives
        if i % 50 == 49:
            client.delete(key)
            del value[key]
    until(lambda: client.info("store")["segments_recycled"] > 50)
    server.kill()
    client = server.start().client(socket_timeout=60)
    assert {key: client.get(key) for key in client.keys("long*")} == {
        key.encode(): each for key, each in value.items()}
    assert "corrupt" not in server.log() and "from the log alone" not in server.log()


def test_lost_segment_is_named_and_its_images_are_corrupt(server, client):
    for i in range(100):
        client.execute_command("IMG.PUT", f"img{i}", png(8, 8) + os.urandom(100000))
        client.set(f"k{i}", f"v{i}")
    client.save()
    server.kill()
    os.unlink(data(server, "hot-*.seg")[0])
    server.start()
    assert all(client.get(f"k{i}") == b"v%d" % i for i in range(100))
    lost = 0
    for i in range(100):
        try:
            assert len(client.execute_command("IMG.GET", f"img{i}")) > 100000
        except redis.ResponseError as error:
            assert str(error).startswith("CORRUPT")
            lost += 1
    assert 0 < lost < 100
    assert "is missing" in server.log()
