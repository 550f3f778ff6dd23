"""A follower has what its leader has: streaming, broken links, restarts, kills, promotion."""
import os
import random
import subprocess
import threading

import pytest
import redis
from conftest import Server, until
from images import png
from replicas import Wire, assert_same, in_sync, info, link_is_up, make, offset, start_pair


@pytest.fixture
def pair(folder):
    made = []

    def start(*options, **more):
        made.extend(start_pair(folder, *options, **more))
        return made[0], made[1]
    yield start
    for server in made:
        server.stop()
        assert "TINTYPE BUG" not in server.log()


def picture(n):
    """One of many, up to some 80 KB."""
    return png(40 + 4 * n, 40, noise=random.Random(n).randbytes)


def write_all_kinds(client, seed, count=400):
    """All types of keys, changed in every way that the log tells."""
    dice = random.Random(seed)
    for i in range(count):
        key = f"{dice.choice('shltzie')}{dice.randrange(40)}"
        kind, n = key[0], dice.randrange(10000)
        what = dice.randrange(12)
        if what == 0:
            client.delete(key)
        elif what == 1:
            client.pexpire(key, 10_000_000 + n)
        elif what == 2:
            client.persist(key)
        elif what == 3 and client.exists(key):
            client.rename(key, f"{kind}{dice.randrange(40)}")
        elif what == 4 and client.exists(key):
            client.copy(key, f"{kind}{40 + dice.randrange(40)}", replace=True)
        elif kind == "s":
            client.set(key, "x" * dice.choice((3, 300, 30000, 200000)), keepttl=dice.random() < 0.2)
        elif kind == "h":
            client.hset(key, mapping={f"f{dice.randrange(300)}": "v" * dice.randrange(200)
                                      for _ in range(dice.randrange(1, 100))})
        elif kind == "l":
            client.rpush(key, *[f"{n}-{j}" * 5 for j in range(dice.randrange(1, 80))])
            client.lpop(key, dice.randrange(1, 40))
        elif kind == "t":
            client.sadd(key, *range(n, n + dice.randrange(1, 600)))
            client.srem(key, n, n + 1)
        elif kind == "z":
            client.zadd(key, {f"m{dice.randrange(500)}": dice.random() for _ in range(60)})
        elif kind == "i":
            client.execute_command("IMG.PUT", key, picture(dice.randrange(30)), "TITLE", f"title {n}")
        else:
            with client.pipeline(transaction=True) as pipe:
                pipe.set(key, n).hset(f"h{n % 40}", "both", n).incr("counter")
                pipe.execute(raise_on_error=False)


def test_everything_written_arrives(pair):
    leader, follower = pair("--analysis", "no")
    write_all_kinds(leader.client(), 1)
    leader.client().wait(1, 10000)
    assert assert_same(leader, follower) > 100


def test_a_new_follower_gets_what_was_there_before(pair, folder):
    leader, follower = pair("--analysis", "no")
    follower.stop()
    write_all_kinds(leader.client(), 2, 800)
    leader.stop()
    leader.start()
    follower.start()
    assert assert_same(leader, follower) > 100


def test_a_cut_link_goes_on_where_it_ended(pair):
    wire = Wire()
    leader, follower = pair("--analysis", "no", wire=wire)
    for seed in range(4):
        write_all_kinds(leader.client(), seed, 100)
        wire.cut()
        write_all_kinds(leader.client(), seed + 50, 100)
        wire.heal()
        until(lambda: link_is_up(follower))
        assert_same(leader, follower)


def test_a_body_goes_on_in_the_middle(pair):
    wire = Wire()
    leader, follower = pair(wire=wire)
    big = random.Random(3).randbytes(12_000_000)
    wire.limit = wire.passed + 5_000_000
    leader.client().set("big", big)
    in_sync(leader, follower)
    assert follower.client().get("big") == big
    assert info(follower)["replication_bodies_resumed"] == 1
    assert wire.passed < 14_000_000


def test_a_value_of_many_segments_arrives_and_both_end(pair):
    leader, follower = pair("--analysis", "no")
    value = os.urandom(1 << 20) * 120           # of segments of 4 MiB
    leader.client(socket_timeout=60).set("long", value)
    in_sync(leader, follower)
    assert follower.client(socket_timeout=60).get("long") == value
    assert b"closed: invalid" not in open(follower.folder + "/log", "rb").read()
    for server in (follower, leader):
        server.stop()
    leader.start()
    assert leader.client(socket_timeout=60).get("long") == value


def test_long_values_that_die_on_their_way_are_not_missed(pair):
    """The leader reads one for its follower while the next takes its place, and its segments are used again."""
    leader, follower = pair("--analysis", "no", "--history-window", "0")
    client, value = leader.client(socket_timeout=60), os.urandom(1 << 20)
    pick = random.Random(3)
    for _ in range(12):
        pipe = client.pipeline(transaction=False)
        for i in range(40):
            pipe.set(f"long{pick.randrange(20)}", value * pick.randrange(4) + bytes(pick.randrange(900000)))
        pipe.execute()
    in_sync(leader, follower)
    assert_same(leader, follower)
    assert "cannot read all" not in follower.log()


def test_a_flipped_bit_is_noticed_and_sent_again(pair):
    wire = Wire()
    leader, follower = pair(wire=wire)
    wire.flip_at = wire.passed + 100_000
    value = random.Random(4).randbytes(400_000)
    leader.client().set("key", value)
    in_sync(leader, follower)
    assert follower.client().get("key") == value
    assert "corrupt" in follower.log()


@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_kill_under_load_loses_nothing_acknowledged(pair, who):
    leader, follower = pair("--analysis", "no", "--cache-appendfsync", "always")
    stop, acknowledged = threading.Event(), {}

    def write():
        dice = random.Random(5)
        client = leader.client()
        while not stop.is_set():
            key, value = f"k{dice.randrange(2000)}", dice.randbytes(dice.choice((10, 5000, 60000)))
            try:
                client.set(key, value)
                acknowledged[key.encode()] = value
            except redis.RedisError:
                acknowledged.pop(key.encode(), None)
    writer = threading.Thread(target=write)
    writer.start()
    victim = leader if who == "leader" else follower
    for _ in range(3):
        before = len(acknowledged)
        until(lambda: len(acknowledged) > before + 100 or len(acknowledged) > 1500)
        victim.kill()
        victim.start()
    stop.set()
    writer.join()
    until(lambda: link_is_up(follower))
    assert_same(leader, follower)
    client = follower.client()
    for key, value in acknowledged.items():
        assert client.get(key) == value


def test_the_cleaner_at_work_takes_nothing_from_a_follower_that_is_away(pair):
    wire = Wire()
    leader, follower = pair("--analysis", "no", "--disk-bytes-max", "120mb", "--history-window", "0",
                            wire=wire)
    client, dice = leader.client(), random.Random(6)
    for i in range(300):
        client.set(f"old{i}", dice.randbytes(20000))
    in_sync(leader, follower)
    wire.cut()
    for i in range(0, 300, 2):
        client.delete(f"old{i}")
    for i in range(6000):
        client.set(f"k{dice.randrange(1000)}", dice.randbytes(30000))
    assert client.info("store")["cleaner_victims"] > 0
    wire.heal()
    until(lambda: link_is_up(follower))
    assert assert_same(leader, follower) > 1000


def test_flush_expiry_and_groups(pair):
    leader, follower = pair()
    a, b = leader.client(), follower.client()
    a.mset({f"m{i}": i for i in range(50)})
    a.flushdb()
    a.set("short", "x", px=300)
    a.set("long", "x")
    with a.pipeline(transaction=True) as pipe:
        for i in range(20):
            pipe.set(f"e{i}", i)
        pipe.execute()
    in_sync(leader, follower)
    assert b.dbsize() in (21, 22)
    until(lambda: b.get("short") is None)
    until(lambda: a.dbsize() == 21)
    assert_same(leader, follower)


def test_a_follower_hides_what_expired_and_leaves_it_to_its_leader(pair):
    wire = Wire()
    leader, follower = pair(wire=wire)
    leader.client().set("short", "x", px=700)
    in_sync(leader, follower)
    wire.cut()
    b = follower.client()
    until(lambda: b.get("short") is None)
    assert b.exists("short") == 0 and b.dbsize() == 1
    assert offset(follower) <= offset(leader)


def test_writes_to_a_follower_are_refused_as_redis_does(pair):
    leader, follower = pair()
    assert [one["flags"] for one in leader.client().client_list(_type="replica")] == ["S"]
    client = follower.client()
    with pytest.raises(redis.exceptions.ReadOnlyError,
                       match="You can't write against a read only replica"):
        client.set("a", 1)
    with pytest.raises(redis.exceptions.ReadOnlyError, match="You can't write against a read only replica"):
        client.execute_command("ACL", "SETUSER", "somebody", "on")
    with pytest.raises(redis.ResponseError, match="WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if"):
        client.execute_command("WAIT", 0, 1)


def test_a_stale_follower_may_be_told_not_to_serve(pair):
    wire = Wire()
    leader, follower = pair(wire=wire)
    follower.client().config_set("replica-serve-stale-data", "no")
    leader.client().set("a", 1)
    in_sync(leader, follower)
    assert follower.client().get("a") == b"1"
    wire.cut()
    until(lambda: not link_is_up(follower))
    with pytest.raises(redis.exceptions.ResponseError, match="MASTERDOWN Link with MASTER is down"):
        follower.client().get("a")


def test_wait_and_min_replicas(pair):
    wire = Wire()
    leader, follower = pair("--repl-timeout", "2", wire=wire)
    client = leader.client()
    client.set("a", 1)
    assert client.wait(1, 5000) == 1
    assert client.execute_command("WAITAOF", 1, 1, 5000) == [1, 1]
    client.config_set("min-replicas-to-write", 1)
    client.set("a", 2)
    wire.cut()
    until(lambda: info(leader)["connected_slaves"] == 0)
    with pytest.raises(redis.exceptions.ResponseError, match="NOREPLICAS Not enough good replicas"):
        client.set("a", 3)
    client.config_set("min-replicas-to-write", 0)
    client.set("a", 4)
    assert client.wait(1, 200) == 0
    wire.heal()
    assert client.wait(1, 10000) == 1


def test_a_quorum_acknowledges_only_what_followers_have(pair):
    wire = Wire()
    leader, follower = pair("--min-replicas-to-ack", "1", wire=wire)
    client = leader.client()
    client.set("a", 1)
    assert follower.client().get("a") == b"1"
    wire.cut()
    hasty = redis.Redis(port=leader.port, socket_timeout=0.5)
    with pytest.raises(redis.exceptions.TimeoutError):
        hasty.set("b", 1)
    wire.heal()
    client.set("c", 1)
    assert follower.client().get("b") == b"1"


def test_a_promoted_follower_leads_and_the_old_leader_follows(pair):
    leader, follower = pair("--analysis", "no")
    write_all_kinds(leader.client(), 8, 200)
    in_sync(leader, follower)
    follower.client().execute_command("REPLICAOF", "NO", "ONE")
    assert follower.client().role()[0] == b"master"
    leader.client().execute_command("REPLICAOF", "127.0.0.1", follower.port)
    write_all_kinds(follower.client(), 9, 200)
    until(lambda: link_is_up(leader))
    assert assert_same(follower, leader) > 60
    assert info(leader)["replication_epoch"] == 2
    for server in leader, follower:
        server.stop()
    at = follower.options.index("--replicaof")
    del follower.options[at:at + 2]
    follower.start()
    leader.start("--replicaof", f"127.0.0.1 {follower.port}")
    until(lambda: link_is_up(leader))
    assert assert_same(follower, leader) > 60


def test_a_follower_can_be_followed(pair, folder):
    leader, follower = pair("--analysis", "no")
    third = Server(make(folder, "third"), "--replicaof", f"127.0.0.1 {follower.port}").start()
    try:
        write_all_kinds(leader.client(), 10, 200)
        assert_same(leader, follower)
        assert assert_same(leader, third) > 60
        assert info(follower)["connected_slaves"] == 1
    finally:
        third.stop()


def test_a_slow_follower_costs_little_memory(pair):
    wire = Wire()
    leader, follower = pair("--analysis", "no", wire=wire)
    wire.stalled.clear()
    client = leader.client()
    for i in range(300):
        client.set(f"k{i}", random.Random(i).randbytes(300_000))
    assert info(leader)["slave0"]["memory"] < 8 << 20
    wire.stalled.set()
    assert assert_same(leader, follower) == 300


def test_images_and_their_analysis_arrive(pair):
    leader, follower = pair()
    client = leader.client()
    for i in range(6):
        client.execute_command("IMG.PUT", f"i{i}", picture(i), "TAGS", "a,b", "TITLE", f"red {i}")
    until(lambda: client.execute_command("IMG.INFO", "i5", "phash") != [b"phash", None])
    assert assert_same(leader, follower) == 6
    found = follower.client().execute_command("IMG.SEARCH", "red", "NOCONTENT")
    assert found == client.execute_command("IMG.SEARCH", "red", "NOCONTENT") and found[0] == 6


def test_what_only_a_deposed_leader_had_is_kept_aside(pair):
    wire = Wire()
    leader, follower = pair("--analysis", "no", wire=wire)
    leader.client().set("both", 1)
    in_sync(leader, follower)
    wire.cut()
    leader.client().set("lost", "only here", ex=1000)
    leader.client().set("both", 2)
    follower.client().execute_command("REPLICAOF", "NO", "ONE")
    follower.client().set("new", 1)
    leader.client().execute_command("REPLICAOF", "127.0.0.1", follower.port)
    until(lambda: link_is_up(leader))
    assert assert_same(follower, leader) == 2
    folder = os.path.join(leader.folder, "data", "quarantine")
    kept = os.path.join(folder, os.listdir(folder)[0])
    old = Server(make(leader.folder, "old"), "--readonly", "yes", "--dir", kept).start()
    try:
        assert old.client().get("lost") == b"only here" and old.client().get("both") == b"2"
    finally:
        old.stop()
    client = leader.client()
    [[name, size, files]] = client.execute_command("IMG.QUARANTINE", "LIST")
    assert client.execute_command("IMG.QUARANTINE", "GET", name).decode() == kept
    assert size > 4 << 20 and files > 3 and info(leader)["quarantined_stores"] == 1
    assert client.execute_command("IMG.QUARANTINE", "DISCARD", name) == 1
    assert client.execute_command("IMG.QUARANTINE", "LIST") == [] and os.listdir(kept) == []


def test_a_leader_of_another_lineage_takes_the_place_of_what_was_there(pair, folder):
    leader, follower = pair("--analysis", "no")
    stranger = Server(make(folder, "stranger"), "--analysis", "no").start()
    try:
        stranger.client().set("strange", 1)
        leader.client().set("a", 1)
        in_sync(leader, follower)
        follower.client().execute_command("REPLICAOF", "127.0.0.1", stranger.port)
        until(lambda: link_is_up(follower))
        assert assert_same(stranger, follower) == 1
    finally:
        stranger.stop()


def test_failover_hands_over_without_a_lost_write(pair):
    leader, follower = pair("--analysis", "no")
    written, client, stop = [], leader.client(), threading.Event()

    def write():
        n = 0
        while not stop.is_set():
            try:
                client.set(f"k{n}", n)
                written.append(n)
                n += 1
            except redis.exceptions.ReadOnlyError:
                return
    writer = threading.Thread(target=write)
    writer.start()
    until(lambda: len(written) > 200)
    assert client.execute_command("FAILOVER", "TIMEOUT", "20000")
    until(lambda: info(leader)["role"] == "slave" and link_is_up(leader))
    writer.join()
    assert follower.client().role()[0] == b"master"
    assert all(follower.client().get(f"k{n}") == str(n).encode() for n in written)
    assert assert_same(follower, leader) >= len(written)
    assert not os.path.exists(os.path.join(leader.folder, "data", "quarantine"))


def test_failover_can_be_aborted_and_times_out(pair):
    wire = Wire()
    leader, follower = pair(wire=wire)
    client = leader.client()
    with pytest.raises(redis.ResponseError, match="is not a replica"):
        client.execute_command("FAILOVER", "TO", "127.0.0.1", "1")
    with pytest.raises(redis.ResponseError, match="is not valid when server is a replica"):
        follower.client().execute_command("FAILOVER")
    wire.stalled.clear()
    client.set("a", 1)
    client.execute_command("FAILOVER", "TIMEOUT", "300")
    assert info(leader)["master_failover_state"] == "waiting-for-sync"
    until(lambda: info(leader)["master_failover_state"] == "no-failover")
    client.execute_command("FAILOVER")
    client.execute_command("FAILOVER", "ABORT")
    client.set("a", 2)
    wire.stalled.set()
    assert assert_same(leader, follower) == 1


def test_copies_of_small_images_find_their_bodies(pair):
    leader, follower = pair("--analysis", "no", "--dedupe", "no")
    client = leader.client()
    for i in range(40):
        client.execute_command("IMG.PUT", f"i{i}", png(3 + i % 5, 3), "TITLE", f"title {i}")
    for i in range(40):
        client.copy(f"i{i}", f"c{i}")
        client.rename(f"i{i}", f"r{i}")
        with client.pipeline(transaction=True) as pipe:
            pipe.execute_command("IMG.PUT", f"p{i}", png(4, 4))
            pipe.copy(f"p{i}", f"q{i}")
            pipe.execute()
    assert assert_same(leader, follower) == 160
    assert info(follower)["replication_lost_links"] == info(follower)["replication_rejoins"] == 0


@pytest.fixture
def small_disk(folder):
    """The follower's data lie on a disk of their own, of 40 MB."""
    data = os.path.join(make(folder, "follower"), "data")
    os.makedirs(data)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", data], capture_output=True)
    if done.returncode != 0:
        pytest.skip("mounting a tmpfs is not permitted here")
    yield data
    subprocess.run(["umount", "-l", data], check=True)


def test_a_follower_with_a_full_disk_stops_and_goes_on_by_itself(pair, small_disk):
    leader, follower = pair("--analysis", "no")
    client = leader.client()
    for i in range(60):
        client.set(f"k{i}", random.Random(i).randbytes(1_000_000))
    until(lambda: info(follower)["slave_stopped_by"] == "disk-full")
    assert link_is_up(follower) and offset(follower) < offset(leader)
    until(lambda: info(follower)["master_lag_records"] > 0 and info(follower)["master_lag_seconds"] > 0)
    assert follower.client().get("k0") == random.Random(0).randbytes(1_000_000)
    received = info(follower)["replication_received_bytes"]
    subprocess.run(["mount", "-o", "remount,size=300m", small_disk], check=True)
    until(lambda: info(follower)["slave_stopped_by"] == "no")
    assert assert_same(leader, follower) == 60
    assert info(follower)["replication_received_bytes"] - received < 50_000_000
    until(lambda: info(follower)["master_lag_records"] == info(follower)["master_lag_seconds"] == 0)


def test_the_lag_grows_while_nothing_is_heard(pair):
    wire = Wire()
    leader, follower = pair("--repl-ping-replica-period", "1", wire=wire)
    leader.client().set("a", 1)
    in_sync(leader, follower)
    assert info(follower)["master_lag_seconds"] == 0
    wire.stalled.clear()
    until(lambda: info(follower)["master_lag_seconds"] >= 3)
    assert link_is_up(follower)
    wire.stalled.set()
    until(lambda: info(follower)["master_lag_seconds"] == 0)
