#!/usr/bin/env python3
"""Writes made-up Sigma rules in the shape of a large public collection: folders by origin, lists of paths, options and
words, filters, `1 of selection_*`. The same seed gives the same files.

  generate_rules.py FOLDER [--files 3100] [--seed 1]
"""
import argparse
import pathlib
import random

# Origin: folder, logsource, weight, fields with the kinds of values that they take.
ORIGINS = [
    ("windows/process_creation", {"category": "process_creation", "product": "windows"}, 36,
     {"CommandLine": "option", "Image": "path", "ParentImage": "path", "OriginalFileName": "file", "User": "name"}),
    ("windows/registry", {"category": "registry_set", "product": "windows"}, 8,
     {"TargetObject": "key", "Details": "option", "Image": "path"}),
    ("windows/file", {"category": "file_event", "product": "windows"}, 7,
     {"TargetFilename": "path", "Image": "path"}),
    ("windows/image_load", {"category": "image_load", "product": "windows"}, 4,
     {"ImageLoaded": "path", "Image": "path"}),
    ("windows/powershell", {"category": "ps_script", "product": "windows"}, 7, {"ScriptBlockText": "option"}),
    ("windows/security", {"product": "windows", "service": "security"}, 7,
     {"EventID": "number", "SubjectUserName": "name", "ObjectName": "path", "ServiceName": "word"}),
    ("windows/system", {"product": "windows", "service": "system"}, 3,
     {"EventID": "number", "Provider_Name": "word", "ImagePath": "path"}),
    ("windows/network", {"category": "network_connection", "product": "windows"}, 3,
     {"DestinationHostname": "host", "Image": "path", "DestinationIp": "network", "DestinationPort": "number"}),
    ("linux/process_creation", {"category": "process_creation", "product": "linux"}, 6,
     {"CommandLine": "option", "Image": "unix", "ParentImage": "unix"}),
    ("linux/auditd", {"product": "linux", "service": "auditd"}, 3, {"type": "word", "a0": "unix", "a1": "option"}),
    ("linux/builtin", {"product": "linux"}, 2, {"": "phrase"}),
    ("macos/process_creation", {"category": "process_creation", "product": "macos"}, 3,
     {"CommandLine": "option", "Image": "unix"}),
    ("web/webserver", {"category": "webserver"}, 4,
     {"cs-uri-query": "query", "cs-uri-stem": "unix", "cs-user-agent": "word", "sc-status": "number"}),
    ("network/proxy", {"category": "proxy"}, 3, {"c-uri": "query", "c-useragent": "word", "cs-host": "host"}),
    ("network/dns", {"category": "dns"}, 1, {"query": "host", "record_type": "word"}),
    ("cloud/aws", {"product": "aws", "service": "cloudtrail"}, 3, {"eventSource": "host", "eventName": "verb"}),
    ("cloud/azure", {"product": "azure", "service": "auditlogs"}, 2, {"properties.message": "phrase"}),
    ("identity/okta", {"product": "okta", "service": "okta"}, 1, {"eventType": "verb"}),
    ("application/words", {"category": "application", "product": "python"}, 1, {"": "phrase"}),
]
SYLLABLES = ("ab ar bel cor dan del en fer gar hal in jor kal lim mar nor op pel quo ram sel tor ul ver wex yon zar "
             "brim clod drast flint grond plev skarn trell").split()
VERBS = "Create Delete Update Attach Detach Put Get List Disable Enable Assume Start Stop Grant Revoke".split()
LEVELS = ["informational"] * 3 + ["low"] * 20 + ["medium"] * 45 + ["high"] * 28 + ["critical"] * 4
TACTICS = "execution persistence defense-evasion discovery credential-access impact collection".split()


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        # Names come back in many rules, as those of real programs do.
        self.programs = [self.word(2, 3) for _ in range(900)]
        self.folders = [self.word(2, 3) for _ in range(120)]

    def word(self, least=1, most=4):
        return "".join(self.random.choice(SYLLABLES) for _ in range(self.random.randint(least, most)))

    def value(self, kind):
        pick, word = self.random.choice, self.word
        program = pick(self.programs)
        match kind:
            case "path":
                return pick([f"\\{program}.exe", f"\\{pick(self.folders)}\\{program}.exe", f"C:\\{pick(self.folders)}\\{word()}\\"])
            case "unix":
                return pick([f"/{program}", f"/usr/bin/{program}", f"/{pick(self.folders)}/{word()}.conf"])
            case "file":
                return f"{program}.EXE"
            case "key":
                return f"\\Software\\{pick(self.folders)}\\{word(2, 3)}\\{word()}"
            case "option":
                return pick([f" -{word(1, 2)} ", f"--{word(2, 3)}=", f"{program} {word()}", f"{word(2, 3)}({word()}", f"/{word(1, 1)}:{word()}", f"{program}.dll,{word()}"])
            case "query":
                return pick([f"{word(1, 2)}={word(2, 3)}", f"/{word(2, 3)}.php?{word()}=", f"%27{word(2, 3)}", f"{word(2, 3)}()"])
            case "host":
                return f"{word(2, 4)}.{pick(['example', 'test', 'invalid'])}"
            case "verb":
                return f"{pick(VERBS)}{word(1, 2).title()}{word(1, 2).title()}"
            case "phrase":
                return " ".join(word() for _ in range(self.random.randint(2, 5)))
            case "network":
                return f"{self.random.randint(1, 223)}.{self.random.randint(0, 255)}.0.0/16"
            case "number":
                return self.random.randint(1, 9999)
            case "name":
                return pick([f"{word()}$", f"svc_{word(2, 3)}"])
        return word(2, 4)

    def item(self, field, kind):
        """Returns a key and its values."""
        count = self.random.choice([1, 1, 1, 2, 3, 3, 5, 8, 12, 20, 40])
        values = list(dict.fromkeys(self.value(kind) for _ in range(count)))
        if kind in ("number", "verb", "file"):
            return field, values
        if kind == "network":
            return f"{field}|cidr", values
        if kind == "path" or kind == "unix":
            return f"{field}|{self.random.choice(['endswith', 'endswith', 'endswith', 'contains', 'startswith'])}", values
        dice = self.random.random()
        if dice < 0.04:
            return f"{field}|re", [f"{self.word()}[0-9a-f]{{{self.random.randint(2, 9)},}}\\.{self.word()}" for _ in values[:2]]
        if dice < 0.08:
            return f"{field}|contains|windash", [f" -{self.word(1, 2)}" for _ in values]
        if dice < 0.10:
            return f"{field}|base64offset|contains", [self.word(2, 4) for _ in values[:3]]
        if dice < 0.22:
            return f"{field}|contains|all", values[:4]
        return f"{field}|{self.random.choice(['contains', 'contains', 'contains', 'endswith', 'startswith'])}", values

    def selection(self, fields):
        if "" in fields:
            return [self.value(fields[""]) for _ in range(self.random.randint(3, 12))]
        names = self.random.sample(list(fields), min(len(fields), self.random.choice([1, 1, 2, 2, 3])))
        return dict(self.item(name, fields[name]) for name in names)

    def rule(self, number):
        folder, source, _, fields = self.random.choices(ORIGINS, weights=[origin[2] for origin in ORIGINS])[0]
        named = {}
        shape = self.random.random()
        if shape < 0.45:
            named["selection"] = self.selection(fields)
            condition = "selection"
        else:
            for part in ["img", "cli", "parent", "other"][: self.random.randint(2, 4)]:
                named[f"selection_{part}"] = self.selection(fields)
            condition = self.random.choice(["all of selection_*", "all of selection_*", "1 of selection_*"])
        filters = self.random.choice([0, 0, 0, 1, 1, 2, 4])
        for which in range(filters):
            named[f"filter_main_{self.word(1, 2)}{which}"] = self.selection(fields)
        if filters:
            condition += " and not 1 of filter_main_*"
        identity = f"{self.random.getrandbits(128):032x}"
        identity = "-".join([identity[:8], identity[8:12], identity[12:16], identity[16:20], identity[20:]])
        level, tactic = self.random.choice(LEVELS), self.random.choice(TACTICS)
        lines = [
            f"title: Made-Up Use Of {self.word(2, 3).title()} {number}", f"id: {identity}", "status: test",
            f"description: Finds {self.value('phrase')} where nobody expects it.", "author: generate_rules.py",
            "date: 2026-01-01", "tags:", f"    - attack.{tactic}",
            f"    - attack.t1{self.random.randint(0, 699):03}", "logsource:",
            *[f"    {key}: {value}" for key, value in source.items()], "detection:",
        ]
        for name, selection in named.items():
            lines.append(f"    {name}:")
            if isinstance(selection, list):
                lines += [f"        - {quoted(value)}" for value in selection]
                continue
            for key, values in selection.items():
                if len(values) == 1:
                    lines.append(f"        {key}: {quoted(values[0])}")
                else:
                    lines += [f"        {key}:", *[f"            - {quoted(value)}" for value in values]]
        lines += [f"    condition: {condition}", "falsepositives:", "    - Unknown", f"level: {level}", ""]
        return pathlib.Path(folder) / f"made_up_{number:04}.yml", "\n".join(lines)


def quoted(value):
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=3100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    maker = Maker(arguments.seed)
    for number in range(arguments.files):
        path, text = maker.rule(number)
        path = arguments.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
