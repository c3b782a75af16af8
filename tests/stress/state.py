"""What a session has set, as it must find it again on whichever server it gets."""

REPORTED = ("application_name", "TimeZone", "DateStyle", "IntervalStyle", "client_encoding")
UNREPORTED = ("search_path", "work_mem", "statement_timeout", "role", "app.tag")
NAMES = REPORTED + UNREPORTED
SHOW = ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in NAMES)


def some_value(client, name):
    """One that only this client would choose, where the parameter's kind allows it."""
    dice, tag = client.dice, client.tag
    if name == "application_name":
        return f"{tag} {dice.randrange(1000)}"
    if name == "TimeZone":
        return f"<{tag.upper()}>-{dice.randrange(1, 12)}"
    if name == "DateStyle":
        return dice.choice(["ISO, YMD", "ISO, DMY", "German, DMY", "SQL, MDY", "Postgres, DMY"])
    if name == "IntervalStyle":
        return dice.choice(["sql_standard", "postgres_verbose", "iso_8601"])
    if name == "client_encoding":
        return dice.choice(["LATIN1", "SQL_ASCII", "UTF8"])
    if name == "search_path":
        return dice.choice([f"{tag}", f"{tag}, shared", f"{tag}, public"])
    if name == "work_mem":  # an odd number is shown in the unit it was given in
        return f"{1001 + 2 * client.number + 200 * dice.randrange(5)}kB"
    if name == "statement_timeout":
        return f"{60001 + 2 * client.number + 200 * dice.randrange(5)}ms"
    return tag if name == "role" else f"{tag}.{dice.randrange(1000)}"


def literal(name, value):
    return value if name in ("search_path", "role") else "'" + value.replace("'", "''") + "'"


class State:
    """kept: what holds after the transaction; shown: what holds now. Both go back as the server's do."""

    def __init__(self, defaults, startup):
        self.base = {**defaults, **startup}
        self.used = {name: {value} for name, value in self.base.items()}
        self.kept = dict(self.base)
        self.shown = dict(self.base)
        self.marks = []

    def uses(self, name, value):
        self.used[name].add(value)

    def put(self, name, value, local=False):
        self.shown[name] = value
        if not local:
            self.kept[name] = value

    def reset(self, name=None):
        for each in [name] if name else [name for name in NAMES if name != "role"]:  # RESET ALL spares it
            self.put(each, self.base[each])

    def mark(self):
        """BEGIN or SAVEPOINT."""
        self.marks.append((dict(self.kept), dict(self.shown)))

    def back_to_mark(self):
        self.kept, self.shown = map(dict, self.marks[-1])

    def forget_mark(self):
        self.marks.pop()

    def commit(self):
        self.shown = dict(self.kept)
        self.marks.clear()

    def rollback(self):
        if self.marks:
            self.kept, self.shown = map(dict, self.marks[0])
            self.marks.clear()

    def expected(self):
        return [self.shown[name] for name in NAMES]

    def learn(self, values):
        """After a cancel: what holds, when it is something that this session has asked for; else its name."""
        for name, value in zip(NAMES, values):
            if value not in self.used[name]:
                return f"{name} is {value!r}"
            self.put(name, value)
        return None
