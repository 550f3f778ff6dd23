"""IMG.DIGEST and tintype-compare: the same on two servers, and which keys are not."""
import os
import random
import shutil
import subprocess
import threading

import pytest
import redis

from conftest import until
from images import png, put

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../utils/tintype-compare")


def compare(a, b, *words):
    done = subprocess.run([TOOL, f"127.0.0.1:{a.port}", f"127.0.0.1:{b.port}", "--settle", "0.05", *words],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode < 2, done.stderr
    return done.returncode, done.stdout


def sums(client, buckets=256):
    reply = client.execute_command("IMG.DIGEST", "BUCKETS", buckets)
    return list(zip(reply[0::2], reply[1::2]))


def fill(client, order):
    """One of each kind, in an order of its own: neither tables nor seeds may matter."""
    steps = [lambda: client.set("string", "value"), lambda: client.set("number", 42),
             lambda: client.set("long", b"x" * 3_000_000), lambda: client.set("empty", ""),
             lambda: client.rpush("list", *range(300)), lambda: client.set("dies", "v", pxat=4102444800123)]
    for kind, count in (("few", 20), ("many", 30000)):
        names = [f"m{i}" for i in range(count)]
        order.shuffle(names)
        steps.append(lambda kind=kind, names=names: client.sadd(kind + ".set", *names))
        steps.append(lambda kind=kind, names=names: client.hset(kind + ".hash", mapping={n: n * 2 for n in names}))
        steps.append(lambda kind=kind, names=names: client.zadd(kind + ".zset", {n: int(n[1:]) % 7 for n in names}))
    order.shuffle(steps)
    for step in steps:
        step()


@pytest.fixture
def two(make_server, folder):
    return make_server(), make_server("--dir", os.path.join(folder, "second"), "--hash-max-listpack-entries", "4", "--set-max-listpack-entries", "4")


def test_same_whatever_the_order_and_the_form(two):
    for server, seed in zip(two, (1, 2)):
        fill(server.client(), random.Random(seed))
        server.client(db=3).set("elsewhere", "v")
    code, said = compare(*two)
    assert code == 0 and "db0: the same, 12 keys" in said and "db3: the same, 1 keys" in said


def test_every_difference_is_found(two):
    a, b = (server.client() for server in two)
    for client in (a, b):
        fill(client, random.Random(3))
    assert compare(*two)[0] == 0
    changes = {"string": lambda: b.append("string", "!"), "many.hash": lambda: b.hset("many.hash", "m7", "other"),
               "list": lambda: b.lset("list", 5, "other"), "many.set": lambda: b.srem("many.set", "m9"),
               "few.zset": lambda: b.zincrby("few.zset", 1, "m3"), "dies": lambda: b.pexpireat("dies", 4102444800124),
               "long": lambda: b.setrange("long", 2_999_999, "y"), "new": lambda: b.set("new", "v"),
               "empty": lambda: b.delete("empty"), "number": lambda: (b.delete("number"), b.rpush("number", 42))}
    for change in changes.values():
        change()
    code, said = compare(*two)
    lines = dict(reversed(line.split(": ")[1:]) for line in said.splitlines() if line.count(": ") == 2)
    assert code == 1 and lines == {key: "differs" for key in changes} | {"new": "only in B", "empty": "only in A"}
    assert f"{len(changes)} keys differ" in said


def test_bucket_of_a_key_alone_changes(client):
    for i in range(1000):
        client.set(f"key{i}", i)
    before = sums(client)
    assert sum(keys for keys, _ in before) == 1000
    client.set("key7", "other")
    changed = [at for at, pair in enumerate(sums(client)) if pair != before[at]]
    assert len(changed) == 1
    keys = client.execute_command("IMG.DIGEST", "KEYS", changed[0])[0::2]
    assert b"key7" in keys and len(keys) == before[changed[0]][0]
    client.set("key7", 7)
    assert sums(client) == before
    for words in (("BUCKETS", 3), ("BUCKETS", 131072), ("KEYS", 256), ("KEYS",), ("LIMIT", 0), ("NONSENSE",)):
        with pytest.raises(redis.ResponseError):
            client.execute_command("IMG.DIGEST", *words)


def test_images_read_from_disk_and_from_memory(make_server, folder):
    server = make_server("--analysis", "no", "--meta-memory", "1mb")
    client = server.client()
    for i in range(300):
        put(client, f"image{i}", png(i + 1, 8), "TITLE", f"title {i}")
    client.expire("image5", 1000)
    before = sums(client, 1024)
    server.stop()
    server.start()
    client = server.client()
    assert sums(client, 1024) == before and client.info("store")["disk_reads"] > 0
    server.stop()
    shutil.copytree(os.path.join(folder, "data"), os.path.join(folder, "copy"))
    server.start()
    copy = make_server("--dir", os.path.join(folder, "copy"), "--analysis", "no")
    assert compare(server, copy) == (0, compare(server, server)[1])
    copy.client().execute_command("IMG.EDIT", "image9", "TITLE", "another")
    put(copy.client(), "image10", png(77, 9))
    code, said = compare(server, copy)
    assert code == 1 and "differs: image9\n" in said and "differs: image10\n" in said and "2 keys differ" in said


def test_while_both_are_written_to(two):
    stop = threading.Event()

    def write(client):
        while not stop.is_set():
            client.incr("counter")
            client.hset("many.hash", "m1", random.random())
    for server in two:
        server.client().hset("many.hash", mapping={f"m{i}": i for i in range(20000)})
        server.client().set("still", "v")
    two[1].client().set("still", "w")
    threads = [threading.Thread(target=write, args=(server.client(),)) for server in two]
    for thread in threads:
        thread.start()
    try:
        until(lambda: two[1].client().get("counter"))
        code, said = compare(*two)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert code == 1 and "differs: still\n" in said


def test_it_works_in_slices(client):
    client.hset("hash", mapping={f"field{i}": i for i in range(200000)})
    client.set("string", bytes(64 << 20))
    replies = []
    worker = threading.Thread(target=lambda: replies.append(sums(client)))
    worker.start()
    other = redis.Redis(port=client.connection_pool.connection_kwargs["port"])
    count = 0
    while worker.is_alive():
        other.ping()
        count += 1
    worker.join()
    assert count > 5 and sum(keys for keys, _ in replies[0]) == 2


def test_trouble_is_told(two):
    done = subprocess.run([TOOL, "127.0.0.1:1", f"127.0.0.1:{two[0].port}"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "127.0.0.1:1" in done.stderr
    two[1].client().config_set("requirepass", "sesame")
    done = subprocess.run([TOOL, f"127.0.0.1:{two[0].port}", f"127.0.0.1:{two[1].port}"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and "NOAUTH" in done.stderr
    two[0].client().set("k", "v")
    done = subprocess.run([TOOL, f"127.0.0.1:{two[0].port}", f"redis://:sesame@127.0.0.1:{two[1].port}", "--settle", "0"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "only in A: k" in done.stdout
