"""What takes more than one command, between the batches of test_differential.py: an iteration from its first cursor to
its last, a dump and its way back, messages from one connection to others. Each asserts that both servers agree."""
from wire import Wire, encode

READ = {b"string": ["GET"], b"list": ["LRANGE", "0", "-1"], b"set": ["SMEMBERS"], b"hash": ["HGETALL"], b"zset": ["ZRANGE", "0", "-1", "WITHSCORES"]}
COMPACT = {b"listpack", b"intset"}
CHANNELS = ["news", "n", "weather", "ä", "", "n[1]"]
MASKS = ["*", "n*", "we?ther", "[nw]*", "news", "", "\\n"]


class Exchanges:
    def __init__(self, sides, same, rng):
        """`same(words, ours, theirs)` compares two replies."""
        self.sides, self.same, self.rng = sides, same, rng
        self.listeners = {resp: [Wire(port, 60) for port in sides.ports] for resp in (2, 3)}
        for wire in self.listeners[3]:
            wire.command("HELLO", "3")

    def close(self):
        for wire in [*self.listeners[2], *self.listeners[3]]:
            wire.close()

    def one(self):
        self.resp = self.rng.choice([2, 3])
        self.rng.choice([self.scan, self.dump, self.messages])()

    def ask(self, *words):
        """To both servers; the replies, which must agree."""
        ours, theirs = (wire.typed(*words) for wire in self.sides.wires[self.resp])
        assert self.same(list(words), ours, theirs), {"words": words, "ours": ours, "theirs": theirs}
        return ours, theirs

    def key(self, homes="tlszh"):
        return self.rng.choice(homes) + str(self.rng.randrange(4))

    # ---- Iterations

    def grown(self):
        """The name of a key that is too large for a compact encoding, or is not."""
        home, count = self.rng.choice("szh"), self.rng.choice([3, 20, 130, 600])
        name, members = "big:" + home, [str(i * 7) if self.rng.random() < 0.5 else f"member:{i}" for i in range(count)]
        words = {"s": members, "z": [w for i, m in enumerate(members) for w in (str(i % 7 / 2), m)], "h": [w for m in members for w in (m, "v" + m)]}
        self.ask("DEL", name)
        self.ask({"s": "SADD", "z": "ZADD", "h": "HSET"}[home], name, *words[home])
        for member in self.rng.sample(members, count // 3):
            self.ask({"s": "SREM", "z": "ZREM", "h": "HDEL"}[home], name, member)
        return home, name

    def walked(self, wire, words, cursor_at):
        """All that comes from cursor 0 to cursor 0, without what came twice."""
        cursor, pairs, found = b"0", words[0] in ("HSCAN", "ZSCAN"), set()
        for _ in range(5000):
            (_, cursor), (_, items) = wire.typed(*words[:cursor_at], cursor, *words[cursor_at:])[1]
            items = [text for _, text in items]
            if words[0] == "ZSCAN":
                items[1::2] = map(float, items[1::2])
            found.update(zip(items[::2], items[1::2]) if pairs else items)
            if cursor == b"0":
                return found
        raise AssertionError("an iteration does not end")

    def scan(self):
        dice, words, cursor_at = self.rng.random(), ["SCAN"], 1
        if dice < 0.7:
            home, name = self.grown() if dice < 0.35 else (lambda home: (home, self.key(home)))(self.rng.choice("szh"))
            if self.ask("TYPE", name)[0][1] not in ({"s": b"set", "z": b"zset", "h": b"hash"}[home], b"none"):
                return
            words, cursor_at = [home.upper() + "SCAN", name], 2
        if self.rng.random() < 0.4:
            words += ["MATCH", self.rng.choice(["*", "*1*", "[a-m]*", "?", "nothing", "member:??"])]
        if self.rng.random() < 0.7:
            words += ["COUNT", self.rng.choice(["1", "2", "10", "100", "100000"])]
        if cursor_at == 1 and self.rng.random() < 0.4:
            words += ["TYPE", self.rng.choice(["string", "hash", "ZSET", "list", "set", "stream", "nothing"])]
        ours, theirs = (self.walked(wire, words, cursor_at) for wire in self.sides.wires[self.resp])
        assert ours == theirs, {"words": words, "ours alone": ours - theirs, "theirs alone": theirs - ours}
        if cursor_at == 2 and all(wire.typed("OBJECT", "ENCODING", words[1])[1] in COMPACT for wire in self.sides.wires[self.resp]):
            self.same_order(words)

    def same_order(self, words):
        """A compact value comes whole, in the order in which it lies there."""
        ours, theirs = (wire.typed(words[0], words[1], "0", *words[2:])[1] for wire in self.sides.wires[self.resp])
        (a, b) = ([text for _, text in reply[1][1]] for reply in (ours, theirs))
        if words[0] == "ZSCAN":
            a[1::2], b[1::2] = map(float, a[1::2]), map(float, b[1::2])
        assert ours[0] == theirs[0] == ("$", b"0") and a == b, {"words": words, "ours": ours, "theirs": theirs}

    # ---- Dumps

    def read_back(self, name):
        kind = self.ask("TYPE", name)[0][1]
        if kind in READ:
            self.ask(READ[kind][0], name, *READ[kind][1:])

    def dump(self):
        source, target = self.grown()[1] if self.rng.random() < 0.3 else self.key(), self.key()
        wires = self.sides.wires[self.resp]
        dumps = [wire.typed("DUMP", source)[1] for wire in wires]
        assert (dumps[0] in (b"-1", b"")) == (dumps[1] in (b"-1", b"")), {"source": source, "dumps": dumps}
        if dumps[0] in (b"-1", b""):
            return
        spoilt = self.rng.random() < 0.1
        at, words = self.rng.randrange(1 << 20), [self.rng.choice(["0", "0", "100000000", "-1"])]
        options = [word for word in ("REPLACE", "ABSTTL") if self.rng.random() < 0.6]
        if "ABSTTL" in options and words[0] == "100000000":
            words = ["4133980800000"]
        # Each its own; then ours, too, what redis-server made of it.
        for made in (dumps, [dumps[1], dumps[1]]):
            if spoilt:
                made = [dump[:at % len(dump)] + bytes([dump[at % len(dump)] ^ 1]) + dump[at % len(dump) + 1:] for dump in made]
            replies = [wire.typed("RESTORE", target, *words, dump, *options) for wire, dump in zip(wires, made)]
            assert replies[0] == replies[1], {"source": source, "replies": replies, "options": options, "dumps": made}
            self.read_back(target)
            self.ask("PTTL", target)

    # ---- Messages

    def heard(self):
        """What came to each listener since it was asked last."""
        out, end = [], [("$", b"that is all"), ("*", [("$", b"pong"), ("$", b"that is all")])]
        for wire in self.listeners[self.resp]:
            wire.send(encode("PING", "that is all"))
            out.append(list(iter(lambda w=wire: (lambda reply: None if reply in end else reply)(w.typed()), None)))
        return out

    def messages(self):
        self.heard()                          # of what happened to keys meanwhile: the others are compared already
        for _ in range(12):
            dice, shard = self.rng.random(), self.rng.random() < 0.3
            channels = [self.rng.choice(CHANNELS) for _ in range(self.rng.randrange(1, 4))]
            if dice < 0.4:
                verb = self.rng.choice(["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"])
                words = [verb, *([self.rng.choice(MASKS) for _ in channels] if verb[0] == "P" else channels)]
                self.tell(words[:1] if "UNSUB" in verb and self.rng.random() < 0.5 else words)
            elif dice < 0.5:
                self.tell(self.rng.choice([["PING"], ["PING", "x"], ["GET", "t1"], ["SUBSCRIBE"], ["RESET"], ["PUBSUB", "NUMPAT"], ["EXEC"]]))
            elif dice < 0.85:
                self.ask("SPUBLISH" if shard else "PUBLISH", channels[0], self.rng.choice(["", "hello", "\r\n", "x" * 3000]))
                ours, theirs = self.heard()           # of several patterns, any may be the first
                assert sorted(map(repr, ours)) == sorted(map(repr, theirs)), {"channel": channels[0], "ours": ours, "theirs": theirs}
            else:
                part = self.rng.choice([["NUMPAT"], ["NUMSUB", *channels], ["CHANNELS"], ["CHANNELS", self.rng.choice(MASKS)], ["SHARDNUMSUB", *channels],
                                        ["SHARDCHANNELS"], ["NUMPAT", "x"], ["NUMSUB"]])
                self.ask("PUBSUB", *part)

    def tell(self, words):
        """One command of a listener."""
        if words == ["RESET"] and self.resp == 3:
            return                            # it would go back to RESP2
        for wire in self.listeners[self.resp]:
            wire.send(encode(*words))
        ours, theirs = self.heard()
        if len(words) == 1 and "UNSUB" in words[0]:       # of all: in any order, but counted down
            ours, theirs = ([sorted(repr(r[1][1]) for r in side), [(r[0], r[1][0], r[1][2]) for r in side]] for side in (ours, theirs))
        assert ours == theirs, {"words": words, "ours": ours, "theirs": theirs}
