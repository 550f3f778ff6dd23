"""django-redis: values, many at once, expiry, versions, patterns. The port is the argument."""
import sys

import django
from django.conf import settings

settings.configure(CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"redis://127.0.0.1:{sys.argv[1]}/1",
                                       "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"}}})
django.setup()
from django.core.cache import cache     # noqa: E402  (wants its settings)

cache.set("a", {"list": [1, 2, 3], "text": "\u00e9"}, timeout=100)
assert cache.get("a") == {"list": [1, 2, 3], "text": "\u00e9"} and 90 < cache.ttl("a") <= 100
assert cache.add("a", 1) is False and cache.add("b", 2) is True and cache.get("nosuch", "default") == "default"
cache.set_many({f"m{i}": i for i in range(100)}, timeout=50)
assert cache.get_many([f"m{i}" for i in range(100)]) == {f"m{i}": i for i in range(100)}
assert cache.delete("b") and cache.delete_many(["m0", "m1"]) == 2 and not cache.has_key("m0")
assert sorted(cache.keys("m1*")) == sorted(["m10", "m11", "m12", "m13", "m14", "m15", "m16", "m17", "m18", "m19"])
assert cache.expire("m2", 1000) and cache.ttl("m2") > 900 and cache.persist("m2") and cache.ttl("m2") is None
assert cache.touch("m3", 500) and cache.ttl("m3") > 400
assert cache.get_or_set("made", lambda: 7) == 7 and cache.get("made") == 7
cache.set("versioned", 1, version=2)
assert cache.get("versioned") is None and cache.get("versioned", version=2) == 1
assert cache.delete_pattern("m*") == 99
cache.clear()
assert cache.get("a") is None
print("ok")
