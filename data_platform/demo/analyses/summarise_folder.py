"""Read a folder as one file set and write a table of what is in it.

python summarise_folder.py FOLDER --to SUMMARY.csv
"""

import argparse
from pathlib import Path

import pandas as pd

from data_platform import read_file

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--to", type=Path, required=True)
options = parser.parse_args()

tables = {path.name: pd.read_csv(path) for path in sorted(read_file(options.folder).rglob("*.csv"))}
summary = pd.DataFrame(
    {
        "file": list(tables),
        "rows": [len(table) for table in tables.values()],
        "columns": [table.shape[1] for table in tables.values()],
        "missing": [int(table.isna().to_numpy().sum()) for table in tables.values()],
    }
)
options.to.parent.mkdir(parents=True, exist_ok=True)
summary.to_csv(options.to, index=False)
print(f"{len(summary)} tables, {summary['rows'].sum()} rows; written to {options.to.name}")
