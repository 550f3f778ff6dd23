"""MONITOR, and what scripts and functions answer where there are none."""
import re

import pytest
import redis

from conftest import until
from wire import Wire


def test_monitor_shows_commands_but_no_secrets(server, client):
    with Wire(server.port) as wire:
        assert wire.command("MONITOR") == b"+OK"
        client.set("k", b"a\"b\\c\r\n\x00\xff")
        client.config_get("port")
        with Wire(server.port) as other:
            other.command("HELLO", 3, "SETNAME", "secret")
        pipe = client.pipeline()
        pipe.incr("n").get("n")
        pipe.execute()
        client.set("big", b"x" * 5000)
        server.client(db=3).ping()
        lines = [wire.read() for _ in range(7)]
    shown = [re.sub(rb"^\+\d+\.\d{6} \[(\d) 127\.0\.0\.1:\d+\] ", rb"\1 ", line) for line in lines]
    assert shown[0] == b'0 "SET" "k" "a\\"b\\\\c\\r\\n\\x00\\xff"'
    assert [line.split(b" ")[1] for line in shown[1:5]] == [b'"MULTI"', b'"INCRBY"', b'"GET"', b'"EXEC"']
    assert any(b"... (3976 more bytes)" in s for s in shown)
    assert not any(b"secret" in s or b"CONFIG" in s for s in shown)


def test_a_monitor_that_does_not_read_is_dropped(make_server):
    server = make_server("--pubsub-output-limit", "1mb")
    client = server.client()
    with Wire(server.port) as wire:
        wire.command("MONITOR")
        assert "O" in [one["flags"] for one in client.client_list()]
        for _ in range(400):
            pipe = client.pipeline(transaction=False)
            for i in range(100):
                pipe.set(f"key:{i}", b"x" * 900)
            pipe.execute()
        until(lambda: client.info("stats")["client_output_buffer_limit_disconnections"] == 1)


def test_there_are_no_scripts(client):
    assert client.script_exists("a" * 40, "b" * 40) == [False, False] and client.script_flush()
    assert client.execute_command("FUNCTION", "LIST") == [] and client.execute_command("FUNCTION", "FLUSH")
    with pytest.raises(redis.ResponseError, match="unknown command 'EVAL'"):
        client.eval("return 1", 0)
    with pytest.raises(redis.ResponseError, match="SCRIPT FLUSH only support"):
        client.execute_command("SCRIPT", "FLUSH", "NOW")


def test_keys_and_flags(server):
    with Wire(server.port) as wire:
        assert wire.command("COMMAND", "GETKEYSANDFLAGS", "MSET", "a", 1, "b", 2) == [[b"a", [b"+OW", b"+update"]], [b"b", [b"+OW", b"+update"]]]
        assert wire.command("COMMAND", "GETKEYSANDFLAGS", "PING") == b"-ERR The command has no key arguments"
