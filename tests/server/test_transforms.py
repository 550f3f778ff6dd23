"""Derivatives: sizes, formats, one job for many, and workers that die, hang or get poison."""
import os
import random
import signal

import pytest
import redis

from conftest import until
from images import get, png, put, put_photos, what_is, with_exif
from wire import Wire, encode


def workers_of(server):
    """Process ids of the server's workers."""
    pid = server.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def images_info(server):
    return server.client().info("images")


@pytest.mark.parametrize("words, size", [
    ("WIDTH 320", (320, 200)), ("HEIGHT 100", (160, 100)), ("WIDTH 320 HEIGHT 320", (320, 200)),
    ("WIDTH 100 HEIGHT 100 FIT cover", (100, 100)), ("WIDTH 50 HEIGHT 80 FIT fill", (50, 80)),
    ("WIDTH 200 HEIGHT 200 FIT pad GRAVITY se", (200, 200)), ("WIDTH 5000", (2560, 1600)),
    ("WIDTH 2600 ENLARGE", (2600, 1625)), ("WIDTH 100 DPR 2", (200, 125)),
    ("CROP 0 0 100 50", (100, 50)), ("CROP 0.25 0.25 0.5 0.5 WIDTH 128", (128, 80)),
    ("ROTATE 90 WIDTH 100", (100, 160)), ("FLIP h WIDTH 64", (64, 40)),
    ("WIDTH 90 HEIGHT 90 FIT cover GRAVITY smart", (90, 90))])
def test_sizes(client, photos, folder, words, size):
    put(client, "k", photos["Aqua.jpg"])
    assert what_is(get(client, "k", *words.split()), folder) == ("jpeg", *size)


@pytest.mark.parametrize("words, form", [
    ("FORMAT jpeg", "jpeg"), ("FORMAT webp", "webp"), ("FORMAT avif", "avif"), ("FORMAT png", "png"),
    ("FORMAT original", "jpeg"), ("FORMAT auto ACCEPT image/avif,image/webp,*/*", "avif"),
    ("FORMAT auto ACCEPT image/webp,*/*;q=0.8", "webp"), ("ACCEPT text/html,*/*", "jpeg"),
    ("FORMAT webp QUALITY 20 STRIP all", "webp")])
def test_formats(client, photos, folder, words, form):
    put(client, "k", photos["FreshFlower.jpg"])
    assert what_is(get(client, "k", "WIDTH", "160", *words.split()), folder)[0] == form


def test_quality_costs_bytes(client, photos):
    put(client, "k", photos["Garden.jpg"])
    sizes = [len(get(client, "k", "WIDTH", 300, "FORMAT", "webp", "QUALITY", q)) for q in (20, 60, 95)]
    assert sizes == sorted(sizes) and sizes[0] * 2 < sizes[2]


def test_orientation_is_applied_first(client, photos, folder):
    put(client, "k", with_exif(photos["Aqua.jpg"], orientation=6))
    assert client.execute_command("IMG.INFO", "k", "width", "height", "orientation")[1::2] == [1600, 2560, 6]
    assert what_is(get(client, "k", "WIDTH", 100), folder) == ("jpeg", 100, 160)
    assert what_is(get(client, "k", "CROP", 0, 0, 10, 20), folder) == ("jpeg", 10, 20)


@pytest.mark.parametrize("words, error", [
    ("WIDTH 0", "WIDTH and HEIGHT"), ("WIDTH", "syntax error"), ("WIDTH 1 WIDTH 2", "syntax error"),
    ("FIT round", "FIT is one of"), ("CROP 9000 0 10 10", "CROP lies outside"), ("ROTATE 45", "ROTATE"),
    ("FORMAT gif", "FORMAT is one of"), ("QUALITY 101", "QUALITY"), ("NOSUCH", "syntax error"),
    ("BLUR 2", "BLUR is not available"), ("PRESET p", "PRESET is not available"),
    ("WIDTH 9000 ENLARGE", "^TOOLARGE result-max-side")])
def test_bad_options_are_named(client, photos, words, error):
    put(client, "k", photos["FreshFlower.jpg"])
    with pytest.raises(redis.ResponseError, match=error):
        get(client, "k", *words.split())


def test_equal_requests_are_one_job(server, photos):
    client = server.client()
    client.config_set("analysis", "no")   # which is a job, too
    put(client, "k", photos["Blinds.jpg"])
    wires = [Wire(server.port) for _ in range(20)]
    for wire in wires:
        wire.send(encode("IMG.GET", "k", "HEIGHT", 200, "WIDTH", 300, "FORMAT", "webp"))
    results = {wire.read() for wire in wires}
    assert len(results) == 1 and results.pop()[:4] == b"RIFF"
    info = images_info(server)
    assert info["derivatives_made"] == 1 and info["worker_jobs"] == 1
    etag_hit = info["derivative_cache_hits"]
    assert get(client, "k", "FORMAT", "webp", "WIDTH", 300, "HEIGHT", 200)[:4] == b"RIFF"
    info = images_info(server)
    assert info["derivative_cache_hits"] == etag_hit + 1 and info["worker_jobs"] == 1


def test_new_bytes_make_new_derivatives(client, photos, folder):
    put(client, "k", photos["Aqua.jpg"])
    first = get(client, "k", "WIDTH", 64)
    put(client, "k", photos["Garden.jpg"])
    assert get(client, "k", "WIDTH", 64) != first
    client.delete("k")
    assert get(client, "k", "WIDTH", 64) is None


def test_derivatives_of_many_in_one_pipeline(client, photos):
    put_photos(client, photos)
    pipe = client.pipeline(transaction=False)
    for name in photos:
        for width in (40, 80, 120):
            pipe.execute_command("IMG.GET", name, "WIDTH", width)
            pipe.execute_command("PING")
    replies = pipe.execute()
    assert all(data[:3] == b"\xff\xd8\xff" for data in replies[::2]) and len(set(replies[::2])) == 24


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_dies_or_hangs_fails_one_job(make_server, photos, how):
    server = make_server("--worker-deadline", "1000", "--workers", "1")
    client = server.client()
    put(client, "k", photos["Aqua.jpg"])
    assert get(client, "k", "WIDTH", 32)
    until(lambda: images_info(server)["workers_idle"] == 2)
    stopped = workers_of(server)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    with Wire(server.port) as wire:
        wire.send(encode("IMG.GET", "k", "WIDTH", 100))
        until(lambda: images_info(server)["workers_running"] == 1)
        assert client.set("others", "go on") and get(client, "k") == photos["Aqua.jpg"]
        for pid in stopped:
            os.kill(pid, how)
        assert wire.read().startswith(b"-CODEC ")
        assert wire.command("PING") == b"+PONG"
    for pid in set(stopped) & set(workers_of(server)):
        os.kill(pid, signal.SIGKILL)
    info = images_info(server)
    assert info["worker_crashes" if how == signal.SIGKILL else "worker_timeouts"] >= 1
    until(lambda: workers_of(server) and not set(workers_of(server)) & set(stopped))
    assert get(client, "k", "WIDTH", 101)[:3] == b"\xff\xd8\xff"


def test_workers_end_with_the_server(server, photos):
    put(server.client(), "k", photos["Aqua.jpg"])
    assert get(server.client(), "k", "WIDTH", 32)
    workers = workers_of(server)
    server.kill()
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers))


def poison(photos, seed):
    """Photographs cut short or with bytes changed, and PNGs that say more than they hold."""
    pick = random.Random(seed)
    data = bytearray(photos[pick.choice(["FreshFlower.jpg", "GreenMeadow.jpg", "Aqua.jpg"])])
    if pick.random() < 0.3:
        data = bytearray(png(300, 200, noise=pick.randbytes))
    for _ in range(pick.randrange(1, 30)):
        data[pick.randrange(20, len(data))] = pick.randrange(256)
    return bytes(data[:pick.randrange(64, len(data))] if pick.random() < 0.5 else data)


def test_hostile_images_kill_no_server(server, photos):
    client = server.client()
    outcome = {"refused": 0, "made": 0, "failed": 0}
    for seed in range(150):
        try:
            put(client, "k", poison(photos, seed))
            data = get(client, "k", "WIDTH", 40, "FORMAT", ("jpeg", "webp")[seed % 2])
            assert data[:4] in (b"RIFF", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xdb", b"\xff\xd8\xff\xe2")
            outcome["made"] += 1
        except redis.ResponseError as error:
            code = str(error).split()[0]
            assert code in ("BADIMAGE", "TOOLARGE", "CODEC"), error
            outcome["failed" if code == "CODEC" else "refused"] += 1
    assert min(outcome.values()) > 0 and sum(outcome.values()) == 150, outcome
    put(client, "good", photos["Aqua.jpg"])
    assert get(client, "good", "WIDTH", 50)
    assert server.process.poll() is None and images_info(server)["worker_nonsense"] == 0
