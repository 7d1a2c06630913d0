#!/usr/bin/env python3
"""terminal.py RAW SCREEN COMMAND... - runs a command on a terminal of its own and plays a user.

Standard input is the script, a step on each line:

    send "text\\r"      keys, as a string of Python; "\\x03" is Ctrl-C
    expect "text"      waits until this has come, after what was expected before
    absent "text"      fails if this has come so far, since the last expect
    resize 10 40       rows and columns, as if the window were pulled
    signal TERM        sends it to the command
    stdout FILE        (first steps) standard output is this file, not the terminal
    size 24 80         (first steps) rows and columns from the start

At the end the input is closed and the command is waited for; its exit status is ours. RAW gets all
bytes that came, SCREEN what a terminal makes of them, line by line, those that scrolled away
included. A step that fails is told on standard error, and the status is 99.
"""
import ast
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

LIMIT = float(os.environ.get("TERMINAL_LIMIT", 120))  # seconds for a step: an end for what hangs


class Screen:
    """What a terminal shows: enough of its rules for line editors, bars and colours."""

    def __init__(self, columns):
        self.columns, self.lines, self.row, self.column = columns, [[]], 0, 0

    def put(self, character):
        if self.column >= self.columns:  # a terminal wraps when the next character comes
            self.row, self.column = self.row + 1, 0
        while self.row >= len(self.lines):
            self.lines.append([])
        line = self.lines[self.row]
        line.extend(" " * (self.column + 1 - len(line)))
        line[self.column] = character
        self.column += 1

    def control(self, parameters, final):
        n = int(parameters.split(";")[0] or 0) if parameters[:1] != "?" else 0
        if final == "A":
            self.row = max(0, self.row - max(1, n))
        elif final == "B":
            self.row += max(1, n)
        elif final == "C":
            self.column += max(1, n)
        elif final == "D":
            self.column = max(0, self.column - max(1, n))
        elif final == "G":
            self.column = max(0, n - 1)
        elif final == "K" and self.row < len(self.lines):
            if n == 0:
                del self.lines[self.row][self.column:]
            elif n == 2:
                self.lines[self.row] = []
        elif final == "J" and n == 0 and self.row < len(self.lines):
            del self.lines[self.row][self.column:]
            del self.lines[self.row + 1:]
        elif final == "P" and self.row < len(self.lines):
            del self.lines[self.row][self.column:self.column + max(1, n)]
        elif final == "@" and self.row < len(self.lines):
            self.lines[self.row][self.column:self.column] = " " * max(1, n)

    def feed(self, text):
        for escape, parameters, final, other in re.findall(
                r"(\x1b\[([0-9;?]*)([a-zA-Z@])|\x1b[()][A-Z0-9]|\x1b[=>78])|([\s\S])", text):
            if final:
                self.control(parameters, final)
            elif other == "\r":
                self.column = 0
            elif other == "\n":
                self.row += 1
                while self.row >= len(self.lines):
                    self.lines.append([])
            elif other == "\b":
                self.column = max(0, self.column - 1)
            elif other and other >= " ":
                self.put(other)

    def text(self):
        return "".join("".join(line).rstrip() + "\n" for line in self.lines).rstrip("\n") + "\n"


def fail(what):
    sys.stderr.write("terminal.py: %s\n" % what)
    sys.exit(99)


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Session:
    def __init__(self, command, rows, columns, stdout):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            set_size(0, rows, columns)
            if stdout:
                os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 1)
            os.execvp(command[0], command)
        self.columns, self.raw, self.seen = columns, b"", 0

    def read(self, seconds):
        """More output, or False where there is none (the command has ended, or the time is up)."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # Linux says so where the other end is closed
            data = b""
        self.raw += data
        return bool(data)

    def expect(self, text, step):
        end = time.monotonic() + LIMIT
        wanted = text.encode()
        while (at := self.raw.find(wanted, self.seen)) < 0:
            if not self.read(max(0, end - time.monotonic())):
                fail("%s: not in %r" % (step, self.raw[self.seen:][-600:]))
        self.seen = at + len(wanted)

    def wait(self):
        end = time.monotonic() + LIMIT
        while self.read(max(0, end - time.monotonic())):
            pass
        if time.monotonic() >= end:
            os.kill(self.pid, signal.SIGKILL)
            fail("the command did not end: %r" % self.raw[-600:])
        status = os.waitpid(self.pid, 0)[1]
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def main():
    raw_file, screen_file, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    steps = [line.strip() for line in sys.stdin if line.strip() and not line.startswith("#")]
    rows, columns, stdout = 24, 80, None
    while steps and steps[0].split()[0] in ("stdout", "size"):
        word, value = steps.pop(0).split(None, 1)
        if word == "stdout":
            stdout = value
        else:
            rows, columns = map(int, value.split())
    session = Session(command, rows, columns, stdout)
    try:
        for step in steps:
            word, value = step.split(None, 1)
            if word == "send":
                os.write(session.fd, ast.literal_eval(value).encode("utf-8"))
            elif word == "expect":
                session.expect(ast.literal_eval(value), step)
            elif word == "absent":
                if ast.literal_eval(value).encode() in session.raw[session.seen:]:
                    fail("%s: it is in %r" % (step, session.raw[session.seen:][-600:]))
            elif word == "resize":
                set_size(session.fd, *map(int, value.split()))
            elif word == "signal":
                os.kill(session.pid, getattr(signal, "SIG" + value))
            else:
                fail("unknown step: " + step)
        status = session.wait()
        if not termios.tcgetattr(session.fd)[3] & termios.ICANON:
            fail("the terminal was left without its line mode")
    finally:
        screen = Screen(columns)
        screen.feed(session.raw.decode("utf-8", "replace"))
        with open(raw_file, "wb") as file:
            file.write(session.raw)
        with open(screen_file, "w", encoding="utf-8") as file:
            file.write(screen.text())
    sys.exit(status)


main()
