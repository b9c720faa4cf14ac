"""A made-up log: sign-ins and sessions at the gate of a company; with attacks."""
from .world import COUNTRIES, FAR, HOLIDAYS, Event, Log, address, weighted


class VpnSessions(Log):
    """Sign-ins and sessions at the gate of a company."""

    name = "vpn_sessions"
    rows = 25_000
    machines = 0.0
    people = 160
    groups = [("staff", 75), ("contractor", 15), ("it", 10)]
    devices = ["Windows 11|AnyConnect 5.1", "Windows 10|AnyConnect 5.1", "macOS 14|AnyConnect 5.0", "Windows 11|GlobalProtect 6.2",
               "iOS 17|AnyConnect 5.0", "Ubuntu 22.04|OpenConnect 9.12"]
    apps = {"staff": [("mail", 40), ("intranet", 30), ("crm", 25), ("wiki", 14)], "contractor": [("wiki", 40), ("tickets", 40),
        ("mail", 12)], "it": [("mail", 20), ("tickets", 35), ("admin-portal", 18), ("jump-host", 14), ("wiki", 10)]}

    def everyday(self, person, at):
        failed = self.dice.random() < 0.04
        system, client = self.dice.choice(person.devices).split("|")
        minutes = 0 if failed else self.world.amount(95, 0.7)
        down = minutes * self.world.amount(1.1e6 * person.scale, 0.7)
        return {"correlation_id": self.world.hexadecimal(20), "user": person.name, "group": person.group,
                "application": weighted(self.dice,
            self.apps[person.group]),
                "ip": person.address(self.dice), "country": person.country,
                "city": person.city if self.dice.random() < 0.9 else self.dice.choice(COUNTRIES[person.country][0]),
                "device": f"{person.name[0].upper()}{person.station:03}-{person.devices.index(f'{system}|{client}')}", "os": system,
                "client": client, "managed": "yes" if person.group != "contractor" else self.dice.choice(["yes", "no"]),
                "result": "failure" if failed else "success", "failure_reason": weighted(self.dice,
                    [("wrong password", 70), ("mfa timeout", 22), ("expired password", 8)]) if failed else "",
                "mfa": "" if failed else "push" if person.favourite < 0.7 else "token" if person.favourite < 0.95 else "sms",
                "minutes": round(minutes, 1), "bytes_down": int(down), "bytes_up": int(down * self.world.amount(0.12, 0.6)),
                "gateway": "gw-eu-1" if person.country != "US" else "gw-us-1"}

    def rarities(self):
        for _ in range(4):
            person, country = self.world.member("staff", "it"), self.dice.choice(HOLIDAYS)
            ip = address(self.dice, country)
            for at in self.world.burst(person.moment(self.dice), 40_000):
                yield Event(at, self.everyday(person, at) | {"ip": ip, "country": country, "city": COUNTRIES[country][0][0]})
        on_call = self.world.member("it")
        for _ in range(8):
            at = self.world.night(on_call)
            yield Event(at, self.everyday(on_call, at) | {"application": "jump-host"})
        for _ in range(10):
            person = self.world.somebody()
            at = person.moment(self.dice)
            yield Event(at, self.everyday(person, at) | {"device": f"{person.name[0].upper()}{self.dice.randrange(250, 400)}-0"})

    def attacks(self):
        return {"stolen account": self.stolen, "odd hour": self.odd_hour, "rare command": self.legacy, "mass download": self.download,
                "new country": self.abroad, "privilege change": self.privilege}

    def stolen(self):
        person = self.world.member("staff")
        country = self.world.other_country(person, ["US", "NL", "RO", "NG"])
        system, client = self.dice.choice([device for device in self.devices if device not in person.devices]).split("|")
        device = f"DESKTOP-{self.world.hexadecimal(4).upper()}"
        ip = address(self.dice, country)
        for at in self.world.burst(person.moment(self.dice), 1_200):
            yield Event(at, self.everyday(person, at) | {"ip": ip, "country": country, "city": COUNTRIES[country][0][0], "os": system,
                "client": client, "device": device, "managed": "no"})

    def odd_hour(self):
        person = self.world.member("staff", "contractor")
        for at in self.world.burst(self.world.night(person), 900):
            yield Event(at, self.everyday(person, at))

    def legacy(self):
        person = self.world.member("staff")
        for at in self.world.burst(person.moment(self.dice), 300):
            yield Event(at, self.everyday(person, at) | {"application": self.dice.choice(["imap", "smtp-auth"]),
                "client": "Other clients",
                "mfa": ""})

    def download(self):
        person = self.world.member("staff", "contractor")
        for at in self.world.burst(person.moment(self.dice), 9_000):
            cells = self.everyday(person, at)
            yield Event(at, cells | {"result": "success", "failure_reason": "", "mfa": cells["mfa"] or "push",
                                     "minutes": round(self.world.amount(120, 0.5), 1), "bytes_down": int(self.world.amount(1.2e10, 0.5))})

    def abroad(self):
        person = self.world.member("staff", "contractor")
        country = self.world.other_country(person, [*FAR, "IN", "PL"])
        ip = address(self.dice, country)
        for at in self.world.burst(person.moment(self.dice), 5_000):
            yield Event(at, self.everyday(person, at) | {"ip": ip, "country": country, "city": COUNTRIES[country][0][0]})

    def privilege(self):
        person = self.world.member("staff", "contractor")
        for at in self.world.burst(person.moment(self.dice), 600):
            yield Event(at, self.everyday(person, at) | {"application": self.dice.choice(["admin-portal", "jump-host"])})
