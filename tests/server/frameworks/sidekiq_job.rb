# A Sidekiq process that this file starts, with jobs from a client. The port is in SIDEKIQ_PORT.
$VERBOSE = nil
require "redis"
Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=)
require "sidekiq"

options = { url: "redis://127.0.0.1:#{ENV['SIDEKIQ_PORT']}/7" }
Sidekiq.configure_server { |config| config.redis = options }
Sidekiq.configure_client { |config| config.redis = options }

class Adder
  include Sidekiq::Worker
  sidekiq_options retry: 2

  def perform(number)
    raise "odd one out" if number == 13
    Sidekiq.redis { |redis| redis.incrby("sum", number); redis.incr("done") }
  end
end

if $PROGRAM_NAME == __FILE__
  50.times { |i| Adder.perform_async(i) }
  Adder.perform_in(3600, 1)
  pid = spawn("sidekiq", "-r", File.expand_path(__FILE__), "-c", "4", out: $stderr)
  200.times { Sidekiq.redis { |redis| redis.get("done") } == "49" ? break : sleep(0.1) }
  require "sidekiq/api"
  stats = nil
  100.times do
    stats = Sidekiq::Stats.new
    stats.processed >= 50 && stats.retry_size == 1 ? break : sleep(0.1)
  end
  Process.kill("TERM", pid)
  Process.wait(pid)
  sum = Sidekiq.redis { |redis| redis.get("sum") }
  abort "sum #{sum}" unless sum == (50 * 49 / 2 - 13).to_s
  abort "stats #{stats.inspect}" unless stats.enqueued == 0 && stats.scheduled_size == 1 && stats.retry_size == 1
  puts "ok"
end
