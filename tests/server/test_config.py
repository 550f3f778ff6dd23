"""CONFIG beside redis-server: each parameter of redis.conf is known, or here is why not; wrong values get Redis's words."""
import re
import subprocess

import pytest

from conftest import BINARY, answers, free_port, until
from wire import Wire

# There is no cluster, no thread to pin, no module; these would promise something that is not kept.
UNKNOWN = re.compile(r"cluster-.*|.*_cpulist|shutdown-on-sig.*|enable-module-command|enable-protected-configs|propagation-error-behavior|"
                     r"replica-ignore-disk-write-errors|socket-mark-id|bind-source-addr|ignore-warnings|aof-disable-auto-gc")
# One value is possible, and redis-server's default is another.
REFUSED = {"appendonly"}
# Of the machine and the process.
OWN = {"port", "dir", "bind", "tls-protocols"}


def parameters(port, pattern="*"):
    with Wire(port) as wire:
        reply = [part.decode() for part in wire.command("CONFIG", "GET", pattern)]
    return dict(zip(reply[::2], reply[1::2]))


def test_every_parameter_of_redis_is_known(server, peer):
    ours, theirs = parameters(server.port), parameters(peer)
    missing = [name for name in theirs if name not in ours and not UNKNOWN.fullmatch(name)]
    assert missing == [] and len(theirs) > 180
    with Wire(server.port) as wire:
        for name, value in theirs.items():
            if name in ours and name not in OWN | REFUSED:
                reply = wire.command("CONFIG", "SET", name, value)
                assert reply == b"+OK" or b"can't set immutable config" in reply, (name, value, reply)


def test_a_file_for_redis_is_taken(peer, tmp_path):
    path = tmp_path / "redis.conf"
    lines = [f'{name} "{value}"' for name, value in parameters(peer).items()
             if not UNKNOWN.fullmatch(name) and name not in OWN | REFUSED | {"logfile", "pidfile", "client-output-buffer-limit", "save"}]
    path.write_text("\n".join([*lines, "save 900 1", "save 300 10", "client-output-buffer-limit normal 0 0 0",
                               "client-output-buffer-limit replica 256mb 64mb 60", "client-output-buffer-limit pubsub 1mb 512kb 7", ""]))
    port = free_port()
    process = subprocess.Popen([BINARY, str(path), "--port", str(port), "--dir", str(tmp_path / "data"), "--segment-bytes", "4mb",
                                "--body-memory", "128mb"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers(port))
        check_file(port, path)
    finally:
        process.kill()
        process.wait()


def check_file(port, path):
    with Wire(port) as wire:
        assert parameters(port, "client-output-*r-limit")["client-output-buffer-limit"] == (
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 524288 7")
        assert parameters(port, "pubsub-output-*") == {
            "pubsub-output-limit": "1048576", "pubsub-output-soft-limit": "524288", "pubsub-output-soft-seconds": "7"}
        assert wire.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 2mb 1mb 9", "hz", "50") == b"+OK"
        assert wire.command("CONFIG", "REWRITE") == b"+OK"
    text = path.read_text()
    assert text.count("client-output-buffer-limit") == 1 and "pubsub 2097152 1048576 9" in text and "\nhz 50\n" in text
    assert text.count("\nsave ") == 1


@pytest.mark.parametrize("resp", [2, 3])
def test_values_and_errors(twins, resp):
    for line in """GET nosuch|GET MAXMEMORY|GET maxmemory maxmemory|GET|SET|SET a|SET nosuch 1|SET maxmemory 1x|SET maxmemory -1|SET hz x|
SET maxmemory 1 maxmemory 2|SET maxmemory 0 nosuch 2|SET save foo|SET save|SET timeout -1|SET timeout x|SET proto-max-bulk-len x|
SET lazyfree-lazy-expire maybe|SET lazyfree-lazy-expire yes|GET lazyfree-lazy-expire|SET activedefrag no|SET client-output-buffer-limit foo|
SET repl-diskless-load foo|SET oom-score-adj foo|SET loglevel foo|SET lfu-decay-time -1|GET repl-backlog-size|SET repl-backlog-size 2mb|
SET slowlog-log-slower-than -2|SET maxmemory-eviction-tenacity 101|SET stop-writes-on-bgsave-error no|GET stop-writes-on-bgsave-error|
GET dbfilename|GET appendfilename|SET active-expire-effort 11|SET list-compress-depth 1|GET list-compress-depth|SET port 99999999""".replace("\n", "").split("|"):
        words = line.split()
        if words == ["SET", "loglevel", "foo"] or "lfu-decay-time" in words:
            ours, theirs = twins.ask(["CONFIG", *words], resp)
            assert ours[0] == theirs[0] == "-" and ours[1].split(b" - ")[0] == theirs[1].split(b" - ")[0]
        else:
            twins.same(["CONFIG", *words], resp)
    for words in (["save", "900 1"], ["save", "900 1 300 10"], ["save", "900"], ["save", "0 1"], ["save", "x 1"], ["save", ""],
                  ["client-output-buffer-limit", "normal 0 0 0 pubsub 33554432 8388608 60"], ["client-output-buffer-limit", "foo 0 0 0"],
                  ["client-output-buffer-limit", "replica 1mb 2mb 60"], ["client-output-buffer-limit", "pubsub 1mb 2mb"],
                  ["client-output-buffer-limit", "pubsub 1mb x 3"], ["client-output-buffer-limit", "pubsub 1mb 2mb -3"]):
        twins.same(["CONFIG", "SET", *words], resp)
        twins.same(["CONFIG", "GET", words[0]], resp)
    twins.same(["CONFIG", "SET", "client-output-buffer-limit", "replica 256mb 64mb 60"], resp)
    twins.same(["CONFIG", "SET", "list-compress-depth", "0", "repl-backlog-size", "1mb"], resp)
