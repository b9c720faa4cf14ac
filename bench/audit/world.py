"""The people, clocks and addresses that the made-up audit logs share, and what a log is made of."""
import datetime
import itertools
import random
from typing import NamedTuple

START = datetime.datetime(2025, 9, 1)
DAYS = 35
COUNTRIES = {
    "DE": (["Berlin", "Hamburg", "Munich"], ["84.160", "91.12", "217.224", "79.192"]),
    "FR": (["Paris", "Lyon"], ["90.3", "81.48", "176.128"]),
    "GB": (["London", "Leeds"], ["86.128", "2.24", "82.13"]),
    "US": (["Austin", "Boston", "Denver"], ["73.16", "68.40", "98.200", "24.5"]),
    "PL": (["Krakow", "Gdansk"], ["83.4", "178.36"]),
    "IN": (["Pune", "Chennai"], ["49.32", "106.192"]),
    "ES": (["Madrid"], ["80.24", "88.0"]),
    "NL": (["Utrecht"], ["77.160", "84.80"]),
    "IT": (["Turin"], ["79.20", "151.16"]),
    "BR": (["Recife", "Sao Paulo"], ["177.32", "189.4"]),
    "RO": (["Cluj"], ["5.12", "86.120"]),
    "VN": (["Hanoi"], ["14.160", "113.160"]),
    "NG": (["Lagos"], ["105.112", "41.184"]),
    "UA": (["Kyiv"], ["46.96", "93.72"]),
}
# Where people live, by how common; the others are only travelled to, or attacked from.
HOMES = [("DE", 50), ("GB", 18), ("US", 14), ("FR", 8), ("PL", 6), ("IN", 4)]
FAR = ["RO", "VN", "NG", "UA", "BR"]
HOLIDAYS = ["ES", "NL", "IT", "FR", "GB", "BR"]
FIRST = """anna ben carla david elif felix greta hugo ines jonas katja
    liam mara nils olga paul quinn rosa sven tara ulf vera wim yara zoe""".split()
LAST = """adler bauer costa dietz ebert falk gross hahn iqbal jung keller lang
    moser nowak otto pohl reis sauer thoma unger vogt weber yilmaz zander""".split()


class Event(NamedTuple):
    """One row: when, what its cells hold, and the kind of attack it belongs to ("" for everyday, "rare" for a natural rarity)."""
    at: datetime.datetime
    cells: dict
    kind: str = ""


class Person:
    """Somebody with habits: a home, working hours, addresses, devices, and how much they do."""

    def __init__(self, name, group, dice, devices):
        self.name = name
        self.group = group
        self.country = weighted(dice, HOMES)
        self.city = dice.choice(COUNTRIES[self.country][0])
        self.addresses = [address(dice, self.country) for _ in range(dice.choice([1, 1, 2, 3]))]
        self.devices = dice.sample(devices, min(dice.choice([1, 1, 2]), len(devices)))
        self.starts = dice.gauss(8.6, 0.8)
        self.works = dice.gauss(8.6, 0.9)
        self.activity = dice.lognormvariate(0, 0.9)
        self.scale = dice.lognormvariate(0, 0.6)
        self.station = dice.randrange(1, 250)
        self.weekends = dice.random() < 0.12
        self.favourite = dice.random()

    def moment(self, dice):
        """Returns a time at which this person works: a weekday as a rule, in the morning or the afternoon."""
        while True:
            day = START + datetime.timedelta(days=dice.randrange(DAYS))
            if day.weekday() < 5 or (self.weekends and dice.random() < 0.3):
                break
        middle = self.starts + self.works * dice.choice([0.27, 0.72])
        hour = dice.gauss(middle, 1.5) if dice.random() < 0.97 else dice.uniform(self.starts - 1.5, self.starts + self.works + 4)
        return day + datetime.timedelta(hours=min(max(hour, 0), 23.9))

    def address(self, dice):
        """One of the usual ones; now and then a network on the way."""
        return dice.choice(self.addresses) if dice.random() < 0.97 else address(dice, self.country)


class World:
    """A company of so many people in these groups, with weights, and what a log needs of luck."""

    def __init__(self, seed, people, groups, devices):
        self.dice = random.Random(seed)
        names = self.dice.sample([f"{first}.{last}" for first, last in itertools.product(FIRST, LAST)], people)
        self.people = [Person(name, weighted(self.dice, groups), self.dice, devices) for name in names]
        self.activities = list(itertools.accumulate(person.activity for person in self.people))

    def somebody(self):
        return self.dice.choices(self.people, cum_weights=self.activities)[0]

    def member(self, *groups):
        """Returns somebody of these groups who does enough to have habits."""
        some = [person for person in self.people if person.group in groups] or self.people
        return self.dice.choice(sorted(some, key=lambda person: -person.activity)[: max(3, 2 * len(some) // 3)])

    def other_country(self, person, among=tuple(COUNTRIES)):
        return self.dice.choice([country for country in among if country != person.country])

    def night(self, person):
        """Returns a time in the night of a working day, hours away from when the person ever works."""
        day = person.moment(self.dice).replace(hour=0, minute=0, second=0)
        return day + datetime.timedelta(hours=self.dice.uniform(1.2, 4.2))

    def burst(self, start, seconds=240):
        """Yields a few moments of one sitting."""
        for _ in range(self.dice.randint(4, 7)):
            yield start
            start += datetime.timedelta(seconds=self.dice.uniform(5, seconds))

    def amount(self, median, spread=1.0):
        return self.dice.lognormvariate(0, spread) * median

    def hexadecimal(self, digits):
        return f"{self.dice.getrandbits(4 * digits):0{digits}x}"


def any_time(dice):
    return START + datetime.timedelta(seconds=dice.randrange(DAYS * 86_400))


def month_end(dice):
    return datetime.datetime(2025, 9, 30, dice.choice([17, 18, 19, 20]), dice.randrange(60), dice.randrange(60))


def weighted(dice, pairs):
    values, weights = zip(*pairs)
    return dice.choices(values, weights)[0]


def address(dice, country):
    """Returns an address of one of the country's networks."""
    return f"{dice.choice(COUNTRIES[country][1])}.{dice.randrange(256)}.{dice.randrange(1, 255)}"


class Log:
    """An audit log of one kind: `everyday` makes one row of a person, `attacks` names functions that yield a sitting each."""

    name = ""
    rows = 30_000
    # The column that numbers the rows in the order of time, if there is one.
    counter = None
    groups = []
    people = 60
    devices = ["laptop"]
    machines = 0.3

    def __init__(self, seed):
        self.world = World(f"{self.name} {seed}", self.people, self.groups, self.devices)
        self.dice = self.world.dice
        self.prepare()

    def prepare(self):
        """Sets up what the log knows beside its people."""

    def everyday(self, person, at):
        """Returns the cells of something this person does as a matter of course."""
        raise NotImplementedError

    def machine(self):
        """Returns an event of a service or a job."""
        raise NotImplementedError

    def rarities(self):
        """Yields rare events that are nobody's attack."""
        raise NotImplementedError

    def attacks(self):
        """Returns {kind: function that yields the events of one sitting}."""
        raise NotImplementedError

    def events(self, share):
        """Returns the clean events and those of attacks, which are about this share of the rows."""
        clean = [self.machine() for _ in range(int(self.rows * self.machines))]
        clean += [event._replace(kind="rare") for event in self.rarities()]
        while len(clean) < self.rows:
            person = self.world.somebody()
            at = person.moment(self.dice)
            clean.append(Event(at, self.everyday(person, at)))
        attacks, of_each = [], share * self.rows / len(self.attacks())
        for kind, sitting in self.attacks().items():
            mine = []
            while len(mine) < of_each:
                mine += [event._replace(kind=kind) for event in sitting()]
            attacks += mine
        return clean, attacks
