"""coprocess.py PROGRAM ARGS... - talks to a program through two pipes, one line in, one answer out.

Standard input has the script: lines `send TEXT` and `expect TEXT`, where TEXT is a Python string
without its quotes (\n, \x00). `expect` reads until an answer has as many bytes as TEXT, or is a line
that contains TEXT where it begins with `...`. The program's input stays open until all is done, so
that an answer which waits for its end never comes: after 120 seconds the program is ended and the
status is 1. No other time is looked at. The status of the program must be 0.
"""
import ast
import os
import signal
import subprocess
import sys

script = [line.rstrip("\n").split(" ", 1) for line in sys.stdin]
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
step = None


def give_up(*_):
    sys.stderr.write("coprocess.py: no answer to %r\n" % (step,))
    child.kill()
    os._exit(1)


signal.signal(signal.SIGALRM, give_up)
signal.alarm(int(os.environ.get("COPROCESS_LIMIT", "120")))
for step in script:
    text = ast.literal_eval("b'" + step[1].replace("'", "\\'") + "'")
    if step[0] == "send":
        child.stdin.write(text)
        continue
    part = text.startswith(b"...")
    answer = b""
    while not answer.endswith(b"\n") if part else len(answer) < len(text):
        got = os.read(child.stdout.fileno(), 1 if part else len(text) - len(answer))
        if not got:
            break
        answer += got
    if not (text[3:] in answer if part else answer == text):
        sys.stderr.write("coprocess.py: expected %r, got %r\n" % (text, answer))
        child.kill()
        sys.exit(1)
child.stdin.close()
sys.exit(1 if child.stdout.read() or child.wait() else 0)
