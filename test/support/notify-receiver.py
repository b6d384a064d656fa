"""Plays the part of systemd for sd_notify(3): prints every datagram that arrives as one line of JSON."""

import json
import socket
import sys

receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print("bound", flush=True)
while True:
    text = receiver.recv(65536).decode()
    # systemd-notify waits until a descriptor that comes with this is closed, which dropping it does.
    if text != "BARRIER=1":
        print(json.dumps(text.split("\n")), flush=True)
