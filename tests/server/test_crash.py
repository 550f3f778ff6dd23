"""kill -9 under load, again and again: what was acknowledged is there, byte for byte, and what
was deleted stays deleted. KILL_ROUNDS says how often (20)."""
import collections
import os
import random
import threading

from images import png
from wire import Wire, encode

WRITERS, KEYS, DEPTH = 4, 12, 8
SIZES = [100, 3000, 20000, 66000, 200000, 1500000, 5000000]
WEIGHTS = [30, 20, 20, 15, 10, 4, 1]
SMALL = png(2, 2)


def command_of(key, op):
    kind, value = op
    return {"put": ("IMG.PUT", key, value), "set": ("SET", key, value), "del": ("DEL", key),
            "edit": ("IMG.EDIT", key, "TITLE", value), "warm": ("IMG.TIER", "SET", "warm", key),
            "hot": ("IMG.TIER", "SET", "hot", key)}[kind]


def after(state, op):
    """A key is None, (b"string", bytes, None) or (b"image", bytes, title)."""
    kind, value = op
    if kind == "put":
        return b"image", value, None
    if kind == "set":
        return b"string", value, None
    if kind == "del":
        return None
    if kind == "edit" and state is not None and state[0] == b"image":
        return b"image", state[1], value
    return state


class Writer(threading.Thread):
    """Changes keys of its own until the connection breaks. `sent`: not acknowledged."""

    def __init__(self, server, name, seed, states, acked):
        super().__init__()
        self.server, self.name_, self.random = server, name, random.Random(seed)
        self.states, self.acked, self.sent, self.wrong = states, acked, collections.deque(), []

    def next_op(self):
        pick = self.random
        kind = pick.choices(["put", "set", "del", "edit", "warm", "hot"], [45, 20, 12, 13, 6, 4])[0]
        size = pick.choices(SIZES, WEIGHTS)[0] + pick.randrange(64)
        value = {"put": lambda: SMALL + pick.randbytes(size), "set": lambda: pick.randbytes(size),
                 "edit": lambda: b"title %d" % pick.randrange(1 << 40)}.get(kind, lambda: None)()
        return f"{self.name_}/{pick.randrange(KEYS)}", (kind, value)

    def run(self):
        try:
            with Wire(self.server.port, timeout=60) as wire:
                while True:
                    batch = [self.next_op() for _ in range(self.random.randrange(1, DEPTH))]
                    self.sent.extend(batch)
                    wire.send(b"".join(encode(*command_of(*step)) for step in batch))
                    for key, op in batch:
                        reply = wire.read()
                        if isinstance(reply, bytes) and reply.startswith(b"-") and \
                                not reply.startswith(b"-WRONGTYPE"):
                            self.wrong.append((key, op[0], reply))
                        self.sent.popleft()
                        self.states[key] = after(self.states.get(key), op)
                        self.acked()
        except OSError:
            pass                          # it was killed


def read_back(server, keys):
    with Wire(server.port, timeout=60) as wire:
        states = {}
        for key in keys:
            kind = wire.command("TYPE", key)[1:]
            if kind == b"string":
                states[key] = kind, wire.command("GET", key), None
            elif kind == b"image":
                states[key] = kind, wire.command("IMG.GET", key), wire.command("IMG.INFO", key, "title")[1]
            else:
                states[key] = None
        images = sum(state is not None and state[0] == b"image" for state in states.values())
        assert wire.command("IMG.SEARCH", "*", "LIMIT", "0", "0", "COUNT", "EXACT")[0] == b":%d" % images
        return states


def load_and_kill(server, states, pick):
    """What may be there afterwards: {key: [state, ...]}, the acknowledged one first."""
    enough, lock, left = threading.Event(), threading.Lock(), [pick.randrange(1, 400)]

    def acked():
        with lock:
            left[0] -= 1
        if left[0] <= 0:
            enough.set()
    writers = [Writer(server, f"w{i}", pick.random(), states, acked) for i in range(WRITERS)]
    for writer in writers:
        writer.start()
    assert enough.wait(60), server.log()
    server.kill()
    allowed = {}
    for writer in writers:
        writer.join()
        assert not writer.wrong
        for i in range(KEYS):
            allowed[f"{writer.name_}/{i}"] = [states.get(f"{writer.name_}/{i}")]
        for key, op in writer.sent:
            allowed[key].append(after(allowed[key][-1], op))
    return allowed


def show(state):
    return state and (state[0], len(state[1]), state[1][-8:].hex(), state[2])


def test_kill_rounds(make_server, folder):
    seed = int(os.environ.get("KILL_SEED", random.randrange(1 << 32)))
    pick, states = random.Random(seed), {}
    server = make_server("--warm-dir", folder + "/warm", "--appendfsync", "always",
                         "--cache-appendfsync", "always", "--hot-memory", "16mb")
    for number in range(int(os.environ.get("KILL_ROUNDS", "20"))):
        allowed = load_and_kill(server, states, pick)
        if number % 3 == 2:
            server.spawn()                # and killed once more while it recovers
            server.kill()
        server.start()
        found = read_back(server, allowed)
        for key, state in found.items():
            assert state in allowed[key], (f"KILL_SEED={seed}, round {number}, {key}: "
                                           f"{show(state)}, may be {list(map(show, allowed[key]))}")
        states = found
    server.stop()
    server.start()
    assert read_back(server, states) == states
    info = server.client().info("store")
    assert info["corrupt_records"] == 0 and info["read_errors"] == 0
