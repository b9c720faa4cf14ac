#!/usr/bin/env python3
"""Say how well the engine tells attacks from everyday lines in each corpus when that corpus had no say.

  held_back.py SCORES LABELS

SCORES holds {"id", "score"} a line, as `shared/corpora/run_api.py` writes it or the test `corpora` of crates/detect;
LABELS is the corpus that was judged. For each corpus the threshold is where 1 % of the everyday lines of all *other*
corpora raise an alert (a tie is shared out); at it stand the recall over the corpus's own strong attacks and the alerts
among its own everyday lines. Rules are written by hand and were not written anew for each: what is held back is the
threshold, not what the authors had read.
"""
import argparse
import collections
import json

FALSE_POSITIVES = 0.01


def operating_point(everyday):
    """Returns (value, part): every score above the value alerts, and so large a part of those equal to it."""
    room = FALSE_POSITIVES * len(everyday)
    for value, count in sorted(collections.Counter(everyday).items(), reverse=True):
        if value == 0:
            break
        if count > room:
            return value, room / count
        room -= count
    return 0, 0.0


def alerts(scores, value, part):
    """Returns which share of the scores alerts, None of none."""
    return sum((s > value) + part * (s == value) for s in scores) / len(scores) if scores else None


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("scores")
    args.add_argument("labels")
    args = args.parse_args()
    with open(args.scores, encoding="utf-8") as file:
        scores = {line["id"]: line["score"] for line in map(json.loads, file)}
    attacks, everyday = collections.defaultdict(list), collections.defaultdict(list)
    with open(args.labels, encoding="utf-8") as file:
        for line in map(json.loads, file):
            if line["tier"] == "strong":
                attacks[line["corpus"]].append(scores[line["id"]])
            elif line["tier"] in ("bulk", "hard"):
                everyday[line["corpus"]].append(scores[line["id"]])

    def shown(share):
        return "     -" if share is None else f"{100 * share:6.2f}"

    print(f"{'held back':20}{'threshold':>10}{'attacks':>9}{'recall %':>10}{'everyday':>10}{'alerts %':>10}")
    recalls, falses = [], []
    for corpus in sorted(attacks.keys() | everyday.keys()):
        others = [score for name, of_it in everyday.items() if name != corpus for score in of_it]
        value, part = operating_point(others)
        recall = alerts(attacks[corpus], value, part)
        false = alerts(everyday[corpus], value, part)
        recalls += [recall] if recall is not None else []
        falses += [false * len(everyday[corpus])] if false is not None else []
        print(f"{corpus:20}{value:10}{len(attacks[corpus]):9}{shown(recall):>10}{len(everyday[corpus]):10}{shown(false):>10}")
    count = sum(map(len, everyday.values()))
    print(f"{'mean / all':20}{'':10}{'':9}{shown(sum(recalls) / len(recalls)):>10}{count:10}{shown(sum(falses) / count):>10}")


if __name__ == "__main__":
    main()
