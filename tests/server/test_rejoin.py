"""A follower that is no prefix of its leader becomes one in place: what both have is not sent again."""
import os
import random

import pytest
import redis
from conftest import Server, until
from images import png
from replicas import Wire, assert_same, in_sync, info, link_is_up, make, start_pair
from test_replication import pair, write_all_kinds  # noqa: F401 (a fixture)


def picture(n):
    """One of many, of some 60 KB."""
    return png(140, 140, noise=random.Random(n).randbytes)


def part(leader, follower, wire):
    """The leader is cut off, and the follower leads."""
    in_sync(leader, follower)
    wire.cut()
    follower.client().execute_command("REPLICAOF", "NO", "ONE")


def rejoined(server):
    try:
        found = info(server)
        return found.get("master_link_status") == "up" and not found["replication_rejoining"]
    except redis.RedisError:              # it begins anew
        return False


def quarantined(server):
    [[name, _, _]] = server.client().execute_command("IMG.QUARANTINE", "LIST")
    return server.client().execute_command("IMG.QUARANTINE", "GET", name).decode()


def test_what_was_written_alone_is_undone_and_nothing_is_sent_again(pair, folder):  # noqa: F811
    wire = Wire()
    old, new = pair("--analysis", "no", wire=wire)
    client = old.client()
    for i in range(50):
        client.execute_command("IMG.PUT", f"i{i}", picture(i), "TITLE", f"title {i}")
    client.hset("h", mapping={f"f{i}": "v" * 20 for i in range(200)})
    client.set("both", 1)
    part(old, new, wire)
    client.execute_command("IMG.PUT", "i1", picture(100))
    client.execute_command("IMG.EDIT", "i2", "TITLE", "edited alone")
    client.execute_command("IMG.PUT", "i100", picture(101))
    client.delete("i3", "both")
    client.hset("h", "f1", "alone")
    client.copy("i4", "i200")
    client.expire("i5", 1000)
    new.client().set("new", 1)
    client.execute_command("REPLICAOF", "127.0.0.1", new.port)
    until(lambda: rejoined(old))
    assert assert_same(new, old) == 53
    assert info(old)["replication_received_bytes"] < 100_000
    assert info(new)["replication_renewed_bodies"] == 0
    shown = Server(make(folder, "shown"), "--readonly", "yes", "--dir", quarantined(old)).start()
    try:
        client = shown.client()
        assert client.execute_command("IMG.GET", "i1") == picture(100)
        assert client.execute_command("IMG.GET", "i100") == picture(101)
        assert client.execute_command("IMG.GET", "i2") == picture(2)
        assert client.execute_command("IMG.INFO", "i2", "title")[1] == b"edited alone"
        assert client.hget("h", "f1") == b"alone" and client.hlen("h") == 200
        assert client.execute_command("IMG.GET", "i200") == picture(4)
        assert client.ttl("i5") > 900 and client.exists("both", "i3", "i6") == 0
    finally:
        shown.stop()


def test_what_is_gone_here_comes_from_the_leader(pair):  # noqa: F811
    """Without a history, what was overwritten alone may have left the disk."""
    wire = Wire()
    old, new = pair("--analysis", "no", "--history-window", "0", "--segment-bytes", "1mb", "--dedupe", "no",
                    wire=wire)
    client = old.client()
    for i in range(60):
        client.execute_command("IMG.PUT", f"i{i}", picture(i), "TITLE", f"title {i}")
        client.set(f"s{i}", random.Random(i).randbytes(20000))
    client.rpush("l", *["x" * 30] * 1000)
    part(old, new, wire)
    for turn in range(3):
        for i in range(30):
            client.execute_command("IMG.PUT", f"i{i}", picture(1000 + 100 * turn + i))
            client.set(f"s{i}", random.Random(1000 + i).randbytes(20000))
    client.delete("l")
    new.client().set("new", 1)
    client.execute_command("REPLICAOF", "127.0.0.1", new.port)
    until(lambda: rejoined(old))
    assert assert_same(new, old) == 122
    renewed = info(new)["replication_renewed_bodies"]
    assert 0 < renewed <= 30
    assert info(old)["replication_received_bytes"] < (renewed + 5) * 65_000 + 30 * 21_000


def test_a_follower_older_than_the_marks_is_sent_no_body_again(pair):  # noqa: F811
    leader, follower = pair("--analysis", "no", "--history-window", "0", "--segment-bytes", "1mb",
                            "--follower-max-absence", "1")
    client = leader.client()
    for i in range(60):
        client.execute_command("IMG.PUT", f"i{i}", picture(i))
    for i in range(2000):
        client.set(f"s{i}", "v" * 500)
    client.select(1)
    client.set("flushed", 1)
    client.select(0)
    in_sync(leader, follower)
    follower.stop()
    client.delete(*[f"i{i}" for i in range(0, 60, 3)], *[f"s{i}" for i in range(0, 2000, 2)])
    leader.client(db=1).flushdb()
    client.expire("i1", 5000)
    client.execute_command("IMG.EDIT", "i2", "TITLE", "edited")
    until(lambda: marks_are_given_up(leader))
    for turn in range(8):                 # and so the segments with the marks are used again
        for i in range(1, 2000, 2):
            client.set(f"s{i}", "w" * 600 + str(turn))
    follower.start()
    until(lambda: rejoined(follower))
    assert assert_same(leader, follower, (0, 1)) == 1040
    assert info(follower)["replication_rejoins"] == 1 and "TOOLATE" in follower.log()
    assert info(follower)["replication_received_bytes"] < 2_500_000
    assert info(leader)["replication_renewed_bodies"] == 0


def marks_are_given_up(leader):
    return info(leader)["repl_marks_from"] == -1


@pytest.mark.parametrize("who", ["old", "new"])
def test_a_kill_on_the_way_back_does_no_harm(pair, who):  # noqa: F811
    wire = Wire()
    old, new = pair("--analysis", "no", "--checkpoint-bytes", "200kb", wire=wire)
    write_all_kinds(old.client(), 1, 600)
    part(old, new, wire)
    write_all_kinds(old.client(), 2, 300)
    write_all_kinds(new.client(), 3, 300)
    old.client().execute_command("REPLICAOF", "127.0.0.1", new.port)
    until(lambda: "DIVERGED" in old.log())
    victim, master = (old, f"127.0.0.1 {new.port}") if who == "old" else (new, "")
    for more in (0, 2, 5):
        lines = len(old.log().splitlines())
        until(lambda: len(old.log().splitlines()) > lines + more or rejoined(old), 30)
        victim.kill()
        victim.start("--replicaof", master)
    until(lambda: rejoined(old))
    assert assert_same(new, old) > 50
    assert os.path.exists(os.path.join(old.folder, "data", "quarantine"))
    assert not os.path.exists(os.path.join(old.folder, "data", "rejoin"))


def test_a_shutdown_while_a_quarantined_store_is_removed(folder):
    kept = os.path.join(make(folder, "one"), "data", "quarantine", "1700000000000")
    os.makedirs(kept)
    for i in range(3000):
        open(os.path.join(kept, f"file{i}"), "wb").close()
    server = Server(os.path.join(folder, "one")).start()
    connection = server.client().connection_pool.get_connection("PING")
    connection.send_command("IMG.QUARANTINE", "DISCARD", "1700000000000")
    connection.send_command("SHUTDOWN", "NOSAVE")
    server.process.wait(timeout=20)
    assert server.process.returncode == 0 and len(os.listdir(kept)) < 3000
    assert "TINTYPE BUG" not in server.log()
    server.start()
    if os.listdir(kept):
        assert server.client().execute_command("IMG.QUARANTINE", "DISCARD", "1700000000000") == 1
    assert os.listdir(kept) == []
    server.stop()
