# SPDX-License-Identifier: Apache-2.0
"""tree.py DIRECTORY COUNT: makes a tree of COUNT files of many sizes, the same on every run."""
import os
import random
import sys

root, count = sys.argv[1], int(sys.argv[2])
source = random.Random("tree")
for n in range(count):
    folder = os.path.join(root, str(n % 13), str(n % 101))
    os.makedirs(folder, exist_ok=True)
    size = source.choice((0, 1, 100, 1000, 4096, 10000, 20000))
    if n % 500 == 0:
        size = 2_000_000
    with open(os.path.join(folder, f"file {n} ü.txt"), "wb") as f:
        f.write(source.randbytes(size))
