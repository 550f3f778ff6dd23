"""maxmemory: every policy, images that stay, counters, notifications."""
import pytest
import redis

from conftest import until
from wire import Wire

MIB = 1 << 20


def counted(client):
    info = client.info("memory")
    return info["used_memory"] - info["mem_not_counted_for_evict"]


def limit(client, extra):
    """maxmemory: so much more than now."""
    client.flushall()
    client.config_set("maxmemory", counted(client) + extra)


def fill(client, name, count, size=1000, **options):
    for first in range(0, count, 100):
        pipe = client.pipeline(transaction=False)
        for i in range(first, min(first + 100, count)):
            pipe.set(f"{name}:{i}", bytes(size), **options)
        pipe.execute()


def left(client, name, count):
    return client.exists(*[f"{name}:{i}" for i in range(count)])


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
                                    "volatile-random", "volatile-ttl"])
def test_memory_stays_within_the_limit(client, policy):
    client.config_set("maxmemory-policy", policy)
    limit(client, 8 * MIB)
    assert client.info("memory")["maxmemory_policy"] == policy
    fill(client, "k", 30_000, ex=1000 if policy.startswith("volatile") else None)
    info = client.info()
    assert info["evicted_keys"] > 10_000 and counted(client) < info["maxmemory"] + MIB
    assert 3_000 < client.dbsize() == 30_000 - info["evicted_keys"]


def test_what_is_used_stays(client):
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory-samples", 10)
    limit(client, 8 * MIB)
    fill(client, "used", 500)
    fill(client, "idle", 3000)
    until(lambda: client.object("idletime", "idle:0") >= 2)         # it is counted in seconds
    pipe = client.pipeline(transaction=False)
    for i in range(500):
        pipe.get(f"used:{i}")
    pipe.execute()
    fill(client, "new", 6500)
    assert left(client, "used", 500) > 450
    assert left(client, "idle", 3000) < 2000


def test_what_is_used_often_stays(client):
    client.config_set("maxmemory-policy", "allkeys-lfu")
    client.config_set("lfu-log-factor", 1)
    limit(client, 8 * MIB)
    fill(client, "often", 300)
    for _ in range(30):
        pipe = client.pipeline(transaction=False)
        for i in range(300):
            pipe.get(f"often:{i}")
        pipe.execute()
    assert client.object("freq", "often:1") > 5
    with pytest.raises(redis.ResponseError, match="LFU maxmemory policy is selected, idle time not tracked"):
        client.object("idletime", "often:1")
    fill(client, "once", 30_000)
    assert left(client, "often", 300) > 290


def test_the_nearest_deadline_goes_first(client):
    client.config_set("maxmemory-policy", "volatile-ttl")
    client.config_set("maxmemory-samples", 32)
    limit(client, 8 * MIB)
    fill(client, "kept", 500)
    fill(client, "late", 1000, ex=100_000)
    fill(client, "soon", 20_000, ex=1000)
    assert left(client, "kept", 500) == 500
    assert left(client, "late", 1000) > 900 and left(client, "soon", 20_000) < 8_000


def test_without_candidates_there_is_an_error(client):
    client.config_set("maxmemory-policy", "volatile-lru")
    limit(client, 4 * MIB)
    with pytest.raises(redis.ResponseError, match="OOM command not allowed"):
        fill(client, "k", 10_000)
    assert client.get("k:0") == bytes(1000)


def test_images_do_not_die_of_it(client, photos):
    client.config_set("maxmemory-policy", "allkeys-random")
    for name, photo in photos.items():
        client.execute_command("IMG.PUT", name, photo)
    client.config_set("maxmemory", counted(client) + 2 * MIB)
    fill(client, "k", 20_000)
    assert client.info("stats")["evicted_keys"] > 0
    for name, photo in photos.items():
        assert client.execute_command("IMG.GET", name) == photo


def test_evictions_are_told_and_survive(server):
    client = server.client()
    client.config_set("notify-keyspace-events", "Ee")
    client.config_set("maxmemory-policy", "allkeys-lru")
    with Wire(server.port) as wire:
        wire.command("SUBSCRIBE", "__keyevent@0__:evicted")
        limit(client, 4 * MIB)
        fill(client, "k", 6000)
        gone = [wire.read()[2] for _ in range(client.info("stats")["evicted_keys"])]
    assert len(set(gone)) == len(gone) and client.exists(*gone) == 0
    size = client.dbsize()
    until(lambda: client.execute_command("WAITAOF", 1, 0, 1000)[0] == 1)
    server.kill()
    server.start("--maxmemory-policy", "noeviction")
    assert server.client().dbsize() == size


def test_a_transaction_is_not_evicted_between_its_commands(client):
    client.config_set("maxmemory-policy", "allkeys-random")
    limit(client, 4 * MIB)
    fill(client, "k", 6000)
    pipe = client.pipeline()
    for i in range(50):
        pipe.set(f"t:{i}", bytes(1000))
    pipe.exists(*[f"t:{i}" for i in range(50)])
    assert pipe.execute()[-1] == 50
