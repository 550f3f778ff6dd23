"""A follower that is no prefix of its leader becomes one in place: what both have is not sent again."""
import os
import random
import struct

import pytest
import redis
from conftest import Server, until
from images import png
from replicas import Wire, assert_same, in_sync, info, link_is_up, make, start_pair
from test_faults import crc32c
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
                            "--follower-max-absence", "3")
    client = leader.client()
    for i in range(60):
        client.execute_command("IMG.PUT", f"i{i}", picture(i))
    churn(client, "c", 300)
    for i in range(250):                  # in segments of their own, which go with them
        client.set(f"s{i}", "v" * 10000)
    for name in "gone", "stays":
        client.execute_command("ACL", "SETUSER", name, "on", ">word", "~*", "+@all")
    client.execute_command("IMG.TIER", "POLICY", "SET", "old", "WARM", "5d")
    for name in "shade", "depth":
        client.execute_command("IMG.INDEX", "ADD", name, "TYPE", "numeric")
    client.execute_command("SWAPDB", 5, 6)
    leader.client(db=1).set("flushed", 1)
    churn(client, "c", 300)
    in_sync(leader, follower)
    follower.stop()
    client.expire("i1", 5000)
    client.execute_command("IMG.EDIT", "i2", "TITLE", "edited")
    churn(client, "c", 300)
    client.delete(*[f"s{i}" for i in range(250)])
    leader.client(db=1).flushdb()
    client.execute_command("ACL", "DELUSER", "gone")
    client.execute_command("IMG.TIER", "POLICY", "DEL", "old")
    client.execute_command("IMG.INDEX", "DEL", "shade")
    leader.client(db=5).set("in", "six")
    churn(client, "c", 300)
    until(lambda: marks_are_given_up(leader))
    churn(client, "c", 1000)              # and so the segments with the marks are used again
    follower.start()
    until(lambda: rejoined(follower))
    assert assert_same(leader, follower, (0, 1, 5, 6)) == 111
    found = info(follower)
    assert found["replication_rejoins"] == 1 and "TOOLATE" in follower.log()
    assert found["replication_received_bytes"] < 1_500_000
    assert info(leader)["replication_renewed_bodies"] == 0
    assert client.acl_list() == follower.client().acl_list() and len(client.acl_list()) == 2
    declared = client.execute_command("IMG.INDEX", "LIST")
    assert follower.client().execute_command("IMG.INDEX", "LIST") == declared and len(declared) == 1
    follower.client().execute_command("REPLICAOF", "NO", "ONE")
    listed = follower.client().execute_command("IMG.TIER", "POLICY", "LIST")
    assert listed == client.execute_command("IMG.TIER", "POLICY", "LIST") and b"old" not in str(listed).encode()


def churn(client, prefix, count):
    for i in range(count):
        client.set(f"{prefix}{i % 50}", random.Random(i).randbytes(10000))


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


def say(link, number, *words):
    """What a follower says, with the check behind it: see repl/frame.h."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    crc = crc32c(b"".join(struct.pack("<I", len(word)) + word for word in words))
    link.send_command(*words, b"%08x" % (crc ^ number * 0x9E3779B1 % (1 << 32)))


def test_the_leader_writes_down_what_it_has_not(pair):  # noqa: F811
    """As a follower would ask that has keys, users and versions of which the leader knows nothing."""
    leader, follower = pair("--analysis", "no")
    client = leader.client()
    client.set("here", 1)
    client.execute_command("IMG.PUT", "image", picture(1))
    client.execute_command("ACL", "SETUSER", "known", "on", ">word")
    in_sync(leader, follower)
    last, lineage = info(leader)["master_repl_offset"], info(leader)["master_replid"]
    link = leader.client().connection_pool.get_connection("PING")
    say(link, 0, "IMG.SYNC", lineage, "1:1:00000000", last, 1 << 26, 0, 0, "COMPARE", last, last)
    assert link.read_response().startswith(b"SYNC")
    keys = (0, "absent"), (0, "here"), (0, "image"), (255, "user:unknown"), (255, "user:known")
    for number, (db, key) in enumerate(keys, 1):
        say(link, number, "REPLCONF", "RENEW", db, 0, 1, 0, 0, key)
    say(link, 6, "REPLCONF", "RENEWED", 1)
    until(lambda: info(leader)["replication_renewed_keys"] == 5)
    assert info(leader)["replication_renewed_bodies"] == 1
    assert info(leader)["master_repl_offset"] == last + 4      # the user that is known takes none
    link.disconnect()
    assert assert_same(leader, follower) == 2


def test_what_a_follower_says_is_checked(pair):  # noqa: F811
    """A damaged request starts nothing; a damaged word on a link ends it, and counts for nothing."""
    leader, _ = pair("--analysis", "no")
    last, lineage = info(leader)["master_repl_offset"], info(leader)["master_replid"]
    link = leader.client().connection_pool.get_connection("PING")
    link.send_command("IMG.SYNC", lineage, "1:1:00000000", last, 1 << 26, 0, 0, "00000000")
    with pytest.raises(redis.ResponseError, match="check"):
        link.read_response()
    say(link, 0, "IMG.SYNC", lineage, "1:1:00000000", last, 1 << 26, 0, 0)
    assert link.read_response().startswith(b"SYNC")
    until(lambda: info(leader)["connected_slaves"] == 2)
    say(link, 2, "REPLCONF", "ACK", last, last, last)          # a word before this one was lost
    until(lambda: info(leader)["connected_slaves"] == 1)
    link.disconnect()
