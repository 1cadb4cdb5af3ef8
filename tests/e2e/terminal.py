"""Runs a program on a terminal of so many columns, prints what it writes there, and answers its questions.

The questions are a JSON list of [text of the question, answer].
"""
import fcntl
import json
import os
import pty
import struct
import sys
import termios

columns, answers, *command = sys.argv[1:]
questions = json.loads(answers)
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
    os.execvp(command[0], command)
seen = ""
while True:
    try:
        part = os.read(fd, 65536)
    except OSError:
        break
    if not part:
        break
    sys.stdout.buffer.write(part)
    sys.stdout.flush()
    seen += part.decode(errors="replace")
    if questions and questions[0][0] in seen:
        os.write(fd, (questions.pop(0)[1] + "\r").encode())
        seen = ""
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
