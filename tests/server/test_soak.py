"""Overwrite load with the cleaner at work, while the link is cut and the follower killed again and again: it
ends as the leader does, and no body is sent twice. `make soak SECONDS=3600` is the long form."""
import os
import random
import threading
import time

from conftest import until
from images import png
from replicas import Wire, assert_same, in_sync, link_is_up, start_pair

SECONDS = int(os.environ.get("SOAK_SECONDS", "12"))
KEYS, PICTURES = 400, 60


def picture(n):
    return png(100, 100, noise=random.Random(n).randbytes)


def write(client, stop, written):
    dice, turn = random.Random(7), 0
    while not stop.is_set():
        turn += 1
        if turn % 5 == 0:
            body = picture(turn)
            client.execute_command("IMG.PUT", f"i{dice.randrange(PICTURES)}", body)
        else:
            body = dice.randbytes(dice.choice((100, 5000, 60000)))
            client.set(f"k{dice.randrange(KEYS)}", body)
        if turn % 17 == 0:
            client.delete(f"i{dice.randrange(PICTURES)}", f"k{dice.randrange(KEYS)}")
        written[0] += len(body) + 400
        time.sleep(0.001)


def test_an_hour_of_overwriting_in_short(folder):
    wire, stop, written = Wire(), threading.Event(), [0]
    leader, follower = start_pair(folder, "--analysis", "no", "--segment-bytes", "1mb", "--history-window", "0",
                                  "--dedupe", "no", wire=wire)
    writer = threading.Thread(target=write, args=(leader.client(), stop, written))
    writer.start()
    try:
        end, turns = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            time.sleep(min(2, SECONDS / 6))   # of load, which is what this is about
            turns += 1
            wire.cut()
            if turns % 3 == 0:
                follower.kill()
                follower.start()
            time.sleep(min(20, SECONDS / 12))
            wire.heal()
            until(lambda: link_is_up(follower), 60)
    finally:
        stop.set()
        writer.join()
    in_sync(leader, follower, 120)
    assert assert_same(leader, follower) > KEYS / 2 and turns >= 3
    # A body that was under way when a link broke goes on, but for the follower's death.
    assert wire.passed < written[0] * 1.02 + turns * 200_000
    assert leader.client().info("store")["segments_recycled"] > 0
    for server in leader, follower:
        server.stop()
        assert "TINTYPE BUG" not in server.log() and "put aside" not in server.log()
