"""The search index is part of a checkpoint: after a start it is taken over, and what the
checkpoint does not know, or a damaged one, is made from the metadata."""
import glob
import os

import pytest
from conftest import until
from images import png

COUNT = 300


@pytest.fixture(params=["at-once", "behind"])
def server(make_server, request):
    """Small checkpoints are loaded before the server is open; large ones behind that."""
    first = "1" if request.param == "behind" else "1000000000"
    return make_server("--analysis", "no", "--load-first-bytes", first, "--checkpoint-interval", "0",
                       "--checkpoint-bytes", "0")


def fill(client):
    pipe = client.pipeline(transaction=False)
    pipe.execute_command("IMG.INDEX", "ADD", "rating", "TYPE", "numeric")
    for i in range(COUNT):
        pipe.execute_command("IMG.PUT", f"i{i}", png(8 + i % 7, 9), "TITLE", f"red car {i % 10}", "CAPTION",
                             f"number n{i}", "TAGS", f"t{i % 3},all", "ATTR", "rating", i % 5, "ATTR", "maker", f"m{i % 4}")
    pipe.execute()


def search(client, query, *options):
    return client.execute_command("IMG.SEARCH", query, "NOCONTENT", "LIMIT", 0, 1000, *options)


QUERIES = (["*", "SORTBY", "title"], ["car 7"], ['"red car"', "FACET", 2, "tags", "maker"], ["@rating:[2 3]", "SORTBY", "rating"],
           ["@tags:{t1} -@maker:{m2}"], ["@width:[10 12] n1*"], ["ismissing(@taken) %numbr%"])


def answers(client):
    until(lambda: client.info("persistence")["async_loading"] == 0)
    until(lambda: settled(client))
    return [search(client, *query) for query in QUERIES]


def found(client):
    """Which keys, in no order: what was made anew counts as newer."""
    return [sorted(key for key in answer if isinstance(key, bytes)) for answer in answers(client)]


def settled(client):
    try:
        return search(client, "*") is not None
    except Exception as error:
        assert "LOADING" in str(error)
        return False


def restart(server):
    server.kill()
    return server.start().client()


def taken_over(client):
    return client.info("search")["search_checkpoint_documents"]


def test_all_documents_are_taken_over(server):
    client = server.client()
    fill(client)
    before = answers(client)
    client.save()
    client = restart(server)
    assert answers(client) == before
    assert taken_over(client) == COUNT
    stats = client.info("search")
    assert stats["search_documents"] == COUNT and stats["search_checkpoint_dropped"] == 0
    client.save()                             # a dump of what was loaded is as good
    client = restart(server)
    assert answers(client) == before and taken_over(client) == COUNT


def test_what_changed_behind_the_checkpoint_is_as_the_log_says(server):
    client = server.client()
    fill(client)
    client.save()
    client.delete("i1", "i2")
    client.rename("i3", "moved")
    client.execute_command("IMG.EDIT", "i4", "TITLE", "blue boat", "ATTR", "rating", 3)
    client.execute_command("IMG.PUT", "new", png(5, 5), "TITLE", "red car 7")
    client.execute_command("IMG.PUT", "i6", png(6, 6), "TITLE", "green tree")
    client.expire("i7", 1000)
    before = found(client)
    assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    client = restart(server)
    assert found(client) == before
    assert COUNT - 10 <= taken_over(client) < COUNT
    assert client.info("search")["search_documents"] == COUNT - 1


def test_a_declaration_behind_the_checkpoint_holds(server):
    client = server.client()
    fill(client)
    client.save()
    client.execute_command("IMG.INDEX", "ADD", "maker", "TYPE", "numeric")
    client.execute_command("IMG.INDEX", "DEL", "rating")
    assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    until(lambda: client.info("search")["search_refill_left"] == 0)
    before = [sorted(answer[1:]) for answer in [search(client, "@maker:{m1}"), search(client, "@rating:{2}")]]
    assert before[0] == [] and len(before[1]) == COUNT // 5
    client = restart(server)
    answers(client)
    until(lambda: client.info("search")["search_refill_left"] == 0)
    assert [sorted(answer[1:]) for answer in [search(client, "@maker:{m1}"), search(client, "@rating:{2}")]] == before


def test_flush_and_other_databases(server):
    client = server.client()
    fill(client)
    other = server.client(db=5)
    other.execute_command("IMG.PUT", "five", png(5, 5), "TITLE", "in five")
    client.save()
    client.flushdb()
    client.execute_command("IMG.PUT", "new", png(5, 5), "TITLE", "red car 7")
    assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    client = restart(server)
    until(lambda: settled(client))
    assert search(client, "car") == [1, b"new"] and search(client, "n1*") == [0]
    assert search(server.client(db=5), "five") == [1, b"five"]
    assert taken_over(client) == 1


def chunks(server):
    return glob.glob(os.path.join(server.folder, "data", "checkpoint-?"))


def test_a_damaged_dump_is_made_again(server):
    client = server.client()
    fill(client)
    before = found(client)
    client.save()
    server.kill()
    [path] = chunks(server)
    with open(path, "r+b") as file:          # the index is behind all else, its words stand in it
        at = file.read().rindex(b"red")
        file.seek(at)
        file.write(b"rad")
    client = server.start().client()
    assert found(client) == before
    assert taken_over(client) == 0 and client.info("search")["search_documents"] == COUNT
    assert "search index in the checkpoint is damaged" in server.log()


def test_same_bytes_are_still_stored_once(server):
    client = server.client()
    body = png(64, 64) + os.urandom(4096)
    client.execute_command("IMG.PUT", "first", body)
    client.save()
    client = restart(server)
    until(lambda: settled(client))
    assert taken_over(client) == 1
    client.execute_command("IMG.PUT", "second", body)
    assert client.info("all")["dedupe_hits"] == 1
