#!/usr/bin/env python3
"""Writes a bill of materials (CycloneDX 1.6, JSON): what is compiled into our programs, and with --image what else is in the image.

    sbom.py --machine x86_64 --out mcproxy.cdx.json
    sbom.py --machine x86_64 --image mcproxy --podman podman --out mcproxy-image.cdx.json

The packages of Rust are those that cargo resolves for the programs on Linux, without what only builds or tests them; their hashes are
those of Cargo.lock. Of the image: the packages of Debian, npm and Python, as its own tools list them.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tomllib
import urllib.parse
import uuid
from datetime import datetime, timezone

# What lists the packages of the image, each tool only where it is there; one object a line.
LISTS = r"""
. /etc/os-release
dpkg-query --show --showformat '{"kind":"deb","name":"${Package}","version":"${Version}","arch":"${Architecture}","distro":"'"$ID-$VERSION_ID"'"}\n'
! command -v npm >/dev/null || printf '{"kind":"npm","tree":%s}\n' "$(npm ls --global --all --json | tr -d '\n')"
! command -v pip >/dev/null || printf '{"kind":"pypi","list":%s}\n' "$(pip list --format json --disable-pip-version-check)"
"""


def output(*command):
    """What a command prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def purl(kind, name, version, **qualifiers):
    """A package URL (the `pkg:` scheme)."""
    parts = "/".join(urllib.parse.quote(part, safe="") for part in name.split("/"))
    text = f"pkg:{kind}/{parts}@{urllib.parse.quote(version, safe='+:~')}"
    return text + ("?" + urllib.parse.urlencode(qualifiers) if qualifiers else "")


def component(url, name, version, **more):
    """A library; its reference is its URL."""
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url, **more}


def rust(machine):
    """Our programs' packages, and what each of them uses."""
    told = json.loads(output("cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", f"{machine}-unknown-linux-gnu"))
    locked = tomllib.loads(pathlib.Path("Cargo.lock").read_text())["package"]
    hashes = {(package["name"], package["version"]): package.get("checksum") for package in locked}
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}

    def used(ident):
        deps = nodes[ident]["deps"]
        return sorted({dep["pkg"] for dep in deps if any(kind["kind"] is None for kind in dep["dep_kinds"])})

    found, waiting = set(), list(told["workspace_default_members"])
    while waiting:
        ident = waiting.pop()
        if ident not in found:
            found.add(ident)
            waiting.extend(used(ident))
    packages = {package["id"]: package for package in told["packages"] if package["id"] in found}
    urls = {ident: purl("cargo", package["name"], package["version"]) for ident, package in packages.items()}
    components = []
    for ident, package in packages.items():
        more = {}
        if package["license"]:
            more["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if checksum := hashes.get((package["name"], package["version"])):
            more["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        components.append(component(urls[ident], package["name"], package["version"], **more))
    uses = {urls[ident]: [urls[other] for other in used(ident)] for ident in packages}
    return components, uses, [urls[ident] for ident in told["workspace_default_members"]]


def npm(tree):
    """All packages of a tree of npm."""
    for name, package in tree.get("dependencies", {}).items():
        if "version" in package:
            yield component(purl("npm", name, package["version"]), name, package["version"])
        yield from npm(package)


def image(podman, name):
    """What is in the image besides our programs."""
    for line in output(*podman, "run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "sh", name, "-c", LISTS).splitlines():
        told = json.loads(line)
        if told["kind"] == "deb":
            url = purl("deb", f"debian/{told['name']}", told["version"], arch=told["arch"], distro=told["distro"])
            yield component(url, told["name"], told["version"])
        elif told["kind"] == "npm":
            yield from npm(told["tree"])
        else:
            for package in told["list"]:
                yield component(purl("pypi", package["name"].lower(), package["version"]), package["name"], package["version"])


def main():
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--machine", required=True, help="x86_64, for example")
    parser.add_argument("--image", help="the image whose packages are listed, too")
    parser.add_argument("--podman", default="podman", help="how containers are run; several words are one command")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    words = parser.parse_args()

    components, uses, ours = rust(words.machine)
    if words.image:
        components += image(words.podman.split(), words.image)
    components = sorted({one["bom-ref"]: one for one in components}.values(), key=lambda one: one["bom-ref"])
    version = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
    subject = {"type": "container" if words.image else "application", "bom-ref": "mcproxy", "name": "mcproxy", "version": version}
    # The same file for the same packages: no number by chance, and the time of the sources.
    stamp = os.environ.get("SOURCE_DATE_EPOCH") or output("git", "log", "-1", "--format=%ct")
    identity = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([subject, components], sort_keys=True))
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{identity}",
        "version": 1,
        "metadata": {"timestamp": datetime.fromtimestamp(int(stamp), timezone.utc).isoformat(), "component": subject},
        "components": components,
        "dependencies": [{"ref": "mcproxy", "dependsOn": sorted(ours)}]
        + [{"ref": ref, "dependsOn": others} for ref, others in sorted(uses.items())],
    }
    words.out.write_text(json.dumps(bill, indent=1) + "\n")
    print(f"{words.out}: {len(components)} packages")


if __name__ == "__main__":
    main()
