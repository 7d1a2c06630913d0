"""serve_faults.py - gpt2 serve where one call fails, for cli/faults.sh.

    serve_faults.py FAULT_LIBRARY MOST FOLDER CALL REASON... -- COMMAND...

COMMAND is a server that says its address on standard error; CALL and REASON are of fault.c. The
calls of a run in which three requests are answered and SIGTERM ends it fail in turn, once and from
then on: about MOST of those before the first request, and as many of the others (0: each). Prints a line for each try that went wrong. Right is a server
that

- ends before it listens, with an error that names the cause and the right exit code, or
- gives each request the answer of the undisturbed run, or an error in OpenAI's shape that names the
  cause; where one call fails no more than one request has an error, and the last, a fourth, none; and
- ends by SIGTERM, or with such an error.

A connection that is closed without an answer is such an error where the library that serves HTTP has
no memory for it (MAX_CUT), and where a call fails for good. The last line is `N tries`.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time

CAUSES = {
    "ENOMEM": "out of memory|Cannot allocate memory|cannot start .* Resource temp",
    "EIO": "Input/output error",
    "ENOSPC": "No space left on device",
    "EMFILE": "Too many open files",
    "EINTR": "Interrupted system call",
    "EAGAIN": "Resource temporarily unavailable",
}
BODY = json.dumps({"prompt": "Once", "max_tokens": 4, "seed": 5, "logprobs": 1})
LIMIT = 60  # seconds for an answer, or an end
MAX_CUT = 12  # GNU libmicrohttpd 0.9.75 allocates four times for each of the three connections

split = sys.argv.index("--")
library, most, folder, call, *reasons = sys.argv[1:split]
command = sys.argv[split + 1 :]


def ask(port, limit):
    """The answer to a request: its status and text; (0, why) where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit)
    try:
        connection.request("POST", "/v1/completions", BODY)
        response = connection.getresponse()
        text = response.read().decode()
        return response.status, re.sub(r'"(id|created)":("[^"]*"|[0-9]+)', "", text)
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error)
    finally:
        connection.close()


def read(path):
    with open(path, "rb") as file:
        return file.read().decode(errors="replace")


def run(fault, n_requests):
    """One run: the answers, the exit status, standard error, and how many calls there were."""
    count = os.path.join(folder, "count")
    environment = dict(os.environ, LD_PRELOAD=library, FAULT=fault, FAULT_COUNT=count)
    path = os.path.join(folder, "said")
    with open(path, "wb") as said:  # read by another: the place in the file is the server's
        server = subprocess.Popen(command, env=environment, stderr=said, stdin=subprocess.DEVNULL)
    answers, text = [], ""
    until = time.monotonic() + LIMIT
    while server.poll() is None and time.monotonic() < until:
        text = read(path)
        port = re.search(r" at http://[0-9.]+:([0-9]+)/v1\n", text)
        if port:
            for_good = fault.endswith("+")
            for _ in range(n_requests):
                answers.append(ask(int(port[1]), 3 if for_good else LIMIT))
                if for_good and answers[-1][0] == 0:
                    break
            break
        time.sleep(0.005)
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
    try:
        status = server.wait(LIMIT)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
        status = "does not end"
    with open(count) as file:
        counts = dict(line.split() for line in file)
    return answers, status, read(path), int(counts.get(call, 0))


def names(error, reason):
    """Whether an error names the cause."""
    causes = CAUSES[reason] + ("|out of memory" if call == "mmap" else "")
    return bool(re.search(causes, error, re.I))


def explained(text, reason):
    """One error, which names the cause."""
    errors = re.findall("^gpt2: error: .*", text, re.M)
    return len(errors) == 1 and names(errors[0], reason)


def judge(fault, reason, for_good):
    """What is wrong with a run, or None."""
    global n_cut
    answers, status, text, _ = run(fault, 4)
    shown = text.strip().replace("\n", " | ")[:300]
    ended = status != 0
    if ended and not (status in (1, 3, 4, 5, 6) and explained(text, reason)):
        return f"exit {status}: {shown}"
    if ended and call == "alloc" and status != 6 and "Resource temporarily" not in text:
        return f"exit {status}, not 6: {shown}"
    if not answers and not ended:
        return f"it did not listen: {shown}"
    failed = [answer for answer in answers if answer != right]
    for code, answer in failed:
        try:
            error = json.loads(answer)["error"]["message"] if code >= 400 else ""
        except (ValueError, KeyError, TypeError):
            error = ""
        cut = code == 0 and (for_good or ended or (call in ("alloc", "mmap") and n_cut < MAX_CUT))
        n_cut += cut and not for_good and not ended
        if not cut and not names(error, reason):
            return f"answer {code}: {answer[:200]}, exit {status}: {shown}"
    if not for_good and not ended and (len(failed) > 1 or (answers and answers[-1] != right)):
        return f"{len(failed)} answers are others: {failed[-1]}"
    return None


n_cut = 0  # connections that were closed where one call failed
_, _, _, n_before = run(f"{call}:ENOMEM:0", 0)
answers, status, text, n = run(f"{call}:ENOMEM:0", 3)
right = answers[0] if answers else None
if status != 0 or right is None or right[0] != 200 or any(answer != right for answer in answers):
    print(f"undisturbed: exit {status}, {answers}: {text}")
places = []
for first, end in ((1, n_before), (n_before + 1, n)):
    step = 1 if most == "0" else (end - first + 1) // int(most) + 1
    places += range(first + step // 2, end + 1, step)
n_tries = 0
for reason in reasons:
    for at in places:
        for for_good in (False, True):
            if for_good and reason in ("EINTR", "EAGAIN"):
                continue  # it may be tried for good
            wrong = judge(f"{call}:{reason}:{at}" + "+" * for_good, reason, for_good)
            n_tries += 1
            if wrong:
                print(f"{call} {reason} {at}{'+' * for_good} of {n}: {wrong}", flush=True)
print(f"{n_tries} tries")
