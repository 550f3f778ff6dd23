"""INFO store: its figures follow from what was done."""
from conftest import until
from images import get, png, put


def figures(client):
    return {name: float(value) for name, value in client.info("store").items()
            if isinstance(value, (int, float))}


def test_figures_follow_what_is_done(make_server):
    server = make_server("--segment-bytes", "1mb", "--hot-memory", "0", "--body-memory", "32mb",
                         "--appendfsync", "always", "--disk-bytes-max", "24mb")
    client, body = server.client(), png(4, 4)
    before = figures(client)
    for i in range(20):
        put(client, f"k{i}", body + b"%09d" % i * 9000)
    client.delete("k0")
    after = until(lambda: figures(client) if figures(client)["hot_tombstones"] == 1 else None)
    assert after["last_lsn"] >= before["last_lsn"] + 21 and after["durable_lsn"] <= after["last_lsn"]
    assert after["hot_live_records"] >= 19 and after["hot_segments"] >= 3
    assert after["hot_live_bytes"] >= 19 * 81_000
    assert after["history_versions"] == 1 and after["history_bytes"] >= 81_000
    assert after["appended_bytes"] >= 20 * 81_000 and after["write_amplification"] >= 1
    assert after["write_amplification_log"] >= 1 and after["write_amplification_cleaner"] == 1
    assert after["syncs"] > before["syncs"] and 0 < after["sync_us_p50_below"] <= after["sync_us_p99_below"]
    histogram = client.info("store")["sync_us_histogram"]
    counts = histogram.values() if isinstance(histogram, dict) else \
        [part.split("=")[1] for part in str(histogram).split(",")]
    assert sum(int(count) for count in counts) >= after["syncs"]
    for i in range(1, 20):
        get(client, f"k{i}")
    assert figures(client)["disk_reads_per_record"] == 1


def test_the_cleaner_and_the_checkpoint_are_seen_at_work(make_server):
    server = make_server("--segment-bytes", "1mb", "--history-window", "0", "--body-memory", "32mb",
                         "--appendfsync", "always", "--disk-bytes-max", "16mb")
    client, body = server.client(), png(4, 4)
    for i in range(240):                       # every fourth stays
        put(client, f"k{i if i % 4 == 0 else i % 4}", body + b"%09d" % i * 6000)
    seen = until(lambda: figures(client) if figures(client)["cleaner_copied_records"] > 0 else None)
    assert seen["cleaner_victims"] > 0 and seen["cleaner_copied_bytes"] > 54_000
    assert seen["write_amplification_cleaner"] > 1 and seen["segments_recycled"] > 0
    assert seen["hot_segments_max"] <= 16 and seen["zeroed_bytes"] > 0
    client.save()
    persistence = client.info("persistence")
    assert persistence["checkpoint_lsn"] > 0 and persistence["checkpoint_bytes_written"] > 0
