#!/usr/bin/env python3
"""Rules of the tree that no compiler knows.

usage: lint.py RULE SOURCE_ROOT BUILD_ROOT

layers   a folder includes only what stands below it
headers  every header compiles alone, and twice
names    an exported name starts with the name of its file
size     no file over 600 lines
functions  none over 60 lines; .clang-tidy also counts nesting and parameters
links    what a document links to is there
scripts  a shell accepts every script
"""
import pathlib
import re
import subprocess
import sys

# folder: (folders it may include, libraries it may include)
MAY_INCLUDE = {
    "base": ({"base"}, set()),
    "pool": ({"base", "pool"}, set()),
    "drivers": ({"base", "drivers"}, {"uv.h", "libpq-fe.h", "hiredis", "openssl", "uthash.h"}),
    "proxy": ({"base", "pool", "drivers", "proxy"},
              {"uv.h", "openssl", "uthash.h", "llhttp.h", "http_parser.h", "jansson.h", "zlib.h", "wslay"}),
}
LIBRARIES = set().union(*(libraries for _, libraries in MAY_INCLUDE.values()))
MOST_LINES = 600
MOST_LINES_OF_A_FUNCTION = 60


def sources(root, pattern):
    for folder in MAY_INCLUDE:
        yield from sorted((root / folder).rglob(pattern))


def layers(root, _build):
    for source in sources(root, "*.[ch]"):
        folder = source.relative_to(root).parts[0]
        folders, libraries = MAY_INCLUDE[folder]
        for number, line in enumerate(source.read_text().splitlines(), 1):
            include = re.match(r'\s*#\s*include\s*[<"]([^/>"]+)', line)
            name = include and include[1]
            if (name in MAY_INCLUDE and name not in folders) or (name in LIBRARIES and name not in libraries):
                yield f"{source.relative_to(root)}:{number}: {folder}/ may not include {name}"


def headers(root, _build):
    flags = subprocess.run(["pkg-config", "--cflags", "libpq", "libuv", "hiredis", "openssl"],
                           text=True, capture_output=True, check=True).stdout.split()
    for header in sources(root, "*.h"):
        line = f'#include "{header.relative_to(root)}"\n'
        compiled = subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-fsyntax-only", "-I", root, *flags, "-x", "c", "-"],
                                  input=line * 2, text=True, capture_output=True)
        if compiled.returncode != 0:
            yield f"{header.relative_to(root)}: does not compile alone\n{compiled.stderr}"


def names(root, build):
    for source in sources(root, "*.c"):
        folder, *inside = source.relative_to(root).parts
        # meson names an object by its path from the meson.build that lists it
        for thing in {*(build / folder).rglob("_".join(inside) + ".o"), *(build / folder).rglob(inside[-1] + ".o")}:
            listing = subprocess.run(["nm", "-g", "--defined-only", thing], text=True, capture_output=True, check=True)
            for symbol in (line.split()[-1] for line in listing.stdout.splitlines()):
                if symbol != "main" and not symbol.startswith((source.stem, "__")):
                    yield f"{source.relative_to(root)}: exports {symbol}, which does not start with {source.stem}"


def size(root, _build):
    for source in [*sources(root, "*.[ch]"), *sorted((root / "tests").rglob("*.[chp]*"))]:
        if source.suffix in (".c", ".h", ".py"):
            lines = len(source.read_text().splitlines())
            if lines > MOST_LINES:
                yield f"{source.relative_to(root)}: {lines} lines; more than {MOST_LINES} is two files"


def functions(root, _build):
    """clang-format puts the braces of a function, and no others, alone at the left edge."""
    for source in sources(root, "*.[ch]"):
        for number, line in enumerate(source.read_text().splitlines(), 1):
            if line == "{":
                start = number
            elif line == "}" and number - start - 1 > MOST_LINES_OF_A_FUNCTION:
                yield f"{source.relative_to(root)}:{start}: a function of {number - start - 1} lines"


def ours(root, pattern):
    """Files of the project, not of its build folders or of what was installed beside it."""
    for file in sorted(root.rglob(pattern)):
        folder = file.relative_to(root).parts[0]
        if not folder.startswith(("build", ".git")) and "node_modules" not in file.parts:
            yield file


def heading_anchors(document):
    """What GitHub calls a document's headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(root, _build):
    for document in ours(root, "*.md"):
        for number, line in enumerate(document.read_text().splitlines(), 1):
            for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                path, _, anchor = link.partition("#")
                target = document.parent / path if path else document
                where = f"{document.relative_to(root)}:{number}"
                if re.match(r"[a-z]+:", link):
                    continue
                if not target.exists():
                    yield f"{where}: there is no {path}"
                elif anchor and target.suffix == ".md" and anchor not in heading_anchors(target):
                    yield f"{where}: {target.name} has no heading #{anchor}"


def scripts(root, _build):
    for file in ours(root, "*"):
        if not file.is_file():
            continue
        with open(file, "rb") as script:
            shebang = re.match(rb"#!/bin/(sh|bash)\b", script.readline())
        if shebang:
            done = subprocess.run([shebang[1].decode(), "-n", file], text=True, capture_output=True)
            if done.returncode != 0:
                yield done.stderr


RULES = (layers, headers, names, size, functions, links, scripts)

if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in [rule.__name__ for rule in RULES]:
        sys.exit(__doc__)
    broken = list(globals()[sys.argv[1]](pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])))
    print("\n".join(broken) or f"{sys.argv[1]}: ok")
    sys.exit(1 if broken else 0)
