"""Read the files below some folders, one by one, and count what could be read and what could not.

python inventory.py FOLDER [FOLDER ...] [--at-most 500] [--below 100000000] [--every 2]
"""

import argparse
import os
from collections.abc import Iterator
from itertools import islice

from data_platform import read_file
from data_platform.errors import SourceError

parser = argparse.ArgumentParser()
parser.add_argument("folders", nargs="+")
parser.add_argument("--at-most", type=int, help="files")
parser.add_argument("--below", type=int, default=10**12, help="bytes of a file")
parser.add_argument("--every", type=int, default=1, help="read only each so many-th file")
options = parser.parse_args()


def listed() -> Iterator[str]:
    """Yield the paths of files that are neither hidden nor too large, in order."""
    for top in options.folders:
        for folder, subfolders, names in os.walk(top):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for name in sorted(name for name in names if not name.startswith(".")):
                path = os.path.join(folder, name)
                if os.path.lexists(path) and os.lstat(path).st_size <= options.below:
                    yield path


sizes, refused = [], []
for path in islice(listed(), 0, options.at_most, options.every):
    try:
        sizes.append(read_file(path).stat().st_size)
    except SourceError as error:
        refused.append(f"{os.path.basename(path)} ({type(error).__name__})")
told = f"; not readable: {', '.join(refused[:3])}" + (f" and {len(refused) - 3} more" if len(refused) > 3 else "")
print(f"{len(sizes)} files, {sum(sizes):,} bytes" + (told if refused else ""))
