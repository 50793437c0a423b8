"""A bucket of moto or SeaweedFS, and a proxy before it that makes trouble when it is told to.

usage: server.py DIRECTORY [WEED]: the ports are written to DIRECTORY/ports; what is wanted of the proxy is read from DIRECTORY/control with each
request, and every request is a line of DIRECTORY/requests. With WEED, SeaweedFS's program, it is the server, and knows two: AKTEST may do
anything, AKREAD may read.
"""

import calendar
import email.utils
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import boto3

directory = sys.argv[1]
SECRET = "the-secret-of-a-test"


def start_moto():
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    return server.get_host_and_port()[1]


def start_seaweed(weed):
    """It is in this process's group, and ends with it."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    keys = [("AKTEST", ["Admin", "Read", "Write", "List", "Tagging"]), ("AKREAD", ["Read", "List"])]
    with open(directory + "/keys.json", "w") as file:
        json.dump({"identities": [
            {"name": key, "credentials": [{"accessKey": key, "secretKey": SECRET}], "actions": actions}
            for key, actions in keys]}, file)
    os.mkdir(directory + "/weed")
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
             "s3.port", "s3.port.grpc"]
    options = [f"-{name}={port}" for name, port in zip(names, ports)]
    log = open(directory + "/weed.log", "w")
    process = subprocess.Popen(
        [weed, "-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={directory}/weed", "-filer",
         "-s3", f"-s3.config={directory}/keys.json", "-volume.max=20", "-master.volumeSizeLimitMB=100",
         "-master.telemetry=false", "-s3.port.iceberg=0",
         "-s3.port.lance=0", *options], stdout=log, stderr=log)
    while True:
        if process.poll() is not None:
            sys.exit("weed has ended: " + open(directory + "/weed.log").read()[-2000:])
        try:
            boto3.client("s3", endpoint_url=f"http://127.0.0.1:{ports[6]}", aws_access_key_id="AKTEST",
                         aws_secret_access_key=SECRET, region_name="us-east-1").create_bucket(Bucket="lab-results")
            return ports[6]
        except Exception:
            time.sleep(0.1)


if len(sys.argv) > 2:
    port = start_seaweed(sys.argv[2])
else:
    port = start_moto()
    client = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id="k", aws_secret_access_key="s",
        region_name="us-east-1")
    client.create_bucket(Bucket="lab-results")
    # What is overwritten there is kept, and what is locked is kept for its time.
    client.create_bucket(Bucket="lab-versions")
    client.put_bucket_versioning(Bucket="lab-versions", VersioningConfiguration={"Status": "Enabled"})
    client.create_bucket(Bucket="lab-locked", ObjectLockEnabledForBucket=True)
lock = threading.Lock()


def control(line):
    """What is wanted, and the number of this request since that was written, of those whose line has what "match" says."""
    try:
        with open(directory + "/control") as file:
            wanted = json.load(file)
    except FileNotFoundError:
        return {}, 0
    if wanted.get("match", "") not in line or not line.startswith(wanted.get("method", "")):
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


def is_late(head, wanted):
    """Whether a request is not of the time that it is here, with a clock that is so many seconds before the real one."""
    for one in head.decode("latin1").split("\r\n"):
        if one.lower().startswith("x-amz-date:"):
            told = time.strptime(one.split(":", 1)[1].strip() + " UTC", "%Y%m%dT%H%M%SZ %Z")
            return abs(calendar.timegm(told) - time.time() - wanted["ahead"]) > 300
    return True


def refuse(status, code, ours, date=None):
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>for a test</Message></Error>"
    date = "" if date is None else f"Date: {email.utils.formatdate(date, usegmt=True)}\r\n"
    ours.sendall(f"HTTP/1.1 {status} x\r\n{date}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())


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
        locked = [x for x in start.decode("latin1").lower().split("\r\n") if x.startswith("x-amz-object-lock-")]
        if locked:
            with lock, open(directory + "/locked", "a") as file:
                file.write(line + " " + " ".join(sorted(locked)) + "\n")
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
        if "ahead" in wanted and is_late(start, wanted):
            return refuse(403, "RequestTimeTooSkewed", ours, time.time() + wanted["ahead"])
        if isIt and wanted.get("corrupt") and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if isIt and wanted.get("abort"):
            path, _, query = line.split(" ")[1].partition("?")
            bucket, _, key = urllib.parse.unquote(path[1:]).partition("/")
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=urllib.parse.parse_qs(query)["uploadId"][0])
        if isIt and "status" in wanted:
            return refuse(wanted["status"], wanted["code"], ours)
        if isIt and wanted.get("cut") == "request":
            return
        if isIt and "hold" in wanted:
            with open(wanted["hold"]) as fifo:  # Until the test opens it to write.
                fifo.read()
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
