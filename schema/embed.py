#!/usr/bin/env python3
"""Writes the views and the numbered .sql steps as C.

    embed.py OUTPUT.c VIEWS.sql STEP.sql...

Steps are numbered 0001, 0002, ... without a gap; anything else is an error.
"""
import os
import re
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
        file.write(f"const int n_migrations = {len(entries)};\n")


main()
