"""Redis's protocol by hand, for what a client library would hide."""
import socket


class Wire:
    def __init__(self, port, timeout=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def command(self, *words):
        self.send(encode(*words))
        return self.read()

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("closed")
        return line[:-2]

    def read(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind in b"+-:,#(":
            return line
        if kind == b"_":
            return None
        if kind in b"$=":
            if rest == b"-1":
                return None
            data = self.file.read(int(rest) + 2)
            return data[:-2]
        if kind in b"*~>":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        if kind == b"%":
            return {self.key(): self.read() for _ in range(int(rest))}
        raise ValueError(line)

    def typed(self, *words):
        """A reply with its types: (kind, value), aggregates as lists of such pairs."""
        if words:
            self.send(encode(*words))
        line = self.line()
        kind, rest = line[:1].decode(), line[1:]
        if kind in "*~>%":
            count = int(rest) * (2 if kind == "%" else 1)
            return (kind, None if count < 0 else [self.typed() for _ in range(count)])
        if kind in "$=" and rest != b"-1":
            return (kind, self.file.read(int(rest) + 2)[:-2])
        return (kind, rest)

    def key(self):
        value = self.read()
        return value if isinstance(value, bytes) else repr(value)

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def encode(*words):
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)
