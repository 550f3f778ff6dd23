"""Redis's own tools and other clients against the server."""
import json
import os
import shutil
import subprocess

import pytest

from conftest import BUILD


def run(*args, **options):
    return subprocess.run(args, capture_output=True, text=True, timeout=120, **options)


def cli(server, *args, **options):
    done = run("redis-cli", "-p", str(server.port), *args, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_cli_pipe(server):
    commands = "".join(f"SET key{i} value{i}\r\n" for i in range(20000))
    out = cli(server, "--pipe", input=commands)
    assert "errors: 0, replies: 20000" in out
    assert cli(server, "dbsize").strip() == "20000"


def test_cli_scan_bigkeys_memkeys(server):
    cli(server, "set", "big", "x" * 5000)
    assert cli(server, "--scan").split() == ["big"]
    assert 'Biggest string found \'"big"\' has 5000 bytes' in cli(server, "--bigkeys")
    assert '"big"' in cli(server, "--memkeys")


def test_cli_latency_and_stat(server):
    assert run("timeout", "2", "redis-cli", "-p", str(server.port), "--latency", "--raw").stdout.split()
    # Its output is buffered when it is no terminal: script gives it one.
    command = f"timeout 2 redis-cli -p {server.port} --stat -i 0.2"
    stat = run("script", "-qec", command, "/dev/null").stdout
    assert "keys" in stat and len(stat.splitlines()) > 3


def test_cli_resp3(server):
    assert "1# " in cli(server, "-3", "--no-raw", "config", "get", "port")


def test_benchmark_default_strings(server):
    done = run("redis-benchmark", "-p", str(server.port), "-t", "ping,set,get,incr,mset",
               "-n", "5000", "-q", "-P", "16")
    assert done.returncode == 0 and "ERR" not in done.stdout + done.stderr
    for name in ("PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"):
        assert name in done.stdout


def test_benchmark_resp3(server):
    done = run("redis-benchmark", "-p", str(server.port), "-3", "-t", "set,get", "-n", "2000", "-q")
    assert done.returncode == 0 and "ERR" not in done.stdout + done.stderr


@pytest.mark.parametrize("script", ["node_redis.mjs", "ioredis.mjs"])
def test_node_clients(make_server, node_modules, script):
    server = make_server("--requirepass", "sesame")
    here = os.path.dirname(os.path.abspath(__file__))
    shutil.copy(os.path.join(here, script), node_modules)
    done = run("node", script, str(server.port), cwd=node_modules)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["ok"] is True
