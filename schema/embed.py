#!/usr/bin/env python3
"""Writes the views and the numbered .sql steps as C, and what they come to as one script for a new database.

    embed.py OUTPUT.c VIEWS.sql STEP.sql...

Steps are numbered 0001, 0002, ... without a gap; anything else is an error.
"""
import os
import re
import sqlite3
import sys


def c_string(text):
    lines = []
    for line in text.splitlines():
        escaped = line.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'"{escaped}\\n"')
    return "\n    ".join(lines)


def text_of(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def at_once(steps, views):
    """The script that makes what the steps and the views make of nothing."""
    database = sqlite3.connect(":memory:")
    for path in steps:
        database.executescript(text_of(path))
    for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'view'").fetchall():
        database.execute(f'DROP VIEW "{name}"')  # of early steps
    database.executescript(text_of(views))
    script = [line for line in database.iterdump() if line not in ("BEGIN TRANSACTION;", "COMMIT;")]
    return "\n".join(script) + "\n"


def main():
    output, views, steps = sys.argv[1], sys.argv[2], sys.argv[3:]
    entries = []
    for version, path in enumerate(steps, start=1):
        name = os.path.basename(path)
        match = re.fullmatch(r"(\d{4})_([a-z0-9_]+)\.sql", name)
        if not match or int(match[1]) != version:
            sys.exit(f"{path}: expected {version:04d}_NAME.sql")
        entries.append(f'{{{version}, "{name}",\n    {c_string(text_of(path))}}},')
    with open(output, "w", encoding="ascii") as file:
        file.write('#include "schema/migrations.h"\n\n')
        file.write("const struct migration migrations[] = {\n" + "\n".join(entries) + "\n};\n")
        file.write(f"const char schema_views[] =\n    {c_string(text_of(views))};\n")
        file.write(f"const char schema_new[] =\n    {c_string(at_once(steps, views))};\n")
        file.write(f"const int n_migrations = {len(entries)};\n")


main()
