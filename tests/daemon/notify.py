"""A notify socket as systemd has one: prints each message, its variables with tabs between them.

An abstract socket has an @ in front of its name.
"""

import socket
import sys

name = sys.argv[1]
peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
peer.bind("\0" + name[1:] if name.startswith("@") else name)
print("bound", flush=True)
while True:
    # descriptors that come with a message are closed with it, which is what sd_notify_barrier waits for
    message = peer.recv(65536).decode()
    if message != "BARRIER=1":
        print(message.rstrip("\n").replace("\n", "\t"), flush=True)
