"""Bad days: segment files lost, cut, mixed up; a disk that fails; a clock that jumps; no
descriptors. What cannot be read is said, in the log, in INFO and to who asks for it; the rest
is served. Power cuts at every step are the simulators' (tests/sim)."""
import os
import random
import resource
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
import redis

from conftest import BINARY, Server, until
from images import get, png, put
from wire import Wire, encode

NOISE = random.Random(5)
SECTOR = 4096
EXPIRING = int(os.environ.get("EXPIRING_KEYS", "200000"))
TINY = int(os.environ.get("TINY_IMAGES", "20000"))


def picture(size=100_000):
    return png(4, 4) + NOISE.randbytes(size)


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 & -(crc & 1))
    return crc ^ 0xffffffff


def store_info(client):
    return client.info("store")


def segments(server):
    data = os.path.join(server.folder, "data")
    return [os.path.join(data, name) for name in sorted(os.listdir(data)) if name.endswith(".seg")]


def segment_of(server, body):
    """(path, offset) of where these bytes lie."""
    for path in segments(server):
        with open(path, "rb") as file:
            at = file.read().find(body[100:200])
        if at >= 0:
            return path, at - 100
    raise AssertionError("it is not on the disk")


def overwrite(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def read_all(client, images):
    """{key: what came of it}. Wrong bytes are never among it."""
    found = {}
    for key, body in images.items():
        try:
            reply = get(client, key)
            assert reply is None or reply == body, f"{key}: other bytes"
            found[key] = "gone" if reply is None else "whole"
        except redis.ResponseError as error:
            assert str(error).startswith("CORRUPT")
            found[key] = "corrupt"
    return found


@pytest.fixture
def lived(make_server):
    """A killed server with four segments of images, nine in each: (server, images)."""
    server = make_server("--segment-bytes", "1mb", "--hot-memory", "0", "--body-memory", "32mb")
    client = server.client()
    images = {f"k{i}": picture() for i in range(36)}
    for key, body in images.items():
        put(client, key, body)
    server.kill()
    return server, images


def goes_on(server, images, found):
    """Takes writes, and after one more restart all is as it was."""
    client = server.client()
    late = picture()
    put(client, "late", late)
    server.kill()
    client = server.start().client()
    assert read_all(client, images) == found and get(client, "late") == late


# ---- Segment files


@pytest.mark.parametrize("bytes_left", [299_008, 300_001])
def test_a_segment_that_lost_its_end(lived, bytes_left):
    server, images = lived
    path, _ = segment_of(server, images["k12"])
    os.truncate(path, bytes_left)
    client = server.start().client()
    assert f"{os.path.basename(path)} has lost its end" in server.log()
    assert int(store_info(client)["corrupt_records"]) > 0
    found = read_all(client, images)
    kept = [key for key in found if found[key] == "whole"]
    assert len(kept) >= 28 and found["k9"] == "whole" and found["k17"] != "whole"
    goes_on(server, images, found)


@pytest.mark.parametrize("what", ["no bytes", "zeros"])
def test_an_emptied_segment_is_named_and_kept(lived, what):
    server, images = lived
    path, _ = segment_of(server, images["k12"])
    size = os.path.getsize(path)
    os.truncate(path, 0)
    os.truncate(path, 0 if what == "no bytes" else size)
    client = server.start().client()
    assert f"{os.path.basename(path)} is empty, though later segments are there" in server.log()
    assert int(store_info(client)["corrupt_records"]) > 0 and os.path.exists(path)
    found = read_all(client, images)
    assert sum(state == "whole" for state in found.values()) >= 26
    goes_on(server, images, found)


def test_headers_gone_but_not_the_rest(lived):
    server, images = lived
    path, _ = segment_of(server, images["k12"])
    size = os.path.getsize(path)
    overwrite(path, 0, bytes(SECTOR))
    client = server.start().client()           # the copy at the end is enough
    assert set(read_all(client, images).values()) == {"whole"}
    server.kill()
    overwrite(path, size - SECTOR, bytes(SECTOR))
    client = server.start().client()
    assert f"{os.path.basename(path)}" in server.log() and "left alone" in server.log()
    assert os.path.getsize(path) == size and int(store_info(client)["corrupt_records"]) > 0


def test_segments_that_changed_names(lived):
    server, images = lived
    first, second = (segment_of(server, images[key])[0] for key in ("k1", "k12"))
    os.rename(first, first + "x")
    os.rename(second, first)
    os.rename(first + "x", second)
    client = server.start().client()
    found = read_all(client, images)
    assert set(found.values()) == {"whole"}
    goes_on(server, images, found)


def test_a_segment_twice(lived):
    server, images = lived
    path, _ = segment_of(server, images["k12"])
    shutil.copy(path, os.path.join(os.path.dirname(path), "hot-00000900.seg"))
    client = server.start().client()
    assert "out of place: left alone" in server.log()
    found = read_all(client, images)
    assert set(found.values()) == {"whole"}
    goes_on(server, images, found)


def test_a_record_with_a_good_checksum_in_the_wrong_place(lived):
    server, images = lived
    client = server.start().client()
    path, good = segment_of(server, images["k10"])
    other, bad = segment_of(server, images["k12"])
    assert path == other and good // SECTOR != bad // SECTOR
    head = SECTOR                              # the head lies in the sector before the body
    with open(path, "rb") as file:
        file.seek(good // SECTOR * SECTOR - head)
        copy = file.read(head + 100_000 // SECTOR * SECTOR)
    overwrite(path, bad // SECTOR * SECTOR - head, copy)
    expected = {key: "whole" for key in images}
    expected["k12"] = "corrupt"
    assert read_all(client, images) == expected
    server.kill()
    client = server.start().client()
    found = read_all(client, images)
    assert found.pop("k12") != "whole" and set(found.values()) == {"whole"}
    assert int(store_info(client)["corrupt_records"]) > 0


def checkpoint(server, client):
    """What segments there are is known from a checkpoint; the log alone cannot tell."""
    client.save()
    server.kill()


def test_a_segment_that_is_missing(lived):
    server, images = lived
    checkpoint(server, server.start().client())
    path, _ = segment_of(server, images["k12"])
    os.rename(path, server.folder + "/away")
    client = server.start().client()
    assert "is missing: " in server.log() and int(store_info(client)["lost_records"]) >= 8
    found = read_all(client, images)
    assert found["k12"] == "corrupt" and set(found.values()) == {"whole", "corrupt"}
    assert sum(state == "whole" for state in found.values()) >= 26
    goes_on(server, images, found)


def test_a_segment_of_an_older_life_brings_nothing_back(make_server, folder):
    server = make_server("--segment-bytes", "1mb", "--hot-memory", "0", "--body-memory", "32mb",
                         "--history-window", "0")
    client = server.client()
    old = [f"old{i}" for i in range(18)]
    for key in old:
        put(client, key, picture())
    path = segments(server)[0]
    shutil.copy(path, folder + "/copy")
    client.delete(*old)
    images = {f"k{i}": picture() for i in range(40)}
    for key, body in images.items():
        put(client, key, body)
    until(lambda: not os.path.exists(path))    # it lives on under another name
    checkpoint(server, client)
    shutil.copy(folder + "/copy", path)
    for _ in range(2):
        client = server.start().client()
        assert client.exists(*old) == 0 and client.dbsize() == len(images)
        assert set(read_all(client, images).values()) == {"whole"}
        server.kill()


# ---- Directories that are not ours to open


def refused(server):
    args = [BINARY, "--port", "0", "--dir", os.path.join(server.folder, "data"),
            "--segment-bytes", "1mb"]
    done = subprocess.run(args, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and "BUG" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_newer_versions_are_refused_and_left_as_they_are(lived):
    server, images = lived
    data = os.path.join(server.folder, "data")
    with open(data + "/store", "rb") as file:
        store = file.read()
    newer = store[:8] + struct.pack("<I", 99) + store[12:60]
    overwrite(data + "/store", 0, newer + struct.pack("<I", crc32c(newer)))
    assert "ersion" in refused(server)
    overwrite(data + "/store", 0, store)
    path = segments(server)[0]
    with open(path, "rb") as file:
        header = file.read(64)
    newer = header[:8] + struct.pack("<II", 99, 0) + header[16:]
    overwrite(path, 12, struct.pack("<I", crc32c(newer)))
    overwrite(path, 8, struct.pack("<I", 99))
    assert "was written by a newer version" in refused(server)
    overwrite(path, 0, header)
    assert set(read_all(server.start().client(), images).values()) == {"whole"}


def test_without_its_identity_a_store_is_not_opened(lived):
    server, images = lived
    path = os.path.join(server.folder, "data/store")
    os.rename(path, path + ".away")
    assert "is missing though there are segments" in refused(server)
    assert not os.path.exists(path)
    os.rename(path + ".away", path)
    assert set(read_all(server.start().client(), images).values()) == {"whole"}


@pytest.fixture
def stranger(tmp_path):
    """The data directory of another store."""
    server = Server(str(tmp_path), "--segment-bytes", "1mb", "--body-memory", "32mb").start()
    put(server.client(), "strange", picture())
    server.stop()
    return os.path.join(str(tmp_path), "data")


def test_segments_of_another_store_are_left_alone(lived, stranger):
    server, images = lived
    path = os.path.join(server.folder, "data/hot-00000700.seg")
    shutil.copy(stranger + "/hot-00000001.seg", path)
    client = server.start().client()
    assert "hot-00000700.seg belongs to another store: left alone" in server.log()
    found = read_all(client, images)
    assert set(found.values()) == {"whole"} and client.exists("strange") == 0
    goes_on(server, images, found)
    assert os.path.exists(path)


def test_a_foreign_identity_is_refused(lived, stranger):
    server, images = lived
    data = os.path.join(server.folder, "data")
    shutil.copy(data + "/store", data + "/store.away")
    shutil.copy(stranger + "/store", data + "/store")
    assert "all segments belong to another store" in refused(server)
    os.rename(data + "/store.away", data + "/store")
    assert set(read_all(server.start().client(), images).values()) == {"whole"}


def test_a_directory_that_cannot_be_written(lived):
    server, images = lived
    data = os.path.join(server.folder, "data")
    mounted = subprocess.run(["mount", "--bind", data, data], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("bind mounts are not permitted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", data], check=True)
        assert "cannot" in refused(server)
    finally:
        unmount(data)
    assert set(read_all(server.start().client(), images).values()) == {"whole"}


# ---- A disk that fails, and a clock that jumps


class Faults:
    """What faulty.c does, while the server runs: fail(reads=1, writes=-1, syncs=0), clock(s),
    no_direct()."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.write(bytes(32))

    def fail(self, reads=0, writes=0, syncs=0):
        overwrite(self.path, 0, struct.pack("<iii", reads, writes, syncs))

    def clock(self, seconds):
        overwrite(self.path, 16, struct.pack("<q", seconds))

    def no_direct(self):
        overwrite(self.path, 24, struct.pack("<i", 1))

    def struck(self):
        with open(self.path, "rb") as file:
            return struct.unpack("<iiii", file.read(16))[3]


@pytest.fixture(scope="session")
def faulty_library(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("faulty") / "faulty.so")
    source = os.path.join(os.path.dirname(__file__), "faulty.c")
    subprocess.run([os.environ.get("CC", "gcc"), "-O1", "-shared", "-fPIC", "-o", path, source], check=True)
    return path


@pytest.fixture
def faulty(faulty_library, folder, monkeypatch, make_server):
    """(server, Faults): no images in memory, and nothing acknowledged before it is synced."""
    faults = Faults(folder + "/faults")
    monkeypatch.setenv("LD_PRELOAD", faulty_library)
    monkeypatch.setenv("FAULTY", faults.path)
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")
    server = make_server("--io-backend", "epoll", "--segment-bytes", "1mb", "--hot-memory", "0",
                         "--cache-appendfsync", "always", "--body-memory", "32mb")
    return server, faults


def test_one_write_that_fails_is_nobodys_business(faulty):
    server, faults = faulty
    client = server.client()
    images = {f"k{i}": picture() for i in range(12)}
    put(client, "k0", images["k0"])
    faults.fail(writes=1)
    for key in list(images)[1:]:
        put(client, key, images[key])
    info = store_info(client)
    assert faults.struck() == 1 and info["store_state"] == "ok"
    assert "input/output error" in server.log().lower() or "failed" in server.log().lower()
    assert set(read_all(client, images).values()) == {"whole"}
    server.kill()
    client = server.start().client()
    assert set(read_all(client, images).values()) == {"whole"}
    assert int(store_info(client)["corrupt_records"]) == 0


@pytest.mark.parametrize("what", ["writes", "syncs"])
def test_a_disk_that_fails_for_ever_makes_the_store_read_only(faulty, what):
    server, faults = faulty
    client = server.client()
    body = picture()
    put(client, "k", body)
    client.set("s", "1")
    with Wire(server.port) as wire:
        if what == "writes":                   # each reply waits for the disk, and is refused
            faults.fail(writes=-1)
            wire.send(encode("IMG.PUT", "more", body) + encode("SET", "a", "1") + encode("GET", "s")
                      + encode("WAITAOF", 1, 0, 0) + encode("PING"))
            replies = [wire.read() for _ in range(5)]
            assert all(reply.startswith(b"-READONLY") for reply in replies[:2])
            assert replies[3] == [b":0", b":0"] and replies[4] == b"+PONG"
        else:                                  # written, but never synced
            client.config_set("cache-appendfsync", "everysec")
            assert wire.command("SET", "more", "0") == b"+OK"
            faults.fail(syncs=-1)
            until(lambda: faults.struck() > 0)
            faults.fail(syncs=-1, writes=-1)
            until(lambda: wire.command("SET", "more", "1").startswith(b"-READONLY"))
    assert store_info(client)["store_state"] == "read-only"
    for command in (("SET", "x", "1"), ("DEL", "k"), ("IMG.PUT", "y", body), ("EXPIRE", "s", "9")):
        with pytest.raises(redis.ReadOnlyError, match="read-only after a write error"):
            client.execute_command(*command)
    assert get(client, "k") == body and client.get("s") == b"1" and client.ping()
    faults.fail()
    server.kill()
    client = server.start().client()
    assert store_info(client)["store_state"] == "ok"
    assert get(client, "k") == body and client.get("s") == b"1"
    assert put(client, "after", body) and client.set("s", "2")


def test_one_sync_that_fails_loses_nothing(faulty):
    server, faults = faulty
    client = server.client()
    client.config_set("cache-appendfsync", "everysec")
    values = {f"s{i}": NOISE.randbytes(3000) for i in range(20)}
    faults.fail(syncs=1)
    client.mset(values)
    until(lambda: faults.struck() == 1)
    assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1 or \
        until(lambda: int(store_info(client)["durable_lsn"]) == int(store_info(client)["last_lsn"]))
    assert store_info(client)["store_state"] == "ok" and int(store_info(client)["write_errors"]) == 1
    server.kill()
    client = server.start().client()
    assert client.mget(list(values)) == list(values.values())


def test_a_read_that_fails_is_corrupt_for_that_key_and_passes(faulty):
    server, faults = faulty
    client = server.client()
    images = {f"k{i}": picture() for i in range(4)}
    for key, body in images.items():
        put(client, key, body)
    faults.fail(reads=1)
    with pytest.raises(redis.ResponseError, match="^CORRUPT k1"):
        get(client, "k1")
    assert int(store_info(client)["read_errors"]) == 1
    assert "Reading segment" in server.log()
    assert set(read_all(client, images).values()) == {"whole"}
    server.kill()
    faults.fail(reads=1)                       # recovery reads sector by sector then
    client = server.start().client()
    assert set(read_all(client, images).values()) == {"whole"}
    assert faults.struck() == 2


@pytest.mark.parametrize("jump", [-86400 * 400, 86400 * 3])
def test_a_clock_that_jumps_between_restarts(faulty, jump):
    server, faults = faulty
    client = server.client()
    bodies = [picture(), picture(), picture()]
    put(client, "k", bodies[0])
    client.set("stays", "1")
    client.set("short", "1", px=20)
    until(lambda: client.exists("short") == 0)
    until(lambda: int(store_info(client)["durable_lsn"]) == int(store_info(client)["last_lsn"]))
    last = int(store_info(client)["last_lsn"])
    server.kill()
    faults.clock(jump)
    client = server.start().client()
    assert client.exists("short") == 0, "what expired does not come back"
    put(client, "k", bodies[1])
    client.set("stays", "2")
    assert int(store_info(client)["last_lsn"]) > last
    server.kill()
    faults.clock(0)
    client = server.start().client()
    put(client, "k", bodies[2])
    assert get(client, "k") == bodies[2] and client.get("stays") == b"2"
    assert client.exists("short") == 0
    server.kill()
    client = server.start().client()
    assert get(client, "k") == bodies[2] and client.get("stays") == b"2"
    versions = client.execute_command("IMG.VERSIONS", "k")
    lsns = [dict(zip(version[::2], version[1::2]))[b"lsn"] for version in versions]
    assert lsns == sorted(lsns, reverse=True) and get(client, "k", "LSN", str(lsns[0])) == bodies[2]


def test_a_clock_that_jumps_in_a_running_server(faulty):
    server, faults = faulty
    client = server.client()
    bodies, lsns = [], []
    for jump in (0, -7200, 3600, -1800, 7200, 0):          # within the window of the history
        faults.clock(jump)
        bodies.append(picture(1000 + len(bodies)))
        put(client, "k", bodies[-1])
        lsns.append(int(store_info(client)["last_lsn"]))
        client.set("short", "1", px=1)
        until(lambda: client.exists("short") == 0)
    for _ in range(2):                         # LSNs are the order, whatever the clock said
        assert get(client, "k") == bodies[-1]
        listed = [dict(zip(line[::2], line[1::2]))[b"lsn"] for line in client.execute_command("IMG.VERSIONS", "k")]
        assert len(listed) == len(bodies) and listed == sorted(listed, reverse=True)
        assert lsns == sorted(lsns) and lsns[0] > 0
        for lsn, body in zip(lsns, bodies):
            assert get(client, "k", "AT", "LSN", str(lsn)) == body
        assert client.exists("short") == 0
        server.kill()
        client = server.start().client()


def opened_direct(server):
    """{segment: was it opened with O_DIRECT?} of the running server."""
    found, fds = {}, f"/proc/{server.process.pid}/fd"
    for fd in os.listdir(fds):
        try:
            name = os.path.basename(os.readlink(f"{fds}/{fd}"))
            with open(f"{fds}info/{fd}", encoding="ascii") as file:
                flags = next(int(line.split()[1], 8) for line in file if line.startswith("flags"))
        except OSError:
            continue                           # closed meanwhile
        if name.endswith(".seg"):
            found[name] = flags & os.O_DIRECT != 0
    return found


def has_direct(folder):
    try:
        os.close(os.open(folder + "/probe", os.O_RDWR | os.O_CREAT | os.O_DIRECT))
        return True
    except OSError:
        return False


def test_the_page_cache_is_not_trusted(lived):
    server, images = lived
    client = server.start().client()
    found = opened_direct(server)
    assert len(found) >= 4 and set(found.values()) == {has_direct(server.folder)}
    assert set(read_all(client, images).values()) == {"whole"}


def test_a_file_system_without_direct_writes(faulty):
    server, faults = faulty
    images = {f"k{i}": picture() for i in range(30)}
    put(server.client(), "k0", images["k0"])
    server.kill()
    faults.no_direct()
    for _ in range(2):
        client = server.start().client()
        for key, body in images.items():
            put(client, key, body)
        assert set(opened_direct(server).values()) == {False}
        assert set(read_all(client, images).values()) == {"whole"}
        assert int(store_info(client)["syncs"]) > 0
        server.kill()
    assert faults.struck() >= 2 and server.log().count("No direct I/O on") == 2
    client = server.start().client()
    assert set(read_all(client, images).values()) == {"whole"}
    assert int(store_info(client)["corrupt_records"]) == 0


# ---- Too little of everything


@pytest.mark.parametrize("backend", ["epoll", "io_uring"])
def test_no_descriptors_left(make_server, backend):
    server = make_server("--segment-bytes", "1mb", "--body-memory", "32mb", "--hot-memory", "0",
                         "--io-backend", backend)
    client, pid = server.client(), server.process.pid
    images = {f"k{i}": picture() for i in range(5)}
    put(client, "k0", images["k0"])
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    used = max(int(name) for name in os.listdir(f"/proc/{pid}/fd")) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 6, hard))
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=0.2) for _ in range(30)]
    answered = 0
    for connection in held:
        try:
            connection.sendall(b"PING\r\n")
            answered += connection.recv(64) == b"+PONG\r\n"
        except OSError:
            break                              # those behind it wait in the backlog, too
    assert client.ping()
    if backend == "epoll":                     # a ring's accept has the limit it began with
        assert answered < 30
    for key, body in list(images.items())[1:]:
        put(client, key, body)
    for connection in held:
        connection.close()
    until(lambda: client.info("clients")["connected_clients"] == 1)
    with Wire(server.port) as wire:            # those that were closed made room
        assert wire.command("PING") == b"+PONG"
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    refusal, count = None, 5
    while refusal is None and count < 200:
        try:
            images[f"k{count}"] = picture()
            put(client, f"k{count}", images[f"k{count}"])
            count += 1
        except redis.ResponseError as error:
            refusal = str(error)
            del images[f"k{count}"]
    assert refusal.startswith("DISKFULL") and "Cannot make segment" in server.log()
    assert set(read_all(client, images).values()) == {"whole"}
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    until(lambda: store_info(client)["store_state"] == "ok")
    put(client, "more", images["k0"])
    server.kill()
    assert set(read_all(server.start().client(), images).values()) == {"whole"}


@pytest.mark.parametrize("window", ["0", "86400"])
@pytest.mark.parametrize("kind", ["image", "string"])
def test_a_disk_filled_half_deleted_and_filled_again(make_server, kind, window):
    server = make_server("--segment-bytes", "1mb", "--disk-bytes-max", "16mb", "--body-memory", "32mb",
                         "--history-window", window, "--hot-memory", "0",
                         "--cache-appendfsync", "always")
    client, bodies = server.client(), {}

    def store(key):
        body = picture(60_000)
        try:
            client.set(key, body) if kind == "string" else put(client, key, body)
        except redis.ResponseError as error:
            assert str(error).startswith("DISKFULL")
            return False
        bodies[key] = body
        return True

    def fill(prefix):
        return next(i for i in range(1000) if not store(f"{prefix}{i}"))
    first = fill("a")
    assert first > 60
    for i in range(0, first, 2):
        client.delete(f"a{i}")
        del bodies[f"a{i}"]
    for i in range(first // 4):                # refused at times, but never for good
        until(lambda i=i: store(f"b{i}"))
    for key, body in bodies.items():
        assert (client.get(key) if kind == "string" else get(client, key)) == body
    server.kill()
    client = server.start().client()
    assert client.dbsize() == len(bodies)
    for key, body in bodies.items():
        assert (client.get(key) if kind == "string" else get(client, key)) == body


def test_very_many_keys_expire_at_once(server):
    client, count = server.client(), EXPIRING
    never = 9_999_999_999_999
    requests = [b"".join(encode("SET", f"k{i}", "v", "PXAT", never)
                         for i in range(first, first + 20_000)) for first in range(0, count, 20_000)]
    client.set("stays", "1")
    when = int(time.time() * 1000) + count // 40
    with Wire(server.port, timeout=60) as wire:
        for request in requests:
            wire.send(request.replace(b"%d" % never, b"%d" % when))
            assert wire.file.read(5 * 20_000) == b"+OK\r\n" * 20_000
    if time.time() * 1000 > when:
        pytest.skip("the machine is too busy to set all keys before they expire")
    worst, left = 0, count
    while left > 1:
        began = time.monotonic()
        left = client.dbsize()
        worst = max(worst, time.monotonic() - began)
    assert worst < 0.5 and time.time() * 1000 - when < count // 10
    assert client.get("stays") == b"1" and client.info("stats")["expired_keys"] >= count
    server.kill()                              # the last deletions may have been on their way
    client = server.start().client()
    until(lambda: client.dbsize() == 1)


def test_the_largest_image_beside_many_tiny_ones(make_server):
    server = make_server("--body-memory", "400mb", "--hot-memory", "0")
    client, count = server.client(), TINY
    large = png(4, 4) + os.urandom(1 << 20) * 127
    large += bytes(128 * (1 << 20) - len(large))
    tiny = png(1, 1)
    with Wire(server.port, timeout=60) as wire:
        for first in range(0, count, 5000):
            wire.send(b"".join(encode("IMG.PUT", f"t{i}", tiny + b"%d" % i)
                               for i in range(first, first + 5000)))
            if first == 5000:
                put(client, "large", large)
            assert all(len(wire.read()) == 32 for _ in range(5000))
    with pytest.raises(redis.ResponseError, match="^TOOLARGE"):
        put(client, "larger", large + b"x")
    for _ in range(2):
        assert get(client, "large") == large and client.dbsize() == count + 1
        assert all(get(client, f"t{i}") == tiny + b"%d" % i for i in range(0, count, count // 41))
        server.kill()
        client = server.start().client()


# ---- The power goes


def unmount(path):
    """Once the kernel has closed the files of a process that was killed."""
    until(lambda: subprocess.run(["umount", path], capture_output=True, check=False).returncode == 0)


@pytest.fixture
def device(folder):
    """A file system on a loop device, where the server keeps its data: the image's path."""
    image, data = folder + "/image", folder + "/data"
    os.mkdir(data)
    with open(image, "wb") as file:
        file.truncate(160 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    # No commit of the journal but those that a sync asks for, while the image is copied.
    done = subprocess.run(["mount", "-o", "loop,commit=300", image, data], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"loop devices are not permitted here: {done.stderr.strip()}")
    yield image
    unmount(data)


class Acknowledged(threading.Thread):
    """Puts images and strings until the server stops answering; what was acknowledged."""

    def __init__(self, port, name):
        super().__init__()
        self.port, self.name_, self.kept, self.random = port, name, [], random.Random(name)

    def run(self):
        try:
            with Wire(self.port, timeout=60) as wire:
                for i in range(10_000):
                    body = png(2, 2) + self.random.randbytes(self.random.choice([50, 3000, 40_000]))
                    command = "SET" if i % 3 == 0 else "IMG.PUT"
                    reply = wire.command(command, f"{self.name_}/{i % 200}", body)
                    assert not reply.startswith(b"-"), reply
                    self.kept.append((command, f"{self.name_}/{i % 200}", body))
        except OSError:
            pass


def test_power_cut_images(device, folder, make_server, tmp_path):
    """The block device as it was at one moment, mounted again: all that was acknowledged before
    had reached the device, files' lengths and names and all, and not only the page cache. (That
    a disk's own cache is flushed is not shown.)"""
    server = make_server("--appendfsync", "always", "--cache-appendfsync", "always",
                         "--history-window", "0", "--disk-bytes-max", "100mb")
    writers = [Acknowledged(server.port, name) for name in "abc"]
    for writer in writers:
        writer.start()
    for cut in range(3):
        until(lambda: all(len(writer.kept) > 60 * (cut + 1) for writer in writers), 60)
        os.kill(server.process.pid, signal.SIGSTOP)     # nothing is written meanwhile
        kept = [list(writer.kept) for writer in writers]
        copy, mounted = f"{tmp_path}/copy{cut}", f"{tmp_path}/{cut}/data"
        subprocess.run(["cp", "--sparse=always", device, copy], check=True)
        os.kill(server.process.pid, signal.SIGCONT)
        os.makedirs(mounted)
        subprocess.run(["mount", "-o", "loop", copy, mounted], check=True)
        other = Server(f"{tmp_path}/{cut}").start()
        try:
            client = other.client()
            for writes in kept:
                last = {key: (command, body) for command, key, body in writes}
                name, latest = writes[-1][1].split("/")
                for ahead in (1, 2):           # these may have been done, unacknowledged
                    last.pop(f"{name}/{(int(latest) + ahead) % 200}", None)
                assert len(last) > 50
                for key, (command, body) in last.items():
                    found = client.get(key) if command == "SET" else get(client, key)
                    assert found == body, f"cut {cut}, {key}"
            assert int(store_info(client)["corrupt_records"]) == 0
        finally:
            other.kill()
            unmount(mounted)
            os.unlink(copy)
    server.kill()
    for writer in writers:
        writer.join()
