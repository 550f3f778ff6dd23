"""kombu, the transport of Celery: queues, acknowledgements, priorities, fanout. The port is the argument."""
import socket
import sys

from kombu import Connection, Consumer, Exchange, Producer, Queue

URL = f"redis://127.0.0.1:{sys.argv[1]}/3"
with Connection(URL) as connection, Connection(URL) as other:
    queue = connection.SimpleQueue("jobs")
    for i in range(200):
        queue.put({"number": i}, serializer="json")
    assert queue.qsize() == 200
    seen = []
    for _ in range(200):
        message = queue.get(block=True, timeout=10)
        seen.append(message.payload["number"])
        message.ack()
    assert seen == list(range(200))
    queue.close()

    got = []
    channel = connection.channel()
    news = Exchange("news", type="fanout")
    with Consumer(channel, [Queue("news-a", news)], callbacks=[lambda body, message: got.append(body)], no_ack=True):
        producer = Producer(other.channel())
        for _ in range(100):                  # whoever is not listening yet hears nothing
            producer.publish("hello", exchange=news, declare=[news])
            try:
                connection.drain_events(timeout=0.1)
            except socket.timeout:
                pass
            if got:
                break
    assert set(got) == {"hello"}
print("ok")
