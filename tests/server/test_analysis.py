"""What the pixels say: found out in the background after a PUT, kept in the log, searchable."""
import base64
import os
import random
import zlib

import pytest

from conftest import until
from images import get, info, png, png_of, put, put_photos


def analysed(client, count=None):
    """Waits until nothing is left to look at; returns INFO images."""
    def ready():
        said = client.info("images")
        done = said["analysis_done"] + said["analysis_failed"]
        return said["analysis_left"] == 0 and said["analysis_running"] == 0 and (count is None or done >= count) and said
    return until(ready, 60)


def names(palette):
    return {name.decode() for _, name, _ in palette}


def picture(seed, width=72, height=48):
    """Eight by six fields of random colours: something to tell apart."""
    make = random.Random(seed)
    fields = [[bytes(make.randrange(256) for _ in range(3)) for _ in range(8)] for _ in range(6)]
    rows = b"".join(b"\0" + b"".join(fields[y * 6 // height][x * 8 // width] for x in range(width))
                    for y in range(height))
    return png_of(width, height, zlib.compress(rows))


def halves(width=64, height=64, left=(220, 20, 20), right=(20, 30, 200)):
    row = bytes(left) * (width // 2) + bytes(right) * (width - width // 2)
    return png_of(width, height, zlib.compress((b"\0" + row) * height))


def test_a_put_image_is_analysed(client, photos):
    put_photos(client, photos)
    said = analysed(client, len(photos))
    assert said["analysis_done"] == len(photos) and said["analysis_failed"] == 0
    hashes = set()
    for name in photos:
        found = info(client, name, "phash", "palette", "placeholder")
        assert len(bytes.fromhex(found["phash"].decode())) == 32
        assert 5 <= len(base64.b64decode(found["placeholder"])) <= 25
        assert 1 <= len(found["palette"]) <= 5
        shares = [share for _, _, share in found["palette"]]
        assert shares == sorted(shares, reverse=True) and 90 <= sum(shares) <= 105
        assert all(colour.startswith(b"#") and len(colour) == 7 for colour, _, _ in found["palette"])
        hashes.add(found["phash"])
    assert len(hashes) == len(photos)


def test_the_dominant_colours_are_named(client):
    put(client, "k", halves())
    put(client, "flat", png(40, 40, (250, 250, 250)))
    analysed(client, 2)
    assert names(info(client, "k", "palette")["palette"]) == {"red", "blue"}
    assert info(client, "k", "palette")["palette"][0][2] in range(48, 53)
    flat = info(client, "flat")
    assert names(flat["palette"]) == {"white"} and flat["phash"] is None and flat["placeholder"]


def test_the_result_is_no_version_of_its_own(client):
    put(client, "k", picture(1))
    before = client.execute_command("IMG.VERSIONS", "k")
    analysed(client, 1)
    assert info(client, "k", "phash")["phash"] is not None
    assert client.execute_command("IMG.VERSIONS", "k") == before
    lsn = before[0][1]
    assert get(client, "k", "AT", "LSN", lsn) == picture(1)
    client.execute_command("IMG.EDIT", "k", "TITLE", "new")
    client.execute_command("IMG.EDIT", "k", "TITLE", "newer")
    after = [dict(zip(one[::2], one[1::2])) for one in client.execute_command("IMG.VERSIONS", "k")]
    assert len(after) == 3 and after[2][b"lsn"] == lsn
    assert info(client, "k", "phash")["phash"] is not None
    client.execute_command("IMG.RESTORE", "k", "AT", "LSN", lsn)
    analysed(client)
    assert until(lambda: info(client, "k", "phash")["phash"])


def test_it_survives_kill_9_and_is_not_made_again(server):
    client = server.client()
    for i in range(20):
        put(client, f"k{i}", picture(i), "TAGS", f"t{i}")
    analysed(client, 20)
    put(client, "last", png(30, 30), "TITLE", "durable")      # later than all results: they are on disk
    analysed(client, 21)
    before = [info(client, f"k{i}", "phash", "palette", "placeholder", "tags") for i in range(20)]
    put(client, "flush", png(31, 31))
    server.kill()
    server.start()
    client = server.client()
    said = analysed(client)
    assert said["analysis_done"] <= 2
    assert [info(client, f"k{i}", "phash", "palette", "placeholder", "tags") for i in range(20)] == before


def test_it_survives_a_start_from_a_checkpoint(server):
    client = server.client()
    for i in range(10):
        put(client, f"k{i}", picture(i), "TITLE", "x")
    analysed(client, 10)
    client.execute_command("SAVE")
    put(client, "later", picture(11))
    analysed(client, 11)
    client.execute_command("IMG.EDIT", "k3", "TITLE", "y")
    put(client, "flush", picture(12))
    keys = [f"k{i}" for i in range(10)] + ["later"]
    before = [(info(client, key, "phash", "palette", "title"), client.execute_command("IMG.VERSIONS", key)) for key in keys]
    server.kill()
    server.start()
    client = server.client()
    assert analysed(client)["analysis_done"] <= 2
    assert [(info(client, key, "phash", "palette", "title"), client.execute_command("IMG.VERSIONS", key)) for key in keys] == before
    until(lambda: client.execute_command("IMG.SIMILAR", "k1") is not None)
    assert client.execute_command("IMG.SIMILAR", "k1", "MAXDIST", 256)[0] == 11
    client.execute_command("SAVE")
    server.kill()
    server.start()
    client = server.client()
    analysed(client)
    assert [(info(client, key, "phash", "palette", "title"), client.execute_command("IMG.VERSIONS", key)) for key in keys] == before


def test_what_was_not_analysed_is_found_at_the_next_start(make_server):
    server = make_server("--analysis", "no")
    client = server.client()
    for i in range(30):
        put(client, f"k{i}", picture(i), "EX", 1000)
    assert client.info("images")["analysis_left"] == 30
    server.stop()
    server.options = []
    server.start()
    client = server.client()
    assert analysed(client, 30)["analysis_done"] == 30
    assert 0 < client.ttl("k3") <= 1000
    # and one that is switched on while it runs
    client.config_set("analysis", "no")
    put(client, "more", picture(100))
    assert client.info("images")["analysis_left"] == 1
    client.config_set("analysis", "yes")
    analysed(client, 31)


def test_more_than_the_queue_holds(make_server):
    server = make_server("--analysis-concurrency", "2")
    client = server.client()
    pipe = client.pipeline(transaction=False)
    for i in range(1500):
        pipe.execute_command("IMG.PUT", f"k{i}", picture(i, 16, 16))
    pipe.execute()
    said = analysed(client, 1500)
    assert said["analysis_done"] == 1500
    assert all(info(client, f"k{i}", "palette")["palette"] for i in range(0, 1500, 100))


def test_an_image_that_cannot_be_decoded_is_left_alone(server, photos):
    client = server.client()
    data = next(iter(photos.values()))
    put(client, "cut", data[:len(data) // 3])
    put(client, "good", picture(1))
    said = analysed(client, 2)
    assert (said["analysis_done"], said["analysis_failed"]) == (1, 1)
    found = info(client, "cut", "phash", "palette", "width")
    assert found["phash"] is None and found["palette"] is None and found["width"] > 0
    client.config_set("analysis", "no")       # a walk would find it if it were still marked
    client.config_set("analysis", "yes")
    assert analysed(client)["analysis_failed"] == 1
    server.stop()
    server.start()
    assert analysed(server.client())["analysis_failed"] == 0


def test_a_worker_that_dies_is_not_asked_for_ever(make_server, folder):
    build = os.environ.get("BUILD", os.path.join(os.path.dirname(__file__), "../../build"))
    rogue = os.path.join(build, "rogue-crash")
    if not os.path.exists(rogue):
        pytest.skip("the rogue workers are made by `make unit`")
    workers = os.path.join(folder, "workers")
    os.mkdir(workers)
    worker = os.path.join(workers, "tintype-vips")
    with open(worker, "w", encoding="ascii") as file:       # its name says how it misbehaves
        file.write(f"#!/bin/sh\nexec {os.path.abspath(rogue)}\n")
    os.chmod(worker, 0o755)
    client = make_server("--worker-dir", workers).client()
    put(client, "k", picture(1))
    said = analysed(client, 1)
    assert said["analysis_failed"] == 1 and said["worker_crashes"] == 2


def test_changes_while_an_image_is_analysed(client, photos):
    """Whatever happens to the keys meanwhile, what is said of an image is of that image."""
    random.seed(5)
    datas = list(photos.values())[:4]
    hashes = {}
    for i, data in enumerate(datas):
        put(client, f"original{i}", data)
    analysed(client, len(datas))
    for i in range(len(datas)):
        hashes[info(client, f"original{i}", "etag")["etag"]] = info(client, f"original{i}", "phash")["phash"]
    client.flushdb()
    for _ in range(120):
        key = f"k{random.randrange(6)}"
        kind = random.randrange(6)
        if kind <= 2:
            put(client, key, random.choice(datas))
        elif kind == 3:
            client.execute_command("IMG.EDIT", key, "TITLE", str(random.random()))
        elif kind == 4:
            client.delete(key)
        elif client.exists(key):
            client.rename(key, f"k{random.randrange(6)}x")
    analysed(client)
    for key in client.keys("*"):
        found = info(client, key.decode(), "etag", "phash")
        assert found["phash"] == hashes[found["etag"]]
    client.flushall()
    assert client.info("images")["analysis_left"] == 0


def test_the_same_bytes_again_are_known_at_once(client, photos):
    data = min(photos.values(), key=len)
    put(client, "a", data)
    analysed(client, 1)
    put(client, "b", data)
    assert info(client, "b", "phash") == info(client, "a", "phash")
    assert client.info("images")["analysis_done"] == 1


def test_formats_that_no_worker_decodes_are_not_waited_for(client):
    put(client, "svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>')
    assert client.info("images")["analysis_left"] == 0 and info(client, "svg", "phash")["phash"] is None


def test_settings_are_checked(client):
    for name, value in (("analysis", "maybe"), ("analysis-concurrency", "0"), ("analysis-concurrency", "x")):
        with pytest.raises(Exception, match="argument"):
            client.config_set(name, value)


def test_the_newest_stay_first_while_pixels_are_looked_at(make_server, photos):
    client = make_server("--analysis", "no").client()
    data = min(photos.values(), key=len)
    for i in range(12):
        put(client, f"k{i}", data if i % 3 == 0 else picture(i))       # every third is a link
        if i % 3 == 1:
            client.execute_command("IMG.EDIT", f"k{i}", "TITLE", "edited")
    before = client.execute_command("IMG.SEARCH", "*", "NOCONTENT", "LIMIT", 0, 100)
    client.config_set("analysis", "yes")
    analysed(client, 9)
    assert client.execute_command("IMG.SEARCH", "*", "NOCONTENT", "LIMIT", 0, 100) == before
    assert all(info(client, f"k{i}", "palette")["palette"] for i in range(12))
    assert client.info("search")["search_documents"] == 12
    client.execute_command("COPY", "k0", "k1", "REPLACE")
    client.execute_command("IMG.EDIT", "k1", "TITLE", "other")
    client.execute_command("COPY", "k0", "k1", "REPLACE")
    assert client.execute_command("IMG.SEARCH", "other", "NOCONTENT") == [0]
