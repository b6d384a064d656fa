"""Plays the part of systemd for socket activation (sd_listen_fds(3)): binds sockets, keeps them, and starts a command
with them for each line on standard input. Prints the addresses that it has bound and the number of each process.

    socket-holder.py NAME=ADDRESS … -- COMMAND …        an address is a path, or a host whose port the system chooses
"""

import os
import socket
import sys


def bind(address):
    if address.startswith("/"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
    else:
        listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        listener.bind((address, 0))
    listener.listen(128)
    return listener


separator = sys.argv.index("--")
names, addresses = zip(*(argument.split("=") for argument in sys.argv[1:separator]))
command = sys.argv[separator + 1 :]
listeners = [bind(address) for address in addresses]
for name, listener in zip(names, listeners):
    bound = listener.getsockname()
    print("bound", name, bound if isinstance(bound, str) else bound[1], flush=True)

for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        # Out of the way first: the places from 3 on may be taken by sockets that belong elsewhere.
        moved = [os.dup2(listener.fileno(), 100 + i) for i, listener in enumerate(listeners)]
        for i, descriptor in enumerate(moved):
            os.dup2(descriptor, 3 + i, inheritable=True)
        os.environ.update(LISTEN_FDS=str(len(moved)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=":".join(names))
        devnull = os.open(os.devnull, os.O_RDONLY)
        os.dup2(devnull, 0)
        os.execvp(command[0], command)
    print("pid", child, flush=True)

for listener in listeners:
    listener.close()
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
