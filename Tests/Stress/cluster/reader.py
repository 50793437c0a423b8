"""Runs on a host: reads all names again and again, on the mount and at their real paths, and notes what it sees of each whenever that differs from before.

    reader.py MOUNT STORE NOTES
"""

import errno
import hashlib
import json
import os
import random
import sys
import time

mount, store, notes = sys.argv[1:]
PLACES = {"mount": mount + "/production/meta/meta_metrics", "real": store + "/meta_layer/metrics"}
last = {}
# When a place was listed last: what was not read then was not to be seen then.
listed = {}
with open(notes, "a", buffering=1) as out:
    while True:
        for place, directory in PLACES.items():
            before, listed[place] = listed.get(place), time.monotonic()
            try:
                names = os.listdir(directory)
            except OSError:
                names = []
            for name in names:
                if not name.endswith(".json") or name.startswith("."):
                    continue
                # What has been read once is looked at again now and then.
                if "sha256" in last.get((place, name), {}) and random.random() > 0.1:
                    continue
                begun = time.monotonic()
                try:
                    with open(f"{directory}/{name}", "rb") as file:
                        data = file.read()
                    seen = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
                except OSError as error:
                    seen = {"error": errno.errorcode.get(error.errno, str(error.errno))}
                if last.get((place, name)) != seen:
                    if before and "sha256" in seen and (place, name) not in last:
                        seen_first = {"unseen": before}
                    else:
                        seen_first = {}
                    last[place, name] = seen
                    out.write(json.dumps({"place": place, "name": name, "begun": begun, "ended": time.monotonic(), **seen, **seen_first}) + "\n")
        time.sleep(0.05)
