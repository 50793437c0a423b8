"""A bucket of moto, and a proxy before it that makes trouble when it is told to.

usage: server.py DIRECTORY: the ports are written to DIRECTORY/ports; what is wanted of the proxy is read from DIRECTORY/control with each
request, and every request is a line of DIRECTORY/requests.
"""

import json
import logging
import os
import signal
import socket
import sys
import threading

import boto3
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
directory = sys.argv[1]
server = ThreadedMotoServer(port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
client = boto3.client(
    "s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id="k", aws_secret_access_key="s",
    region_name="us-east-1")
client.create_bucket(Bucket="lab-results")
lock = threading.Lock()


def control(line):
    """What is wanted, and the number of this request since that was written, of those whose line has what "match" says."""
    try:
        with open(directory + "/control") as file:
            wanted = json.load(file)
    except FileNotFoundError:
        return {}, 0
    if wanted.get("match", "") not in line:
        return {}, 0
    count = directory + "/count"
    number = int(open(count).read()) + 1 if os.path.exists(count) else 1
    with open(count, "w") as file:
        file.write(str(number))
    return wanted, number


def kill(wanted):
    """Ends the process that asks, and waits until it is gone: what it held it holds no more."""
    with open(wanted["kill"]) as file:
        process = int(file.read())
    handle = os.pidfd_open(process)
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)


def refuse(status, code, ours):
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>for a test</Message></Error>"
    ours.sendall(f"HTTP/1.1 {status} x\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())


def head(ours):
    """What comes until the end of a request's head."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = ours.recv(65536)
        if not more:
            return None
        got += more
    return got


def serve(ours):
    with ours:
        got = head(ours)
        if got is None:
            return
        line = got.split(b"\r\n")[0].decode()
        with lock:
            wanted, number = control(line)
            with open(directory + "/requests", "a") as file:
                file.write(line + "\n")
        isIt = number == wanted.get("at") or number <= wanted.get("first", 0)
        if isIt and wanted.get("when") == "before" and "kill" in wanted:
            return kill(wanted)
        start, _, rest = got.partition(b"\r\n\r\n")
        length = 0
        for one in start.split(b"\r\n")[1:]:
            name, _, value = one.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = rest
        while len(body) < length:
            if isIt and wanted.get("cut") == "request" and len(body) >= length // 2:
                return
            more = ours.recv(65536)
            if not more:
                return
            body += more
        if isIt and "status" in wanted:
            return refuse(wanted["status"], wanted["code"], ours)
        if isIt and wanted.get("cut") == "request":
            return
        with socket.create_connection(("127.0.0.1", port)) as theirs:
            lines = [x for x in start.split(b"\r\n") if not x.lower().startswith(b"connection:")]
            theirs.sendall(b"\r\n".join(lines) + b"\r\nConnection: close\r\n\r\n" + body)
            answer = b""
            while more := theirs.recv(65536):
                answer += more
        if isIt and wanted.get("when") == "after" and "kill" in wanted:
            return kill(wanted)
        if isIt and wanted.get("cut") == "answer":
            answer = b""
        if isIt and wanted.get("cut") == "half":
            begin = answer.find(b"\r\n\r\n") + 4
            answer = answer[: begin + max(0, (len(answer) - begin) // 2)]
        if isIt and wanted.get("change") and len(answer) > 1:
            answer = answer[:-1] + bytes([answer[-1] ^ 1])
        ours.sendall(answer)


proxy = socket.create_server(("127.0.0.1", 0))
with open(directory + "/ports.new", "w") as file:
    file.write(f"{port} {proxy.getsockname()[1]}")
os.rename(directory + "/ports.new", directory + "/ports")
while True:
    connection = proxy.accept()[0]
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
