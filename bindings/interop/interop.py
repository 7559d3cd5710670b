"""The Python part of the test: see README.md."""

import sys
from datetime import datetime, timezone

import nyrodb


def documents(language):
    yield {
        "_id": language,
        "small": 42,
        "negative": -7,
        "big": 2**63 - 1,
        "huge": 2**64 - 1,
        "float": 1.5,
        "text": "h\u00e9llo \u2713 \U0001f600",
        "bytes": b"\x00\xff",
        "when": datetime(2020, 2, 3, 4, 5, 6, 789000, tzinfo=timezone.utc),
        "list": [1, "two", None, True],
        "map": {"a": {"b": []}},
    }
    for n in range(100):
        yield {"_id": f"{language}-{n}", "n": n, "square": n * n}


path, verb, *languages = sys.argv[1:]
with nyrodb.open(path) as db:
    interop = db["interop"]
    for language in languages[verb == "write":]:
        for wanted in documents(language):
            found = interop.get(wanted["_id"])
            if found != wanted:
                sys.exit(f"python: {found} is not {wanted}")
    if verb == "write":
        for document in documents(languages[0]):
            interop.insert_one(document)
