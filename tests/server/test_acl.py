"""Users: ACL, AUTH, what is refused, and that users survive kill -9 and follow an aclfile."""
import os

import pytest
import redis

from conftest import Server, until


@pytest.fixture
def photo(photos):
    return min(photos.values(), key=len)


@pytest.fixture
def admin(server):
    client = server.client(decode_responses=True)
    yield client
    client.close()


def test_a_new_user_may_do_what_its_rules_say_and_nothing_else(server, admin):
    admin.set("other:1", "x")
    assert admin.acl_setuser("alice", enabled=True, passwords=["+secret"], keys=["a:*"],
                             commands=["+get", "+set", "+mget", "+acl|whoami"])
    alice = server.client(username="alice", password="secret", decode_responses=True)
    assert alice.set("a:1", "v") and alice.get("a:1") == "v"
    assert alice.execute_command("ACL", "WHOAMI") == "alice"
    with pytest.raises(redis.exceptions.NoPermissionError, match="User alice has no permissions to run the 'del' command"):
        alice.delete("a:1")
    for call in (lambda: alice.get("other:1"), lambda: alice.mget("a:1", "other:1"), lambda: alice.set("b", "1")):
        with pytest.raises(redis.exceptions.NoPermissionError, match="No permissions to access a key"):
            call()
    assert admin.get("b") is None
    reasons = [(line["reason"], line["object"], line["username"], line["count"]) for line in admin.acl_log()]
    assert reasons == [("key", "b", "alice", 1), ("key", "other:1", "alice", 2), ("command", "del", "alice", 1)]
    admin.acl_log_reset()
    assert admin.acl_log() == []


def test_passwords_on_and_off(server, admin):
    admin.execute_command("ACL", "SETUSER", "bob", "on", ">one", ">two", "allkeys", "+@all")
    assert server.client(username="bob", password="two").ping()
    for name, password in (("bob", "three"), ("bob", ""), ("nobody", "one")):
        with pytest.raises(redis.ResponseError, match="invalid username-password pair"):
            server.client(username=name, password=password).ping()
    admin.execute_command("ACL", "SETUSER", "bob", "<two")
    with pytest.raises(redis.ResponseError):
        server.client(username="bob", password="two").ping()
    admin.execute_command("ACL", "SETUSER", "bob", "off")
    with pytest.raises(redis.ResponseError):
        server.client(username="bob", password="one").ping()
    user = admin.acl_getuser("bob")
    assert user["enabled"] is False and len(user["passwords"]) == 1 and len(user["passwords"][0]) == 64
    refused = {(line["reason"], line["username"]): line["count"] for line in admin.acl_log()}
    assert set(refused) == {("auth", "bob"), ("auth", "nobody")} and refused["auth", "bob"] >= 3


def test_images_are_keys_and_a_category_like_others(server, admin, photo):
    admin.execute_command("ACL", "SETUSER", "viewer", "on", "nopass", "%R~img:*", "+@image", "-img.tier")
    admin.execute_command("ACL", "SETUSER", "editor", "on", "nopass", "~img:*", "+@image", "+@read")
    viewer = server.client(username="viewer", password="x")
    editor = server.client(username="editor", password="x")
    assert editor.execute_command("IMG.PUT", "img:1", photo)
    assert viewer.execute_command("IMG.GET", "img:1") == photo
    with pytest.raises(redis.exceptions.NoPermissionError, match="a key"):
        viewer.execute_command("IMG.PUT", "img:2", photo)
    with pytest.raises(redis.exceptions.NoPermissionError, match=r"'img.tier\|get'"):
        viewer.execute_command("IMG.TIER", "GET", "img:1")
    with pytest.raises(redis.exceptions.NoPermissionError, match="a key"):
        editor.execute_command("IMG.PUT", "other", photo)


def test_selectors_dryrun_and_join_over_words(admin):
    admin.execute_command("ACL", "SETUSER", "s", "on", "+get", "~a", "(+set", "~b)", "(+@all %R~c)")
    assert admin.execute_command("ACL", "DRYRUN", "s", "set", "b", "1") == "OK"
    assert admin.execute_command("ACL", "DRYRUN", "s", "set", "a", "1") == \
        "User s has no permissions to access the 'a' key"
    assert admin.execute_command("ACL", "DRYRUN", "s", "copy", "c", "d") == \
        "User s has no permissions to access the 'd' key"
    assert [part[1] for part in (dict(zip(p[::2], p[1::2])).popitem() for p in admin.acl_getuser("s")["selectors"])]
    before = admin.acl_list()
    for words in (("+nosuch",), ("+get", "+@nosuch"), ("(+get", "~x"), ("~x y",), ("bogus",), ("#abc",)):
        with pytest.raises(redis.ResponseError):
            admin.execute_command("ACL", "SETUSER", "s", "~new", *words)
    assert admin.acl_list() == before, "a change with a wrong word changed something"


def test_channels_and_listeners_are_cut_off(server, admin):
    admin.execute_command("ACL", "SETUSER", "l", "on", "nopass", "+@pubsub", "+ping", "&news:*")
    listener = server.client(username="l", password="x").pubsub()
    listener.subscribe("news:1")
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    with pytest.raises(redis.exceptions.NoPermissionError, match="a channel"):
        server.client(username="l", password="x").publish("other", "m")
    other = server.client(username="l", password="x").pubsub()
    other.psubscribe("news:[0-9]")
    with pytest.raises(redis.exceptions.NoPermissionError, match="a channel"):
        other.get_message(timeout=5)
    admin.execute_command("ACL", "SETUSER", "l", "resetchannels")
    until(lambda: admin.pubsub_numsub("news:1") == [("news:1", 0)])


def test_rules_count_again_when_exec_runs(server, admin):
    admin.execute_command("ACL", "SETUSER", "m", "on", "nopass", "~*", "+@all")
    client = server.client(username="m", password="x", decode_responses=True)
    pipe = client.connection_pool.get_connection("_")
    for words in (("MULTI",), ("SET", "k", "1"), ("GET", "k")):
        pipe.send_command(*words)
        pipe.read_response()
    admin.execute_command("ACL", "SETUSER", "m", "-set")
    pipe.send_command("EXEC")
    reply = pipe.read_response()
    assert isinstance(reply[0], redis.exceptions.NoPermissionError) and reply[1] is None


def test_users_survive_kill_checkpoint_and_deletion(server, admin):
    for i in range(20):
        admin.execute_command("ACL", "SETUSER", f"u{i}", "on", f">p{i}", f"~k{i}:*", "+get", "(+set ~s)")
    admin.execute_command("ACL", "SETUSER", "default", "-flushall")
    admin.execute_command("ACL", "DELUSER", "u3", "u4", "nosuch")
    before = admin.acl_list()
    server.kill()
    server.start()
    assert admin.acl_list() == before
    admin.save()
    admin.execute_command("ACL", "SETUSER", "u5", "off")
    admin.execute_command("ACL", "DELUSER", "u6")
    before = admin.acl_list()
    server.kill()
    server.start()
    assert admin.acl_list() == before
    assert "u6" not in admin.acl_users() and "u3" not in admin.acl_users()
    with pytest.raises(redis.exceptions.NoPermissionError):
        admin.flushall()
    assert server.client(username="u7", password="p7").get("k7:1") is None


def test_deleting_a_user_closes_its_connections(server, admin):
    admin.execute_command("ACL", "SETUSER", "gone", "on", "nopass", "+@all", "~*")
    client = server.client(username="gone", password="x")
    assert client.ping()
    assert "user=gone" in admin.execute_command("CLIENT", "LIST")
    assert admin.execute_command("ACL", "DELUSER", "gone") == 1
    with pytest.raises((redis.ConnectionError, redis.ResponseError)):
        client.ping()
    assert "user=gone" not in admin.execute_command("CLIENT", "LIST")
    with pytest.raises(redis.ResponseError, match="cannot be removed"):
        admin.execute_command("ACL", "DELUSER", "default")


def test_an_aclfile_counts_at_the_start_and_when_it_is_loaded(tmp_path):
    path = tmp_path / "users.acl"
    path.write_text("# comment\nuser default on nopass ~* &* +@all\nuser filed on >pw ~f* +get\n")
    server = Server(str(tmp_path), "--aclfile", str(path))
    try:
        server.start()
        admin = server.client(decode_responses=True)
        assert admin.acl_users() == ["default", "filed"]
        admin.execute_command("ACL", "SETUSER", "made", "on")
        assert admin.execute_command("ACL", "SAVE") == "OK"
        assert "user made on" in path.read_text() and "pw" not in path.read_text()
        text = path.read_text()
        path.write_text(text + "user broken on +nosuch\n")
        with pytest.raises(redis.ResponseError, match="users.acl:4: Unknown command"):
            admin.execute_command("ACL", "LOAD")
        assert admin.acl_users() == ["default", "filed", "made"]
        path.write_text("user filed on nopass ~g* +get\n")
        assert admin.execute_command("ACL", "LOAD") == "OK"
        assert admin.acl_users() == ["default", "filed"]
        server.stop()
        path.write_text("user x\nuser x\n")
        server.spawn()
        assert server.process.wait(timeout=20) == 1
        assert "users.acl:2" in server.log()
    finally:
        server.stop() if server.process.poll() is None else None


def test_requirepass_is_the_password_of_default(server, admin):
    admin.config_set("requirepass", "old")
    with pytest.raises(redis.AuthenticationError):
        server.client().ping()
    assert server.client(password="old").ping()
    assert server.client(username="default", password="old").ping()
    admin.config_set("requirepass", "")
    assert server.client().ping()


def test_replies_are_those_of_redis_where_its_versions_agree(server, peer):
    sides = [server.client(decode_responses=True), redis.Redis(port=peer, decode_responses=True)]
    words = [("ACL", "WHOAMI"), ("ACL", "USERS"), ("ACL", "CAT", "nope"), ("ACL", "GENPASS", "0"),
             ("ACL", "GENPASS", "x"), ("ACL", "GETUSER", "nobody"), ("ACL", "DELUSER", "default"),
             ("ACL", "DELUSER", "nobody"), ("ACL", "SETUSER", "a b"), ("ACL", "LOAD", "x"), ("ACL", "NOSUCH"),
             ("ACL", "DRYRUN", "nobody", "get", "x"), ("ACL", "DRYRUN", "default", "nosuch"),
             ("ACL", "DRYRUN", "default", "get"), ("ACL", "DRYRUN", "default", "get", "x"), ("AUTH", "x"),
             ("AUTH", "nobody", "x"), ("AUTH", "a", "b", "c")]
    words += [("ACL", "SETUSER", "u", word) for word in
              ("foo", "+foo", "+@foo", "%~x", "(+get", "~x y", "+client|x", "+config|get|x", "allkeys", "~more",
               "allchannels", "&x", "#12", "!" + "0" * 64, "<none", "+get", "-@all", "clearselectors", "reset")]
    for line in words:
        replies = []
        for side in sides:
            try:
                replies.append(side.execute_command(*line))
            except redis.ResponseError as error:
                replies.append(str(error))
        assert replies[0] == replies[1], line


def test_searches_are_for_those_who_may_read_every_key(server, admin, photo):
    """They tell titles, tags and places of images whose keys the user may not name."""
    admin.execute_command("IMG.PUT", "secret", photo, "TITLE", "nobody else")
    searches = [["IMG.SEARCH", "*"], ["IMG.AGGREGATE", "*", "LOAD", 1, "@title"], ["IMG.SUGGEST", "no"], ["IMG.SIMILAR", "mine"],
                ["FT.SEARCH", "images", "*"], ["FT.AGGREGATE", "images", "*"], ["FT.TAGVALS", "images", "tags"],
                ["FT.PROFILE", "images", "SEARCH", "QUERY", "*"]]
    for rules, allowed in ((["~mine*"], False), (["%W~*"], False), (["%R~mine"], False), (["%R~*"], True), (["~*"], True), (["(+@image ~*)"], True)):
        admin.execute_command("ACL", "SETUSER", "web", "reset", "on", "nopass", "+@image", *rules)
        for words in searches:
            reply = admin.execute_command("ACL", "DRYRUN", "web", *words)
            assert (reply == "OK") == allowed, (rules, words, reply)
    admin.execute_command("ACL", "SETUSER", "web", "reset", "on", "nopass", "+@image", "-@dangerous", "~mine*")
    web = server.client(username="web", password="x")
    with pytest.raises(redis.exceptions.NoPermissionError):
        web.execute_command("IMG.SEARCH", "*")
    with pytest.raises(redis.exceptions.NoPermissionError):
        web.execute_command("IMG.TIER", "POLICY", "SET", "p", "DELETE", "1s")
