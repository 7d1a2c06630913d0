"""Clients of `gpt2 serve`, for cli/serve.sh: many at once, slow ones, ones that go away, lm-eval's.

    serve_clients.py TEST URL [ARGUMENTS]

Nothing is printed where all is well (`load` prints what it measured). Needs Python alone; `lm_eval`
compares with gpt2.py, too, where numpy and $GPT2_LIBRARY are there.
"""
import http.client
import json
import math
import os
import random
import select
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlparse

WAIT = 120  # seconds that nothing here takes where the server does not hang


def connect(url):
    address = urlparse(url)
    return http.client.HTTPConnection(address.hostname, address.port, timeout=WAIT)


def post(url, body, connection=None):
    """(status, the answer's object) of one request."""
    connection = connection or connect(url)
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def raw(url, text, buffer=0):
    """A socket on which some bytes were sent."""
    address = urlparse(url)
    client = socket.socket()
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(WAIT)
    client.connect((address.hostname, address.port))
    client.sendall(text.encode())
    return client


def request_text(body, close=True):
    body = json.dumps(body)
    return (f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body.encode())}\r\n"
            + ("Connection: close\r\n" if close else "") + "\r\n" + body)


def read_all(client):
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def events(text):
    """The objects of a stream of events; chunk sizes and headers are passed over."""
    return [json.loads(line[6:]) for line in text.decode().split("\n") if line.startswith("data: {")]


# A text that no test waits for: it has no end before the client goes away.
ENDLESS = {"prompt": "Once", "max_tokens": 65536, "on_overflow": "slide", "seed": 1, "ignore_eos": True}


def endless(url):
    """A client whose text is in progress."""
    client = raw(url, request_text({**ENDLESS, "stream": True}))
    while b"data: " not in client.recv(1 << 16):
        pass
    return client


def gone(url):
    """--parallel 1: who goes away, streaming or not, makes room."""
    for stream in (True, False):
        client = endless(url) if stream else raw(url, request_text(ENDLESS))
        client.close()
        assert post(url, {"prompt": "Once", "seed": 1})[0] == 200
    client = endless(url)  # and one that goes away while it waits
    raw(url, request_text(ENDLESS)).close()
    client.close()
    assert post(url, {"prompt": "Once", "seed": 1})[0] == 200


def queue(url):
    """--parallel 1 --queue 1: of two that wait, one gets 429 at once, the other its turn."""
    first = endless(url)
    waiting = [raw(url, request_text({"prompt": "Once", "seed": 1})) for _ in range(2)]
    ready, _, _ = select.select(waiting, [], [], WAIT)
    assert len(ready) == 1
    refused = read_all(ready[0])
    assert b"429" in refused.split(b"\r\n")[0] and b"Retry-After: 1" in refused, refused
    assert b'"code":"queue_full"' in refused
    first.close()
    other = read_all(waiting[1 - waiting.index(ready[0])])
    assert b"200 OK" in other.split(b"\r\n")[0], other


def connections(url):
    """--connections 4: the fifth gets 503, and 200 when there is room again."""
    held = [raw(url, "POST /v1/completions HTTP/1.1\r\n") for _ in range(4)]
    answer = read_all(raw(url, request_text({"prompt": "Once"})))
    assert b"503" in answer.split(b"\r\n")[0] and b"Retry-After" in answer, answer
    for client in held:
        client.close()
    end = time.monotonic() + WAIT
    while post(url, {"prompt": "Once", "max_tokens": 1})[0] != 200:
        assert time.monotonic() < end


def late(url):
    """--timeout 1: a request that does not arrive is not waited for, however it trickles."""
    for text in ("", "POST /v1/comp", request_text({"prompt": "Once"})[:-3]):
        client = raw(url, text)
        assert read_all(client) in (b"",) or not text, text
    client = raw(url, "POST /v1/completions HTTP/1.1\r\nX: ")
    try:
        for _ in range(100):
            client.sendall(b"x")
            time.sleep(0.1)
        raise AssertionError("a header that goes on for 10 seconds was waited for")
    except OSError:
        pass
    assert post(url, {"prompt": "Once", "max_tokens": 1})[0] == 200


def ends(url, pid, long):
    """SIGTERM: running requests are finished, or told that they are not; nothing new is taken."""
    body = ENDLESS if long else {"prompt": "Once", "max_tokens": 200, "ignore_eos": True, "seed": 1}
    client = raw(url, request_text({**body, "stream": True}))
    text = b""
    while b"data: " not in text:
        text += client.recv(1 << 16)
    os.kill(int(pid), 15)
    try:
        text += read_all(client)
    except ConnectionError:
        assert long
    if long:
        assert events(text)[-1]["error"]["message"] == "the server ends", text[-300:]
        assert b"[DONE]" not in text
    else:
        assert b"data: [DONE]" in text
        assert events(text)[-1]["choices"][0]["finish_reason"] == "length"


# ---- lm-eval ----

def lm_eval(url, program, model, file, limit):
    """What local-completions of lm-evaluation-harness 0.4 sends and does with the answers: its sums are
    those of `gpt2 eval` on the same items."""
    address, n = url, int(limit)

    def encode(text):
        said = subprocess.run([program, "tokenize", "-m", model, text], capture_output=True, check=True).stdout
        return [int(i) for i in said.split()]

    items = [json.loads(line)["text"] for line, _ in zip(open(file, encoding="utf-8"), range(n))]
    requests = []
    for text in items:
        context, word = text.rsplit(" ", 1)
        requests.append((encode(context), encode(text)))
    batches = [requests[i:i + 4] for i in range(0, len(requests), 4)]

    def bodies(batch):
        # as recorded: token ids (tokenized_requests), and texts; max_tokens 1, of older versions 0
        yield {"prompt": [ids for _, ids in batch], "model": "tales", "temperature": 0, "max_tokens": 1,
               "logprobs": 1, "seed": 1234, "echo": True}
        yield {"model": "tales", "prompt": [ids for _, ids in batch], "echo": True, "max_tokens": 0,
               "temperature": 0.0, "logprobs": 5, "seed": 1234}

    results = []
    for batch in batches:
        answers = []
        for body in bodies(batch):
            status, out = post(address, body)
            assert status == 200, out
            rest = body["max_tokens"]
            parsed = []
            for choice, (context, ids) in zip(sorted(out["choices"], key=lambda c: c["index"]), batch):
                assert len(choice["logprobs"]["token_logprobs"]) == len(ids) + rest, choice
                end = len(ids)
                tokens = choice["logprobs"]["token_logprobs"][len(context):end]
                tops = choice["logprobs"]["top_logprobs"][len(context):end]
                if rest:  # lm-eval's own slice: all but the last
                    assert tokens == choice["logprobs"]["token_logprobs"][len(context):-1]
                total = 0.0
                for value in tokens:  # left to right, as sum() of lists does up to Python 3.11
                    total += value
                parsed.append((total, all(t == max(top.values()) for t, top in zip(tokens, tops)), tokens))
            answers.append(parsed)
        assert answers[0] == answers[1]
        results += answers[0]
    said = json.loads(subprocess.run([program, "eval", "-m", model, "lambada", file, "--limit", limit, "--json"],
                                     capture_output=True, check=True).stdout)
    assert said["items"] == len(results)
    assert f"{sum(greedy for _, greedy, _ in results) / n:.6f}" == f"{said['acc']:.6f}", said
    assert f"{math.exp(-sum(total for total, _, _ in results) / n):.4f}" == f"{said['ppl']:.4f}", said
    try:
        sys.path.insert(0, "tools/python")
        import gpt2
    except Exception as missing:  # no numpy, no library
        print(f"not to the last bit: {missing}")
        return
    with gpt2.Model(model) as known:
        for (context, ids), (total, _, tokens) in zip(requests, results):
            exact = [float(x) for x in known.score(ids, bos=False).logprob[len(context):]]
            assert exact == tokens
            sums = 0.0
            for value in exact:
                sums += value
            assert sums == total


# ---- load ----

PROMPTS = ["Once upon a time", "The king", "“Who are you?”", "In a dark forest there lived", "Then",
           "The old woman said to the young prince, who had come a long way:"]


MARGIN = 16 * 1024  # KiB of memory that may come and go; less than what two long texts keep


def cpu_of(pid):
    """Seconds of all threads of a process."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid):
    """KiB that are resident."""
    return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))


def bulk(program, model, bodies):
    """What the program says to these, and seconds of CPU for a token of it."""
    plain = {"temperature": 1, "top_k": 0, "top_p": 1, "repetition_penalty": 1}
    lines = "".join(json.dumps({"id": 0, **body, **plain}) + "\n" for body in bodies)
    before = os.times()
    job = subprocess.run([program, "generate", "-m", model, "--input", "-", "-o", "-", "-q"], input=lines.encode(),
                         capture_output=True, check=True)
    after = os.times()
    answers = [json.loads(line) for line in job.stdout.splitlines()]
    assert len(answers) == len(bodies)
    n = sum(answer["usage"]["completion_tokens"] for answer in answers)
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return [answer["choices"][0]["text"] for answer in answers], used / n


def at_once(jobs):
    """Runs all of them in threads; raises what one of them raised."""
    failures = []

    def guarded(job):
        try:
            job()
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def short_texts(url, n):
    body = {"prompt": "Once", "max_tokens": 40, "ignore_eos": True, "seed": 1}
    at_once([lambda: post(url, body)] * n)


def memory(url, pid):
    """Long texts leave nothing behind: with as many short ones as before there is as much memory."""
    for _ in range(3):
        short_texts(url, 64)
    before = memory_of(pid)
    long = {"prompt": "Once", "max_tokens": 500, "ignore_eos": True, "seed": 1}
    at_once([lambda: post(url, long)] * 8)
    for _ in range(2):
        short_texts(url, 64)
    after = memory_of(pid)
    assert after < before + MARGIN, (before, after)


def load(url, program, model, pid, seconds, n_clients):
    """Many clients for some seconds: each answer is what the program says to the same prompt and seed."""
    seconds, n_clients = float(seconds), int(n_clients)
    bodies = [{"prompt": PROMPTS[i % len(PROMPTS)], "seed": i, "max_tokens": 4 + i * 7 % 45} for i in range(48)]
    texts, _ = bulk(program, model, bodies)
    counts, lock = {"answers": 0, "tokens": 0}, threading.Lock()
    start = time.monotonic()
    end = start + seconds

    def work(number):
        draw = random.Random(number)
        connection = connect(url)
        while time.monotonic() < end:
            i = draw.randrange(len(bodies))
            if number % 4:
                status, answer = post(url, bodies[i], connection)
                text, used = answer["choices"][0]["text"], answer["usage"]["completion_tokens"]
            else:
                got = events(read_all(raw(url, request_text({**bodies[i], "stream": True}))))
                text = "".join(event["choices"][0]["text"] for event in got)
                status, used = 200, sum(len(event["choices"][0]["token_ids"]) for event in got)
            assert status == 200 and text == texts[i], (bodies[i], status, text, texts[i])
            with lock:
                counts["answers"] += 1
                counts["tokens"] += used

    # those who take one byte now and then, never send the rest, or leave in the middle
    slow = [raw(url, request_text({**bodies[0], "max_tokens": 55, "logprobs": 20, "stream": True}), 2048)
            for _ in range(12)]
    half = [raw(url, "POST /v1/completions HTTP/1.1\r\nContent-Le") for _ in range(12)]
    middle = []

    def disturb():
        while time.monotonic() < end:
            for client in slow:
                try:
                    client.recv(1)
                except OSError:
                    pass
            client = raw(url, request_text({**ENDLESS, "stream": True}))
            client.recv(1)
            client.close()
            time.sleep(0.1)
            if not middle and time.monotonic() > start + seconds / 2:
                middle.append(memory_of(pid))

    at_once([lambda i=i: work(i) for i in range(n_clients)] + [disturb])
    last = memory_of(pid)
    for client in slow + half:
        client.close()
    assert counts["answers"] >= n_clients
    print(f"{counts['answers']} answers, {counts['tokens'] / seconds:.0f} tok/s, "
          f"memory {middle[0] / 1024:.1f} MiB at half time, {last / 1024:.1f} MiB at the end")
    assert last < middle[0] + MARGIN, (middle, last)


def speed(url, program, model, pid, rounds, n_clients):
    """Prints what serve and a bulk job need for the same texts, in turn: seconds of CPU for a token."""
    n_clients = int(n_clients)
    bodies = [{"prompt": PROMPTS[i % len(PROMPTS)], "seed": i, "max_tokens": 4 + i * 7 % 45} for i in range(960)]
    for _ in range(int(rounds)):
        start = time.monotonic()
        texts, of_bulk = bulk(program, model, bodies)
        middle, before = time.monotonic(), cpu_of(pid)
        left, lock, n = list(range(len(bodies)))[::-1], threading.Lock(), [0]

        def work():
            connection = connect(url)
            while True:
                with lock:
                    if not left:
                        return
                    i = left.pop()
                status, answer = post(url, bodies[i], connection)
                assert status == 200 and answer["choices"][0]["text"] == texts[i]
                with lock:
                    n[0] += answer["usage"]["completion_tokens"]

        at_once([work] * n_clients)
        of_serve = (cpu_of(pid) - before) / n[0]
        print(f"bulk {1e3 * of_bulk:.4f} ms of CPU a token, {middle - start:.2f} s; serve {1e3 * of_serve:.4f} ms, "
              f"{time.monotonic() - middle:.2f} s; {of_serve / of_bulk:.3f} x", flush=True)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
