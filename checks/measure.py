#!/usr/bin/env python3
"""Shows how long the files and functions of crates/*/src are. A mirror, not a fence: it never fails."""
import pathlib
import re
import statistics

ROOT = pathlib.Path(__file__).parent.parent
FUNCTION = re.compile(r"^\s*(?:pub(?:\([a-z]+\))? )?(?:const )?(?:async )?fn (\w+)")


def functions(lines):
    """Yields (name, length in lines) of each function; rustfmt closes one at its own indentation."""
    for start, line in enumerate(lines):
        found = FUNCTION.match(line)
        if not found:
            continue
        indent = len(line) - len(line.lstrip())
        for length, other in enumerate(lines[start:], 1):
            if other.rstrip() == " " * indent + "}" or (length == 1 and other.rstrip().endswith((";", "}"))):
                yield found.group(1), length
                break


def main():
    files, all_functions = [], []
    for path in sorted(ROOT.glob("crates/*/src/**/*.rs")):
        code = path.read_text(encoding="utf-8").split("#[cfg(test)]\nmod ")[0].splitlines()
        files.append((len(code), path.relative_to(ROOT)))
        all_functions += [(length, name, path.relative_to(ROOT)) for name, length in functions(code)]
    lengths = [length for length, _, _ in all_functions]
    within = sum(length <= 30 for length in lengths) / len(lengths)
    print(f"{len(files)} files, {sum(length for length, _ in files)} lines without tests; "
          f"median file {statistics.median(length for length, _ in files):.0f} (houses we admire: 80 to 180)")
    print(f"{len(lengths)} functions; median {statistics.median(lengths):.0f} (6 to 14); {100 * within:.0f} % within 30 lines (80 %)")
    print("longest files:     " + ", ".join(f"{path} {length}" for length, path in sorted(files, reverse=True)[:5]))
    print("longest functions: " + ", ".join(f"{path.name}:{name} {length}" for length, name, path in sorted(all_functions, key=lambda f: -f[0])[:5]))


if __name__ == "__main__":
    main()
