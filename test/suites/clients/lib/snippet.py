# SPDX-License-Identifier: Apache-2.0
"""snippet.py PAGE NAME: prints the block of the page whose fence names it, made
ready for the server that the environment names."""
import os
import re
import sys


def snippet(page, name):
    with open(page, encoding="utf-8") as f:
        blocks = re.findall(r"^```(\S+) (\S+)\n(.*?)^```$", f.read(), re.M | re.S)
    found = [body for _, n, body in blocks if n == name]
    if len(found) != 1:
        sys.exit(f"{page} has {len(found)} blocks named {name}")
    endpoint = os.environ["COFFER_ENDPOINT"]
    # What the page says in the place of what is one's own.
    for ours, theirs in (
        ("http://127.0.0.1:9000", endpoint),
        ("127.0.0.1:9000", endpoint.split("://")[1]),
        ("localhost:9000", "localhost:" + endpoint.rsplit(":", 1)[1]),
        ("ACCESS-KEY-ID", os.environ["AWS_ACCESS_KEY_ID"]),
        ("SECRET-ACCESS-KEY", os.environ["AWS_SECRET_ACCESS_KEY"]),
        ("KMS-KEY-ARN", os.environ.get("KMS_KEY_ARN", "KMS-KEY-ARN")),
        ("my-bucket", os.environ.get("BUCKET", "my-bucket")),
    ):
        found[0] = found[0].replace(ours, theirs)
    return found[0]


if __name__ == "__main__":
    sys.stdout.write(snippet(sys.argv[1], sys.argv[2]))
