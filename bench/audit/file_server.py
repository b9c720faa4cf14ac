"""A made-up log: who touched which file on a company's shares; with attacks."""
from .world import Event, Log, any_time, month_end, weighted


class FileServer(Log):
    """Who touched which file on a company's shares."""

    name = "file_server"
    rows = 30_000
    machines = 0.12
    people = 70
    groups = [("sales", 35), ("engineering", 30), ("finance", 18), ("hr", 9), ("it", 8)]
    devices = ["SMB3.1.1", "SMB3.0.2"]
    types = {"sales": "docx xlsx pptx pdf", "engineering": "dwg step pdf xlsx", "finance": "xlsx csv pdf", "hr": "docx pdf xlsx",
             "it": "iso log ps1 txt"}
    size = {"docx": 90_000, "xlsx": 70_000, "pptx": 2_400_000, "pdf": 400_000, "dwg": 1_500_000, "step": 4_000_000, "csv": 30_000,
            "iso": 3e8, "log": 60_000, "ps1": 4_000, "txt": 3_000}
    topics = "offer order plan invoice budget report minutes drawing contract review list summary roadmap forecast holiday".split()

    def prepare(self):
        self.folders = {group: [f"{topic}s/{year}" for topic in self.dice.sample(self.topics, 6) for year in (2023, 2024, 2025)]
                        for group,
                        _ in self.groups}

    def everyday(self, person, at):
        share = person.group if self.dice.random() < 0.86 else "common"
        return self.touch(person, share, person.group)

    def touch(self, person, share, group):
        operation = weighted(self.dice, [("Read", 66), ("Write", 17), ("List", 9), ("Create", 4), ("Rename", 2), ("Delete", 1.6),
                                         ("ReadAcl", 0.4)])
        extension = self.dice.choice(self.types[group].split())
        size = self.world.amount(self.size[extension] * person.scale ** 0.5, 1.0) if operation in ("Read", "Write", "Create") else 0
        return {"session": self.world.hexadecimal(12), "server": "fs01" if share != "engineering" else "fs02", "user": person.name,
                "department": person.group,
                "client_ip": f"10.{20 + len(person.group) % 5}.{len(person.name) % 4}.{person.station}",
                "client_host": f"WS-{person.group[:3].upper()}-{person.station:03}", "protocol": person.devices[0],
                "operation": operation, "share": share,
                "path": f"/{share}/{self.dice.choice(self.folders[group])}/{self.file(extension)}",
                "extension": extension, "bytes": int(size), "duration_ms": round(self.world.amount(3, 0.7) + size / 90_000, 2),
                "result": "ACCESS_DENIED" if self.dice.random() < 0.006 else "SUCCESS",
                "new_name": self.file(extension) if operation == "Rename" else ""}

    def file(self, extension):
        return f"{self.dice.choice(self.topics)}_{self.dice.randrange(400):03}.{extension}"

    def machine(self):
        group = self.dice.choice(["sales", "engineering", "finance", "hr"])
        at = any_time(self.dice).replace(hour=self.dice.choice([22, 23, 0]))
        person = self.dice.choice(self.world.people)
        return Event(at, self.touch(person, group, group) | {"user": "svc_backup", "department": "", "client_ip": "10.9.0.12",
            "client_host": "BACKUP01", "protocol": "SMB3.1.1", "operation": "Read", "new_name": "", "result": "SUCCESS"})

    def rarities(self):
        for _ in range(15):
            person = self.world.member("finance")
            at = month_end(self.dice)
            yield Event(at, self.touch(person, "finance", "finance") | {"operation": "Create", "bytes": int(self.world.amount(4e6))})
        for operation in ["SetAcl", "SetAcl", "SetOwner", "SetAcl", "SetAcl"]:
            person = self.world.member("it")
            at = person.moment(self.dice)
            yield Event(at, self.touch(person, self.dice.choice(["sales", "hr", "common"]), "it") | {"operation": operation, "bytes": 0})
        for _ in range(20):
            person, group = self.world.member("it"), self.dice.choice(["sales", "hr", "finance"])
            at = person.moment(self.dice)
            yield Event(at, self.touch(person, group, group))

    def attacks(self):
        return {"stolen account": self.stolen, "odd hour": self.odd_hour, "rare command": self.rename, "mass download": self.download,
                "foreign share": self.foreign, "privilege change": self.privilege}

    def stolen(self):
        person, victim = self.world.member("sales", "engineering"), self.world.member("finance", "hr")
        for at in self.world.burst(person.moment(self.dice)):
            mine = self.touch(person, "common", person.group)
            yield Event(at, self.everyday(victim, at) | {name: mine[name] for name in ("client_ip", "client_host", "protocol")})

    def odd_hour(self):
        person = self.world.member("sales", "hr", "finance")
        for at in self.world.burst(self.world.night(person)):
            yield Event(at, self.everyday(person, at))

    def rename(self):
        person = self.world.member("sales", "finance")
        suffix = self.dice.choice(["lockd", "cryp", "enc"])
        for at in self.world.burst(person.moment(self.dice), 3):
            cells = self.touch(person, person.group, person.group)
            yield Event(at, cells | {"operation": "Rename", "bytes": 0, "new_name": f"{cells['path'].rpartition('/')[2]}.{suffix}"})

    def download(self):
        person = self.world.member("sales", "finance", "hr")
        for at in self.world.burst(person.moment(self.dice), 40):
            size = self.world.amount(9e7, 0.6)
            yield Event(at, self.everyday(person, at) | {"operation": "Read", "bytes": int(size), "duration_ms": round(size / 90_000, 2),
                "new_name": ""})

    def foreign(self):
        person, group = self.world.member("sales", "engineering"), self.dice.choice(["hr", "finance"])
        for at in self.world.burst(person.moment(self.dice)):
            yield Event(at, self.touch(person, group, group))

    def privilege(self):
        person = self.world.member("sales", "finance", "engineering")
        for at in self.world.burst(person.moment(self.dice)):
            yield Event(at, self.everyday(person, at) | {"operation": self.dice.choice(["SetAcl", "SetOwner"]), "bytes": 0,
                "new_name": ""})
