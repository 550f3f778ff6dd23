"""Strings as arrays of bits: random commands against redis-server, byte for byte; limits."""
import random

from wire import Wire


def random_command(rng):
    key, other, third = (rng.choice("abcd") for _ in range(3))
    offset = rng.choice([0, 1, 7, 8, 63, 100, rng.randrange(300)])
    edge = lambda: rng.choice([0, 1, -1, 2, -2, 5, -100, 100, rng.randrange(-60, 60)])
    unit = lambda: rng.choice([[], [], ["BYTE"], ["BIT"]])
    kind = lambda: rng.choice("iu") + str(rng.choice([1, 2, 5, 8, 13, 31, 32, 33, 63, rng.randrange(1, 64)]))
    place = lambda: rng.choice([str(offset), "#%d" % rng.randrange(6)])
    number = lambda: rng.choice([0, 1, -1, 2**31, -2**40, 2**40, rng.randrange(-300, 300)])

    def field():
        return rng.choice([["GET", kind(), place()], ["SET", kind(), place(), number()], ["INCRBY", kind(), place(), number()],
                           ["OVERFLOW", rng.choice(["WRAP", "SAT", "FAIL"]), "INCRBY", kind(), place(), number()]])
    return rng.choice([
        lambda: ["SETBIT", key, offset, rng.randrange(2)], lambda: ["GETBIT", key, offset],
        lambda: ["BITCOUNT", key], lambda: ["BITCOUNT", key, edge(), edge()] + unit(),
        lambda: ["BITPOS", key, rng.randrange(2)], lambda: ["BITPOS", key, rng.randrange(2), edge()],
        lambda: ["BITPOS", key, rng.randrange(2), edge(), edge()] + unit(),
        lambda: ["BITOP", rng.choice(["AND", "OR", "XOR"]), key, other, third], lambda: ["BITOP", "NOT", key, other],
        lambda: ["BITFIELD", key] + field() + field() + field(), lambda: ["BITFIELD_RO", key, "GET", kind(), place()],
        lambda: ["SET", key, bytes(rng.choice([0, 255, rng.randrange(256)]) for _ in range(rng.randrange(40)))],
        lambda: ["DEL", key], lambda: ["GET", key], lambda: ["SETRANGE", key, offset, "x"]])()


def test_redis_answers_the_same(server, peer):
    rng = random.Random(3)
    with Wire(server.port) as ours, Wire(peer) as theirs:
        for n in range(12_000):
            words = random_command(rng)
            assert ours.command(*words) == theirs.command(*words), (n, words)


def test_mistakes_are_answered_as_redis_does(server, peer):
    mistakes = [["SETBIT", "k", "x", 1], ["SETBIT", "k", -1, 1], ["SETBIT", "k", 2**32, 1], ["SETBIT", "k", 1, 2], ["GETBIT", "k", "x"],
                ["BITCOUNT", "s", 1], ["BITCOUNT", "s", "x", 1], ["BITCOUNT", "s", 0, 1, "FURLONG"], ["BITPOS", "s", 2], ["BITPOS", "s", "x"],
                ["BITPOS", "s", 1, "x"], ["BITPOS", "s", 1, 0, 1, "BIT", "x"], ["BITOP", "NAND", "d", "s"], ["BITOP", "NOT", "d", "s", "s"],
                ["BITFIELD", "k", "GET", "u64", 0], ["BITFIELD", "k", "GET", "i65", 0], ["BITFIELD", "k", "GET", "f8", 0],
                ["BITFIELD", "k", "SET", "u8", 0], ["BITFIELD", "k", "SET", "u8", -1, 0], ["BITFIELD", "k", "SET", "u8", 0, "x"],
                ["BITFIELD", "k", "OVERFLOW", "BAD", "SET", "u8", 0, 1], ["BITFIELD_RO", "k", "SET", "u8", 0, 1], ["BITFIELD", "k", "NOSUCH"],
                ["BITFIELD", "k"], ["EXISTS", "k"]]
    with Wire(server.port) as ours, Wire(peer) as theirs:
        for words in [["SET", "s", "text"]] + mistakes:
            assert ours.command(*words) == theirs.command(*words), words


def test_images_are_no_bitmaps(client, photos, server):
    client.execute_command("IMG.PUT", "i", next(iter(photos.values())))
    with Wire(server.port) as wire:
        for words in (["SETBIT", "i", 1, 1], ["GETBIT", "i", 1], ["BITCOUNT", "i"], ["BITOP", "OR", "d", "i"], ["BITFIELD", "i", "GET", "u8", 0]):
            assert wire.command(*words).startswith(b"-WRONGTYPE"), words


def test_bits_survive_and_fit_into_transactions(server):
    client = server.client()
    pipe = client.pipeline()
    pipe.setbit("b", 10_000_000, 1).setbit("b", 3, 1).bitcount("b").bitop("NOT", "n", "b").bitcount("n")
    assert pipe.execute() == [0, 0, 2, 1_250_001, 1_250_001 * 8 - 2]
    client.execute_command("WAITAOF", 1, 0, 5000)
    server.kill()
    server.start()
    assert server.client().bitcount("b") == 2 and server.client().getbit("b", 10_000_000) == 1
