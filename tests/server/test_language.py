"""IMG.INDEX STOPWORDS, SYNONYM, STEM, LANGUAGE: what is made of the words of a query."""
import pytest
import redis
from conftest import until
from images import png

BODY = png(8, 8)


@pytest.fixture
def client(server):
    client = server.client()
    for key, title, caption in (("a", "the red car", "it was running"), ("b", "a red automobile", "many runs"),
                                ("c", "the sea", "happy people"), ("d", "Häuser am Meer", "happiness"),
                                ("e", "motor car race", "run")):
        client.execute_command("IMG.PUT", key, BODY, "TITLE", title, "CAPTION", caption)
    return client


def search(client, query, *words):
    reply = client.execute_command("IMG.SEARCH", query, "NOCONTENT", *words)
    return {key.decode() for key in reply[1:]}


def index(client, *words):
    return client.execute_command("IMG.INDEX", *words)


def test_stop_words_are_left_out_of_queries(client):
    assert search(client, "the red") == {"a"}
    assert index(client, "STOPWORDS", "SET", "The", "of") == 1
    assert search(client, "the red") == {"a", "b"} and search(client, "-the sea") == {"c"}
    assert search(client, '"the sea"') == {"c"} and search(client, "the*") == {"a", "c"}
    assert search(client, "the") == set()
    assert index(client, "STOPWORDS", "NONE") == 1 and index(client, "STOPWORDS", "NONE") == 0
    assert search(client, "the") == {"a", "c"}


def test_synonyms_are_found_like_the_word_itself(client):
    assert index(client, "SYNONYM", "ADD", "cars", "Car", "automobile") == 1
    assert search(client, "car") == {"a", "b", "e"} == search(client, "automobile")
    assert search(client, "red car") == {"a", "b"} and search(client, "@caption:car") == set()
    assert search(client, "-car") == {"c", "d"} and search(client, '"red car"') == {"a"}
    index(client, "SYNONYM", "ADD", "cars", "motor car")
    assert index(client, "LANGUAGE")[3] == [b"cars", [b"car", b"automobile", b"motor car"]]
    assert search(client, "automobile") == {"a", "b", "e"}
    assert b"automobile" in client.execute_command("FT.EXPLAIN", "images", "car")
    assert index(client, "SYNONYM", "DEL", "cars") == 1 and search(client, "car") == {"a", "e"}


def test_words_of_one_stem_are_found_in_fields_with_a_language(client):
    assert search(client, "run") == {"e"}
    assert index(client, "STEM", "caption", "english") == 1
    assert search(client, "run") == {"a", "b", "e"} == search(client, "@caption:running")
    assert search(client, "happy") == {"c", "d"} and search(client, "@title:runs") == set()
    assert client.execute_command("IMG.SEARCH", "run", "NOCONTENT")[1] == b"e"         # the word itself is worth more
    assert index(client, "STEM", "title", "german") == 1 and search(client, "Haus") == {"d"}
    hit = client.execute_command("IMG.SEARCH", "run", "RETURN", 1, "caption", "HIGHLIGHT")
    assert any(b"<b>running</b>" in part for fields in hit[2::2] for part in fields)
    assert index(client, "LANGUAGE")[5] == [b"caption", b"english", b"title", b"german"]
    index(client, "STEM", "caption", "NONE")
    assert search(client, "run") == {"e"}


def test_an_attribute_that_is_a_text_has_a_language_of_its_own(client):
    index(client, "ADD", "story", "TYPE", "text")
    client.execute_command("IMG.PUT", "s", BODY, "ATTR", "story", "He was jumping")
    client.execute_command("IMG.PUT", "t", BODY, "TITLE", "jumping")
    until(lambda: search(client, "@story:jumping") == {"s"})
    assert search(client, "@story:jumps") == set() == search(client, "jumps")
    with pytest.raises(redis.ResponseError, match="attributes of TYPE text"):
        index(client, "STEM", "tale", "english")
    assert index(client, "STEM", "story", "english") == 1
    assert search(client, "@story:jumps") == {"s"} == search(client, "jumps")
    assert search(client, "@title:jumps") == set() and search(client, "@story:jumps", "VERBATIM") == set()
    assert search(client, "jumping") == {"s", "t"}
    hit = client.execute_command("IMG.SEARCH", "@story:jumps", "RETURN", 1, "story", "HIGHLIGHT")
    assert b"He was <b>jumping</b>" in hit[2]
    assert index(client, "STEM", "story", "NONE") == 1 and search(client, "@story:jumps") == set()


def test_a_language_of_an_attribute_that_is_no_text_any_more_does_nothing(client):
    index(client, "ADD", "story", "TYPE", "text")
    index(client, "STEM", "story", "english")
    index(client, "DEL", "story")
    client.execute_command("IMG.PUT", "s", BODY, "ATTR", "story", "jumping", "TITLE", "jumped")
    assert search(client, "jumps") == set() and search(client, "jumped") == {"s"}
    assert index(client, "STEM", "story", "NONE") == 1


def test_synonyms_stand_for_their_stems_too(client):
    index(client, "STEM", "caption", "english")
    index(client, "SYNONYM", "ADD", "g", "glad", "happy")
    assert search(client, "glad") == {"c", "d"}
    assert search(client, "glad", "VERBATIM") == set()


def test_a_query_may_do_without_them(client):
    index(client, "STOPWORDS", "SET", "the")
    index(client, "SYNONYM", "ADD", "g", "car", "automobile")
    index(client, "STEM", "caption", "english")
    assert search(client, "car", "VERBATIM") == {"a", "e"} and search(client, "run", "VERBATIM") == {"e"}
    assert search(client, "the", "NOSTOPWORDS") == {"a", "c"} and search(client, "the", "VERBATIM") == set()
    assert client.execute_command("FT.SEARCH", "images", "car", "NOCONTENT", "VERBATIM")[0] == 2
    assert client.execute_command("FT.SEARCH", "images", "the car", "NOCONTENT", "NOSTOPWORDS")[0] == 1
    count = ("GROUPBY", 0, "REDUCE", "COUNT", 0, "AS", "n")
    assert b"3" in client.execute_command("IMG.AGGREGATE", "car", *count)[1]
    assert b"2" in client.execute_command("IMG.AGGREGATE", "car", "VERBATIM", *count)[1]


@pytest.mark.parametrize("by", ["log", "checkpoint"])
def test_they_survive_a_restart(server, client, by):
    index(client, "STOPWORDS", "SET", "the")
    index(client, "SYNONYM", "ADD", "g", "car", "automobile")
    index(client, "STEM", "caption", "english")
    index(client, "ADD", "rating", "TYPE", "numeric")
    before = index(client, "LANGUAGE")
    if by == "checkpoint":
        client.save()
    server.kill()
    client = server.start().client()
    assert index(client, "LANGUAGE") == before and len(index(client, "LIST")) == 1
    until(lambda: client.info("search")["search_documents"] == 5)
    assert search(client, "the automobile") == {"a", "b", "e"}
    assert client.info("search")["search_fields_declared"] == 1


@pytest.mark.parametrize("words, why", [
    (["STOPWORDS", "SET"], "syntax"), (["STOPWORDS", "SET", " "], "a word"), (["SYNONYM", "ADD", "g"], "syntax"),
    (["SYNONYM", "ADD", "", "x"], "name of a group"), (["STEM", "caption", "klingon"], "no such language"),
    (["STEM", "width", "english"], "words are sought"), (["ADD", "x", "TYPE", "words"], "TYPE is one of"),
    (["STOPWORDS", "SET", *["w" * 60 + str(i) for i in range(200)]], "TOOLARGE")])
def test_errors(client, words, why):
    with pytest.raises(redis.ResponseError, match=why):
        index(client, *words)


def test_other_databases_have_their_own(server, client):
    index(client, "STOPWORDS", "SET", "the")
    other = server.client(db=3)
    other.execute_command("IMG.PUT", "k", BODY, "TITLE", "the end")
    assert search(other, "the") == {"k"} and index(other, "LANGUAGE")[1] == []
