#!/usr/bin/env python3
"""Packs our programs as a wheel, so that `uvx mcproxy` and `pip install mcproxy` bring them.

A wheel is a zip archive with its files' hashes in RECORD (the PyPA's binary distribution format); files of `*.data/scripts` are installed
into `bin`, all in one directory, as the programs want it.
"""

import argparse
import base64
import hashlib
import pathlib
import stat
import zipfile

METADATA = """Metadata-Version: 2.4
Name: mcproxy
Version: {version}
Summary: One MCP endpoint in front of many MCP servers
License-Expression: MIT OR Apache-2.0
Requires-Python: >=3.8
Description-Content-Type: text/markdown

The programs of MCProxy for Linux. There is no Python module in this package.

```sh
uvx --from mcproxy mcproxy-supervisor --config mcp-servers.json --log
uvx mcproxy status
```
"""

WHEEL = """Wheel-Version: 1.0
Generator: deploy/packaging/wheel.py
Root-Is-Purelib: false
Tag: {tag}
"""


def main():
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", required=True)
    parser.add_argument("--machine", required=True, help="x86_64, for example")
    parser.add_argument("--glibc", required=True, help="the oldest version that the programs run with")
    parser.add_argument("--programs", required=True, type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    words = parser.parse_args()

    tag = f"py3-none-manylinux_{words.glibc.replace('.', '_')}_{words.machine}"
    name = f"mcproxy-{words.version}"
    info = f"{name}.dist-info"
    files = {f"{name}.data/scripts/{program.name}": (program.read_bytes(), 0o755) for program in sorted(words.programs.iterdir())}
    files[f"{info}/METADATA"] = (METADATA.format(version=words.version).encode(), 0o644)
    files[f"{info}/WHEEL"] = (WHEEL.format(tag=tag).encode(), 0o644)
    for licence in ("LICENSE-MIT", "LICENSE-APACHE"):
        files[f"{info}/licenses/{licence}"] = (pathlib.Path(licence).read_bytes(), 0o644)

    record = []
    wheel = words.out / f"{name}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, (content, mode) in files.items():
            add(archive, path, content, mode)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(content)}")
        record.append(f"{info}/RECORD,,")
        add(archive, f"{info}/RECORD", ("\n".join(record) + "\n").encode(), 0o644)


def add(archive, path, content, mode):
    """One file, with its mode and a fixed date: the same bytes for the same files."""
    entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
    entry.external_attr = (stat.S_IFREG | mode) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


if __name__ == "__main__":
    main()
