"""TLS: real clients, certificates that change, and peers that do not behave."""
import errno
import os
import shutil
import signal
import socket
import ssl
import subprocess

import pytest
import redis

from certs import Authority
from conftest import BINARY, free_port, until
from test_clients import run
from wire import Wire, encode

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(str(tmp_path_factory.mktemp("certs")))
    made.server = made.cert("server")
    made.client = made.cert("client")
    return made


def options(authority, auth="no", **more):
    cert, key = authority.server
    words = {"tls-port": free_port(), "tls-cert-file": cert, "tls-key-file": key,
             "tls-ca-cert-file": authority.file, "tls-auth-clients": auth, **more}
    return [word for name, value in words.items() for word in ("--" + name, str(value))]


@pytest.fixture
def secure(make_server, authority):
    """Starts a server with TLS beside its plain port: secure(auth="yes", tls_protocols=...)."""
    def make(*words, auth="no", password=None, **more):
        named = {name.replace("_", "-"): value for name, value in more.items()}
        server = make_server(*options(authority, auth, **named), *words)
        server.tls_port = int(server.client(password=password).config_get("tls-port")["tls-port"])
        return server
    return make


def tls_client(server, authority, certificate=None, **more):
    cert, key = certificate or (None, None)
    return redis.Redis(host="localhost", port=server.tls_port, ssl=True, ssl_ca_certs=authority.file,
                       ssl_certfile=cert, ssl_keyfile=key, socket_timeout=60, **more)


def context(authority):
    return ssl.create_default_context(cafile=authority.file)


def connect(server, authority, made=None):
    plain = socket.create_connection(("127.0.0.1", server.tls_port), timeout=20)
    return (made or context(authority)).wrap_socket(plain, server_hostname="localhost")


def serves(client):
    try:
        return client.ping()
    except redis.ConnectionError:         # not yet there, or loading
        return False


def info(server, **login):
    return server.client(**login).info("tls")


# ---- clients ----------------------------------------------------------------------------

def test_redis_cli(secure, authority):
    server = secure()
    words = ("redis-cli", "--tls", "--cacert", authority.file, "-h", "localhost", "-p", str(server.tls_port))
    assert run(*words, "set", "k", "v").stdout == "OK\n"
    assert run(*words, "get", "k").stdout == "v\n"
    pipe = run(*words, "--pipe", input="".join(f"SET key{i} value{i}\r\n" for i in range(20000)))
    assert "errors: 0, replies: 20000" in pipe.stdout
    assert server.client().dbsize() == 20001


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
def test_bodies_of_all_sizes(secure, authority, photos, backend):
    client = tls_client(secure("--io-backend", backend), authority)
    for size in (0, 1, 16383, 16384, 16385, 65536, 300001, 5 << 20, 100 << 20):
        body = os.urandom(min(size, 1 << 20)) * (size >> 20 or 1)
        client.set("body", body)
        assert client.get("body") == body, size
    for name, photo in photos.items():
        client.execute_command("IMG.PUT", name, photo)
    for name, photo in photos.items():
        assert client.execute_command("IMG.GET", name) == photo


def test_long_pipeline_through_a_slow_reader(secure, authority):
    with connect(secure(), authority) as stream:
        wire = Wire.__new__(Wire)
        wire.socket, wire.file = stream, stream.makefile("rb")
        wire.send(encode("SET", "v", b"x" * 5000))
        assert wire.read() == b"+OK"
        stream.sendall(encode("GET", "v") * 2000)
        for _ in range(2000):
            assert wire.read() == b"x" * 5000


def test_many_who_come_at_once_with_bodies(secure, authority):
    """Handshakes of a pass share its time: what arrives behind one that waits is kept."""
    server = secure("--cache-appendfsync", "no")
    done = run("redis-benchmark", "--tls", "--cacert", authority.file, "-h", "localhost", "-p", str(server.tls_port),
               "-t", "set", "-q", "-c", "100", "-d", "262144", "-n", "600", "-r", "20")
    assert done.returncode == 0, done.stderr
    assert server.client().strlen("key:000000000001") in (0, 262144)


def test_many_bodies_for_a_client_that_does_not_read(secure, authority):
    server = secure()
    plain = server.client()
    plain.set("big", bytes(8 << 20))
    streams = [connect(server, authority) for _ in range(8)]
    before = plain.info("memory")["used_memory"]
    for stream in streams:
        stream.sendall(encode("GET", "big") * 64)
    until(lambda: plain.info("stats")["total_commands_processed"] > 64)
    assert plain.info("memory")["used_memory"] - before < 8 * (64 << 10) + (1 << 20)
    assert plain.ping()
    for stream in streams:
        stream.close()
    until(lambda: info(server)["tls_connections"] == 0)


def test_ioredis(secure, authority, node_modules):
    server = secure("--requirepass", "sesame", password="sesame")
    shutil.copy(os.path.join(HERE, "ioredis.mjs"), node_modules)
    done = run("node", "ioredis.mjs", str(server.tls_port), authority.file, cwd=node_modules)
    assert done.returncode == 0, done.stdout + done.stderr
    assert info(server, password="sesame")["tls_handshakes_accepted"] >= 1


def test_half_closed_stream_gets_its_replies(secure, authority):
    server = secure()
    plain = socket.create_connection(("127.0.0.1", server.tls_port), timeout=20)
    arriving, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = context(authority).wrap_bio(arriving, leaving, server_hostname="localhost")

    def step(call):
        while True:
            try:
                result = call()
                plain.sendall(leaving.read())
                return result
            except ssl.SSLWantReadError:
                plain.sendall(leaving.read())
                arriving.write(plain.recv(65536))
    step(talk.do_handshake)
    talk.write(encode("SET", "k", "v") + encode("GET", "k") * 3)
    with pytest.raises(ssl.SSLWantReadError):
        talk.unwrap()                     # says farewell; ours is still to come
    plain.sendall(leaving.read())
    plain.shutdown(socket.SHUT_WR)
    said = b""
    while chunk := plain.recv(65536):
        said += chunk
    arriving.write(said)
    assert talk.read(1000) == b"+OK\r\n" + b"$1\r\nv\r\n" * 3


def test_session_is_resumed(secure, authority):
    server = secure()
    made = context(authority)
    with connect(server, authority, made) as stream:
        stream.sendall(encode("PING"))
        assert stream.recv(100) == b"+PONG\r\n"
        session = stream.session
    plain = socket.create_connection(("127.0.0.1", server.tls_port), timeout=20)
    with made.wrap_socket(plain, server_hostname="localhost", session=session) as stream:
        stream.sendall(encode("PING"))
        assert stream.recv(100) == b"+PONG\r\n" and stream.session_reused
    assert info(server)["tls_handshakes_resumed"] == 1
    server.client().config_set("tls-session-caching", "no")
    with connect(server, authority, made) as stream:
        stream.sendall(encode("PING"))
        assert stream.recv(100) == b"+PONG\r\n" and not stream.session.has_ticket


# ---- who may ------------------------------------------------------------------------------

def test_client_certificates(secure, authority, folder):
    server = secure(auth="yes")
    stranger = Authority(os.path.join(folder, "strange"), "strange").cert("stranger")
    assert tls_client(server, authority, authority.client).ping()
    for certificate in (None, stranger):
        with pytest.raises(redis.ConnectionError):
            tls_client(server, authority, certificate).ping()
    server.client().config_set("tls-auth-clients", "optional")
    assert tls_client(server, authority).ping()
    assert tls_client(server, authority, authority.client).ping()
    with pytest.raises(redis.ConnectionError):
        tls_client(server, authority, stranger).ping()
    server.client().config_set("tls-auth-clients", "no")
    assert tls_client(server, authority, stranger).ping()
    assert info(server)["tls_handshakes_failed"] >= 3


def test_older_protocol_only_where_it_is_allowed(secure, authority):
    server = secure()
    old = context(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        connect(server, authority, old)
    server.client().config_set("tls-protocols", "TLSv1.2 TLSv1.3")
    with connect(server, authority, old) as stream:
        assert stream.version() == "TLSv1.2"
        stream.sendall(encode("PING"))
        assert stream.recv(100) == b"+PONG\r\n"
    with connect(server, authority) as stream:
        assert stream.version() == "TLSv1.3"


def test_tls_alone(make_server, authority):
    port = free_port()
    words = options(authority, **{"tls-port": port})
    server = make_server(*words, "--port", "0", start=False)
    server.spawn()
    server.tls_port = port
    client = tls_client(server, authority)
    until(lambda: serves(client))
    assert client.info("server")["tcp_port"] == port
    assert client.info("server")["listener0"]["name"] == "tls"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_clear_text_harms_nobody(secure, authority):
    server = secure()
    client = tls_client(server, authority)
    assert client.ping()
    for words in (b"PING\r\n", encode("SET", "k", b"x" * 100000), b"\x16\x03\x01\xff\xff" + bytes(70000), b"\x80\x01"):
        with socket.create_connection(("127.0.0.1", server.tls_port), timeout=20) as plain:
            try:
                plain.sendall(words)
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(65536):
                    pass
            except OSError as error:          # it may have been closed at any of these steps
                assert isinstance(error, ConnectionError) or error.errno == errno.ENOTCONN
    assert client.ping() and server.client().get("k") is None
    assert info(server)["tls_handshakes_failed"] == 4


def test_too_many_clients(secure, authority):
    server = secure("--maxclients", "5")
    kept = [connect(server, authority) for _ in range(3)]
    for stream in kept:
        stream.sendall(encode("PING"))
        assert stream.recv(100) == b"+PONG\r\n"
    with pytest.raises(OSError):
        more = [connect(server, authority) for _ in range(6)]
        for stream in more:
            stream.sendall(encode("PING"))
            assert stream.recv(100) == b"+PONG\r\n"


# ---- certificates that change ---------------------------------------------------------------

def serial(server, authority):
    with connect(server, authority) as stream:
        return stream.getpeercert()["serialNumber"]


def test_certificate_is_replaced_while_serving(secure, authority):
    server = secure()
    client = tls_client(server, authority, single_connection_client=True)
    assert client.ping()
    first = serial(server, authority)
    cert, key = authority.cert("second")
    with pytest.raises(redis.ResponseError, match="Unable to update TLS configuration.*second.crt|key"):
        server.client().config_set("tls-cert-file", cert)
    assert serial(server, authority) == first
    assert server.client().config_get("tls-cert-file")["tls-cert-file"] == authority.server[0]
    assert server.client().execute_command("CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key) == b"OK"
    second = serial(server, authority)
    assert second != first
    with pytest.raises(redis.ResponseError, match="Unable to update TLS configuration.*no/such/file"):
        server.client().config_set("tls-ca-cert-file", "/no/such/file")
    assert serial(server, authority) == second
    assert client.ping()                  # over the connection of the beginning


def test_hangup_signal_reads_the_files_again(secure, authority, folder):
    files = []
    for path in authority.server:
        files.append(os.path.join(folder, os.path.basename(path)))
        shutil.copy(path, files[-1])
    server = secure(tls_cert_file=files[0], tls_key_file=files[1])
    first = serial(server, authority)
    for path, new in zip(files, authority.cert("third")):
        shutil.copy(new, path)
    assert serial(server, authority) == first
    server.process.send_signal(signal.SIGHUP)
    until(lambda: serial(server, authority) != first)
    with open(files[0], "w", encoding="ascii") as file:
        file.write("damaged")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "the certificates in use stay" in server.log())
    assert serial(server, authority) != first


def test_settings_are_kept_by_rewrite(make_server, authority, folder):
    path = os.path.join(folder, "tls.conf")
    cert, key = authority.server
    port, tls_port = free_port(), free_port()
    with open(path, "w", encoding="ascii") as file:
        file.write(f"port {port}\ntls-port {tls_port}\ntls-cert-file {cert}\ntls-key-file {key}\n"
                   f"tls-ca-cert-file {authority.file}\ndir {folder}/data\nsegment-bytes 4mb\n")
    changes = {"tls-auth-clients": "optional", "tls-protocols": "TLSv1.2 TLSv1.3", "tls-prefer-server-ciphers": "yes",
               "tls-ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384", "tls-ciphersuites": "TLS_CHACHA20_POLY1305_SHA256",
               "tls-session-cache-size": "77", "tls-session-cache-timeout": "60", "tls-session-caching": "no",
               "tls-client-cert-file": authority.client[0], "tls-client-key-file": authority.client[1],
               "tls-replication": "yes", "tls-replication-check-host": "yes"}
    for turn in range(2):
        process = subprocess.Popen([BINARY, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client = redis.Redis(port=port)
        try:
            until(lambda: serves(client))
            assert client.ping()
            if turn == 0:
                words = [word for pair in changes.items() for word in pair]
                assert client.execute_command("CONFIG", "SET", *words) == b"OK"
                assert client.config_rewrite()
            shown = client.config_get("tls-*")
            assert {name: shown[name] for name in changes} == changes
            assert shown["tls-port"] == str(tls_port)
            plain = socket.create_connection(("127.0.0.1", tls_port), timeout=20)
            with context(authority).wrap_socket(plain, server_hostname="localhost") as stream:
                assert stream.cipher()[0] == "TLS_CHACHA20_POLY1305_SHA256"
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("words, why", [
    (["--tls-port", "1"], "tls-port takes tls-cert-file"),
    (["--tls-port", "1", "--tls-cert-file", "/no/file", "--tls-key-file", "/no/file"], "cannot read /no/file"),
    (["--tls-replication", "yes"], "tls-replication takes tls-ca-cert-file"),
])
def test_start_without_what_is_needed_fails(folder, words, why):
    done = run(BINARY, "--port", str(free_port()), "--dir", os.path.join(folder, "data"), *words)
    assert done.returncode == 1 and why in done.stderr


def test_the_port_changes_while_connections_live_on(secure, authority):
    server = secure()
    plain, before = server.client(), tls_client(server, authority)
    before.ping()
    kept = before.connection_pool.get_connection("PING")
    old, server.tls_port = server.tls_port, free_port()
    plain.config_set("tls-port", server.tls_port)
    assert tls_client(server, authority).ping()
    kept.send_command("PING")
    assert kept.read_response() == b"PONG"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", old), timeout=5)
    with pytest.raises(redis.ResponseError, match="cannot listen"):
        plain.config_set("tls-port", server.port)
    assert int(plain.config_get("tls-port")["tls-port"]) == server.tls_port
    plain.config_set("tls-port", 0)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.tls_port), timeout=5)


def test_tls_begins_while_the_server_runs(make_server, authority):
    server = make_server()
    cert, key = authority.server
    with pytest.raises(redis.ResponseError, match="takes tls-cert-file"):
        server.client().config_set("tls-port", free_port())
    server.tls_port = free_port()
    server.client().execute_command("CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key, "tls-ca-cert-file",
                                    authority.file, "tls-auth-clients", "no", "tls-port", server.tls_port)
    assert tls_client(server, authority).ping()
