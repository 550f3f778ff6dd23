"""Bad days: segment files lost, cut, mixed up; a disk that fails; a clock that jumps; no
descriptors. What cannot be read is said, in the log, in INFO and to who asks for it; the rest
is served. Power cuts at every step are the simulators' (tests/sim)."""
import os
import random
import shutil
import struct
import subprocess

import pytest
import redis

from conftest import BINARY, until
from images import get, png, put

NOISE = random.Random(5)
SECTOR = 4096


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
    from conftest import Server
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
        subprocess.run(["umount", data], check=True)
    assert set(read_all(server.start().client(), images).values()) == {"whole"}
