"""What frameworks build on Redis: caches, sessions and job queues, as they come from Debian and npm."""
import os
import shutil
import subprocess

import pytest

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "frameworks")


def check(*args, **options):
    done = subprocess.run(args, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "ok", done.stdout + done.stderr


@pytest.mark.parametrize("script", ["django_cache.py", "kombu_queue.py"])
def test_python(server, script):
    check("/usr/bin/python3", os.path.join(HERE, script), str(server.port))


def test_rails_cache_store(server):
    check("ruby", os.path.join(HERE, "rails_cache.rb"), str(server.port))


def test_sidekiq(server):
    check("ruby", os.path.join(HERE, "sidekiq_job.rb"), env=dict(os.environ, SIDEKIQ_PORT=str(server.port)))


def test_php_sessions(server):
    check("php", "-d", "zend.assertions=1", "-d", "assert.exception=1", os.path.join(HERE, "php_sessions.php"), str(server.port))


def test_node(server, node_modules):
    shutil.copy(os.path.join(HERE, "connect_redis.mjs"), node_modules)
    check("node", "connect_redis.mjs", str(server.port), cwd=node_modules)
