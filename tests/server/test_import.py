"""utils/tintype-import against a real server: sidecars, skipping, resuming, refusals."""
import json
import os
import signal
import struct
import subprocess
import sys

import pytest

from conftest import free_port, until
from images import get, info, png

UTILS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../utils")
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,15W" exif:DateTimeOriginal="2021-05-06T07:08:09Z">
<dc:title><rdf:Alt><rdf:li xml:lang="de">Turm</rdf:li><rdf:li xml:lang="x-default">Tower</rdf:li>
</rdf:Alt></dc:title><dc:subject><rdf:Bag><rdf:li>night</rdf:li><rdf:li>city</rdf:li></rdf:Bag>
</dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.fixture
def tree(folder):
    top = os.path.join(folder, "pictures")

    def write(name, data):
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return path
    return top, write


def command(server, top, *options):
    return [sys.executable, os.path.join(UTILS, "tintype-import"), "--port", str(server.port),
            "--state", os.path.join(server.folder, "state.db"), *options, top]


def run(server, top, *options):
    done = subprocess.run(command(server, top, *options), capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def iptc_jpeg(photos):
    def dataset(number, text):
        return struct.pack(">BBBH", 0x1c, 2, number, len(text)) + text
    iptc = dataset(5, "Café".encode()) + dataset(25, b"alpha") + dataset(25, b"beta") + dataset(120, b"A cup")
    block = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
    data = photos["FreshFlower.jpg"]
    return data[:2] + b"\xff\xed" + struct.pack(">H", len(block) + 2) + block + data[2:]


def test_words_from_all_places(server, tree, photos):
    top, write = tree
    write("a/json.png", png(10, 10))
    write("a/json.json", json.dumps({"title": "T", "caption": "C", "tags": ["x", "y"], "attrs": {"n": 1},
                                     "taken": "2020-02-03", "location": [1.5, 2.5]}))
    write("a/text.png", png(11, 10))
    write("a/text.png.txt", "\ufeffFirst line\r\nand the rest\nof it")
    write("b/tower.jpeg", photos["FreshFlower.jpg"])
    write("b/tower.XMP", XMP)
    write("b/inside.jpg", iptc_jpeg(photos))
    write("b/no-extension", png(12, 10))
    write("b/readme.md", "# no image")
    code, out, _ = run(server, top, "--prefix", "p/", "--tags", "all,mine")
    assert code == 0 and "5 imported" in out
    client = server.client()
    assert client.dbsize() == 5
    said = info(client, "p/a/json.png")
    assert (said["title"], said["caption"], said["taken"]) == (b"T", b"C", 1580688000000)
    assert said["tags"] == [b"x", b"y", b"all", b"mine"] and said["attrs"] == {b"n": b"1"}
    assert [float(x) for x in said["location"]] == [1.5, 2.5]
    assert info(client, "p/a/text.png", "title", "caption") == {
        "title": b"First line", "caption": b"and the rest\nof it"}
    said = info(client, "p/b/tower.jpeg")
    assert said["title"] == b"Tower" and said["tags"] == [b"night", b"city", b"all", b"mine"]
    assert [float(x) for x in said["location"]] == [-2.25, pytest.approx(48.858333)]
    said = info(client, "p/b/inside.jpg", "title", "caption", "tags")
    assert said == {"title": "Café".encode(), "caption": b"A cup", "tags": [b"alpha", b"beta", b"all", b"mine"]}
    assert get(client, "p/b/inside.jpg") == iptc_jpeg(photos)


@pytest.mark.parametrize("forget", [False, True])
def test_a_second_run_sends_nothing(server, tree, photos, forget):
    top, write = tree
    for name, data in photos.items():
        write(name, data)
    assert run(server, top)[0] == 0
    if forget:
        os.unlink(os.path.join(server.folder, "state.db"))
    code, out, _ = run(server, top)
    assert code == 0 and f"0 imported (0 B), {len(photos)} already there" in out
    client = server.client()
    assert client.info("images")["images_put"] == len(photos)
    client.delete("Dune.jpg")
    write("Aqua.jpg", photos["Garden.jpg"])
    write("Blinds.txt", "A title of its own")
    assert "3 imported" in run(server, top)[1] and info(client, "Blinds.jpg")["title"] == b"A title of its own"
    assert get(client, "Dune.jpg") == photos["Dune.jpg"] and get(client, "Aqua.jpg") == photos["Garden.jpg"]


def test_refused_and_left_out_are_listed(server, tree, photos):
    top, write = tree
    server.client().config_set("image-max-bytes", "500kb")
    bad = write("bad.jpg", "this is no picture")
    large = write("large.jpg", photos["Blinds.jpg"])
    write("good.png", png(9, 9))
    broken = write("good.json", "{broken")
    evil = write("good.xmp", '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    code, out, _ = run(server, top)
    assert code == 1 and "1 imported" in out and server.client().keys() == [b"good.png"]
    lines = out.splitlines()
    assert any(line.startswith(f"  {bad}: BADIMAGE ") for line in lines)
    assert any(line.startswith(f"  {large}: TOOLARGE ") for line in lines)
    assert any(broken in line and "sidecar not used" in line for line in lines)
    assert any(evil in line and "entities are not accepted" in line for line in lines)


def test_links_that_lead_back_end(server, tree):
    top, write = tree
    write("a/one.png", png(5, 5))
    write("b/two.png", png(6, 5))
    os.symlink("..", os.path.join(top, "a/up"))
    os.symlink(top, os.path.join(top, "b/loop"))
    os.symlink("nowhere.png", os.path.join(top, "dangling.png"))
    assert run(server, top)[0] == 0 and sorted(server.client().keys()) == [b"a/one.png", b"b/two.png"]


def test_it_goes_on_after_an_interruption(server, tree, photos):
    top, write = tree
    for i in range(400):
        write(f"{i:03}.jpg", photos["Garden.jpg"] + bytes([i % 256, i // 256]))
    process = subprocess.Popen(command(server, top, "--batch-bytes", "1mb"), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    until(lambda: server.client().dbsize() > 20)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    client = server.client()
    before = client.info("images")["images_put"]
    assert before < 400
    code, out, _ = run(server, top, "--jobs", "4")
    assert code == 0 and client.dbsize() == 400 and f"{before} already there" in out
    assert client.info("images")["images_put"] == 400


def test_no_server_and_a_wrong_password(make_server, tree):
    top, write = tree
    write("a.png", png(5, 5))
    server = make_server("--requirepass", "sesame")
    code, _, error = run(server, top)
    assert code == 2 and "NOAUTH" in error
    code, _, error = run(server, top, "--password", "wrong")
    assert code == 2 and "WRONGPASS" in error
    assert run(server, top, "--password", "sesame", "--db", "3")[0] == 0
    assert server.client(password="sesame", db=3).dbsize() == 1
    server.port, real = free_port(), server.port
    code, _, error = run(server, top)
    server.port = real
    assert code == 2 and "refused" in error


def test_dry_run_changes_nothing(server, tree):
    top, write = tree
    write("a.png", png(5, 5))
    write("a.txt", "Title")
    code, out, _ = run(server, top, "--dry-run")
    assert code == 0 and "would put a.png  TITLE Title" in out and "1 to import" in out
    assert server.client().dbsize() == 0
