"""Odd loads in odd settings on a leader and a follower, which are stopped and killed between: whatever was
loaded, each starts again, holds what it held, and both hold the same. `make soak SECONDS=3600 SEED=n` is the
long form, each seed another life."""
import os
import random
import time

import pytest
import redis
from conftest import until
from images import png
from replicas import in_sync, link_is_up, start_pair

SECONDS, SEED = int(os.environ.get("SOAK_SECONDS", "12")), int(os.environ.get("SOAK_SEED", "1"))
WORDS = [f"w{i}" for i in range(3000)]
QUERIES = ("w1", "w2|w5", "w4 @tags:{t1}", "@tags:{t3}", '"w7 w8"', "w10*", "-w1", "@n:[10 20]", "*")
SETTINGS = {"--segment-bytes": ("1mb", "4mb", "16mb"), "--checkpoint-idle": ("0", "1", "3"),
            "--checkpoint-bytes": ("0", "2mb", "16mb"), "--history-window": ("0", "5", "600"),
            "--dedupe": ("yes", "no"), "--cache-appendfsync": ("always", "everysec", "no"),
            "--load-first-bytes": ("1", "4mb")}


def image(dice, key):
    return ("IMG.PUT", key, png(2, 1 + dice.randrange(3), (dice.randrange(250), 1, 2)), "CAPTION",
            " ".join(dice.choices(WORDS, k=6)), "TAGS", f"t{dice.randrange(9)}", "ATTR", "n", dice.randrange(1000))


# How many at most in a round, and one of them.
LOADS = {
    "few images again and again": (20_000, lambda dice: image(dice, f"few{dice.randrange(40)}")),
    "many images": (10_000, lambda dice: image(dice, f"many{dice.randrange(200_000)}")),
    "images go": (10_000, lambda dice: ("DEL", f"many{dice.randrange(200_000)}", f"few{dice.randrange(40)}")),
    "captions": (3_000, lambda dice: ("IMG.EDIT", f"few{dice.randrange(40)}", "CAPTION", dice.choice(WORDS))),
    "images copied": (300, lambda dice: ("COPY", f"few{dice.randrange(40)}", f"copy{dice.randrange(60)}", "REPLACE")),
    "large images": (40, lambda dice: ("IMG.PUT", f"large{dice.randrange(30)}", png(
        200 + dice.randrange(300), 200, noise=dice.randbytes))),
    "strings": (20_000, lambda dice: ("SET", f"s{dice.randrange(100_000)}", "x" * dice.randrange(300))),
    "long values": (40, lambda dice: ("SET", f"long{dice.randrange(20)}", dice.randbytes(1000) * dice.randrange(4000))),
    "renamed": (500, lambda dice: ("RENAME", f"s{dice.randrange(1000)}", f"r{dice.randrange(700)}")),
    "lists grow": (20_000, lambda dice: ("RPUSH", f"l{dice.randrange(10)}", "x" * dice.randrange(100))),
    "lists shrink": (10_000, lambda dice: ("LPOP", f"l{dice.randrange(10)}")),
    "hashes": (20_000, lambda dice: ("HSET", f"h{dice.randrange(300)}", dice.randrange(5000), dice.random())),
    "hashes shrink": (5_000, lambda dice: ("HDEL", f"h{dice.randrange(300)}", dice.randrange(5000))),
    "sets": (20_000, lambda dice: ("SADD", f"S{dice.randrange(20)}", dice.randrange(80_000))),
    "sets shrink": (5_000, lambda dice: ("SPOP", f"S{dice.randrange(20)}", dice.randrange(4))),
    "sorted sets": (20_000, lambda dice: ("ZADD", f"z{dice.randrange(20)}", dice.randrange(1000), dice.randrange(60_000))),
    "large keys go": (10, lambda dice: ("DEL", dice.choice("hSz") + str(dice.randrange(20)))),
    "bits": (3_000, lambda dice: ("SETBIT", f"b{dice.randrange(5)}", dice.randrange(8_000_000), 1)),
    "tiers": (300, lambda dice: ("IMG.TIER", "SET", dice.choice(("warm", "hot")), f"few{dice.randrange(40)}")),
    "versions": (50, lambda dice: ("IMG.VERSIONS", f"few{dice.randrange(40)}")),
    "deadlines": (5_000, lambda dice: ("EXPIRE", f"s{dice.randrange(100_000)}", 1_000_000 + dice.randrange(1000))),
    "databases": (3, lambda dice: ("SWAPDB", dice.randrange(3), dice.randrange(3))),
    "moved": (100, lambda dice: ("MOVE", f"c{dice.randrange(50)}", 1 + dice.randrange(3))),
    "appended": (3_000, lambda dice: ("APPEND", f"a{dice.randrange(50)}", "x" * dice.randrange(3000))),
    "counters": (20_000, lambda dice: ("INCR", f"c{dice.randrange(50)}")),
    "all goes": (1, lambda dice: ("FLUSHALL",)),
}


def load(client, dice, name):
    most, command = LOADS[name]
    for _ in range(dice.randint(1, most) // 500 + 1):
        pipe = client.pipeline(transaction=False)
        for _ in range(min(500, most)):
            pipe.execute_command(*command(dice))
        for reply in pipe.execute(raise_on_error=False):
            assert not isinstance(reply, Exception) or "no such key" in str(reply).lower() or (
                name == "tiers" and str(reply).startswith("OVERLOADED")), (name, reply)


def digest(server):
    return server.client(socket_timeout=100).execute_command("IMG.DIGEST", "BUCKETS", 16)


def totals(server):
    """How many each query finds, once the index is there."""
    client = server.client(socket_timeout=100)

    def answers():
        try:
            return client.execute_command("IMG.SEARCH", "*", "LIMIT", 0, 0)
        except redis.exceptions.BusyLoadingError:
            return None
    until(answers, 30)
    return [client.execute_command("IMG.SEARCH", query, "LIMIT", 0, 0, "COUNT", "EXACT")[0] for query in QUERIES]


def act(dice, leader, follower):
    """What is held is the same after a proper stop; what was written last may be gone after a kill."""
    what = dice.choice(("nothing", "stop", "kill", "stop follower", "kill follower", "stop both"))
    if what in ("stop", "stop both"):
        held = digest(leader), totals(leader)
        leader.stop()
        leader.start()
        assert digest(leader) == held[0], what
        until(lambda: totals(leader) == held[1], 30)
    elif what == "kill":
        leader.kill()
        leader.start()
    if what in ("stop follower", "stop both"):
        follower.stop()
        follower.start()
    elif what == "kill follower":
        follower.kill()
        follower.start()
    return what


def churn(dice, leader, follower, story):
    begun = time.monotonic()
    while time.monotonic() - begun < SECONDS:
        loads = dice.sample(sorted(LOADS), dice.randint(1, 5))
        story.append((loads, "?"))
        for name in loads:
            load(leader.client(socket_timeout=100), dice, name)
        in_sync(leader, follower, 120)
        story[-1] = loads, act(dice, leader, follower)
        until(lambda: link_is_up(follower), 60)
        in_sync(leader, follower, 120)
        until(lambda: digest(leader) == digest(follower), 30)
        until(lambda: totals(leader) == totals(follower), 30)
        for server in leader, follower:
            for word in ("TINTYPE BUG", "closed: invalid", "orrupt", "put aside", "damaged"):
                assert word not in server.log(), (word, story)


@pytest.mark.parametrize("seed", (SEED, SEED + 1))
def test_whatever_was_loaded_both_hold_the_same(folder, seed):
    dice, story = random.Random(seed), []
    settings = [word for name, values in SETTINGS.items() for word in (name, dice.choice(values))]
    leader, follower = start_pair(
        folder, "--analysis", "no", *settings, leader_options=("--warm-dir", os.path.join(folder, "warm")),
        follower_options=("--warm-dir", os.path.join(folder, "follower warm")))
    try:
        churn(dice, leader, follower, story)
    finally:
        print(settings, story)                # pytest shows it if the test fails
        leader.stop()
        follower.stop()
