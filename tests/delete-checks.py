#!/usr/bin/env python3
"""Deletes the checks of a crate one at a time and says which ones no test misses.

    delete-checks.py [--list] CRATE FILE...

A check is a refusal (an `if` whose block only returns an error) or a statement that is called for
its error alone (`check_times(..)?;`). cargo-mutants turns conditions round, which any good case
notices; taking a check away is noticed only by a bad case. Tests of the crate's library and of its
`it` binary decide. Runs in place, in a clone without changes of its own, and puts each file back.
"""

import pathlib
import re
import subprocess
import sys

TIME_LIMIT = 60  # seconds for the tests; a whole run takes two
STATEMENT = re.compile(r"^\s*(?!let\b|return\b|if\b|match\b|for\b|while\b|else\b|use\b|pub\b)[a-z]")


def end_of(text, start, close):
    """Offset behind the first `close` outside every bracket, or None."""
    depth = 0
    for offset in range(start, len(text)):
        letter = text[offset]
        if depth == 0 and letter == close:
            return offset
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if depth < 0:
                return None
    return None


def refusals(text):
    """Each `if` whose block is a single `return Err(..)`, without its condition."""
    for found in re.finditer(r"\bif (?=[^\n])", text):
        start = found.end()
        line = text.rfind("\n", 0, start) + 1
        before = text[line:found.start()]
        if "//" in before or '"' in before or before.strip() not in ("", "} else"):
            continue
        brace = end_of(text, start, "{")
        if brace is None:
            continue
        body = text[brace + 1:end_of(text, brace + 1, "}")]
        if not re.match(r"\s*(//[^\n]*\s*)*return Err\(", body):
            continue
        condition = text[start:brace].rstrip()
        never = f"false && {condition}" if re.match(r"let\b|.*&& let\b", condition, re.S) \
            else f"false && ({condition})"
        yield found.start(), text[:start] + never + " " + text[brace:], condition


def statements(text):
    """Each statement that is there for its `?` alone, deleted."""
    offset, previous = 0, ""
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        if STATEMENT.match(line) and previous.endswith((";", "{", "}")):
            end = end_of(text, offset, ";")
            whole = text[offset:end] if end else ""
            if whole.endswith("?") and not re.search(r"[^=!<>]=[^=>]", whole.split("(")[0]):
                yield offset + len(line) - len(line.lstrip()), \
                    text[:offset] + text[end + 1:], whole.strip()
        if stripped and not stripped.startswith("//"):
            previous = stripped
        offset += len(line)


def checks(path):
    text = path.read_text()
    tested = text.find("#[cfg(test)]")
    for offset, changed, what in sorted([*refusals(text), *statements(text)]):
        if tested < 0 or offset < tested:
            line = text.count("\n", 0, offset) + 1
            yield line, changed, " ".join(what.split())


def verdict(crate):
    command = ["cargo", "test", "--quiet", "--package", crate, "--lib", "--test", "it"]
    built = subprocess.run([*command, "--no-run"], capture_output=True)
    if built.returncode != 0:
        return "unviable"
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return "timeout"
    return "MISSED" if done.returncode == 0 else "caught"


def main():
    arguments = sys.argv[1:]
    only_list = "--list" in arguments
    crate, *files = [word for word in arguments if word != "--list"]
    counts = {}
    for path in map(pathlib.Path, files):
        original = path.read_text()
        for line, changed, what in checks(path):
            if only_list:
                found = "check"
            else:
                try:
                    path.write_text(changed)
                    found = verdict(crate)
                finally:
                    path.write_text(original)
            counts[found] = counts.get(found, 0) + 1
            print(f"{found:8} {path}:{line}: {what}", flush=True)
    print(f"{crate}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    return 1 if "MISSED" in counts else 0


if __name__ == "__main__":
    sys.exit(main())
