"""The same commands to Tintype and to redis-server, in RESP2 and RESP3, replies compared with their types."""
from wire import Wire


def unordered(reply, size=1):
    """An aggregate whose elements (or runs of `size`) come in any order."""
    kind, value = reply
    if not isinstance(value, list):
        return reply
    step = size if kind != "%" else 2
    return kind, sorted(tuple(map(repr, value[i:i + step])) for i in range(0, len(value), step))


class Twins:
    def __init__(self, ours, theirs):
        self.wires = [(Wire(ours), Wire(theirs)) for _ in range(2)]
        for wire in self.wires[1]:
            wire.command("HELLO", "3")
        self.count = 0

    def ask(self, words, resp=2):
        ours, theirs = self.wires[resp - 2]
        return ours.typed(*words), theirs.typed(*words)

    def same(self, words, resp=2, order=None):
        """`order`: makes replies comparable whose order is not defined."""
        self.count += 1
        ours, theirs = self.ask(words, resp)
        if order is not None:
            ours, theirs = order(ours), order(theirs)
        assert ours == theirs, (self.count, resp, words, ours, theirs)
        return ours

    def close(self):
        for pair in self.wires:
            for wire in pair:
                wire.close()


def events(port, commands):
    """The keyspace events that these commands cause there, as a subscriber sees them."""
    with Wire(port) as listener, Wire(port) as wire:
        wire.command("CONFIG", "SET", "notify-keyspace-events", "KEA")
        listener.command("PSUBSCRIBE", "__key*__:*")
        for words in commands:
            wire.command(*words)
        wire.command("PUBLISH", "__keyend__:x", "x")
        seen = []
        while not seen or seen[-1][2] != b"__keyend__:x":
            seen.append(listener.read())
    return seen
