#!/usr/bin/env python3
"""hub_server.py FOLDER PORTFILE - a small Hugging Face hub for tests/cli/pull.sh, on this machine only.

FOLDER/OWNER/NAME/FILE are the models. The owner says how the server behaves:
  good      as it should                    redirects  files come from another port, like a CDN
  stalls    each file stops half way, once  cuts       each connection ends half way, once
  corrupts  weights have a wrong byte       once       the same, but only the first time
  norange   knows no ranges, cuts once      endless    sends more than it announced
  gated     401 unless the token is right   forbidden  403
  busy      503 the first two times         anything that is not in FOLDER: 404
  streams   files in chunks, without a length
  floods    the same, and then more and more chunks of the large one; "flooded PATH BYTES" in the log
  babbles   its answer about a model is such a flood
  crowds    its answer about a model is 15 MB of "{}," after the files
  announces the large file is announced, and sent, with a byte more than it is listed with
  drips     the large file comes slowly     silent     half of it, then nothing for half a minute
Every request is a line of FOLDER/log: port, path, range, whether it came with a token. A model's
commit is COMMIT, or the text of FOLDER/commit."""
import hashlib
import http.server
import json
import os
import sys
import threading
import time
from urllib.parse import unquote, urlsplit

root, port_file = sys.argv[1:3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FLOOD = 64 << 20  # where it ends, for clients that take all of it
done_once = set()
lock = threading.Lock()
cdn_port = 0


def once(key):
    with lock:
        first = key not in done_once
        done_once.add(key)
    return first


def commit():
    try:
        with open(os.path.join(root, "commit")) as file:
            return file.read().strip()
    except FileNotFoundError:
        return COMMIT


def siblings(folder):
    files = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        entry = {"rfilename": name, "size": len(data),
                 "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
        if len(data) > 100000:
            entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        files.append(entry)
    files.append({"rfilename": "../escape", "size": 1})
    files.append({"rfilename": "onnx/model.onnx", "size": 1})
    return files


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        token = self.headers.get("Authorization", "")
        port = self.server.server_address[1]
        with lock, open(os.path.join(root, "log"), "a") as log:
            log.write(f"{'cdn' if port == cdn_port else 'hub'} {self.path} {self.headers.get('Range', '-')} "
                      f"{'token' if token else '-'}\n")
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            owner, name, revision = parts[2], parts[3], "/".join(parts[5:])
        elif len(parts) == 5 and parts[2] == "resolve":
            owner, name, revision = parts[0], parts[1], parts[3]
        else:
            return self.answer(404)
        folder = os.path.join(root, owner, name)
        if owner == "gated" and token != "Bearer hf_right":
            return self.answer(401, b'{"error": "Invalid credentials"}')
        if owner == "forbidden":
            return self.answer(403)
        if not os.path.isdir(folder) or revision not in ("main", "refs/pr/1", commit()):
            return self.answer(404, b'{"error": "not found"}')
        if owner == "busy" and (once(self.path) or once(self.path + "2")):
            return self.answer(503)
        if parts[0] == "api":
            text = json.dumps({"sha": commit(), "siblings": siblings(folder)}).encode()
            if owner == "crowds":
                text = text[:-2] + b",{}" * 5_000_000 + b"]}"
            return self.flood(text) if owner == "babbles" else self.answer(200, text)
        self.send_file(owner, folder, parts[4], port)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def flood(self, data, more=FLOOD):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = 0
        try:
            for piece in [data] + [b" " * 65536] * (more // 65536):
                self.chunk(piece)
                sent += len(piece)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True
        if more:
            with lock, open(os.path.join(root, "log"), "a") as log:
                log.write(f"flooded {self.path} {sent}\n")

    def drip(self, data):
        for at in range(0, len(data), 65536):
            self.wfile.write(data[at:at + 65536])
            self.wfile.flush()
            time.sleep(0.1)

    def send_file(self, owner, folder, name, port):
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            return self.answer(404)
        if owner == "redirects" and port != cdn_port:
            return self.answer(302, Location=f"http://127.0.0.1:{cdn_port}{self.path}")
        with open(path, "rb") as file:
            data = file.read()
        size = len(data)
        if name.endswith(".safetensors") and (owner == "corrupts" or owner == "once" and once(path)):
            data = data[:size // 2] + bytes([data[size // 2] ^ 1]) + data[size // 2 + 1:]
        large = name.endswith(".safetensors")
        if owner in ("streams", "floods"):
            return self.flood(data, FLOOD if owner == "floods" and large else 0)
        if owner == "announces" and large:
            data += b"x"
            size += 1
        start, ranged = 0, self.headers.get("Range", "")
        if ranged.startswith("bytes=") and owner != "norange":
            start = int(ranged[6:].split("-")[0])
            if start >= size:
                return self.answer(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(size - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        rest = data[start:]
        if owner == "drips" and large:
            return self.drip(rest)
        half = owner in ("stalls", "cuts", "norange") and size > 100000 and once(path) or owner == "silent" and large
        self.wfile.write(rest[:len(rest) // 2] if half else rest)
        if owner == "endless":
            self.wfile.write(b"x" * 1000)
        self.wfile.flush()
        if half:
            if owner in ("stalls", "silent"):
                time.sleep(4 if owner == "stalls" else 30)
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # a client that goes away is part of the tests


caller = os.getppid()
servers = [Server(("127.0.0.1", 0), Hub) for _ in range(2)]
cdn_port = servers[1].server_address[1]
for server in servers:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
with open(port_file + ".new", "w") as out:
    print(servers[0].server_address[1], file=out)
os.rename(port_file + ".new", port_file)
while os.getppid() == caller:  # which ends it before, as a rule
    time.sleep(0.5)
