"""utils/tintype-log: shows and verifies a data directory, and finds the versions of a key."""
import json
import os
import subprocess

import pytest

from conftest import BUILD
from images import png, put


def tintype_log(server, *words):
    """(exit status, lines)"""
    args = [os.path.join(BUILD, "tintype-log"), os.path.join(server.folder, "data"), *words]
    done = subprocess.run(args, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def written(make_server):
    """A killed server whose log has records of most types."""
    server = make_server("--appendfsync", "always", "--cache-appendfsync", "always")
    client = server.client()
    for seed in range(3):
        put(client, "pic", png(4, 4, (seed, 0, 0)))
    client.execute_command("IMG.EDIT", "pic", "TITLE", "x")
    client.copy("pic", "copied")
    client.pexpire("copied", 10_000_000)
    put(client, "other", png(9, 9, (7, 7, 7)))
    client.rpush("list", *range(500))
    client.rpush("list", "one more")
    with client.pipeline(transaction=True) as pipe:
        pipe.set("a", "1").set("b", "2").execute()
    client.delete("pic")
    server.kill()
    return server


def test_the_versions_of_a_key_are_found(written):
    status, lines = tintype_log(written, "--key", "pic", "--json")
    records = [json.loads(line) for line in lines]
    assert status == 0
    assert [record["type"] for record in records] == ["IMAGE"] * 3 + ["META", "DELETE"]
    lsns = [record["lsn"] for record in records]
    assert lsns == sorted(lsns) and all(record["good"] for record in records)
    assert records[3]["refers"] == lsns[2]


def test_every_record_is_shown_with_its_type(written):
    status, lines = tintype_log(written, "--json")
    types = {json.loads(line)["type"] for line in lines}
    assert status == 0 and "CHANGE" in types
    assert types <= {"IMAGE", "META", "VALUE", "LINK", "EXPIRE", "DELETE", "SETTING", "END", "CHANGE"}
    status, lines = tintype_log(written)
    assert status == 0 and f", {len(tintype_log(written, '--json')[1])} records, " in lines[-1]


def test_a_flipped_bit_is_found(written):
    assert tintype_log(written, "--verify")[0] == 0, "what was killed is torn at most"
    body, folder = png(9, 9, (7, 7, 7)), os.path.join(written.folder, "data")
    for name in (name for name in os.listdir(folder) if name.endswith(".seg")):
        with open(os.path.join(folder, name), "r+b") as file:
            at = file.read().find(body)
            if at >= 0:
                file.seek(at + 20)
                file.write(bytes([body[20] ^ 1]))
                break
    status, lines = tintype_log(written, "--verify")
    assert status == 1 and lines[-1].endswith(", 1 corrupt")
    assert lines[0].endswith(name + ":") and '"other"' in lines[1] and "CORRUPT BODY" in lines[1]


def test_mistakes_are_said(folder):
    tool = os.path.join(BUILD, "tintype-log")
    for words, said in (([], "usage"), (["--nosuch"], "usage"), ([folder + "/nosuch"], "nosuch: ")):
        done = subprocess.run([tool, *words], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2 and said in done.stderr
