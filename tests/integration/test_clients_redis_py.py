"""redis-py as its manual uses it: many clients, few links, and nobody notices."""
import asyncio
import threading
import time

import redis
import redis.asyncio
from harness.clients import at_once
from harness.process import PATIENCE, wait_until

CLIENTS = 24


def connect(port, **words):
    return redis.Redis(port=port, socket_timeout=PATIENCE, **words)


def failure(act, *arguments):
    """The name and text of the error."""
    try:
        return ["no error", act(*arguments)]
    except redis.RedisError as error:
        return [type(error).__name__, str(error)]


def compare_all(redis_compare, talk, **settings):
    return redis_compare(lambda port: at_once(CLIENTS, lambda *who: talk(port, *who)), **settings)


def values(port, number, ready):
    with connect(port, db=number % 3, client_name=f"c{number}") as client:
        ready()
        heard = [client.set(f"s{number}", f"tag {number}", ex=100), client.get(f"s{number}"), client.client_getname()]
        for turn in range(5):
            heard += [client.incr(f"n{number}"), client.hset(f"h{number}", mapping={"turn": turn, "who": number}),
                      client.hgetall(f"h{number}"), client.rpush(f"l{number}", turn), client.lrange(f"l{number}", 0, -1),
                      client.zadd(f"z{number}", {f"m{turn}": turn}), client.zrange(f"z{number}", 0, -1, withscores=True),
                      client.sadd(f"t{number}", turn), client.smembers(f"t{number}"), client.exists(f"none{number}"),
                      client.setbit(f"b{number}", turn, 1), client.pfadd(f"p{number}", turn), client.geoadd(f"g{number}", (1, 2, turn))]
        large = bytes([number]) * 400000
        client.set(f"large{number}", large)
        heard += [client.get(f"large{number}") == large, failure(client.incr, f"s{number}"),
                  failure(client.execute_command, "NOSUCH", number), failure(client.lpush, f"s{number}", 1)]
        heard += [client.xadd(f"x{number}", {"f": number}, id="1-1"), client.xrange(f"x{number}"), client.type(f"x{number}"),
                  client.sort(f"l{number}", desc=True), client.object("encoding", f"l{number}"), client.ttl("none")]
        return heard


def test_values(redis_compare):
    assert compare_all(redis_compare, values)[7][:3] == [True, b"tag 7", "c7"]


def pipelines(port, number, ready):
    with connect(port) as client:
        ready()
        heard = []
        for transaction in (False, True):
            with client.pipeline(transaction=transaction) as pipe:
                for n in range(300):
                    pipe.set(f"p{number}:{n}", f"{n} of {number}").get(f"p{number}:{n}").blpop(f"none{number}", 0.01) \
                        if transaction and n < 3 else pipe.set(f"p{number}:{n}", n).get(f"p{number}:{n}")
                pipe.incr(f"n{number}").hgetall(f"none{number}")
                heard.append(pipe.execute())
            with client.pipeline(transaction=transaction) as pipe:
                pipe.set(f"s{number}", "x").incr(f"s{number}").get(f"s{number}")
                heard.append([str(answer) for answer in pipe.execute(raise_on_error=False)])
        return heard


def test_pipelines(redis_compare):
    answers = compare_all(redis_compare, pipelines)
    assert answers[7][0][:2] == [True, b"0"] and answers[7][2][:3] == [True, b"0 of 7", None]


def transactions(port, number, ready):
    """Each adds to what all add to, under WATCH, until it has."""
    with connect(port) as client:
        ready()
        tries = 0
        for _ in range(5):
            with client.pipeline() as pipe:
                while True:
                    tries += 1
                    try:
                        pipe.watch("sum", f"own{number}")
                        before = int(pipe.get("sum") or 0)
                        pipe.multi()
                        pipe.set("sum", before + number).incr(f"own{number}")
                        pipe.execute()
                        break
                    except redis.WatchError:
                        continue
        return int(client.get(f"own{number}")), tries >= 5


def test_watched_transactions_lose_nothing(redis_compare):
    def talk(port):
        answers = at_once(CLIENTS, lambda *who: transactions(port, *who))
        with connect(port) as client:
            return answers, int(client.get("sum"))

    assert redis_compare(talk, max_dedicated=8)[1] == 5 * sum(range(CLIENTS))


def messages(port, number, ready):
    with connect(port) as client, client.pubsub() as subscriber:
        subscriber.subscribe(f"own:{number}", "everybody")
        subscriber.psubscribe(f"own:{number}:*")
        heard = [subscriber.get_message(timeout=PATIENCE) for _ in range(3)]
        ready()
        client.publish("everybody", number)
        for n in range(3):
            client.publish(f"own:{number}", n)
            client.publish(f"own:{number}:{n}", "by pattern")
        got = []
        while len(got) < CLIENTS + 6:
            got.append(subscriber.get_message(timeout=PATIENCE))
        subscriber.ping("between")
        heard.append(subscriber.get_message(timeout=PATIENCE))
        subscriber.unsubscribe("everybody")
        heard.append(subscriber.get_message(timeout=PATIENCE))
        ready()
        client.publish("everybody", "not for those that have left")
        client.publish(f"own:{number}", "last")
        heard.append(subscriber.get_message(timeout=PATIENCE))
        return heard, [each["data"] for each in got if b"own" in each["channel"]], \
            sorted(each["data"] for each in got if each["channel"] == b"everybody")


def test_messages(redis_compare):
    heard, own, everybodys = compare_all(redis_compare, messages)[7]
    assert own == [b"0", b"by pattern", b"1", b"by pattern", b"2", b"by pattern"]
    assert everybodys == sorted(str(n).encode() for n in range(CLIENTS))
    assert heard[-1]["data"] == b"last"


def test_messages_in_a_thread(redis_compare):
    def talk(port):
        heard = []
        with connect(port) as client, client.pubsub() as subscriber:
            subscriber.subscribe(news=lambda message: heard.append(message["data"]))
            thread = subscriber.run_in_thread(sleep_time=0.05)
            wait_until(lambda: client.pubsub_numsub("news") == [(b"news", 1)], "the subscription")
            for n in range(50):
                client.publish("news", n)
            wait_until(lambda: len(heard) == 50, "the messages")
            thread.stop()
            thread.join(PATIENCE)
        return heard

    assert redis_compare(talk)[-1] == b"49"


def scripts(port, number, ready):
    with connect(port) as client:
        ready()
        add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        heard = [add(keys=[f"k{number}"], args=[number]), add(keys=[f"k{number}"], args=[1])]
        with client.pipeline() as pipe:
            add(keys=[f"k{number}"], args=[10], client=pipe)
            pipe.get(f"k{number}")
            heard.append(pipe.execute())
        heard.append(failure(client.eval, "return redis.call('NOSUCH')", 0))
        heard.append(client.eval("return {1, {'of ' .. ARGV[1]}, false}", 0, number))
        return heard


def test_scripts(redis_compare):
    assert compare_all(redis_compare, scripts)[7][:3] == [7, 8, [18, b"18"]]


def blocking(port, number, ready):
    """A ring: each waits for the one before it, and gives to the next."""
    with connect(port) as client:
        ready()
        heard = []
        for turn in range(5):
            if number == 0:
                client.rpush("ring:1", f"turn {turn}")
            _, value = client.blpop(f"ring:{number}", PATIENCE)
            heard.append(value)
            if number:
                client.rpush(f"ring:{(number + 1) % CLIENTS}", value)
        heard += [client.blpop("none", 1), client.brpoplpush(f"ring:{number}", "none", 1), client.bzpopmin("none", 1)]
        return heard


def test_a_ring_of_blocked_clients(redis_compare):
    assert compare_all(redis_compare, blocking)[7][:2] == [b"turn 0", b"turn 1"]


def test_more_blocked_clients_than_links(redis_compare):
    """Who waits for a link of its own is served when one is free; those that need none are never kept waiting."""
    def talk(port):
        def one(number, ready):
            with connect(port) as client:
                ready()
                if number < 6:
                    return client.blpop("wanted", PATIENCE)[1]
                for n in range(50):
                    assert client.set(f"k{number}", n) and client.get(f"k{number}") == str(n).encode()
                client.rpush("wanted", "given")
                return b"gave"

        return at_once(12, one)

    assert redis_compare(talk, max_dedicated=3, wait_timeout=20) == [b"given"] * 6 + [b"gave"] * 6


def test_locks(redis_compare):
    def one(port, number, ready):
        with connect(port) as client:
            ready()
            for _ in range(5):
                with client.lock("lock", timeout=PATIENCE, sleep=0.005):
                    before = int(client.get("guarded") or 0)
                    time.sleep(0.001)
                    client.set("guarded", before + 1)
            return True

    def talk(port):
        at_once(8, lambda *who: one(port, *who))
        with connect(port) as client:
            return int(client.get("guarded"))

    assert redis_compare(talk) == 40


def test_monitor(redis_compare):
    def talk(port):
        with connect(port) as client, connect(port) as other:
            with client.monitor() as monitor:
                stop = threading.Event()
                thread = threading.Thread(target=lambda: [other.echo("seen") for _ in iter(stop.is_set, True)])
                thread.start()
                try:
                    while monitor.next_command()["command"] != "ECHO seen":
                        pass
                finally:
                    stop.set()
                    thread.join()
            return client.get("after")

    assert redis_compare(talk) is None


def test_scans(redis_compare):
    def talk(port):
        with connect(port) as client:
            client.mset({f"k{n}": n for n in range(1000)})
            client.hset("h", mapping={str(n): n for n in range(1000)})
            client.sadd("s", *range(1000))
            return (len(set(client.scan_iter(match="k*"))), len(dict(client.hscan_iter("h"))), len(set(client.sscan_iter("s"))),
                    client.dbsize(), client.delete(*(f"k{n}" for n in range(1000))))

    assert redis_compare(talk) == (1000, 1000, 1000, 1002, 1000)


def test_a_pool_of_connections_between_threads(redis_compare):
    def talk(port):
        pool = redis.BlockingConnectionPool(port=port, max_connections=5, timeout=PATIENCE)
        client = redis.Redis(connection_pool=pool)

        def one(number, ready):
            ready()
            for n in range(40):
                client.set(f"k{number}", n)
                with client.pipeline() as pipe:
                    assert pipe.get(f"k{number}").incr(f"n{number}").execute() == [str(n).encode(), n + 1]
            return client.get(f"n{number}")

        try:
            return at_once(CLIENTS, one)
        finally:
            pool.disconnect()

    assert redis_compare(talk) == [b"40"] * CLIENTS


def test_users_of_redis(redis_compare):
    """Each is who it logs in as, on whatever link."""
    def talk(port):
        with connect(port) as admin:
            for name in ("ann", "ben"):
                admin.acl_setuser(name, enabled=True, passwords=[f"+{name}"], keys=[f"{name}:*"], categories=["+@all"])

        def one(number, ready):
            name, other = ("ann", "ben") if number % 2 else ("ben", "ann")
            with connect(port, username=name, password=name) as client:
                ready()
                heard = [client.acl_whoami()]
                for n in range(20):
                    heard += [client.set(f"{name}:{number}", n), client.get(f"{name}:{number}"), failure(client.get, f"{other}:{number}"),
                              client.pipeline().incr(f"{name}:n{number}").execute()]
                heard.append(failure(connect(port, username=name, password="wrong").ping))
                return heard

        return at_once(CLIENTS, one)

    assert redis_compare(talk)[7][:4] == ["ann", True, b"0", ["NoPermissionError", "this user has no permissions to access one of "
                                                               "the keys used as arguments"]]


def test_asyncio_s_clients(redis_compare):
    """The same library with an event loop of its own."""
    async def one(port, number):
        client = redis.asyncio.Redis(port=port)
        try:
            heard = []
            for turn in range(10):
                async with client.pipeline(transaction=turn % 2 == 0) as pipe:
                    heard.append(await pipe.set(f"a{number}", turn).get(f"a{number}").execute())
                await client.rpush(f"q{number}", turn)
                heard.append(await client.blpop(f"q{number}", 5))
            return heard
        finally:
            await client.close()

    async def all_of(port):
        return await asyncio.gather(*(one(port, number) for number in range(60)))

    assert redis_compare(lambda port: asyncio.run(all_of(port)))[7][0] == [True, b"0"]
