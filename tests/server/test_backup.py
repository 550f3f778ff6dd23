"""tintype-backup and tintype-restore: online, incremental, verified, onto a fresh machine."""
import glob
import os
import subprocess
import threading

import pytest

from conftest import BUILD, until
from images import get, png, put

UTILS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../utils")


def run(tool, *args):
    env = {**os.environ, "BUILD": os.path.abspath(BUILD)}
    return subprocess.run([os.path.join(UTILS, tool), *args], capture_output=True, text=True, check=False, env=env)


def backup(folder, *more):
    done = run("tintype-backup", "--dir", folder + "/data", "--warm-dir", folder + "/warm", "--to", folder + "/backups",
               *more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def restore(folder, name, *more):
    done = run("tintype-restore", "--from", folder + "/backups", "--dir", f"{folder}/{name}/data", "--warm-dir",
               f"{folder}/{name}/warm", *more)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def source(folder, make_server):
    return make_server("--warm-dir", folder + "/warm", "--appendfsync", "always", "--cache-appendfsync", "always")


@pytest.fixture
def restored(folder, make_server):
    def start(name):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        server = make_server("--warm-dir", f"{folder}/{name}/warm", start=False)
        server.folder, server.log_path = f"{folder}/{name}", f"{folder}/{name}/log"
        return server.start().client()
    return start


def fill(client, prefix, count, size=200_000):
    bodies = {}
    for i in range(count):
        bodies[f"{prefix}{i}"] = png(4, 4) + os.urandom(size)
        put(client, f"{prefix}{i}", bodies[f"{prefix}{i}"], "TITLE", f"number {i}")
    return bodies


def test_a_backup_under_load_holds_all_that_was_acknowledged_before_it(folder, source, restored):
    client, acked, stop = source.client(), {}, threading.Event()

    def write():
        mine, i = source.client(), 0
        while not stop.is_set():
            name, body = f"load{i % 40}", png(4, 4) + os.urandom(60_000)
            put(mine, name, body)
            acked.setdefault(name, []).append(body)
            mine.set(f"s{i % 100}", i)
            i += 1
    writer = threading.Thread(target=write)
    writer.start()
    try:
        bodies = fill(client, "k", 40)
        client.execute_command("IMG.TIER", "SET", "warm", "k7")
        for _ in range(3):
            before = {name: len(versions) for name, versions in dict(acked).items()}
            backup(folder)
    finally:
        stop.set()
        writer.join()
    os.mkdir(folder + "/fresh")
    restore(folder, "fresh")
    again = restored("fresh")
    for name, body in bodies.items():
        assert get(again, name) == body
    for name, versions in acked.items():
        body = get(again, name)
        assert body is None and before.get(name, 0) == 0 or body in versions[max(0, before.get(name, 1) - 1):]
    hits = again.execute_command("IMG.SEARCH", "@title:number", "NOCONTENT", "LIMIT", "0", "100")
    assert hits[0] == 40


def test_a_second_backup_copies_only_what_changed(folder, source, restored):
    client = source.client()
    bodies = fill(client, "a", 120)
    backup(folder)
    os.utime(folder + "/backups")
    for path in glob.glob(folder + "/data/*.seg"):
        past = os.stat(path).st_mtime - 3600
        os.utime(path, (past, past))          # as if they had been written long ago
    first = backup(folder)
    put(client, "small", png(4, 4))
    second = backup(folder)

    def copied(text):
        return int(text.split(" segments, ")[1].split(" ")[0])
    assert copied(first) > 6
    assert copied(second) <= 3                # the one that grows, and new spares
    client.delete("a3")                     # after the backup
    os.mkdir(folder + "/fresh")
    restore(folder, "fresh")
    again = restored("fresh")
    assert again.dbsize() == 121 and get(again, "a3") == bodies["a3"] and get(again, "small") == png(4, 4)
    assert put(again, "later", png(4, 4)) and again.dbsize() == 122


def test_old_backups_go_with_what_only_they_need(folder, source):
    client = source.client()
    for i in range(4):
        fill(client, f"round{i}/", 8)
        client.execute_command("FLUSHALL")
        backup(folder, "--keep", "2")
    assert len(os.listdir(folder + "/backups/backups")) == 2
    listed = run("tintype-restore", "--from", folder + "/backups", "--list").stdout
    assert len(listed.splitlines()) == 2 and "segments" in listed
    assert not glob.glob(folder + "/backups/segments/*.part") and not glob.glob(folder + "/backups/verify-*")


def test_a_moment_of_the_past_is_restored(folder, source, restored):
    client = source.client()
    bodies = fill(client, "k", 10)
    seconds, micros = client.time()
    moment = str(seconds * 1000 + micros // 1000 + 1)
    until(lambda: client.time()[0] * 1000 + client.time()[1] // 1000 > int(moment))
    client.delete("k1")
    put(client, "k2", png(4, 4))
    put(client, "new", png(5, 5))
    client.execute_command("IMG.TIER", "SET", "warm", "k3", "new")
    backup(folder)
    os.mkdir(folder + "/then")
    restore(folder, "then", "--at", moment)
    then = restored("then")
    for name, body in bodies.items():
        assert get(then, name) == body
    assert then.dbsize() == 10
    os.mkdir(folder + "/now")
    restore(folder, "now")
    now = restored("now")
    assert now.dbsize() == 10 and get(now, "k1") is None and get(now, "k2") == png(4, 4)
    done = run("tintype-restore", "--from", folder + "/backups", "--dir", folder + "/x", "--warm-dir", folder + "/xw",
               "--at", "2001-01-01")
    assert done.returncode == 1 and "lies before" in done.stderr and not os.path.exists(folder + "/x")


def test_a_damaged_backup_is_not_restored(folder, source):
    fill(source.client(), "k", 10)
    backup(folder)
    path = max(glob.glob(folder + "/backups/segments/*"), key=lambda name: os.stat(name).st_blocks)
    with open(path, "r+b") as file:
        file.seek(300_000)
        byte = file.read(1)
        file.seek(300_000)
        file.write(bytes([byte[0] ^ 4]))
    done = run("tintype-restore", "--from", folder + "/backups", "--dir", folder + "/fresh", "--warm-dir",
               folder + "/fresh-warm")
    assert done.returncode == 1 and "damaged" in done.stderr
    assert not os.path.exists(folder + "/fresh") and not glob.glob(folder + "/*.restoring")
    os.unlink(path)
    done = run("tintype-restore", "--from", folder + "/backups", "--dir", folder + "/fresh", "--warm-dir",
               folder + "/fresh-warm")
    assert done.returncode == 1 and "lacks" in done.stderr


def test_mistakes_are_said(folder, source, make_server):
    put(source.client(), "k", png(4, 4))
    backup(folder)
    backups = folder + "/backups"
    for args, what in ((["--from", backups, "--dir", folder + "/data"], "not empty"),
                       (["--from", folder + "/nowhere", "--list"], "holds no backups"),
                       (["--from", backups, "--dir", folder + "/x", "--at", "yesterday"], "neither ISO 8601"),
                       (["--from", backups, "--dir", folder + "/x", "--at", "9999-01-01"], "behind the last backup")):
        done = run("tintype-restore", *args)
        assert done.returncode == 1 and what in done.stderr
        assert not os.path.exists(folder + "/x")
    os.mkdir(folder + "/other")
    other = make_server(start=False)
    other.folder = folder + "/other"
    other.start()
    done = run("tintype-backup", "--dir", folder + "/other/data", "--to", backups)
    assert done.returncode == 1 and "another store" in done.stderr
    done = run("tintype-backup", "--dir", folder, "--to", backups)
    assert done.returncode == 1 and "holds no store" in done.stderr
