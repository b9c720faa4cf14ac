"""A made-up log: statements against a company's databases, by applications, reports and people; with attacks."""
from .world import Event, Log, any_time, month_end, weighted


class DatabaseAudit(Log):
    """Statements against a company's databases, by applications, reports and people."""

    name = "database_audit"
    rows = 40_000
    machines = 0.6
    people = 28
    groups = [("analyst", 60), ("support", 30), ("dba", 10)]
    devices = ["DBeaver 23.3", "psql", "Tableau 2023.4", "DataGrip 2023.3"]
    tables = {"analyst": ["sales.orders", "sales.order_lines", "sales.customers", "web.sessions"],
              "support": ["sales.orders", "sales.customers", "support.tickets"], "dba": ["pg_catalog.pg_stat_activity",
                  "pg_catalog.pg_locks", "sales.orders"]}
    clauses = ["WHERE id = {n}", "WHERE customer_id = {n} ORDER BY created_at DESC LIMIT 50",
               "WHERE created_at >= '2025-09-{d:02}' LIMIT 500", "WHERE status = 'open' AND region = {r}"]

    def statement(self, user, host, ip, program, command, table, rows, text, wide=180):
        return {"session_id": f"{self.world.hexadecimal(8)}.{self.world.hexadecimal(4)}", "db_user": user, "client_host": host,
                "client_ip": ip, "application": program, "database": table.partition(".")[0] if table else "sales",
                "command": command, "object": table, "rows": int(rows), "bytes_sent": int(rows * wide * self.world.amount(1, 0.2)) + 90,
                "duration_ms": round(self.world.amount(2.2, 0.8) + rows / 220, 2),
                "sqlstate": "57014" if self.dice.random() < 0.002 else "42501" if self.dice.random() < 0.002 else "00000",
                "tls": "TLSv1.3",
                "statement": text}

    def everyday(self, person, at):
        table = self.dice.choice(self.tables[person.group])
        command = weighted(self.dice, [("SELECT", 93), ("EXPLAIN", 3), ("UPDATE", 4)] if person.group == "support" else [("SELECT", 95),
            ("EXPLAIN", 4), ("SET", 1)])
        clause = self.dice.choice(self.clauses).format(n=self.dice.randrange(90_000), d=self.dice.randrange(1, 29),
            r=self.dice.randrange(9))
        text = {"SELECT": f"SELECT * FROM {table} {clause}", "EXPLAIN": f"EXPLAIN SELECT * FROM {table} {clause}",
                "UPDATE": f"UPDATE {table} SET status = 'done' WHERE id = {self.dice.randrange(90_000)}",
                "SET": "SET work_mem = '256MB'"}[command]
        rows = {"SELECT": min(self.world.amount(40 * person.scale, 1.4), 20_000), "UPDATE": 1}.get(command, 0)
        return self.statement(person.name.replace(".", "_"), f"{person.name[0]}{person.station:03}.corp",
                              f"10.31.{len(person.name) % 3}.{person.station}", person.devices[0], command,
                              table if command != "SET" else "", rows, text)

    def machine(self):
        app, table, command = self.dice.choice([("shop_app", "sales.orders", "SELECT"), ("shop_app", "sales.customers", "SELECT"),
            ("shop_app", "sales.orders", "INSERT"), ("shop_app", "sales.order_lines", "INSERT"), ("web_app", "web.sessions", "SELECT"),
            ("web_app", "web.sessions", "UPDATE"), ("etl", "sales.order_lines", "SELECT")])
        text = {"SELECT": f"SELECT * FROM {table} WHERE id = $1", "INSERT": f"INSERT INTO {table} VALUES ($1, $2, $3, $4)",
                "UPDATE": f"UPDATE {table} SET seen_at = $1 WHERE id = $2"}[command]
        rows = self.world.amount(30_000, 0.4) if app == "etl" else self.dice.choice([0, 1, 1, 1, 2])
        host = self.dice.choice(["app-1", "app-2", "app-3"]) if app != "etl" else "etl-1"
        at = any_time(self.dice) if app != "etl" else any_time(self.dice).replace(hour=4)
        return Event(at, self.statement(app, f"{host}.corp", f"10.30.0.{10 + int(host[-1]) + 10 * (app == 'etl')}",
                                        "JDBC 42.7" if app != "etl" else "pyodbc", command, table, rows, text))

    def rarities(self):
        for command, text in [("VACUUM", "VACUUM ANALYZE sales.orders"),
                              ("CREATE INDEX", "CREATE INDEX CONCURRENTLY orders_region ON sales.orders (region)"),
                              ("ALTER TABLE", "ALTER TABLE sales.customers ADD COLUMN segment text"),
                              ("GRANT", "GRANT SELECT ON sales.orders TO analysts"), ("REINDEX", "REINDEX TABLE web.sessions")] * 4:
            person = self.world.member("dba")
            at = person.moment(self.dice)
            yield Event(at, self.everyday(person, at) | {"command": command, "rows": 0, "bytes_sent": 90, "statement": text})
        for _ in range(14):
            person = self.world.member("analyst")
            at = month_end(self.dice)
            yield Event(at, self.everyday(person, at)
                        | {"command": "SELECT", "statement": "SELECT region, sum(total) FROM sales.orders GROUP BY region",
                           "duration_ms": round(self.world.amount(30_000), 1)})

    def attacks(self):
        return {"stolen account": self.stolen, "odd hour": self.odd_hour, "rare command": self.rare, "mass download": self.download,
                "privilege change": self.privilege, "foreign table": self.foreign}

    def stolen(self):
        person = self.world.member("analyst", "support")
        for at in self.world.burst(person.moment(self.dice)):
            mine, table = self.everyday(person, at), self.dice.choice(["sales.customers", "sales.orders"])
            yield Event(at, mine | {"db_user": "shop_app", "command": "SELECT", "object": table, "database": "sales",
                                    "statement": f"SELECT * FROM {table} {self.clauses[0].format(n=self.dice.randrange(90_000))}"})

    def odd_hour(self):
        person = self.world.member("analyst", "support")
        for at in self.world.burst(self.world.night(person)):
            yield Event(at, self.everyday(person, at))

    def rare(self):
        person = self.world.member("analyst", "support")
        for at in self.world.burst(person.moment(self.dice)):
            command, text = self.dice.choice([("COPY", "COPY sales.customers TO PROGRAM 'gzip > /tmp/c.gz'"),
                ("CREATE FUNCTION", "CREATE FUNCTION sys_exec(text) RETURNS int AS '/tmp/lib.so' LANGUAGE C"),
                ("TRUNCATE", "TRUNCATE TABLE audit.log"), ("DO", "DO $$ BEGIN PERFORM pg_read_file('/etc/passwd'); END $$")])
            yield Event(at, self.everyday(person, at) | {"command": command, "rows": 0, "bytes_sent": 90, "statement": text})

    def download(self):
        person = self.world.member("analyst", "support")
        for at in self.world.burst(person.moment(self.dice)):
            mine, rows = self.everyday(person, at), int(self.world.amount(180_000, 0.5))
            table = self.dice.choice(self.tables[person.group])
            yield Event(at, mine | {"command": "SELECT", "object": table, "database": table.partition(".")[0], "rows": rows,
                                    "bytes_sent": rows * 180, "duration_ms": round(rows / 220, 1), "statement": f"SELECT * FROM {table}"})

    def privilege(self):
        person = self.world.member("analyst", "support")
        for at in self.world.burst(person.moment(self.dice)):
            command, text = self.dice.choice([("GRANT", "GRANT ALL ON sales.customers TO {u}"),
                ("ALTER ROLE", "ALTER ROLE {u} SUPERUSER"),
                ("CREATE ROLE", "CREATE ROLE report2 LOGIN IN ROLE admins")])
            yield Event(at, self.everyday(person, at) | {"command": command, "rows": 0, "bytes_sent": 90,
                "statement": text.format(u=person.name.replace(".", "_"))})

    def foreign(self):
        person = self.world.member("support", "analyst")
        for at in self.world.burst(person.moment(self.dice)):
            table = self.dice.choice(["hr.salaries", "hr.employees", "billing.cards"])
            yield Event(at, self.everyday(person, at) | {"command": "SELECT", "object": table, "database": table.partition(".")[0],
                "statement": f"SELECT * FROM {table} {self.clauses[0].format(n=self.dice.randrange(900))}"})
