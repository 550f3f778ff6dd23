"""Images: in and out byte for byte, what is known of them, and the commands of every key."""
import pytest
import redis

from conftest import until
from images import get, info, png, put, put_photos, with_exif
from wire import Wire


def test_originals_come_back_byte_for_byte(client, photos):
    etags = put_photos(client, photos)
    for name, data in photos.items():
        assert get(client, name) == data
        assert len(etags[name]) == 32
    assert client.dbsize() == len(photos) and client.type("Aqua.jpg") == b"image"


def test_info_says_what_the_bytes_say(client, photos):
    etags = put_photos(client, photos)
    said = info(client, "Aqua.jpg")
    assert (said["format"], said["width"], said["height"]) == (b"jpeg", 2560, 1600)
    assert said["bytes"] == len(photos["Aqua.jpg"]) <= said["stored-bytes"]
    assert said["etag"] == etags["Aqua.jpg"] and said["tier"] == b"hot" and said["frames"] == 1
    assert said["title"] is None and said["tags"] == [] and said["location"] is None
    assert list(info(client, "Aqua.jpg", "bytes", "format")) == ["bytes", "format"]
    assert client.execute_command("IMG.INFO", "nosuch") is None
    with pytest.raises(redis.ResponseError, match="unknown field 'colour'"):
        client.execute_command("IMG.INFO", "Aqua.jpg", "colour")


def test_words_given_at_put(client, photos):
    put(client, "k", photos["Dune.jpg"], "TITLE", "A dune", "CAPTION", "Sand & grass", "TAGS",
        "sea, sand,sand", "ATTR", "rating", "5", "ATTR", "author", "J. Döe", "LOCATION", "-8.5",
        "41.25", "TAKEN", "2021-05-06T07:08:09Z")
    said = info(client, "k")
    assert (said["title"], said["caption"]) == (b"A dune", b"Sand & grass")
    assert said["tags"] == [b"sea", b"sand"]
    assert said["attrs"] == {b"rating": b"5", b"author": "J. Döe".encode()}
    assert [float(x) for x in said["location"]] == [-8.5, 41.25] and said["taken"] == 1620284889000


def test_same_words_in_resp3(server, photos):
    with Wire(server.port) as wire:
        wire.command("HELLO", "3")
        wire.command("IMG.PUT", "k", photos["Dune.jpg"], "TAGS", "a,b", "ATTR", "x", "y",
                     "LOCATION", "1.5", "2")
        assert wire.command("IMG.INFO", "k", "tags", "attrs", "location", "title", "width") == {
            b"tags": [b"a", b"b"], b"attrs": {b"x": b"y"}, b"location": [b",1.5", b",2"],
            b"title": None, b"width": b":1680"}


def test_exif_fills_the_fields(client, photos):
    put(client, "k", with_exif(photos["FreshFlower.jpg"], make="Canon", model="Canon EOS R5",
                               lens="RF 50mm F1.2", iso=400, aperture=2.8, exposure=0.005,
                               focal=50.0, taken="2023:04:05 06:07:08", orientation=6))
    said = info(client, "k")
    assert said["camera"] == b"Canon EOS R5" and said["lens"] == b"RF 50mm F1.2"
    assert [float(said[name]) for name in ("iso", "aperture", "exposure", "focal")] == \
        [400, 2.8, 0.005, 50]
    assert said["taken"] == 1680674828000 and said["orientation"] == 6
    put(client, "k", with_exif(photos["FreshFlower.jpg"], taken="2023:04:05 06:07:08"), "TAKEN", "7")
    assert info(client, "k")["taken"] == 7 and info(client, "k")["camera"] is None


def test_edit_changes_what_it_names(client, photos):
    etag = put(client, "k", photos["Dune.jpg"], "TITLE", "old", "TAGS", "a,b,c", "ATTR", "x", "1")
    edit = ["IMG.EDIT", "k"]
    assert client.execute_command(*edit, "TITLE", "new", "ADDTAGS", "d,a", "REMTAGS", "b") == 1
    assert client.execute_command(*edit, "ATTR", "y", "2", "DELATTR", "x", "CAPTION", "c") == 1
    said = info(client, "k")
    assert (said["title"], said["caption"]) == (b"new", b"c")
    assert said["tags"] == [b"a", b"c", b"d"] and said["attrs"] == {b"y": b"2"}
    assert said["etag"] == etag and get(client, "k") == photos["Dune.jpg"]
    assert client.execute_command(*edit, "TAGS", "") == 1 and info(client, "k")["tags"] == []
    assert client.execute_command("IMG.EDIT", "nosuch", "TITLE", "t") == 0
    for words in (["TITLE"], ["COLOUR", "red"], ["TITLE", "a", "TITLE", "b"]):
        with pytest.raises(redis.ResponseError, match="syntax error"):
            client.execute_command(*edit, *words)
    assert info(client, "k")["title"] == b"new"


def test_put_conditions_and_expiry(client, photos):
    data, other = photos["Dune.jpg"], photos["Aqua.jpg"]
    assert put(client, "k", data, "XX") is None and client.exists("k") == 0
    assert put(client, "k", data, "NX", "EX", "100") and 99 <= client.ttl("k") <= 100
    assert put(client, "k", other, "NX") is None and get(client, "k") == data
    assert put(client, "k", other, "XX", "KEEPTTL") and client.ttl("k") > 0
    assert get(client, "k") == other
    assert put(client, "k", data) and client.ttl("k") == -1
    assert put(client, "k", data, "PXAT", "4102444800000") and client.expiretime("k") == 4102444800
    for words in (["NX", "XX"], ["EX", "1", "KEEPTTL"], ["EX"], ["TIER"], ["WHAT"]):
        with pytest.raises(redis.ResponseError, match="syntax error"):
            put(client, "k", data, *words)
    with pytest.raises(redis.ResponseError, match="invalid expire time in 'img.put' command"):
        put(client, "k", data, "EX", "0")


@pytest.mark.parametrize("data", [
    b"", b"x", b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"%PDF-1.4 " * 100,
    b"RIFF\xff\xff\xff\xffWEBPVP8X", b"\0\0\0\x18ftypavif" + b"\0" * 64])
def test_what_is_no_image_is_refused(client, data):
    with pytest.raises(redis.ResponseError, match="^BADIMAGE .+"):
        put(client, "k", data)
    assert client.exists("k") == 0


@pytest.mark.parametrize("setting, value", [
    ("image-max-bytes", "4kb"), ("image-max-pixels", "10000"), ("image-max-side", "100")])
def test_limits_are_named(client, photos, setting, value):
    before = client.config_get(setting)[setting]
    client.config_set(setting, value)
    with pytest.raises(redis.ResponseError, match=f"^TOOLARGE .*{setting}"):
        put(client, "k", photos["FreshFlower.jpg"])
    client.config_set(setting, before)
    assert put(client, "k", photos["FreshFlower.jpg"])


def test_a_bomb_is_refused_by_its_header(client):
    with pytest.raises(redis.ResponseError, match="^TOOLARGE .*image-max-ratio"):
        put(client, "bomb", png(20, 10).replace(b"\0\0\0\x14\0\0\0\x0a", b"\0\0\x20\0\0\0\x20\0"))


def test_ranges(client, photos):
    data = photos["Blinds.jpg"]
    put(client, "k", data)
    for first, last in ((0, 0), (0, 99), (5000, 99999), (-100, -1), (len(data) - 1, 1 << 40),
                        (1 << 40, 1 << 41), (10, 5), (0, -1)):
        low, high = (x + len(data) if x < 0 else x for x in (first, last))
        assert get(client, "k", "RANGE", first, last) == data[low:high + 1]
    with pytest.raises(redis.ResponseError, match="not an integer"):
        get(client, "k", "RANGE", "a", "b")


def test_etag_saves_the_transfer(server, photos):
    client = server.client()
    etag = put(client, "k", photos["Dune.jpg"]).decode()
    assert get(client, "k", "IFNOTMATCH", etag) == b"NOTMODIFIED"
    assert get(client, "k", "IFNOTMATCH", f'"{etag}"') == b"NOTMODIFIED"
    assert get(client, "k", "IFNOTMATCH", "0" * 32) == photos["Dune.jpg"]
    assert put(client, "k2", photos["Dune.jpg"]).decode() == etag


def test_commands_of_every_key(client, photos):
    put_photos(client, photos)
    names = sorted(photos)
    assert client.delete(names[0]) == 1 and get(client, names[0]) is None
    client.rename(names[1], "renamed")
    assert get(client, "renamed") == photos[names[1]] and get(client, names[1]) is None
    client.expire("renamed", 50)
    assert client.copy("renamed", "copy") and get(client, "copy") == photos[names[1]]
    assert 0 < client.ttl("copy") <= 50
    assert client.execute_command("COPY", "copy", "copy", "DB", 4) == 1
    client.set("text", "1")
    assert sorted(client.scan_iter(_type="image")) == sorted(
        [n.encode() for n in names[2:]] + [b"renamed", b"copy"])
    assert client.expire("copy", -1) == 1 and client.exists("copy") == 0
    client.pexpire("renamed", 30)
    until(lambda: client.exists("renamed") == 0)
    for words in (["GET", names[2]], ["APPEND", names[2], "x"], ["IMG.GET", "text"],
                  ["IMG.INFO", "text"], ["IMG.EDIT", "text", "TITLE", "t"]):
        with pytest.raises(redis.ResponseError, match="^WRONGTYPE"):
            client.execute_command(*words)
    client.set(names[2], "now text")
    assert client.type(names[2]) == b"string" and put(client, "text", photos[names[3]])


def test_after_a_restart_a_cold_get_is_one_read(server, photos):
    client = server.client()
    small = {name: data for name, data in photos.items() if len(data) <= 1 << 20}
    put_photos(client, photos)
    client.execute_command("IMG.EDIT", "Dune.jpg", "TITLE", "after")
    client.expire("Aqua.jpg", 1000)
    client.delete("Garden.jpg")
    server.kill()
    server.start()
    client = server.client()
    assert client.dbsize() == len(photos) - 1 and client.ttl("Aqua.jpg") > 0
    assert info(client, "Dune.jpg")["title"] == b"after"
    for name in set(small) - {"Garden.jpg"}:
        before = client.info("store")["disk_reads"]
        assert get(client, name) == photos[name]
        assert client.info("store")["disk_reads"] == before + 1
        assert get(client, name) == photos[name] and get(client, "nosuch") is None
        assert client.info("store")["disk_reads"] == before + 1


def test_a_hundred_cold_gets_in_one_pipeline(make_server, photos):
    server = make_server("--hot-memory", "0")
    client = server.client()
    put_photos(client, photos)
    names = sorted(photos) * 20
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.execute_command("IMG.GET", name)
        pipe.ping()
    replies = pipe.execute()
    assert all(replies[1::2])
    for name, data in zip(names, replies[::2]):
        assert data == photos[name]


def test_edit_looks_at_its_words_before_the_key(client):
    for words in (["FOO"], ["TAKEN", "yesterday"], ["LOCATION", 200, 1], ["TITLE"], ["ADDTAGS", "x" * 300]):
        with pytest.raises(redis.ResponseError):
            client.execute_command("IMG.EDIT", "nokey", *words)
    assert client.execute_command("IMG.EDIT", "nokey", "TITLE", "x", "DELATTR", "y", "REMTAGS", "z") == 0
    assert client.exists("nokey") == 0
