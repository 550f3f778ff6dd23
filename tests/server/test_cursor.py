"""FT.AGGREGATE ... WITHCURSOR and FT.CURSOR: every row comes once, whoever writes meanwhile; cursors end."""
import pytest
import redis
from redis.commands.search.aggregation import AggregateRequest, Asc

from conftest import until
from images import png, put
from wire import Wire


@pytest.fixture
def hundred(client):
    for i in range(100):
        put(client, f"k{i:02}", png(8 + i % 10, 8))
    return client


def start(client, *words):
    return client.execute_command("FT.AGGREGATE", "images", "*", "LOAD", "1", "@__key", "SORTBY", "2", "@__key", "ASC", "MAX", "100", *words)


def keys(rows):
    return [row[row.index(b"__key") + 1].decode() for row in rows[1:]]


@pytest.mark.parametrize("count", [1, 7, 50, 99, 100, 1000])
def test_every_row_once(hundred, count):
    rows, cursor = start(hundred, "WITHCURSOR", "COUNT", count)
    found = keys(rows)
    assert rows[0] == 100
    hundred.delete("k50", "k99")              # rows stay as they were
    put(hundred, "later", png(8, 8))
    while cursor != 0:
        rows, cursor = hundred.execute_command("FT.CURSOR", "READ", "images", cursor)
        assert 1 <= len(rows) - 1 <= count
        found += keys(rows)
    assert found == [f"k{i:02}" for i in range(100)]


def test_with_redis_py(hundred):
    index = hundred.ft("images")
    result = index.aggregate(AggregateRequest("*").load("@__key").sort_by(Asc("@__key"), max=100).cursor(count=30))
    found, reads = list(result.rows), 0
    while result.cursor.cid != 0:
        result = index.aggregate(result.cursor)
        found += result.rows
        reads += 1
    assert reads == 3 and [row[1].decode() for row in found] == [f"k{i:02}" for i in range(100)]


def test_counts_of_their_own_and_the_end(server, hundred):
    rows, cursor = start(hundred, "WITHCURSOR", "COUNT", "10")
    assert len(hundred.execute_command("FT.CURSOR", "READ", "images", cursor, "COUNT", "3")[0]) == 4
    with pytest.raises(redis.ResponseError, match="Cursor not found"):
        server.client(db=1).execute_command("FT.CURSOR", "READ", "images", cursor)
    other = server.client()                   # of another connection
    assert keys(other.execute_command("FT.CURSOR", "READ", "images", cursor)[0]) == [f"k{i}" for i in range(13, 23)]
    assert other.execute_command("FT.CURSOR", "DEL", "images", cursor) in (b"OK", True)
    with pytest.raises(redis.ResponseError, match="Cursor not found"):
        hundred.execute_command("FT.CURSOR", "READ", "images", cursor)


def test_idle_cursors_go(hundred):
    _, cursor = start(hundred, "WITHCURSOR", "COUNT", "10", "MAXIDLE", "50")

    def gone():
        try:
            hundred.execute_command("FT.CURSOR", "DEL", "images", cursor)
        except redis.ResponseError as error:
            return "Cursor not found" in str(error)
        raise AssertionError("it was there still")
    import time
    time.sleep(0.2)
    assert gone()


def test_too_many(hundred):
    cursors = [start(hundred, "WITHCURSOR", "COUNT", "1")[1] for _ in range(128)]
    assert len(set(cursors)) == 128
    with pytest.raises(redis.ResponseError, match="OVERLOADED"):
        start(hundred, "WITHCURSOR", "COUNT", "1")
    assert start(hundred, "WITHCURSOR", "COUNT", "100")[1] == 0       # nothing is left to keep
    hundred.execute_command("FT.CURSOR", "DEL", "images", cursors[5])
    assert start(hundred, "WITHCURSOR", "COUNT", "1")[1] != 0


def test_resp3(server, hundred):
    with Wire(server.port) as wire:
        wire.command("HELLO", "3")
        page, cursor = wire.command("FT.AGGREGATE", "images", "*", "LOAD", "1", "@__key", "WITHCURSOR", "COUNT", "60")
        assert len(page[b"results"]) == 60 and cursor[:1] == b":"
        page, cursor = wire.command("FT.CURSOR", "READ", "images", cursor[1:].decode())
        assert len(page[b"results"]) == 40 and cursor == b":0"
