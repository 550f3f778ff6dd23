"""One deep pipeline does not keep everybody else waiting, and loses nothing by taking turns."""
import os
import select
import socket

from wire import Wire, encode

BIG = 8 << 20
COUNT = b":%d" % BIG
SLOW = 300


def test_a_ping_overtakes_a_long_pipeline_of_somebody_else(server):
    server.client().set("big", b"\x01" * BIG)
    with Wire(server.port, timeout=60) as busy, Wire(server.port, timeout=60) as other:
        other.command("PING")
        busy.send(encode("BITCOUNT", "big") * SLOW)
        assert busy.read() == COUNT
        other.command("PING")
        done = int(other.command("INFO", "commandstats").split(b"cmdstat_bitcount:calls=")[1].split(b",")[0])
        assert 1 <= done < SLOW
        assert [busy.read() for _ in range(SLOW - 1)] == [COUNT] * (SLOW - 1)


def test_what_waits_for_its_turn_is_run_in_order_and_before_the_end_of_a_connection(server):
    """Requests of all sizes, bodies among them, in one stream; the sending side is shut at once."""
    server.client().set("big", b"\x01" * BIG)
    values = [os.urandom(size) for size in (3, 100, 17000, 40, 70000, 9, 200000, 1)]
    stream, replies = b"", []
    for round_number in range(12):
        stream += encode("BITCOUNT", "big") * 3 + b"PING\r\n"
        replies += [COUNT] * 3 + [b"+PONG"]
        for index, value in enumerate(values):
            stream += encode("SET", f"k{round_number}:{index}", value)
            replies.append(b"+OK")
    with Wire(server.port, timeout=60) as other, Wire(server.port, timeout=60) as busy:
        other.command("PING")
        busy.send(stream)
        busy.socket.shutdown(socket.SHUT_WR)
        assert [busy.read() for _ in replies] == replies
        assert select.select([busy.socket], [], [], 20)[0] and busy.socket.recv(1) == b""
    for index, value in enumerate(values):
        assert server.client().get(f"k11:{index}") == value
