"""A pipelined client of the Redis protocol, enough for an import."""
import collections
import os
import select
import socket


class ConnectionTrouble(Exception):
    """The server cannot be reached, does not let us in, or went away."""


class ErrorReply(str):
    """A reply that began with '-'."""


def encode(words):
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else os.fsencode(str(word))
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)


def parse_reply(data, at):
    """(reply, next position), or None while it is incomplete."""
    end = data.find(b"\r\n", at)
    if end < 0:
        return None
    kind, rest = data[at:at + 1], bytes(data[at + 1:end])
    if kind in (b"+", b":"):
        return rest, end + 2
    if kind == b"-":
        return ErrorReply(rest.decode("utf-8", "replace")), end + 2
    if kind not in (b"$", b"*"):
        raise ConnectionTrouble("this is no server that speaks the Redis protocol")
    count = int(rest)
    if count < 0:
        return (None, end + 2)
    if kind == b"$":
        last = end + 2 + count
        return None if len(data) < last + 2 else (bytes(data[end + 2:last]), last + 2)
    items, at = [], end + 2
    for _ in range(count):
        item = parse_reply(data, at)
        if item is None:
            return None
        items.append(item[0])
        at = item[1]
    return items, at


class Connection:
    """A pipeline that reads whenever it writes, so that neither side can wait for the other."""

    def __init__(self, options):
        try:
            self.socket = socket.create_connection((options.host, options.port), timeout=10)
        except OSError as error:
            raise ConnectionTrouble(f"{options.host}:{options.port}: {error}") from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.out, self.waiting = collections.deque(), collections.deque()
        self.input, self.bytes_in_flight = bytearray(), 0
        self.poll = select.poll()
        self.poll.register(self.socket, select.POLLIN)
        for words in ([["AUTH", options.password]] if options.password else []) + \
                ([["SELECT", options.db]] if options.db else []) + [["PING"]]:
            reply = self.ask(words)
            if isinstance(reply, ErrorReply):
                raise ConnectionTrouble(reply)

    def send(self, words, done, data=None):
        """Queues a command, with `data` as its third word if given; done(reply) follows."""
        if data is None:
            head, body, tail = encode(words), b"", b""
        else:
            head = encode(words[:2]).replace(b"*2", b"*%d" % (len(words) + 1), 1) + \
                b"$%d\r\n" % len(data)
            body, tail = data, b"\r\n" + encode(words[2:]).partition(b"\r\n")[2]
        cost = len(head) + len(body) + len(tail)
        self.out.extend(memoryview(part) for part in (head, body, tail) if part)
        self.waiting.append((done, cost))
        self.bytes_in_flight += cost

    def ask(self, words):
        box = []
        self.send(words, box.append)
        while not box:
            self.pump(None)
        return box[0]

    def pump(self, wait_s):
        """Sends and receives what is possible; waits for something to be possible first."""
        wanted = select.POLLIN | (select.POLLOUT if self.out else 0)
        self.poll.modify(self.socket, wanted)
        events = self.poll.poll(None if wait_s is None else wait_s * 1000)
        try:
            for _, event in events:
                if event & select.POLLOUT:
                    self.write()
                if event & ~select.POLLOUT:
                    self.read()
        except OSError as error:
            raise ConnectionTrouble(f"the connection broke: {error}") from error

    def write(self):
        try:
            sent = self.socket.sendmsg([self.out[i] for i in range(min(len(self.out), 32))])
        except BlockingIOError:
            return
        while sent > 0:
            if sent >= len(self.out[0]):
                sent -= len(self.out.popleft())
            else:
                self.out[0] = self.out[0][sent:]
                sent = 0

    def read(self):
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionTrouble("the server closed the connection")
        self.input += data
        at = 0
        while self.waiting:
            parsed = parse_reply(self.input, at)
            if parsed is None:
                break
            reply, at = parsed
            done, cost = self.waiting.popleft()
            self.bytes_in_flight -= cost
            done(reply)
        del self.input[:at]

    def close(self):
        self.socket.close()
