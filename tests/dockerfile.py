"""Carries out a Dockerfile without an engine: each stage is a folder, RUN is chroot, for cli/container.sh.

    dockerfile.py DOCKERFILE CONTEXT FOLDER

Stages are FOLDER/NAME, the last one FOLDER/image. Needs root, mmdebstrap for stages that begin with
Debian, and its package archive. What an engine would write down of a stage (USER, WORKDIR,
ENTRYPOINT) is in FOLDER/NAME.json. Knows the instructions that the Dockerfile has and refuses others.
"""
import json
import os
import re
import shlex
import subprocess
import sys

BASE = re.compile(r"debian:([a-z]+)-slim$")


def call(*words, **more):
    print("+", *words, file=sys.stderr, flush=True)
    subprocess.run(words, check=True, **more)


def instructions(path):
    """(NAME, the rest) of each, with lines joined and comments left out."""
    text = "".join(line for line in open(path, encoding="utf-8") if not line.lstrip().startswith("#"))
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


class Stage:
    def __init__(self, folder, base, shared):
        self.root = folder
        self.says = {"user": "0:0", "folder": "/", "entry": []}
        suite = BASE.match(base)
        if base == "scratch":
            os.makedirs(folder)
            return
        assert suite, f"FROM {base}: expected scratch or debian:NAME-slim"
        if not os.path.isdir(shared):
            call("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", suite[1], shared,
                 "http://deb.debian.org/debian", stdin=subprocess.DEVNULL)
        call("cp", "-a", shared, folder)
        call("cp", "-L", "/etc/resolv.conf", folder + "/etc/resolv.conf")
        # what an engine has in place of the devices and /proc
        call("sh", "-c", f"cd {shlex.quote(folder)}/dev && rm -f null zero urandom && mknod -m 666 null c 1 3 && "
                         "mknod -m 666 zero c 1 5 && mknod -m 666 urandom c 1 9")

    def inside(self, path):
        return self.root + os.path.normpath(os.path.join(self.says["folder"], path))

    def run(self, command):
        call("chroot", self.root, "/bin/sh", "-c", f"cd {self.says['folder']} && {command}", stdin=subprocess.DEVNULL,
             env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                  "DEBIAN_FRONTEND": "noninteractive"})

    def copy(self, source, target, ignored, owner):
        user, group = owner.split(":")
        place = self.inside(target)
        if os.path.isdir(source):
            os.makedirs(place, exist_ok=True)
            # what is in it, and not the folder itself: the target stays whose it is
            names = [name for name in os.listdir(source) if name not in ignored]
            excluded = [f"--exclude={name[3:]}" for name in ignored if name.startswith("**/")]
            tar = subprocess.Popen(["tar", "-C", source, f"--owner=:{user}", f"--group=:{group}", *excluded, "-cf", "-",
                                    *names], stdout=subprocess.PIPE)
            call("tar", "-C", place, "--same-owner", "--numeric-owner", "-xpf", "-", stdin=tar.stdout)
            assert tar.wait() == 0
        else:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            call("cp", "--preserve=mode", source, place)
            call("chown", owner, place)


def main(dockerfile, context, folder):
    ignored = [line.strip() for line in open(dockerfile + ".dockerignore", encoding="utf-8")
               if line.strip() and not line.startswith("#")]
    os.makedirs(folder, exist_ok=True)
    stages, stage = {}, None
    for name, rest in instructions(dockerfile):
        if name == "FROM":
            words = rest.split()
            title = words[2] if len(words) == 3 and words[1].upper() == "AS" else "image"
            stage = stages[title] = Stage(f"{folder}/{title}", words[0], f"{folder}/base")
        elif name == "RUN":
            stage.run(rest)
        elif name == "COPY":
            words = rest.split()
            source, excluded, owner = context, ignored, "0:0"
            while words[0].startswith("--"):
                option, value = words.pop(0).split("=")
                if option == "--from":
                    source, excluded = stages[value].root, []
                else:
                    assert option == "--chown", rest
                    owner = value
            assert len(words) == 2, rest
            stage.copy(os.path.normpath(source + "/" + words[0]), words[1], excluded, owner)
        elif name == "WORKDIR":
            stage.says["folder"] = rest
            os.makedirs(stage.inside("."), exist_ok=True)
        elif name == "USER":
            stage.says["user"] = rest
        elif name == "ENTRYPOINT":
            stage.says["entry"] = json.loads(rest)
        else:
            raise SystemExit(f"{dockerfile}: {name}: not known here")
    for title, stage in stages.items():
        with open(f"{folder}/{title}.json", "w", encoding="utf-8") as file:
            json.dump(stage.says, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
