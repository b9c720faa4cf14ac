"""A made-up log: the change log of an ERP system: which transaction changed which field of what; with attacks."""
from .world import Event, Log, any_time, month_end, weighted


class ErpChanges(Log):
    """The change log of an ERP system: which transaction changed which field of what."""

    name = "erp_changes"
    counter = "change_number"
    rows = 30_000
    machines = 0.18
    people = 75
    groups = [("sales", 38), ("purchasing", 26), ("accounting", 22), ("hr", 9), ("basis", 5)]
    devices = ["GUI 8.00", "GUI 7.70", "Fiori"]
    work = {
        "sales": [("VA02", "sales order", "quantity", 30), ("VA02", "sales order", "net price", 22),
                  ("VA02", "sales order", "delivery date", 24), ("XD02", "customer", "phone", 8), ("XD02", "customer", "credit limit",
                      3)],
        "purchasing": [("ME22N", "purchase order", "quantity", 34), ("ME22N", "purchase order", "net price", 26),
                       ("ME22N", "purchase order", "delivery date", 26), ("XK02", "vendor", "phone", 7),
                       ("XK02", "vendor", "payment terms", 3)],
        "accounting": [("FB02", "invoice", "text", 30), ("FB02", "invoice", "payment block", 26), ("FB60", "invoice", "amount", 30),
                       ("FK02", "vendor", "bank account", 5), ("FB08", "invoice", "reversal", 4)],
        "hr": [("PA30", "employee", "address", 34), ("PA30", "employee", "cost centre", 26), ("PA30", "employee", "working time", 24),
               ("PA30", "employee", "salary", 9), ("PA30", "employee", "bank account", 7)],
        "basis": [("SU01", "user", "last name", 14), ("SU01", "user", "role", 26), ("SU01", "user", "lock", 40),
                  ("SM37", "job", "start time", 18), ("SE16", "table", "display", 6)],
    }
    median = {"quantity": 40, "net price": 260, "amount": 1_400, "credit limit": 20_000, "salary": 3_900}
    words = {"payment terms": ["Z014", "Z030", "Z060"], "payment block": ["A", "R", "free"], "lock": ["locked", "unlocked"],
             "role": ["Z_SALES", "Z_PURCHASE", "Z_ACCOUNT", "Z_DISPLAY"], "reversal": ["01", "02"], "working time": ["35", "38.5", "40"]}

    def change(self, person, transaction, kind, field):
        median = self.median.get(field)
        old = self.world.amount(median * person.scale, 0.9) if median else 0
        values = self.words.get(field)
        before, after = (self.dice.choice(values), self.dice.choice(values)) if values else ("", "")
        if field == "bank account":
            before, after = (f"DE{self.dice.randrange(10, 99)} {self.dice.randrange(10**8):08}" for _ in range(2))
        if field == "delivery date":
            before, after = (f"2025-{self.dice.choice([10, 11, 12])}-{self.dice.randrange(1, 29):02}" for _ in range(2))
        new = old * self.world.amount(1, 0.2)
        return {"change_number": "", "user": person.name.upper().replace(".", ""), "department": person.group, "transaction": transaction,
                "object": kind, "object_id": f"{self.dice.randrange(100_000, 160_000)}", "field": field,
                "old_value": before, "new_value": after, "old_amount": round(old, 2) if median else "",
                "new_amount": round(new, 2) if median else "",
                "currency": weighted(self.dice, [("EUR", 90), ("USD", 7), ("PLN", 3)]) if median and field != "quantity" else "",
                "company_code": "1000" if person.group != "sales" or person.country == "DE" else "2000",
                "terminal": f"PC{person.group[:2].upper()}{person.station:03}", "client": person.devices[0],
                "source_ip": f"10.4{len(person.group) % 4}.{len(person.name) % 3}.{person.station}",
                "approved_by": "", "items": 1 if self.dice.random() < 0.8 else self.dice.randrange(2, 9),
                "language": "EN" if person.country in ("GB", "US", "IN") else "DE"}

    def everyday(self, person, at):
        transaction, kind, field, _ = self.dice.choices(self.work[person.group], [weight for *_, weight in self.work[person.group]])[0]
        return self.approved(self.change(person, transaction, kind, field), person)

    def approved(self, cells, person):
        if cells["field"] in ("credit limit", "bank account", "salary", "role", "reversal", "amount"):
            chiefs = sorted((other for other in self.world.people if other.group == person.group and other is not person),
                            key=lambda other: other.name)[:2]
            cells["approved_by"] = self.dice.choice(chiefs).name.upper().replace(".", "") if chiefs else ""
        return cells

    def machine(self):
        person = self.world.member("accounting", "sales")
        at = any_time(self.dice).replace(hour=self.dice.choice([2, 3]), minute=self.dice.randrange(40))
        cells = self.change(person, "BATCH", "invoice", "payment block")
        return Event(at, cells | {"user": "JOB_DUNNING", "department": "", "terminal": "", "client": "background",
                                  "source_ip": "10.40.9.5",
                                  "items": self.dice.randrange(20, 160), "language": "EN"})

    def rarities(self):
        for _ in range(30):
            person = self.world.member("accounting")
            yield Event(month_end(self.dice), self.change(person, "F.05", "ledger", "valuation") | {"items": self.dice.randrange(40, 400),
                "client": "GUI 8.00"})
        for transaction, kind, field in [("OB52", "period", "open"), ("XK05", "vendor", "block"), ("PFCG", "role", "menu"),
                                         ("SE11", "table", "index"), ("FD32", "customer", "credit limit")] * 3:
            person = self.world.member("basis" if transaction in ("PFCG", "SE11") else "accounting")
            yield Event(person.moment(self.dice), self.change(person, transaction, kind, field))

    def attacks(self):
        return {"stolen account": self.stolen, "odd hour": self.odd_hour, "rare command": self.rare, "mass download": self.export,
                "privilege change": self.privilege, "foreign duty": self.foreign}

    def stolen(self):
        person, victim = self.world.member("sales", "purchasing"), self.world.member("accounting", "hr")
        for at in self.world.burst(person.moment(self.dice)):
            mine = self.change(person, "VA02", "", "")
            yield Event(at, self.everyday(victim, at) | {name: mine[name] for name in ("terminal", "source_ip", "client")})

    def odd_hour(self):
        person = self.world.member("accounting", "sales", "purchasing")
        for at in self.world.burst(self.world.night(person)):
            yield Event(at, self.everyday(person, at))

    def rare(self):
        person = self.world.member("sales", "purchasing", "accounting")
        for at in self.world.burst(person.moment(self.dice)):
            transaction, kind, field = self.dice.choice([("SE38", "program", "source"), ("SM49", "command", "execute"),
                ("SCC4", "client", "protection"), ("SM19", "audit", "filter")])
            yield Event(at, self.change(person, transaction, kind, field))

    def export(self):
        person = self.world.member("sales", "purchasing")
        for at in self.world.burst(person.moment(self.dice)):
            yield Event(at, self.everyday(person, at) | {"items": int(self.world.amount(2_600, 0.6))})

    def privilege(self):
        person = self.world.member("sales", "purchasing", "accounting")
        for at in self.world.burst(person.moment(self.dice)):
            yield Event(at, self.change(person, "SU01", "user", "role")
                        | {"new_value": self.dice.choice(["SAP_ALL", "Z_ACCOUNT", "Z_BASIS"])})

    def foreign(self):
        person = self.world.member("sales", "purchasing")
        for at in self.world.burst(person.moment(self.dice)):
            transaction, kind, field = self.dice.choice([("FK02", "vendor", "bank account"), ("PA30", "employee", "salary"),
                ("PA30", "employee", "bank account")])
            yield Event(at, self.change(person, transaction, kind, field))
