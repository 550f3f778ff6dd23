"""RESP on the wire: pipelines, pieces, limits, errors that never close the connection."""
import socket
import threading
from random import Random

import pytest

from conftest import until
from wire import Wire, encode


def test_inline_commands_with_quotes(server):
    with Wire(server.port) as wire:
        wire.send(b'PING\r\nECHO "a \\x41b"\r\nSET k \'v w\'\r\nGET k\r\n\r\nPING hello\n')
        assert wire.read() == b"+PONG"
        assert wire.read() == b"a Ab"
        assert wire.read() == b"+OK"
        assert wire.read() == b"v w"
        assert wire.read() == b"hello"


def test_pipeline_of_a_thousand_in_order(server):
    with Wire(server.port) as wire:
        wire.send(b"".join(encode("SET", f"k{i}", i) + encode("GET", f"k{i}") for i in range(1000)))
        for i in range(1000):
            assert wire.read() == b"+OK"
            assert wire.read() == b"%d" % i


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_requests_in_pieces(server, step):
    body = bytes(range(256)) * 100
    data = encode("SET", "piece", body) + encode("GET", "piece") + encode("STRLEN", "piece")
    with Wire(server.port) as wire:
        for at in range(0, len(data), step if step > 1 else 13):
            wire.send(data[at:at + (step if step > 1 else 13)])
        assert wire.read() == b"+OK"
        assert wire.read() == body
        assert wire.read() == b":25600"


def test_pieces_of_one_byte(server):
    data = encode("SET", b"\x00\r\n\xff", b"v") + encode("GET", b"\x00\r\n\xff") + b"PING\r\n"
    with Wire(server.port) as wire:
        for i in range(len(data)):
            wire.send(data[i:i + 1])
        assert [wire.read() for _ in range(3)] == [b"+OK", b"v", b"+PONG"]


def test_large_values_among_small_ones(server):
    big = [bytes([i]) * (n + i) for i, n in enumerate([16384, 16385, 100000, 1 << 20, 5 << 20])]
    with Wire(server.port) as wire:
        wire.send(b"".join(encode("SET", f"b{i}", v) + encode("PING") for i, v in enumerate(big)))
        for _ in big:
            assert wire.read() == b"+OK"
            assert wire.read() == b"+PONG"
        wire.send(encode("MSET", "x", big[2], "y", b"small", "z", big[3]) + encode("MGET", "x", "y", "z"))
        assert wire.read() == b"+OK"
        assert wire.read() == [big[2], b"small", big[3]]
        for i, value in enumerate(big):
            assert wire.command("GET", f"b{i}") == value


@pytest.mark.parametrize("data, error", [
    (b"*1\r\n@4\r\nPING\r\n", b"-ERR Protocol error: expected '$'"),
    (b"*-5x\r\n", b"-ERR Protocol error: invalid multibulk length"),
    (b"*2000000\r\n", b"-ERR Protocol error: invalid multibulk length"),
    (b"*1\r\n$-3\r\n", b"-ERR Protocol error: invalid bulk length"),
    (b"*1\r\n$99999999999\r\n", b"-ERR Protocol error: invalid bulk length"),
    (b"PING \"unbalanced\r\n", b"-ERR Protocol error: unbalanced quotes in request"),
])
def test_protocol_errors_are_said_and_end_the_connection(server, data, error):
    with Wire(server.port) as wire:
        wire.send(data)
        assert wire.read().startswith(error)
        with pytest.raises(ConnectionError):
            wire.read()


def test_empty_requests_are_ignored(server):
    with Wire(server.port) as wire:
        wire.send(b"*0\r\n\r\n*-1\r\n" + encode("PING"))
        assert wire.read() == b"+PONG"


def test_unknown_commands_do_not_close(server):
    with Wire(server.port) as wire:
        assert wire.command("NOSUCH", "a", "b") == \
            b"-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "
        assert wire.command("CLIENT", "NOSUCH") == b"-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."
        assert wire.command("GET") == b"-ERR wrong number of arguments for 'get' command"
        assert wire.command("CONFIG", "GET") == b"-ERR wrong number of arguments for 'config|get' command"
        assert wire.command("PING") == b"+PONG"


def test_before_authentication_little_is_taken(make_server):
    server = make_server("--requirepass", "secret")
    with Wire(server.port) as wire:
        assert wire.command("GET", "k") == b"-NOAUTH Authentication required."
        assert wire.command("AUTH", "wrong").startswith(b"-WRONGPASS")
        assert wire.command("HELLO", "3", "AUTH", "default", "secret", "SETNAME", "me")[b"proto"] == b":3"
        assert wire.command("CLIENT", "GETNAME") == b"me"
    with Wire(server.port) as wire:
        wire.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r\n")
        assert b"unauthenticated bulk length" in wire.read()
    with Wire(server.port) as wire:
        wire.send(b"*100\r\n")
        assert b"unauthenticated multibulk length" in wire.read()
    with Wire(server.port) as wire:
        assert b"unauthenticated multibulk length" in wire.command("MSET", "a", "1", "b", "2")


def test_silent_unauthenticated_connection_is_closed(make_server):
    server = make_server("--requirepass", "secret")
    with Wire(server.port, timeout=15) as wire:
        with pytest.raises(ConnectionError):
            wire.read()


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
def test_large_and_small_requests_in_pieces_of_any_size(make_server, backend):
    options = ["--io-backend", "epoll"] if backend == "epoll" else []
    server = make_server(*options)
    random = Random(7)
    values, stream, expected = {}, b"", []
    for i in range(120):
        if random.random() < 0.4:
            size = random.choice([70_000, 65_536, 65_537, 17_000, 300_000, 1_000_000])
            values[b"k%d" % (i % 10)] = random.randbytes(size)
            stream += encode("SET", b"k%d" % (i % 10), values[b"k%d" % (i % 10)])
            expected.append(b"+OK")
        elif random.random() < 0.3:
            stream += encode("PING") * 7
            expected += [b"+PONG"] * 7
        else:
            stream += encode("GET", b"k%d" % (i % 10))
            expected.append(values.get(b"k%d" % (i % 10)))
    with Wire(server.port) as wire:
        def send():
            at = 0
            while at < len(stream):
                step = random.choice([1, 2, 3, 1023, 1024, 1025, 16_384, 100_000, 1 << 20])
                wire.send(stream[at:at + step])
                at += step
            wire.socket.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        for one in expected:
            assert wire.read() == one
        sender.join()
        assert wire.file.read() == b""


def test_client_reply_off_skip_on(server):
    with Wire(server.port) as wire:
        wire.send(encode("CLIENT", "REPLY", "SKIP") + encode("PING", "never") + encode("PING", "one"))
        assert wire.read() == b"one"
        wire.send(encode("CLIENT", "REPLY", "OFF") + encode("PING", "x") + encode("CLIENT", "REPLY", "ON"))
        assert wire.read() == b"+OK"


def test_resp3_map_and_null(server):
    with Wire(server.port) as wire:
        hello = wire.command("HELLO", "3")
        assert hello[b"server"] == b"redis" and hello[b"version"] == b"7.2.4"
        wire.send(encode("GET", "nosuch"))
        assert wire.line() == b"_"
        assert wire.command("CONFIG", "GET", "port") == {b"port": str(server.port).encode()}


def test_a_client_that_ends_its_side_still_gets_replies(server):
    import socket
    with Wire(server.port) as wire:
        wire.send(b"".join(encode("PING", i) for i in range(500)))
        wire.socket.shutdown(socket.SHUT_WR)
        assert [wire.read() for _ in range(500)] == [b"%d" % i for i in range(500)]


def test_killed_client_is_gone(server):
    with Wire(server.port) as one, Wire(server.port) as two:
        identity = two.command("CLIENT", "ID")[1:]
        assert one.command("CLIENT", "KILL", "ID", identity) == b":1"
        with pytest.raises((ConnectionError, OSError)):
            two.command("PING")
        until(lambda: b"id=" + identity + b" " not in one.command("CLIENT", "LIST"))
