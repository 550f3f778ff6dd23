"""IMG.SIMILAR, @phash and @palette; and how well copies of real photographs are recognised.

RECALL=full takes 160 pictures of the Debian packages that are installed, among them drawings and objects cut out on
white (tuxpaint-stamps-default).
    make server-tests PYTEST_ARGS="-k recall -s" RECALL=full
"""
import os
import random
import re
import subprocess
import tempfile

import pytest
import redis

from conftest import until
from images import get, info, png, put
from test_analysis import analysed, picture
from wire import Wire

FULL = os.environ.get("RECALL") == "full"
DISTANCE = 70          # of 256 bits: where unrelated pictures are still further than 1 pair in 10,000


def similar(client, key, *words):
    reply = client.execute_command("IMG.SIMILAR", key, *words)
    return reply[0], [(name.decode(), distance) for name, distance in zip(reply[1::2], reply[2::2])]


def bits(client, key):
    found = info(client, key, "phash")["phash"]
    return None if found is None else int(found, 16)


def turned(client, key):
    """The eight ways to turn and mirror it, as images of their own."""
    for i, words in enumerate((["ROTATE", r] + f for r in (0, 90, 180, 270) for f in ([], ["FLIP", "h"]))):
        put(client, f"{key}-turn{i}", get(client, key, "FORMAT", "png", *words))


def test_the_nearest_come_first(client, photos):
    name, data = next(iter(photos.items()))
    put(client, "original", data)
    for i, (key, other) in enumerate(photos.items()):
        put(client, f"other{i}", picture(i))
        if key != name:
            put(client, key, other)
    put(client, "small", get(client, "original", "WIDTH", 160, "FORMAT", "webp"))
    put(client, "bad", get(client, "original", "QUALITY", 10))
    put(client, "same", data)
    analysed(client)
    total, found = similar(client, "original")
    assert total == 3 and found[0] == ("same", 0) and {key for key, _ in found} == {"small", "bad", "same"}
    own = bits(client, "original")
    assert [distance for _, distance in found] == [(bits(client, key) ^ own).bit_count() for key, _ in found]
    assert similar(client, "original", "LIMIT", 1, 1) == (3, found[1:2])
    assert similar(client, "original", "LIMIT", 0, 0) == (3, [])
    assert similar(client, "original", "MAXDIST", 0) == (1, [("same", 0)])
    total, found = similar(client, "original", "MAXDIST", 256, "LIMIT", 0, 100)
    assert total == len(found) == len(client.keys()) - 1
    assert [distance for _, distance in found] == sorted(distance for _, distance in found)


def test_turned_and_mirrored_copies(client, photos):
    put(client, "original", get_small(client, photos, 0))
    put(client, "stranger", get_small(client, photos, 1))
    turned(client, "original")
    analysed(client)
    total, found = similar(client, "original", "DIHEDRAL", "MAXDIST", DISTANCE, "LIMIT", 0, 20)
    assert total == 8 and {key for key, _ in found} == {f"original-turn{i}" for i in range(8)}
    assert similar(client, "original")[0] == 1


def get_small(client, photos, index):
    put(client, "full", list(photos.values())[index])
    small = get(client, "full", "WIDTH", 640, "FORMAT", "jpeg", "QUALITY", 92)
    client.delete("full")
    return small


def test_in_a_search(client, photos):
    put(client, "a", get_small(client, photos, 0), "TITLE", "first", "TAGS", "x")
    put(client, "b", get(client, "a", "WIDTH", 200), "TITLE", "second", "TAGS", "y")
    put(client, "c", get_small(client, photos, 2), "TITLE", "third", "TAGS", "x")
    put(client, "flat", png(20, 20, (200, 10, 10)))
    analysed(client)
    own = info(client, "a", "phash")["phash"].decode()

    def search(query, *words):
        reply = client.execute_command("IMG.SEARCH", query, "NOCONTENT", *words)
        assert reply[0] == len(reply) - 1
        return {key.decode() for key in reply[1:]}
    assert search(f"@phash:[{own} 31]") == {"a", "b"} == search(f"@phash:[{own}  100]") - {"c"}
    assert search(f"@phash:[{own} 31] @tags:{{y}}") == {"b"} == search(f"@phash:[{own} 31] -first")
    assert search(f"@phash:[{own} 31] | third") == {"a", "b", "c"}
    assert search("ismissing(@phash)") == {"flat"} and search("ismissing(@palette)") == set()
    assert search("@palette:{red}") >= {"flat"} and search("@palette:{red} @width:[20 20]") == {"flat"}
    assert search("@palette:{green|red} -@palette:{red} @width:[20 20]") == set()
    with pytest.raises(redis.ResponseError):
        search("@palette:{ultraviolet}")
    with pytest.raises(redis.ResponseError):
        search("@phash:[zz 3]")
    fields = client.execute_command("IMG.SEARCH", "first", "RETURN", 3, "phash", "palette", "placeholder")[2]
    assert fields[1] == own.encode() and fields[3] and len(fields[5]) >= 8


def test_what_changes_shows_at_once(client, photos):
    small = get_small(client, photos, 0)
    put(client, "a", small)
    put(client, "b", get(client, "a", "QUALITY", 50))
    analysed(client)
    assert similar(client, "a")[1][0][0] == "b"
    client.rename("b", "c")
    assert similar(client, "a")[1][0][0] == "c"
    client.execute_command("IMG.EDIT", "c", "TITLE", "t")
    assert similar(client, "a")[0] == 1
    client.delete("c")
    assert similar(client, "a") == (0, [])
    put(client, "d", get(client, "a", "QUALITY", 50))
    until(lambda: similar(client, "a")[0] == 1)
    client.flushdb()
    assert client.execute_command("IMG.SIMILAR", "a") is None


def test_resp3_shape(server, client, photos):
    put(client, "a", get_small(client, photos, 0))
    put(client, "b", get(client, "a", "QUALITY", 50))
    analysed(client)
    with Wire(server.port) as wire:
        wire.command("HELLO", "3")
        reply = wire.command("IMG.SIMILAR", "a")
        assert reply[b"total_results"] == b":1" and reply[b"results"][0][b"id"] == b"b"
        assert reply[b"results"][0][b"distance"].startswith(b":")


@pytest.mark.parametrize("words, error", [
    (["MAXDIST"], "syntax error"), (["MAXDIST", "257"], "^TOOLARGE"), (["MAXDIST", "-1"], "not an integer"),
    (["MAXDIST", "x"], "not an integer"), (["LIMIT", "0"], "syntax error"), (["LIMIT", "9000", "9000"], "^TOOLARGE"),
    (["NOSUCH"], "syntax error"), (["DIHEDRAL", "DIHEDRAL"], "syntax error")])
def test_errors(client, words, error):
    put(client, "k", picture(1))
    analysed(client)
    with pytest.raises(redis.ResponseError, match=error):
        client.execute_command("IMG.SIMILAR", "k", *words)


def test_images_without_a_hash(make_server):
    client = make_server("--analysis", "no").client()
    put(client, "k", picture(1))
    client.set("text", "x")
    with pytest.raises(redis.ResponseError, match="^NOHASH the image has not been analysed yet"):
        client.execute_command("IMG.SIMILAR", "k")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.execute_command("IMG.SIMILAR", "text")
    assert client.execute_command("IMG.SIMILAR", "nosuch") is None
    put(client, "flat", png(10, 10))
    client.config_set("analysis", "yes")
    analysed(client)
    assert similar(client, "k") == (0, [])
    with pytest.raises(redis.ResponseError, match="^NOHASH the image has no perceptual hash"):
        client.execute_command("IMG.SIMILAR", "flat")


# ---- recall ----

# name: how it is made, on a picture of at most 1024 pixels, by the vips tool or by the server itself; whether it counts
EDITS = {
    "jpeg q30": (["QUALITY", 30], True),
    "jpeg q10": (["QUALITY", 10], False),
    "webp half": (["DPR", 1, "WIDTH", 320, "FORMAT", "webp", "QUALITY", 40], True),
    "thumb 160": (["WIDTH", 160, "FORMAT", "jpeg"], True),
    "stretched": (["WIDTH", 300, "HEIGHT", 300, "FIT", "fill"], True),
    "avif": (["FORMAT", "avif", "QUALITY", 40], True),
    "grey": ("vips colourspace {} {} b-w", True),
    "bright +25%": ("vips linear {} {} 1.25 0 --uchar", True),
    "dark -25%": ("vips linear {} {} 0.75 0 --uchar", True),
    "mirrored": (["FLIP", "h"], True),
    "turned 90": (["ROTATE", 90], True),
    "crop 10%": ("crop", False),
    "rotated 2": ("vips rotate {} {} 2", False),
}
FULL_SETS = ["/usr/share/backgrounds", "/usr/share/wallpapers", "/usr/share/tuxpaint/stamps", "/usr/share/images"]


def sources():
    tops = FULL_SETS if FULL else FULL_SETS[:1]
    paths = [os.path.join(where, name) for top in tops for where, _, names in os.walk(top) for name in sorted(names)
             if name.endswith((".jpg", ".jpeg", ".png", ".webp")) and not os.path.islink(os.path.join(where, name))]
    random.Random(1).shuffle(paths)
    return paths[:160] if FULL else paths[:26]


def artwork(path):
    """Packages hold one picture in several sizes, colours and letterings, under names that begin alike."""
    return re.split(r"[-_.0-9 ]", os.path.basename(path).lower())[0][:8]


def edit(client, key, how, folder):
    if not isinstance(how, str):
        return get(client, key, *how)
    small, made = os.path.join(folder, "small.png"), os.path.join(folder, "made.jpg")
    with open(small, "wb") as file:
        file.write(get(client, key, "FORMAT", "png"))
    if how == "crop":
        width, height = (info(client, key, "width", "height")[name] for name in ("width", "height"))
        how = f"vips extract_area {{}} {{}} {width // 20} {height // 20} {width * 9 // 10} {height * 9 // 10}"
    subprocess.run(how.format(small, made).split(), check=True)
    with open(made, "rb") as file:
        return file.read()


def test_recall_of_edited_copies(client):
    """At least 99 % of copies are recognised, but for crops and small rotations, at less than one false pair in 10,000."""
    hashes = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = sources()
        for number, path in enumerate(paths):
            with open(path, "rb") as file:
                client.execute_command("IMG.PUT", "source", file.read())
            key = f"{number}"
            put(client, key, get(client, "source", "WIDTH", 1024, "HEIGHT", 1024, "FORMAT", "jpeg", "QUALITY", 92))
            for name, (how, _) in EDITS.items():
                put(client, f"{key}:{name}", edit(client, key, how, folder))
        client.delete("source")
        analysed(client)
    for key in client.keys("*"):
        hashes[key.decode()] = bits(client, key.decode())
    originals = {key: own for key, own in hashes.items() if ":" not in key and own is not None}
    near = {key: {name for name, _ in similar(client, key, "MAXDIST", DISTANCE, "DIHEDRAL", "LIMIT", 0, 10000)[1]}
            for key in originals}
    print(f"\n{len(originals)} pictures, distance {DISTANCE} of 256, any orientation")
    recalls = {}
    for name, (_, counts) in EDITS.items():
        found = [f"{key}:{name}" in near[key] for key in originals]
        recalls[name] = sum(found) / len(found)
        turned_too = name in ("mirrored", "turned 90")
        apart = sorted((hashes[f"{key}:{name}"] ^ own).bit_count() for key, own in originals.items()
                       if hashes[f"{key}:{name}"] is not None)
        middle = "" if turned_too else f"median {apart[len(apart) // 2]:3}  p95 {apart[len(apart) * 95 // 100]:3}"
        print(f"  {name:12} {100 * recalls[name]:6.2f} %  {middle}{'' if counts else '   (no promise)'}")
    pairs = false = plain = 0
    for key, own in originals.items():
        for other, theirs in hashes.items():
            if artwork(paths[int(other.split(":")[0])]) != artwork(paths[int(key)]) and theirs is not None:
                pairs += 1
                false += other in near[key]
                plain += (own ^ theirs).bit_count() <= DISTANCE
    print(f"  false pairs: {false} of {pairs} in any orientation, {plain} as they are")
    assert len(originals) >= 16 and all(recalls[name] >= 0.99 for name, (_, counts) in EDITS.items() if counts)
    assert plain <= pairs / 10000


def test_a_colour_that_is_none_is_an_error(client, photos):
    client.execute_command("IMG.PUT", "i", next(iter(photos.values())))
    for command in (["IMG.SEARCH", "@palette:{mauve}"], ["IMG.AGGREGATE", "@palette:{red|mauve}", "LIMIT", 0, 1]):
        with pytest.raises(redis.ResponseError, match="no such colour: @palette knows black, white"):
            client.execute_command(*command)
