# The cache store of Rails, and redis-rb below it. The port is the argument.
require "active_support"
require "active_support/cache"
require "active_support/cache/redis_cache_store"
require "redis"

def check(condition, what) = condition || abort("failed: #{what}")

errors = []
store = ActiveSupport::Cache::RedisCacheStore.new(url: "redis://127.0.0.1:#{ARGV[0]}/5", namespace: "app",
  error_handler: ->(method:, returning:, exception:) { errors << "#{method}: #{exception}" })
check(store.write("a", { "list" => [1, 2] }, expires_in: 100), "write")
check(store.read("a") == { "list" => [1, 2] }, "read")
check(store.fetch("made") { 7 } == 7 && store.fetch("made") { 8 } == 7, "fetch")
check(store.write("once", 1, unless_exist: true) && !store.write("once", 2, unless_exist: true), "unless_exist")
store.write_multi((0...50).to_h { |i| ["m#{i}", i] }, expires_in: 60)
check(store.read_multi("m1", "m2", "nosuch") == { "m1" => 1, "m2" => 2 }, "read_multi")
check(store.increment("count", 5) == 5 && store.decrement("count", 2) == 3, "increment")
check(store.exist?("m3") && store.delete("m3") && !store.exist?("m3"), "delete")
store.delete_matched("m*")
check(store.read("m4").nil?, "delete_matched")
store.write("big", "x" * 100_000, compress: true)
check(store.read("big").size == 100_000, "compressed")
store.clear
check(store.read("a").nil? && errors.empty?, errors.inspect)

redis = Redis.new(port: ARGV[0].to_i, db: 6, id: "rails")
check(redis.set("k", "v", ex: 10) == "OK" && redis.hset("h", "f", 1) == 1 && redis.hgetall("h") == { "f" => "1" }, "types")
result = redis.multi { |tx| tx.incr("n"); tx.zadd("z", [[1, "a"], [2, "b"]]); tx.zrange("z", 0, -1, with_scores: true) }
check(result == [1, 2, [["a", 1.0], ["b", 2.0]]], result.inspect)
check(redis.scan_each.to_a.sort == %w[h k n z] && redis.blpop("none", timeout: 0.1).nil?, "scan")
puts "ok"
