"""Runs a program on a terminal that nobody reads; prints the program's process id first."""
import os
import pty
import sys
import time

pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
print(pid, flush=True)
while os.waitpid(pid, os.WNOHANG) == (0, 0):
    time.sleep(0.1)
