"""Images as they were: IMG.GET ... AT, IMG.VERSIONS, IMG.RESTORE, and the window."""
import random
import time

import pytest
import redis

from conftest import until
import images


def png(width, height, seed):
    return images.png(width, height, (seed % 251, seed // 251 % 251, 7))


def last_lsn(client):
    return int(client.info("store")["last_lsn"])


def versions(client, key, *words):
    def as_map(flat):
        return dict(zip(flat[::2], flat[1::2]))
    return [as_map(line) for line in client.execute_command("IMG.VERSIONS", key, *words)]


def put(client, key, seed, *words):
    """Stores a picture that follows from the seed; returns its bytes and the LSN behind it."""
    data = png(8, 8, seed)
    client.execute_command("IMG.PUT", key, data, *words)
    return data, last_lsn(client)


def at(client, key, lsn, *words):
    return client.execute_command("IMG.GET", key, *words, "AT", "LSN", lsn)


def test_each_version_can_be_read_as_of_its_time(client):
    steps = [put(client, "k", seed) for seed in range(5)]
    client.delete("k")
    gone = last_lsn(client)
    for data, lsn in steps:
        assert at(client, "k", lsn) == data
        assert client.execute_command("IMG.GET", "k", "LSN", lsn) == data
    assert at(client, "k", gone) is None
    assert at(client, "k", 0) is None
    assert at(client, "k", gone + 1000) is None


def test_a_time_is_as_good_as_an_lsn(client):
    data, _ = put(client, "k", 1)
    first = int(versions(client, "k")[0][b"time"])
    until(lambda: int(time.time() * 1000) > first + 2)
    put(client, "k", 2)
    second = int(versions(client, "k")[0][b"time"])
    assert client.execute_command("IMG.GET", "k", "AT", second - 1) == data
    assert client.execute_command("IMG.GET", "k", "AT", second) == png(8, 8, 2)
    assert client.execute_command("IMG.GET", "k", "AT", first - 1) is None
    iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second / 1000 + 60))
    assert client.execute_command("IMG.GET", "k", "AT", iso) == png(8, 8, 2)


def test_versions_are_listed_newest_first(client):
    put(client, "k", 1)
    client.execute_command("IMG.EDIT", "k", "TITLE", "x")
    put(client, "k", 2)
    client.delete("k")
    put(client, "k", 3)
    lines = versions(client, "k")
    assert [line[b"state"] for line in lines] == [
        b"current", b"deleted", b"superseded", b"superseded"]
    assert [line[b"size"] for line in lines] == [len(png(8, 8, s)) for s in (3, 2, 1, 1)]
    assert lines[0][b"until"] is None and lines[2][b"until"] == lines[1][b"time"]
    assert lines[2][b"etag"] == lines[3][b"etag"] != lines[1][b"etag"]
    assert sorted((line[b"lsn"] for line in lines), reverse=True) == [
        line[b"lsn"] for line in lines]
    assert versions(client, "k", "LIMIT", 2) == lines[:2]
    assert versions(client, "nosuch") == []
    info = client.execute_command("IMG.INFO", "k", "versions")
    assert info == [b"versions", 4]


def test_a_deleted_image_comes_back_with_its_metadata(client):
    data, lsn = put(client, "k", 1, "TITLE", "sunrise", "TAGS", "a,b", "EX", "1000")
    etag = versions(client, "k")[0][b"etag"]
    client.delete("k")
    assert client.execute_command("IMG.SEARCH", "sunrise")[0] == 0
    before = int(client.info("store")["appended_bytes"])
    assert client.execute_command("IMG.RESTORE", "k", "AT", "LSN", lsn) == etag
    assert client.execute_command("IMG.SEARCH", "sunrise")[0] == 1
    assert client.execute_command("IMG.GET", "k") == data
    assert client.execute_command("IMG.INFO", "k", "title", "tags") == [
        b"title", b"sunrise", b"tags", [b"a", b"b"]]
    assert client.ttl("k") == -1
    assert int(client.info("store")["appended_bytes"]) - before < 1000
    assert int(client.info("search")["search_documents"]) == 1


def test_an_edit_is_undone(client):
    put(client, "k", 1, "TITLE", "before")
    lsn = last_lsn(client)
    client.execute_command("IMG.EDIT", "k", "TITLE", "after")
    client.execute_command("IMG.RESTORE", "k", "AT", "LSN", lsn)
    assert client.execute_command("IMG.INFO", "k", "title")[1] == b"before"
    assert client.execute_command("IMG.SEARCH", "after")[0] == 0
    assert len(versions(client, "k")) == 3
    # restoring what is there already changes nothing
    client.execute_command("IMG.RESTORE", "k", "AT", "LSN", last_lsn(client))
    assert len(versions(client, "k")) == 3


@pytest.mark.parametrize("words, text", [
    (("IMG.RESTORE", "k", "AT", "LSN", 0), "NOVERSION"),
    (("IMG.RESTORE", "k", "AT", "1000"), "NOVERSION"),
    (("IMG.RESTORE", "nosuch", "AT", "LSN", 9), "NOVERSION"),
    (("IMG.RESTORE", "k", "BY", 5), "syntax error"),
    (("IMG.RESTORE", "k", "AT", "LSN"), "syntax error"),
    (("IMG.RESTORE", "k", "AT", "LSN", 5, "x"), "syntax error"),
    (("IMG.RESTORE", "k", "AT", "LSN", "x"), "invalid LSN"),
    (("IMG.GET", "k", "AT", "LSN", "-1"), "invalid LSN"),
    (("IMG.GET", "k", "AT", "yesterday"), "invalid time"),
    (("IMG.GET", "k", "AT"), "syntax error"),
    (("IMG.GET", "k", "AT", "2024", "AT", "2025"), "syntax error"),
    (("IMG.VERSIONS", "k", "LIMIT", "0"), "LIMIT"),
    (("IMG.VERSIONS", "k", "LIMIT"), "syntax error"),
])
def test_what_makes_no_sense_is_refused(client, words, text):
    put(client, "k", 1)
    with pytest.raises(redis.ResponseError, match=text):
        client.execute_command(*words)


def test_rename_and_copy_keep_both_pasts(client):
    data, lsn = put(client, "a", 1)
    other, lsn_b = put(client, "b", 2)
    client.rename("a", "b")
    assert client.execute_command("IMG.GET", "b") == data
    assert at(client, "a", lsn) == data and at(client, "b", lsn_b) == other
    assert [line[b"state"] for line in versions(client, "a")] == [b"deleted"]
    assert [line[b"state"] for line in versions(client, "b")] == [b"current", b"superseded"]
    client.copy("b", "c")
    client.delete("b", "c")
    client.execute_command("IMG.RESTORE", "a", "AT", "LSN", lsn)
    assert client.execute_command("IMG.GET", "a") == data


def test_expiry_and_flush_make_history(client):
    data, lsn = put(client, "k", 1, "PX", "300")
    flushed, lsn_f = put(client, "f", 2)
    until(lambda: client.exists("k") == 0)
    client.flushall()
    assert at(client, "k", lsn) == data and at(client, "f", lsn_f) == flushed
    assert at(client, "f", last_lsn(client)) is None
    client.execute_command("IMG.RESTORE", "f", "AT", "LSN", lsn_f)
    assert client.dbsize() == 1


def test_a_string_in_its_place_does_not_hide_the_image(client):
    data, lsn = put(client, "k", 1)
    client.set("k", "text")
    assert at(client, "k", lsn) == data
    assert [line[b"state"] for line in versions(client, "k")] == [b"deleted"]
    client.execute_command("IMG.RESTORE", "k", "AT", "LSN", lsn)
    assert client.type("k") == b"image"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_comes_to_the_same_past(make_server, how):
    server = make_server("--hot-memory", "0")
    client = server.client()
    rng, known = random.Random(5), []
    for step in range(300):
        key = f"k{rng.randrange(12)}"
        what = rng.randrange(6)
        if what < 3:
            put(client, key, step)
        elif what == 3:
            client.delete(key)
        elif what == 4 and client.exists(key):
            client.execute_command("IMG.EDIT", key, "TITLE", f"t{step}")
        elif client.exists(key):
            client.rename(key, f"k{rng.randrange(12)}")
        keys = [f"k{i}" for i in range(12)]
        known.append((last_lsn(client), [client.execute_command("IMG.GET", k) for k in keys]))
    before = [versions(client, k) for k in keys]
    counts = {k: v for k, v in client.info("store").items() if k.startswith("history_")}
    getattr(server, how)()
    client = server.start().client()
    assert [versions(client, k) for k in keys] == before
    after = client.info("store")
    assert all(after[name] == counts[name] for name in (
        "history_versions", "history_keys", "history_bytes"))
    for lsn, states in rng.sample(known, 60):
        assert [at(client, k, lsn) for k in keys] == states


def test_restored_bodies_survive_the_end_of_their_history(make_server):
    server = make_server()
    client = server.client()
    data, lsn = put(client, "k", 1)
    client.delete("k")
    client.execute_command("IMG.RESTORE", "k", "AT", "LSN", lsn)
    client.config_set("history-window", "0")
    until(lambda: client.info("store")["history_versions"] == 0)
    for _ in range(2):
        server.kill()
        client = server.start("--history-window", "0", "--hot-memory", "0").client()
        assert client.execute_command("IMG.GET", "k") == data


def test_the_window_ends(client):
    client.config_set("history-window", "1")
    data, lsn = put(client, "k", 1)
    put(client, "k", 2)
    assert at(client, "k", lsn) == data
    until(lambda: client.info("store")["history_versions"] == 0)
    with pytest.raises(redis.ResponseError, match="^NOHISTORY"):
        at(client, "k", lsn)
    with pytest.raises(redis.ResponseError, match="^NOHISTORY"):
        client.execute_command("IMG.RESTORE", "k", "AT", "LSN", lsn)
    assert at(client, "k", last_lsn(client)) == png(8, 8, 2)
    assert int(client.info("store")["history_bytes"]) == 0


def test_a_larger_window_after_a_restart_does_not_invent_a_past(make_server):
    server = make_server("--history-window", "0")
    client = server.client()
    _, lsn = put(client, "k", 1)
    put(client, "k", 2)
    client.delete("k")
    server.stop()
    client = server.start("--history-window", "86400").client()
    assert versions(client, "k") == []
    with pytest.raises(redis.ResponseError, match="^NOHISTORY"):
        at(client, "k", lsn)
    data, lsn = put(client, "k", 3)
    client.delete("k")
    assert at(client, "k", lsn) == data


def test_a_thousand_versions_of_one_key(make_server):
    server = make_server("--appendfsync", "no")
    client = server.client()
    steps = [put(client, "k", seed) for seed in range(1000)]
    for data, lsn in steps[::97]:
        assert at(client, "k", lsn) == data
    assert len(versions(client, "k", "LIMIT", 10000)) == 1000
    assert len(versions(client, "k")) == 100
    server.stop()
    client = server.start().client()
    assert len(versions(client, "k", "LIMIT", 10000)) == 1000
    assert at(client, "k", steps[3][1]) == steps[3][0]


def test_a_transform_of_the_past(client):
    data, lsn = put(client, "k", 1)
    put(client, "k", 2)
    made = at(client, "k", lsn, "WIDTH", 4, "FORMAT", "png")
    assert made.startswith(b"\x89PNG") and made != data
    assert made == at(client, "k", lsn, "WIDTH", 4, "FORMAT", "png")


def test_a_full_disk_gives_up_the_oldest_history_and_takes_puts(make_server):
    server = make_server("--segment-bytes", "1mb", "--disk-bytes-max", "16mb",
                         "--body-memory", "32mb")
    client = server.client()
    first, _ = put(client, "first", 1)
    noise = random.Random(3)
    for step in range(200):
        data = png(4, 4, step) + noise.randbytes(200_000)
        client.execute_command("IMG.PUT", "k", data)
        assert client.execute_command("IMG.GET", "k") == data
    info = client.info("store")
    assert int(info["history_given_up"]) > 50
    assert int(info["history_versions"]) > 0
    assert client.execute_command("IMG.GET", "first") == first
    assert "history is given up" in server.log()
    newest = versions(client, "k")
    server.kill()
    client = server.start().client()
    assert [v[b"lsn"] for v in versions(client, "k")][:3] == [v[b"lsn"] for v in newest][:3]
    with pytest.raises(redis.ResponseError, match="^NOHISTORY"):
        at(client, "k", 5)
