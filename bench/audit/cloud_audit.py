"""A made-up log: the management and data events of a cloud account; with attacks."""
from .world import FAR, HOLIDAYS, Event, Log, address, any_time, weighted


class CloudAudit(Log):
    """The management and data events of a cloud account."""

    name = "cloud_audit"
    rows = 40_000
    machines = 0.55
    people = 45
    groups = [("developer", 55), ("analyst", 30), ("admin", 15)]
    devices = ["console", "aws-cli/2.15.30 Linux", "aws-cli/2.15.30 Darwin", "Boto3/1.34.51", "Terraform/1.7.4", "aws-sdk-java/2.25.11"]
    calls = {
        "developer": [("s3", "GetObject", 30), ("s3", "ListObjects", 14), ("lambda", "GetFunction", 9),
                      ("lambda", "UpdateFunctionCode", 4),
                      ("logs", "FilterLogEvents", 22), ("ec2", "DescribeInstances", 12), ("sts", "AssumeRole", 6),
                      ("ec2", "StartInstances", 1.5)],
        "analyst": [("athena", "StartQueryExecution", 26), ("athena", "GetQueryResults", 30), ("s3", "GetObject", 24),
                    ("glue", "GetTables", 9), ("s3", "ListObjects", 11)],
        "admin": [("ec2", "DescribeInstances", 22), ("iam", "ListUsers", 12), ("iam", "GetPolicy", 11), ("cloudtrail", "LookupEvents", 7),
                  ("kms", "ListKeys", 6),
                  ("iam", "AttachUserPolicy", 1.4), ("iam", "CreateAccessKey", 1.2), ("iam", "AddUserToGroup", 1.6),
                  ("kms", "DisableKey", 0.2), ("ec2", "RunInstances", 2.5)],
    }
    jobs = [("svc-backup", "s3", "PutObject", 24), ("svc-ingest", "sqs", "ReceiveMessage", 36), ("svc-ingest", "dynamodb", "PutItem", 30),
            ("svc-deploy", "lambda", "UpdateFunctionCode", 5), ("svc-metrics", "logs", "PutLogEvents", 28)]
    buckets = {"developer": ["build-artifacts", "app-config", "app-logs"], "analyst": ["datalake-curated", "datalake-raw", "reports"],
               "admin": ["audit-trail", "app-logs"]}

    def cells(self, user, kind, service, call, ip, country, agent, size, duration):
        reads = call.startswith(("Get", "List", "Describe", "Lookup", "Filter", "Receive"))
        return {"event_id": self.world.hexadecimal(32), "event_source": f"{service}.amazonaws.com", "event_name": call,
                "region": weighted(self.dice, [("eu-central-1", 88), ("eu-west-1", 9), ("us-east-1", 3)]),
                "user_type": kind, "user_name": user, "source_ip": ip, "country": country, "user_agent": agent,
                "mfa": "" if kind != "IAMUser" else "true" if self.dice.random() < 0.8 else "false", "read_only": str(reads).lower(),
                "error_code": "AccessDenied" if self.dice.random() < 0.012 else "ThrottlingException" if self.dice.random() < 0.004
                else "",
                "resource": "", "request_bytes": int(self.world.amount(620, 0.5)),
                "response_bytes": int(size), "duration_ms": round(duration, 1), "account_id": "417702915533"}

    def everyday(self, person, at):
        service, call, _ = self.dice.choices(self.calls[person.group], [weight for *_, weight in self.calls[person.group]])[0]
        size = self.world.amount(24_000 * person.scale, 1.3) if call == "GetObject" else self.world.amount(1_900, 0.7)
        cells = self.cells(person.name, "IAMUser", service, call, person.address(self.dice), person.country,
                           self.dice.choice(person.devices), size, self.world.amount(38, 0.6) + size / 60_000)
        if service == "s3":
            cells["resource"] = self.dice.choice(self.buckets[person.group])
        return cells

    def machine(self):
        user, service, call, _ = self.dice.choices(self.jobs, [weight for *_, weight in self.jobs])[0]
        at = any_time(self.dice) if user != "svc-backup" else any_time(self.dice).replace(hour=self.dice.choice([1, 2, 3]))
        size = self.world.amount(300, 0.3)
        cells = self.cells(user, "AssumedRole", service, call, f"10.20.{self.dice.randrange(4)}.{self.dice.randrange(5, 60)}", "",
                           "aws-sdk-java/2.25.11", size, self.world.amount(14, 0.5))
        cells["request_bytes"] = int(self.world.amount(9e6 if user == "svc-backup" else 2_400, 0.9))
        cells["resource"] = {"s3": "backup-vault", "dynamodb": "orders"}.get(service, "")
        return Event(at, cells)

    def rarities(self):
        for _ in range(5):
            person, country = self.world.member("developer", "analyst"), self.dice.choice(HOLIDAYS)
            ip = address(self.dice, country)
            for at in self.world.burst(person.moment(self.dice), 3_000):
                yield Event(at, self.everyday(person, at) | {"source_ip": ip, "country": country})
        for service, call in [("iam", "DeleteAccessKey"), ("organizations", "ListAccounts"), ("kms", "CreateKey"),
                              ("ec2", "CreateSnapshot")] * 3:
            admin = self.world.member("admin")
            at = admin.moment(self.dice)
            yield Event(at, self.everyday(admin, at) | {"event_source": f"{service}.amazonaws.com", "event_name": call,
                                                        "read_only": "false", "resource": ""})

    def attacks(self):
        return {"stolen account": self.stolen, "odd hour": self.odd_hour, "rare command": self.rare, "mass download": self.download,
                "new country": self.abroad, "privilege change": self.privilege}

    def stolen(self):
        person = self.world.member("developer", "admin")
        country = self.world.other_country(person, ["US", "NL", "RO", "UA"])
        agent = self.dice.choice([agent for agent in self.devices if agent not in person.devices])
        ip = address(self.dice, country)
        for at in self.world.burst(person.moment(self.dice)):
            service, call = self.dice.choice([("sts", "GetCallerIdentity"), ("s3", "ListBuckets"), ("iam", "ListUsers"),
                                              ("ec2", "DescribeInstances")])
            yield Event(at, self.everyday(person, at) | {"event_source": f"{service}.amazonaws.com", "event_name": call, "source_ip": ip,
                                                         "country": country, "user_agent": agent, "mfa": "false", "read_only": "true",
                                                         "resource": ""})

    def odd_hour(self):
        person = self.world.member("analyst", "developer")
        for at in self.world.burst(self.world.night(person)):
            yield Event(at, self.everyday(person, at))

    def rare(self):
        person = self.world.member("developer", "analyst")
        for at in self.world.burst(person.moment(self.dice)):
            service, call = self.dice.choice([("cloudtrail", "StopLogging"), ("guardduty", "DeleteDetector"), ("ec2", "GetPasswordData"),
                                              ("ssm", "SendCommand"), ("secretsmanager", "GetSecretValue")])
            yield Event(at, self.everyday(person, at) | {"event_source": f"{service}.amazonaws.com", "event_name": call,
                                                         "read_only": str(call.startswith("Get")).lower(), "resource": ""})

    def download(self):
        person = self.world.member("developer", "analyst")
        for at in self.world.burst(person.moment(self.dice), 60):
            size = self.world.amount(9e7, 0.8)
            yield Event(at, self.everyday(person, at) | {"event_source": "s3.amazonaws.com", "event_name": "GetObject",
                "read_only": "true",
                                                         "resource": self.dice.choice(self.buckets[person.group]),
                                                         "response_bytes": int(size), "duration_ms": round(size / 60_000, 1)})

    def abroad(self):
        person = self.world.member("developer", "analyst")
        country = self.world.other_country(person, [*FAR, "IN", "PL", "US"])
        ip = address(self.dice, country)
        for at in self.world.burst(person.moment(self.dice), 900):
            yield Event(at, self.everyday(person, at) | {"source_ip": ip, "country": country})

    def privilege(self):
        person = self.world.member("developer", "analyst")
        for at in self.world.burst(person.moment(self.dice)):
            call = self.dice.choice(["AttachUserPolicy", "AddUserToGroup", "CreateAccessKey", "CreateLoginProfile"])
            yield Event(at, self.everyday(person, at) | {"event_source": "iam.amazonaws.com", "event_name": call, "read_only": "false",
                                                         "resource": ""})
