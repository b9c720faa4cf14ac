"""A made-up log: what left a company's network through its proxy; with attacks."""
from .world import FAR, Event, Log, address, any_time, weighted


class WebProxy(Log):
    """What left a company's network through its proxy."""

    name = "web_proxy"
    rows = 45_000
    machines = 0.15
    people = 110
    groups = [("office", 70), ("engineering", 22), ("marketing", 8)]
    devices = ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/128.0", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Edg/128.0",
               "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Safari/605.1", "Mozilla/5.0 (X11; Linux x86_64) Firefox/129.0"]
    sites = [("mail.office.example", "business", "US", 160), ("crm.saleshub.example", "business", "US", 110),
             ("news.tagblatt.example", "news", "DE", 60), ("search.quick.example", "search", "US", 90),
             ("cdn.static.example", "cdn", "NL", 120), ("video.tube.example", "streaming", "US", 20),
             ("maps.geo.example", "travel", "DE", 12), ("bank.union.example", "finance", "DE", 6), ("shop.market.example", "shopping",
                 "DE", 18), ("wiki.know.example", "education", "US", 20), ("social.friends.example", "social", "US", 24),
                 ("git.forge.example", "developer", "US", 14), ("packages.index.example", "developer", "US", 6),
                 ("files.share.example", "file sharing", "US", 5)]
    kinds = [("text/html", 9_000, 34), ("application/json", 2_300, 30), ("image/webp", 16_000, 22), ("application/javascript", 40_000, 9),
             ("video/mp4", 2_500_000, 1), ("application/pdf", 500_000, 2), ("application/zip", 3_000_000, 0.5)]

    def prepare(self):
        small = [(f"www.{self.dice.choice(['hotel', 'praxis', 'verein', 'garten', 'auto', 'reise'])}-{self.world.hexadecimal(3)}.example",
                  self.dice.choice(["travel", "health", "leisure", "shopping"]),
                  weighted(self.dice, [("DE", 80), ("FR", 6), ("GB", 8), ("IT", 3), ("ES", 3)]), self.dice.paretovariate(1.2))
                  for _ in range(260)]
        self.sites = self.sites + small
        self.weights = [weight for *_, weight in self.sites]
        self.servers = {host: address(self.dice, country) for host, _, country, _ in self.sites}
        self.own = {person.name: self.dice.choices(self.sites, self.weights, k=14) for person in self.world.people}

    def everyday(self, person, at):
        site = self.dice.choice(self.own[person.name])
        if self.dice.random() < 0.2:
            site = self.dice.choices(self.sites, self.weights)[0]
        host, category, country, _ = site
        return self.request(person, host, category, country, self.servers[host])

    def request(self, person, host, category, country, server):
        kind, median, _ = self.dice.choices(self.kinds, [weight for *_, weight in self.kinds])[0]
        method = weighted(self.dice, [("GET", 84), ("POST", 14), ("HEAD", 1), ("PUT", 0.4), ("OPTIONS", 0.6)])
        status = weighted(self.dice, [(200, 88), (304, 6), (302, 3), (404, 2), (403, 0.6), (500, 0.3)])
        down = self.world.amount(median, 1.1) if status == 200 else self.world.amount(300, 0.3)
        up = self.world.amount(900, 0.6) * (5 if method in ("POST", "PUT") else 1)
        return {"client_ip": f"10.60.{len(person.name) % 4}.{person.station}", "user": person.name if self.dice.random() < 0.98 else "",
                "department": person.group, "method": method, "scheme": "https" if self.dice.random() < 0.985 else "http", "host": host,
                "path": self.path(),
                "category": category, "server_ip": server, "server_country": country, "status": status,
                "content_type": kind if status == 200 else "", "bytes_down": int(down), "bytes_up": int(up),
                "duration_ms": int(self.world.amount(55, 0.7) + (down + up) / 9_000),
                "user_agent": person.devices[0] if self.dice.random() < 0.95 else person.devices[-1],
                "referrer": host if self.dice.random() < 0.7 else "", "action": "allow" if status != 403 else "deny", "port": 443}

    def path(self):
        return f"/{self.dice.choice(['', 'api/v2/', 'assets/', 'p/', 'item/'])}{self.world.hexadecimal(self.dice.choice([2, 4, 8]))}"

    def machine(self):
        host, category, country, agent = self.dice.choice([("update.vendor.example", "updates", "US", "WindowsUpdate/10.0"),
            ("telemetry.vendor.example", "updates", "US", "Telemetry/3.1"), ("av.signatures.example", "updates", "DE", "AVClient/12.2")])
        person, at = self.dice.choice(self.world.people), any_time(self.dice)
        server = self.servers.setdefault(host, address(self.dice, country))
        return Event(at, self.request(person, host, category, country, server) | {"user": "", "user_agent": agent, "referrer": ""})

    def rarities(self):
        for _ in range(30):
            person = self.world.member("engineering", "marketing")
            at, size = person.moment(self.dice), self.world.amount(6e7, 0.8)
            method, column = self.dice.choice([("GET", "bytes_down"), ("GET", "bytes_down"), ("POST", "bytes_up")])
            yield Event(at, self.everyday(person, at) | {"method": method, column: int(size), "duration_ms": int(size / 9_000),
                "content_type": "application/zip", "status": 200})
        for _ in range(30):
            person = self.world.member("engineering")
            at = person.moment(self.dice)
            yield Event(at, self.request(person, "packages.index.example", "developer", "US", self.servers["packages.index.example"])
                        | {"user_agent": self.dice.choice(["pip/24.2", "npm/10.8", "curl/8.5"])})

    def attacks(self):
        return {"stolen account": self.stolen, "odd hour": self.odd_hour, "rare command": self.tool, "mass download": self.upload,
                "new country": self.abroad}

    def stolen(self):
        person, victim = self.world.member("office"), self.world.member("engineering", "marketing")
        for at in self.world.burst(person.moment(self.dice)):
            mine = self.everyday(person, at)
            yield Event(at, self.everyday(victim, at) | {"user": victim.name, "client_ip": mine["client_ip"],
                "user_agent": mine["user_agent"]})

    def odd_hour(self):
        person = self.world.member("office", "marketing")
        for at in self.world.burst(self.world.night(person)):
            yield Event(at, self.everyday(person, at) | {"user": person.name})

    def tool(self):
        person = self.world.member("office", "marketing")
        agent = self.dice.choice(["python-requests/2.31", "Mozilla/5.0 (Windows NT; Windows NT 10.0) WindowsPowerShell/5.1",
                                  "Go-http-client/1.1", "curl/8.5"])
        for at in self.world.burst(person.moment(self.dice)):
            yield Event(at, self.everyday(person, at) | {"user_agent": agent, "referrer": ""})

    def upload(self):
        person = self.world.member("office", "marketing")
        for at in self.world.burst(person.moment(self.dice)):
            size = self.world.amount(7e7, 0.7)
            cells = self.request(person, "files.share.example", "file sharing", "US", self.servers["files.share.example"])
            yield Event(at, cells | {"method": self.dice.choice(["POST", "PUT"]), "bytes_up": int(size), "duration_ms": int(size / 9_000),
                                     "status": 200, "content_type": "application/json", "bytes_down": int(self.world.amount(900, 0.4))})

    def abroad(self):
        person, country = self.world.member("office", "engineering"), self.dice.choice(FAR)
        host, server = f"{self.world.hexadecimal(6)}.{self.dice.choice(['cloud', 'sync', 'update'])}-srv.example", address(self.dice,
            country)
        for at in self.world.burst(person.moment(self.dice), 600):
            yield Event(at, self.request(person, host, "uncategorised", country, server) | {"method": self.dice.choice(["GET", "POST"])})
