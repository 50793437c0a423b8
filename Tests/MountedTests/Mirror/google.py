"""A server that behaves as Google's Cloud Storage says of its XML interface, as far as a mirror uses it.

usage: google.py DIRECTORY: the port is written to DIRECTORY/port, and every request is a line of DIRECTORY/requests. It knows one bucket,
lab-results, and one key, GOOGTEST. An object is DIRECTORY/objects/KEY (percent-encoded), beside KEY.json with what was told with it.
With DIRECTORY/lose, the answer to the next PUT is not sent.

What it judges: signatures (GOOG4-HMAC-SHA256) over all x-goog- headers and the body's SHA-256; Content-MD5; x-goog-if-generation-match.
If-None-Match means nothing when something is written. Headers of AWS's are refused, and so are conditions of uploads in parts.
"""

import base64
import calendar
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time
import urllib.parse
import xml.sax.saxutils

directory = sys.argv[1]
SECRET = "the-secret-of-a-test"
os.mkdir(directory + "/objects")
lock = threading.Lock()
generation = 0


def path_of(key):
    return directory + "/objects/" + urllib.parse.quote(key, safe="")


class Refusal(Exception):
    pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, message):
        text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        self.answer(status, text.encode())

    def signed(self, path, query, body):
        """Refuses what is not signed as it should be."""
        algorithm, _, rest = self.headers.get("authorization", "").partition(" ")
        fields = dict(one.strip().split("=", 1) for one in rest.split(",") if "=" in one)
        if algorithm != "GOOG4-HMAC-SHA256":
            raise Refusal(403, "AccessDenied", "no such algorithm: " + algorithm)
        access, _, scope = fields["Credential"].partition("/")
        when = self.headers.get("x-goog-date", "")
        if access != "GOOGTEST" or scope != f"{when[:8]}/auto/storage/goog4_request":
            raise Refusal(403, "InvalidAccessKeyId", "no such key, or another scope: " + scope)
        if abs(calendar.timegm(time.strptime(when, "%Y%m%dT%H%M%SZ")) - time.time()) > 900:
            raise Refusal(403, "RequestTimeTooSkewed", "another time")
        names = fields["SignedHeaders"].split(";")
        must = {"host"} | {name.lower() for name in self.headers if name.lower().startswith("x-goog-")}
        if names != sorted(names) or not must <= set(names):
            raise Refusal(403, "AccessDenied", "not all headers are signed")
        payload = self.headers.get("x-goog-content-sha256")
        if payload != hashlib.sha256(body).hexdigest():
            raise Refusal(400, "XAmzContentSHA256Mismatch", "the body has another SHA-256")
        parts = sorted(tuple(urllib.parse.quote(x, safe="-_.~") for x in one) for one in query)
        request = "\n".join([
            self.command, path, "&".join(f"{a}={b}" for a, b in parts),
            "".join(f"{name}:{self.headers[name].strip()}\n" for name in names), ";".join(names), payload])
        text = "\n".join([algorithm, when, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = b"GOOG4" + SECRET.encode()
        for part in [*scope.split("/"), text]:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(key.hex(), fields["Signature"]):
            raise Refusal(403, "SignatureDoesNotMatch", "another signature")

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with lock, open(directory + "/requests", "a") as file:
            file.write(f"{self.command} {self.path}\n")
        path, _, text = self.path.partition("?")
        query = urllib.parse.parse_qsl(text, keep_blank_values=True)
        try:
            if any(name.lower().startswith("x-amz-") for name in self.headers):
                raise Refusal(400, "InvalidArgument", "a header of another service")
            self.signed(path, query, body)
            bucket, _, key = urllib.parse.unquote(path[1:]).partition("/")
            if bucket != "lab-results":
                raise Refusal(404, "NoSuchBucket", "no such bucket")
            query = dict(query)
            if "uploads" in query or "uploadId" in query:
                raise Refusal(400, "NotImplemented", "no uploads in parts here: they know no conditions")
            if self.command == "PUT":
                self.put(key, body)
            elif key:
                self.get(key, query.get("generation"))
            else:
                self.list(query)
        except Refusal as refusal:
            self.refuse(*refusal.args)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one

    def put(self, key, body):
        global generation
        told = self.headers.get("content-md5")
        if told and base64.b64decode(told) != hashlib.md5(body).digest():
            raise Refusal(400, "BadDigest", "another MD5")
        with lock:
            condition = self.headers.get("x-goog-if-generation-match")
            if condition is not None and (condition != "0" or os.path.exists(path_of(key))):
                raise Refusal(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
            generation += 1
            facts = {name.lower(): value for name, value in self.headers.items() if name.lower().startswith("x-goog-meta-")}
            facts |= {"x-goog-generation": str(generation), "md5": told, "condition": condition}
            with open(path_of(key), "wb") as file:
                file.write(body)
            with open(path_of(key) + ".json", "w") as file:
                json.dump(facts, file)
            try:
                os.unlink(directory + "/lose")
                isLost = True
            except FileNotFoundError:
                isLost = False
        if isLost:
            self.close_connection = True
            return
        self.answer(200, headers=[("x-goog-generation", str(generation))])

    def get(self, key, wanted=None):
        try:
            with open(path_of(key), "rb") as file:
                body = file.read()
        except FileNotFoundError:
            raise Refusal(404, "NoSuchKey", "The specified key does not exist.")
        try:
            with open(path_of(key) + ".json") as file:
                facts = {name: value for name, value in json.load(file).items() if name.startswith("x-goog-")}
        except FileNotFoundError:
            facts = {}
        if wanted is not None and facts.get("x-goog-generation") != wanted:
            raise Refusal(404, "NoSuchKey", "No such generation.")
        headers = [*facts.items(), ("ETag", f'"{hashlib.md5(body).hexdigest()}"'), ("Accept-Ranges", "bytes")]
        start = self.headers.get("range", "bytes=0-")[6:].partition("-")[0]
        part = body[int(start):]
        status = 206 if "range" in self.headers else 200
        self.answer(status, part, [*headers, ("Content-Length", str(len(part)))])

    def list(self, query):
        names = sorted(urllib.parse.unquote(one) for one in os.listdir(directory + "/objects") if not one.endswith(".json")
                       or not os.path.exists(directory + "/objects/" + one[:-5]))
        after = query.get("continuation-token", "")
        names = [one for one in names if one.startswith(query.get("prefix", "")) and one > after]
        page, rest = names[:2], names[2:]
        encode = urllib.parse.quote if query.get("encoding-type") == "url" else xml.sax.saxutils.escape
        text = "".join(f"<Contents><Key>{encode(one)}</Key><Size>{os.path.getsize(path_of(one))}</Size></Contents>" for one in page)
        if query.get("encoding-type") == "url":
            text += "<EncodingType>url</EncodingType>"
        if rest:
            text += f"<NextContinuationToken>{xml.sax.saxutils.escape(page[-1])}</NextContinuationToken>"
        text += f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>"
        self.answer(200, f"<?xml version='1.0'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>{text}</ListBucketResult>".encode())


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
with open(directory + "/port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(directory + "/port.new", directory + "/port")
server.serve_forever()
