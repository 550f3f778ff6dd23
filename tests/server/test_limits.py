"""What is full, slow or too much: bounded memory, typed errors, and it passes by itself."""
import os
import resource
import socket
import subprocess
import time

import pytest
import redis

from conftest import until
from images import get, png, put
from wire import Wire, encode

MIB = 1 << 20


def memory_apart_from_bodies(client):
    info = client.info("memory")
    return info["used_memory"] - info["memory_bodies"] - info["memory_values"]


@pytest.mark.parametrize("kind", ["image", "string"])
def test_a_client_that_never_reads_costs_little(server, kind):
    client = server.client()
    body = png(8, 8) + os.urandom(8 * MIB)
    if kind == "image":
        put(client, "k", body)
    else:
        client.set("k", body)
    client.execute_command("IMG.GET" if kind == "image" else "GET", "k")
    before, bodies = memory_apart_from_bodies(client), client.info("memory")["memory_bodies"]
    with Wire(server.port, timeout=60) as wire:
        wire.send(encode("IMG.GET" if kind == "image" else "GET", "k") * 64)
        until(lambda: client.info("clients")["connected_clients"] == 2)
        until(lambda: client.info("stats")["total_net_output_bytes"] > 100000)
        client.set("other", "served")
        assert memory_apart_from_bodies(client) - before < 64 << 10
        assert client.info("memory")["memory_bodies"] - bodies <= len(body) + MIB
        assert sum(wire.read() == body for _ in range(64)) == 64


@pytest.mark.parametrize("kind", ["image", "string"])
@pytest.mark.parametrize("backend", ["auto", "epoll"])
@pytest.mark.parametrize("size", [30_000, 150_000])
def test_what_was_sent_stays_as_it_was(make_server, backend, kind, size):
    """Long values leave as pages, not as copies: a client that reads late gets the bytes of its time,
    whatever has become of the key, and of the memory, meanwhile."""
    server = make_server("--io-backend", backend, "--hot-memory", "1mb", "--body-memory", "16mb")
    client = server.client()
    word, store = ("IMG.GET", put) if kind == "image" else ("GET", lambda c, key, value: c.set(key, value))
    old = png(8, 8) + os.urandom(size)
    new = [png(8, 8) + bytes([i]) * (size + 1000) for i in range(200)]
    store(client, "k", old)
    for _ in range(3):
        assert client.execute_command(word, "k") == old
    with Wire(server.port, timeout=60) as wire:
        wire.send(encode(word, "k") * 3)
        until(lambda: client.info("stats")["total_net_output_bytes"] > 5 * len(old))
        client.delete("k")
        for i, value in enumerate(new * (3 if size < 100_000 else 1)):    # takes the memory that was its own
            store(client, f"other{i % 50}", value)
        pipe = client.pipeline(transaction=False)                   # and that of what stood around it
        for _ in range(140 if size < 100_000 else 0):
            assert all(pipe.execute_command(word, "other49") is pipe for _ in range(60))
            assert set(pipe.execute()) == {new[-1]}
        assert [wire.read() == old for _ in range(3)] == [True] * 3
    for _ in range(3):
        assert client.execute_command(word, "other49") == new[-1]


def test_ten_thousand_connections(make_server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10000
    if hard < wanted + 500:
        pytest.skip(f"ulimit -n is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 500), hard))
    server = make_server("--maxclients", str(wanted + 1), "--tcp-backlog", "4096")
    client = server.client()
    before = client.info("memory")["used_memory"]
    held = []
    try:
        for _ in range(wanted):
            held.append(socket.create_connection(("127.0.0.1", server.port), timeout=30))
        until(lambda: client.info("clients")["connected_clients"] == wanted + 1)
        each = (client.info("memory")["used_memory"] - before) / wanted
        assert each <= 4096
        for connection in held:
            connection.sendall(b"PING\r\n")
        assert all(connection.recv(64) == b"+PONG\r\n" for connection in held)
        with Wire(server.port) as wire:
            assert wire.line() == b"-ERR max number of clients reached"
        assert client.set("k", "v") and client.get("k") == b"v"
    finally:
        for connection in held:
            connection.close()
    until(lambda: client.info("clients")["connected_clients"] == 1)


@pytest.fixture(params=["disk-bytes-max", "tmpfs"])
def small_disk(request, folder, make_server):
    if request.param == "disk-bytes-max":
        yield lambda: make_server("--disk-bytes-max", "48mb")
        return
    data = os.path.join(folder, "data")
    os.mkdir(data)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", data], capture_output=True)
    if done.returncode != 0:
        pytest.skip("mounting a tmpfs is not permitted here")
    servers = []

    def make():
        servers.append(make_server())
        return servers[-1]
    yield make
    for server in servers:
        server.stop()
    subprocess.run(["umount", data], check=True)


def fill(client, prefix="k", patience=0):
    """Puts images until the disk has been full for so many seconds; how many fit."""
    count, body, last = 0, png(4, 4) + os.urandom(900000), time.monotonic()
    while count < 200:
        try:
            put(client, f"{prefix}{count}", body + b"%04d" % count)
            count, last = count + 1, time.monotonic()
        except redis.ResponseError as error:
            assert str(error).startswith("DISKFULL")
            if time.monotonic() >= last + patience:
                return count, body
    raise AssertionError("the disk never became full")


def test_a_full_disk_refuses_and_recovers_by_itself(small_disk):
    server = small_disk()
    client = server.client()
    count, body = fill(client)
    assert count > 10
    for again in range(2):
        with pytest.raises(redis.ResponseError, match="^DISKFULL"):
            put(client, "more", body)
        assert get(client, "k3") == body + b"0003" and client.dbsize() == count
        assert client.ping() and client.execute_command("IMG.SEARCH", "*", "NOCONTENT")[0] == count
        if not again:
            server.kill()
            server.start()
            client = server.client()
    for i in range(count):
        assert client.delete(f"k{i}") == 1

    def put_again():
        try:
            return put(client, "again", body)
        except redis.ResponseError as error:
            assert str(error).startswith("DISKFULL")
            return None
    until(put_again)
    assert get(client, "again") == body
    second, _ = fill(client, "second", patience=5)       # what was deleted is still being freed
    assert second > count // 2
    server.kill()
    server.start()
    client = server.client()
    assert client.dbsize() == second + 1 and get(client, "again") == body


def test_an_image_larger_than_the_disk_may_hold_is_refused_at_once(make_server):
    server = make_server("--disk-bytes-max", "48mb")
    client = server.client()
    with pytest.raises(redis.ResponseError, match="^DISKFULL"):
        put(client, "large", png(4, 4) + bytes(60 * MIB))
    assert put(client, "small", png(4, 4)) and client.dbsize() == 1


def test_more_than_the_body_memory_is_refused(make_server):
    server = make_server("--body-memory", "16mb", "--hot-memory", "4mb")
    with Wire(server.port, timeout=60) as wire:
        reply = wire.command("IMG.PUT", "large", png(4, 4) + bytes(40 * MIB))
        assert reply.startswith((b"-OVERLOADED", b"-OOM", b"-TOOLARGE"))
        assert wire.command("PING") == b"+PONG"
        assert len(wire.command("IMG.PUT", "fits", png(4, 4) + bytes(3 * MIB))) == 32
    wires = [Wire(server.port, timeout=60) for _ in range(12)]
    for i, wire in enumerate(wires):
        wire.send(encode("IMG.PUT", f"many{i}", png(4, 4) + bytes(4 * MIB)))
    replies = [wire.read() for wire in wires]
    kept = [i for i, reply in enumerate(replies) if len(reply) == 32 and reply[:1] != b"-"]
    assert kept and all(replies[i].startswith((b"-OVERLOADED", b"-OOM"))
                        for i in range(12) if i not in kept)
    client = server.client()
    assert sorted(client.keys("many*")) == sorted(f"many{i}".encode() for i in kept)


def test_memory_limit(client):
    def fill_memory():
        for i in range(300):
            client.set(f"k{i}", bytes(100000))
    fill_memory()                         # the log's own buffers are there after this
    client.flushall()
    memory = client.info("memory")
    client.config_set("maxmemory", memory["used_memory"] - memory["mem_not_counted_for_evict"] + 10 * MIB)
    with pytest.raises(redis.ResponseError, match="^OOM command not allowed when used memory > 'maxmemory'"):
        fill_memory()
    count = client.dbsize()
    assert 10 < count < 110 and client.get("k1") == bytes(100000)
    assert client.delete(*[f"k{i}" for i in range(10)]) == 10

    def set_again():
        try:
            return client.set("k", "fits again")
        except redis.ResponseError:
            return False
    until(set_again)
    assert client.dbsize() == count - 9


def test_longest_argument(server):
    server.client().config_set("proto-max-bulk-len", "1mb")
    with Wire(server.port) as wire:
        assert wire.command("SET", "k", bytes(MIB)) == b"+OK"
        wire.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (MIB + 1))
        assert wire.read() == b"-ERR Protocol error: invalid bulk length"
    assert server.client().strlen("k") == MIB


def test_keys_and_words_have_limits(client):
    with pytest.raises(redis.ResponseError, match="^TOOLARGE a key may have at most 65536 bytes"):
        put(client, "k" * 65537, png(4, 4))
    assert put(client, "k" * 65536, png(4, 4)) and get(client, "k" * 65536) == png(4, 4)
    many = ",".join(f"t{i}" for i in range(257))
    for words in (["TAGS", many], ["TAGS", "x" * 257], ["TITLE", "x" * 4097], ["CAPTION", "x" * 65537],
                  ["ATTR", "n" * 65, "v"], ["ATTR", "n", "v" * 1025]):
        with pytest.raises(redis.ResponseError, match="^TOOLARGE"):
            put(client, "k", png(4, 4), *words)
    assert client.exists("k") == 0


def test_clients_that_take_the_most_go_first(server):
    client = server.client()
    client.config_set("maxmemory-clients", 2 << 20)
    with Wire(server.port) as greedy, Wire(server.port) as kept, Wire(server.port) as modest:
        for wire, size in ((kept, 3 << 20), (modest, 1000), (greedy, 3 << 20)):
            if wire is kept:
                assert wire.command("CLIENT", "NO-EVICT", "on") == b"+OK"
            wire.command("MULTI")
            wire.send(encode("SET", "k", "x" * size))
        with pytest.raises((ConnectionError, OSError)):
            while True:
                greedy.read()
        assert modest.read() == b"+QUEUED" and modest.command("EXEC") == [b"+OK"]
        assert kept.read() == b"+QUEUED" and kept.command("EXEC") == [b"+OK"]
    assert client.info("stats")["evicted_clients"] == 1 and "is closed: it takes" in server.log()
