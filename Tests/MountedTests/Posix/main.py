"""Runs every check below the directory that the first argument names; prints one JSON object, check to result."""

import attributes, data, names, special
from common import *

base = sys.argv[1]
results = {}
for function in checks:
    directory = base + "/" + function.__name__
    os.mkdir(directory, 0o755)
    try:
        result = repr(e(function, directory))
    except BaseException as error:
        result = "raised " + repr(error)
    results[function.__name__] = result.replace(base, "BASE")
print(json.dumps(results))
