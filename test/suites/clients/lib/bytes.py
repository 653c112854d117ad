# SPDX-License-Identifier: Apache-2.0
"""bytes.py SIZE SEED: writes SIZE bytes that do not compress, the same on every run."""
import random
import sys

left, source = int(sys.argv[1]), random.Random(sys.argv[2])
while left > 0:
    n = min(left, 1 << 20)
    sys.stdout.buffer.write(source.randbytes(n))
    left -= n
