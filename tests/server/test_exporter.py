"""prometheus-redis-exporter on a leader and a follower: the figures that dashboards and alarms read."""
import re
import subprocess
import urllib.error
import urllib.request

import pytest

from conftest import free_port, until
from replicas import start_pair


@pytest.fixture
def pair(folder):
    leader, follower = start_pair(folder)
    yield leader, follower
    for server in (follower, leader):
        server.stop()
        assert "TINTYPE BUG" not in server.log()


def metrics(server):
    """{name{labels}: value} as the exporter shows it."""
    port = free_port()
    process = subprocess.Popen(["prometheus-redis-exporter", "-redis.addr", f"redis://127.0.0.1:{server.port}",
                                "-web.listen-address", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)

    def scrape():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
                return page.read().decode()
        except urllib.error.URLError:
            return None
    try:
        text = until(scrape)
    finally:
        process.terminate()
        process.wait(timeout=20)
    return {name: float(value) for name, value in re.findall(r"^(redis_.+) (\S+)$", text, re.M)}


def of(found, start):
    return [name for name in found if name.startswith(start)]


def test_leader_and_follower_are_shown(pair):
    leader, follower = pair
    for i in range(100):
        leader.client().set(f"k{i}", "v", ex=1000)
    until(lambda: follower.client().dbsize() == 100)
    seen = metrics(leader)
    assert seen["redis_up"] == 1 and seen["redis_connected_slaves"] == 1
    assert 'role="master"' in of(seen, "redis_instance_info")[0] and 'redis_mode="standalone"' in of(seen, "redis_instance_info")[0]
    assert seen['redis_db_keys{db="db0"}'] == 100 and seen['redis_db_keys_expiring{db="db0"}'] == 100
    assert seen["redis_master_repl_offset"] > 0 and seen["redis_commands_processed_total"] > 100
    assert seen["redis_memory_used_bytes"] > 0 and seen["redis_uptime_in_seconds"] >= 0
    lags = of(seen, "redis_connected_slave_lag_seconds")
    assert len(lags) == 1 and 0 <= seen[lags[0]] <= 10
    offsets = of(seen, "redis_connected_slave_offset_bytes")
    assert len(offsets) == 1 and seen[offsets[0]] > 0
    seen = metrics(follower)
    assert 'role="slave"' in of(seen, "redis_instance_info")[0]
    assert seen[of(seen, "redis_master_link_up")[0]] == 1
    assert seen['redis_db_keys{db="db0"}'] == 100
    leader.kill()
    until(lambda: follower.client().info("replication")["master_link_status"] == "down")
    seen = metrics(follower)
    assert seen["redis_up"] == 1 and seen[of(seen, "redis_master_link_up")[0]] == 0
    leader.start()
