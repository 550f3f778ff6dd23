"""tintype-server --open-at ... --readonly: the store as it was, from the same files."""
import hashlib
import os
import random
import subprocess
import time

import pytest
import redis

from conftest import Server, until
from test_backup import run
from test_history import at, last_lsn, png, put, versions


def fingerprint(folder):
    """Every file of a data directory: its bytes, and when it was changed."""
    found = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            found[name] = hashlib.sha256(file.read()).hexdigest(), os.stat(path).st_mtime_ns
    return found


def open_at(server, *moment):
    return server.start("--open-at", *(str(word) for word in moment), "--readonly").client()


def refused(server, *options):
    """Its log, after it refused to start."""
    server.spawn(*options)
    assert server.process.wait(timeout=20) == 1
    return server.log()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_clone_is_what_the_store_was(make_server, how):
    server = make_server("--cache-appendfsync", "always")
    client = server.client()
    rng, known = random.Random(8), []
    keys = [f"k{i}" for i in range(10)]
    for step in range(120):
        key = rng.choice(keys)
        if rng.randrange(3):
            put(client, key, step, "TITLE", f"word{step % 7}")
        elif rng.randrange(2):
            client.set(f"s{step}", step)
        else:
            client.delete(key)
        if step % 40 == 20:
            known.append((last_lsn(client), [client.execute_command("IMG.GET", k) for k in keys],
                          client.execute_command("IMG.SEARCH", "word3")[0]))
    getattr(server, how)()
    data = os.path.join(server.folder, "data")
    before = fingerprint(data)
    for lsn, images, hits in known:
        clone = open_at(server, "LSN", lsn)
        assert [clone.execute_command("IMG.GET", k) for k in keys] == images
        assert clone.dbsize() == sum(image is not None for image in images), "strings have no past"
        assert clone.execute_command("IMG.SEARCH", "word3")[0] == hits
        assert int(clone.info("store")["clone_lsn"]) == lsn
        server.stop()
        assert fingerprint(data) == before
    assert server.start().client().dbsize() >= 0


def test_a_clone_takes_no_write(make_server):
    server = make_server()
    client = server.client()
    data, lsn = put(client, "k", 1)
    put(client, "k", 2)
    client.set("s", "1")
    server.stop()
    clone = open_at(server, "LSN", lsn)
    for words in (("SET", "s", "2"), ("DEL", "k"), ("IMG.PUT", "k", data), ("FLUSHALL",),
                  ("IMG.RESTORE", "k", "LSN", lsn), ("EXPIRE", "k", 5), ("IMG.EDIT", "k", "TITLE", "x"),
                  ("RENAME", "k", "l"), ("IMG.TIER", "SET", "hot", "k")):
        with pytest.raises(redis.ReadOnlyError):
            clone.execute_command(*words)
    assert clone.get("s") is None and clone.execute_command("IMG.GET", "k") == data


def test_a_clone_lives_at_its_moment(make_server):
    server = make_server("--cache-appendfsync", "always")
    client = server.client()
    put(client, "pic", 1, "PX", 60)
    lsn, time_ms = last_lsn(client), int(versions(client, "pic")[0][b"time"])
    while client.exists("pic"):
        pass
    put(client, "other", 2)
    server.stop()
    clone = open_at(server, "LSN", lsn)
    assert clone.execute_command("IMG.GET", "pic") == png(8, 8, 1)
    server.stop()
    clone = open_at(server, time_ms + 61)
    assert clone.execute_command("IMG.GET", "pic") is None


def test_a_clone_has_a_past_too(make_server):
    server = make_server()
    client = server.client()
    first, lsn = put(client, "k", 1)
    _, second = put(client, "k", 2)
    client.delete("k")
    server.stop()
    clone = open_at(server, "LSN", second)
    assert at(clone, "k", lsn) == first
    assert [line[b"state"] for line in versions(clone, "k")] == [b"current", b"superseded"]


def settled(folder):
    """Its fingerprint. What a killed process had asked of the kernel may end a moment after it."""
    seen = []

    def is_settled():
        seen.append(fingerprint(folder))
        time.sleep(0.05)
        return len(seen) > 3 and seen[-1] == seen[-4]
    until(is_settled)
    return seen[-1]


def test_readonly_alone_serves_what_is_there(make_server):
    server = make_server()
    put(server.client(), "k", 1)
    server.kill()
    before = settled(os.path.join(server.folder, "data"))
    clone = server.start("--readonly").client()
    assert clone.execute_command("IMG.GET", "k") == png(8, 8, 1)
    server.stop()
    assert fingerprint(os.path.join(server.folder, "data")) == before


def test_what_cannot_be_opened_is_refused(make_server, folder):
    server = make_server("--history-window", "1")
    put(server.client(), "k", 1)
    put(server.client(), "k", 2)
    server.stop()
    assert "open-at needs readonly" in refused(server, "--open-at", "LSN", "1")
    assert "before what history-window keeps" in refused(
        server, "--open-at", "2001-01-01", "--readonly")
    assert "open-at is a time" in refused(server, "--open-at", "soon", "--readonly")
    empty = make_server("--dir", os.path.join(folder, "nosuch"), start=False)
    assert "cannot start" in refused(empty, "--readonly")
    assert not os.path.exists(os.path.join(folder, "nosuch"))


@pytest.fixture
def beside(folder):
    """Starts a server without its own directory, on a free port: beside(options...) -> Server"""
    made = []

    def start(*options):
        os.makedirs(os.path.join(folder, "beside"), exist_ok=True)
        made.append(Server(os.path.join(folder, "beside"), *options).start())
        return made[-1]
    yield start
    for one in made:
        one.stop()


def test_of_a_running_server_a_copy_is_cloned(make_server, folder, beside):
    server = make_server("--appendfsync", "always")
    client = server.client()
    data, lsn = put(client, "k", 1)
    put(client, "k", 2)
    args = list(server.process.args)
    args[args.index("--port") + 1] = "0"
    second = subprocess.run(args + ["--open-at", "LSN", str(lsn), "--readonly"], capture_output=True,
                            text=True, timeout=20, check=False)
    said = second.stdout + second.stderr
    assert second.returncode != 0 and "in use by another process" in said
    assert "tintype-backup" in said and "tintype-restore" in said      # and what it says is so:
    for words in (("tintype-backup", "--dir", folder + "/data", "--to", folder + "/backups"),
                  ("tintype-restore", "--from", folder + "/backups", "--dir", folder + "/copy")):
        done = run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    clone = beside("--dir", folder + "/copy", "--open-at", "LSN", str(lsn), "--readonly").client()
    new, _ = put(client, "k", 3)                # the server goes on beside it
    assert clone.execute_command("IMG.GET", "k") == data
    assert client.execute_command("IMG.GET", "k") == new


def test_rewound_is_as_it_was_and_goes_on_from_there(make_server):
    server = make_server("--cache-appendfsync", "always")
    client = server.client()
    kept, kept_lsn = put(client, "kept", 1, "TITLE", "first")
    gone, _ = put(client, "gone", 2)
    client.execute_command("IMG.EDIT", "kept", "TITLE", "second")
    lsn = last_lsn(client)
    put(client, "kept", 3)
    client.delete("gone")
    put(client, "later", 4)
    client.set("s", "string")
    server.kill()
    client = server.start("--rewind-to", f"LSN {lsn}").client()
    for _ in range(3):
        assert client.execute_command("IMG.GET", "kept") == kept
        assert client.execute_command("IMG.GET", "gone") == gone
        assert client.execute_command("IMG.GET", "later") is None and client.get("s") is None
        assert client.execute_command("IMG.SEARCH", "second", "NOCONTENT") == [1, b"kept"]
        assert at(client, "kept", kept_lsn) == kept
        server.kill()
        client = server.start().client()
    new, _ = put(client, "later", 5)
    server.kill()
    assert server.start().client().execute_command("IMG.GET", "later") == new
    server.stop()
    assert "go with it" in refused(server, "--rewind-to", "LSN 1", "--readonly")
    assert "lies before" in refused(server, "--rewind-to", "2001-01-01")
    assert server.start().client().execute_command("IMG.GET", "later") == new
