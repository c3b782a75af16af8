"""What tests of LISTEN ask: who listens, on how many connections, and what was heard."""


def pids_that_listen(postgres):
    """The shared connections."""
    return postgres.sql("select pid from pg_stat_activity where application_name = 'weir listener'").split()


def shared(weir):
    """How many server connections, channels, and clients."""
    metrics = weir.metrics()
    return [metrics[name] for name in ("weir_listening_servers", "weir_listen_channels", "weir_listeners")]


def backends(postgres, user="ana"):
    return int(postgres.sql(f"select count(*) from pg_stat_activity where usename = '{user}'"))


def pinned(weir):
    return weir.metrics()['weir_pool_clients{database="main",user="ana",state="idle_pinned"}']


def notified(each):
    """Of a NotificationResponse: channel and payload."""
    channel, payload = each.payload[4:-1].split(b"\0")
    return channel.decode(), payload.decode()


def hears(wire, count=1):
    return [notified(wire.read_until("A")[-1]) for _ in range(count)]


def asides(messages):
    return [notified(each) for each in messages if each.kind == "A"]
