"""The program around the server: files that it writes, settings, signals, exit codes."""
import os
import signal
import subprocess

import pytest
import redis

from conftest import BINARY, free_port, until
from images import get, put


def start(*args, **options):
    return subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=20, **options)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_version_help_and_bad_settings(folder):
    done = start("--version")
    assert done.returncode == 0 and done.stdout.startswith("Tintype server v=")
    done = start("--help")
    assert done.returncode == 0 and "Usage: tintype-server" in done.stdout
    for args, words in ((["--nosuch", "1"], "Bad directive"), (["--port", "x"], "integer"),
                        (["--port"], "Usage"), (["--appendfsync", "maybe"], "always, everysec, no"),
                        (["--daemonize", "yes"], "fixed value"), (["--segment-bytes", "3mb"], "power of two"),
                        ([folder + "/nosuch.conf"], "can't open config file")):
        done = start(*args)
        assert done.returncode == 1 and words in done.stdout + done.stderr, (args, done)
    done = start(write(folder + "/bad.conf", "port 7000\n\nhot-memory much\n"))
    assert done.returncode == 1 and "line 3" in done.stderr and "memory value" in done.stderr


def test_config_file_command_line_and_rewrite(folder):
    path = write(folder + "/t.conf", f'# A remark.\nport 1\ndir "{folder}/data"\n'
                 'loglevel verbose\nhot-memory 16mb\nsegment-bytes 4mb\n')
    port = free_port()
    with open(folder + "/log", "w", encoding="utf-8") as log:
        process = subprocess.Popen([BINARY, path, "--port", str(port)], stdout=log, stderr=log)
    client = redis.Redis(port=port, socket_timeout=20)

    def ready():
        assert process.poll() is None, read(folder + "/log")
        try:
            return client.ping()
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False
    try:
        until(ready)
        assert client.config_get("port") == {"port": str(port)}
        assert client.config_get("hot-mem*") == {"hot-memory": str(16 << 20)}
        client.config_set("hot-memory", "17mb")
        client.config_set("requirepass", 'a "quoted" # pass')
        client.config_set("search-timeout", "750")
        assert client.config_rewrite()
        text = read(path)
        assert text.startswith("# A remark.\n") and f"hot-memory {17 << 20}\n" in text
        assert "search-timeout 750\n" in text and "image-max-side" not in text
        with pytest.raises(redis.ResponseError, match="can't set immutable config|immutable"):
            client.config_set("dir", "/elsewhere")
    finally:
        process.terminate()
        assert process.wait(20) == 0
    process = subprocess.Popen([BINARY, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port, password='a "quoted" # pass', socket_timeout=20)
        until(ready)
        assert client.config_get("search-timeout") == {"search-timeout": "750"}
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_rewrite_without_a_file_says_so(client):
    with pytest.raises(redis.ResponseError, match="The server is running without a config file"):
        client.config_rewrite()


def test_logfile_and_pidfile(make_server, folder):
    server = make_server("--logfile", folder + "/own.log", "--pidfile", folder + "/own.pid")
    assert int(read(folder + "/own.pid")) == server.process.pid
    line = read(folder + "/own.log").splitlines()[-1]
    assert line.startswith(f"{server.process.pid}:M ") and "Ready to accept connections" in line
    server.stop()
    assert "bye bye" in read(folder + "/own.log") and not os.path.exists(folder + "/own.pid")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_in_order(make_server, photos, number):
    server = make_server("--cache-appendfsync", "no")
    client = server.client()
    put(client, "k", photos["Dune.jpg"])
    client.set("cached", "kept, though nobody waited for it")
    server.process.send_signal(number)
    assert server.process.wait(20) == 0
    server.start()
    assert get(server.client(), "k") == photos["Dune.jpg"]
    assert server.client().get("cached") == b"kept, though nobody waited for it"


@pytest.mark.parametrize("words", [[], ["NOSAVE"], ["SAVE"], ["NOW"]])
def test_shutdown(make_server, words):
    server = make_server()
    client = server.client()
    client.set("k", "v")
    with pytest.raises(redis.ConnectionError):
        client.execute_command("SHUTDOWN", *words)
    assert server.process.wait(20) == 0
    server.start()
    assert server.client().get("k") == b"v"
    with pytest.raises(redis.ResponseError, match="syntax error"):
        server.client().execute_command("SHUTDOWN", "LATER")


def test_a_second_server_is_told_what_is_in_use(server, folder):
    done = start("--port", str(server.port), "--dir", folder + "/other")
    assert done.returncode == 1 and "in use by another process" in done.stderr
    done = start("--port", str(free_port()), "--dir", folder + "/data")
    assert done.returncode == 1 and "data directory is in use by another process" in done.stderr
    assert "BUG" not in done.stderr and server.client().ping()


def test_a_directory_that_cannot_be(folder):
    write(folder + "/file", "")
    done = start("--port", str(free_port()), "--dir", folder + "/file")
    assert done.returncode == 1 and "BUG" not in done.stderr and "cannot" in done.stderr


def test_unix_socket(make_server, folder):
    path = folder + "/t.sock"
    server = make_server("--unixsocket", path, "--unixsocketperm", "700", "--cache-appendfsync", "always")
    client = redis.Redis(unix_socket_path=path)
    assert client.set("k", "v") and server.client().get("k") == b"v"
    assert os.stat(path).st_mode & 0o777 == 0o700
    server.kill()
    server.start()
    assert redis.Redis(unix_socket_path=path).get("k") == b"v"
    server.stop()
    assert not os.path.exists(path)


@pytest.mark.parametrize("backend", ["epoll", "io_uring"])
def test_both_back_ends_do_the_main_job(make_server, photos, backend):
    server = make_server("--io-backend", backend)
    if backend not in server.log().splitlines()[0] and backend == "io_uring":
        pytest.skip("this machine refuses io_uring")
    assert f"back end {backend}" in server.log()
    client = server.client()
    for name, data in photos.items():
        put(client, name, data, "TITLE", name.split(".")[0])
    assert client.execute_command("IMG.SEARCH", "dune", "NOCONTENT") == [1, b"Dune.jpg"]
    assert get(client, "Dune.jpg", "WIDTH", 40)[:3] == b"\xff\xd8\xff"
    server.kill()
    server.start()
    client = server.client()
    assert all(get(client, name) == data for name, data in photos.items())
