"""The shared folders of the demo: real, public data sets, laid out as departments keep them.

The data sets ship inside the `lifelines` package; NOTICE.md names their publications.
"""

from __future__ import annotations

import json
import os
import shutil
from importlib.resources import as_file, files
from pathlib import Path

from data_platform.demo.company import NAMES, REALM, departments

TRIAL = "Clinical/maria.rossi/NCCTG lung trial/lung.csv"
BREAST = "Clinical/maria.rossi/GBSG-2 breast cancer/gbsg2.csv"
KIDNEY = "Clinical/jonas.weber/Transplantation/kidney_transplant.csv"
MIR137 = "Oncology research/lukas.novak/miR-137/waltons_dataset.csv"
HIV = "Biostatistics/samuel.okafor/HIV/ACTG175.csv"
RESULTS = "Data science/chen.wei/Results"

# path on the shares -> file in lifelines.datasets
LAYOUT = {
    TRIAL: "lung.csv",
    BREAST: "gbsg2.csv",
    "Clinical/maria.rossi/GBSG-2 breast cancer/lymph_node.csv": "lymph_node.csv",
    KIDNEY: "kidney_transplant.csv",
    "Clinical/jonas.weber/Transplantation/stanford_heart.csv": "stanford_heart.csv",
    "Biostatistics/aiko.tanaka/Reference sets/larynx.csv": "larynx.csv",
    "Biostatistics/aiko.tanaka/Reference sets/lymphoma.csv": "lymphoma.csv",
    "Biostatistics/aiko.tanaka/Reference sets/lupus (Merrell 1955).csv": "merrell1955.csv",
    HIV: "ACTG175.csv",
    "Oncology research/priya.nair/Mouse tumours/mice.csv": "mice.csv",
    "Oncology research/priya.nair/Leukämie/anderson.csv": "anderson.csv",
    MIR137: "waltons_dataset.csv",
    "Data science/chen.wei/Benchmarks/recur.csv": "recur.csv",
    "Data science/chen.wei/Benchmarks/interval_diabetes.csv": "interval_diabetes.csv",
}

# copies that colleagues make: copy -> original
COPIES = {
    "Oncology research/lukas.novak/from Maria/lung.csv": TRIAL,
    "Data science/chen.wei/Downloads/gbsg2 (1).csv": BREAST,
    "Biostatistics/samuel.okafor/HIV/ACTG175 - Copy.csv": HIV,
}

INSTRUMENT = "Oncology research/lukas.novak/Microscope/live"
"""A pipe that an instrument writes into: not a file, so it cannot be read as one."""

CORRECTED_ROW = (b"21.0,71,1,60,1,,60.0,70.0,1225.0,32.0", b"21.0,71,1,60,1,2.0,60.0,70.0,1225.0,32.0")


def write_configuration(home: Path) -> None:
    """Write the configuration file of the demo: its realm, and whose folders are whose."""
    lines = [
        "# Written by `data-platform demo`; the people are invented.",
        f"realm = {json.dumps(REALM)}",
        "",
        "[file.owners]",
        *(f"{json.dumps(str(folder), ensure_ascii=False)} = {json.dumps(login)}" for folder, login in owners(home)),
    ]
    home.mkdir(parents=True, exist_ok=True)
    (home / "data-platform.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def owners(home: Path) -> list[tuple[Path, str]]:
    """Return each personal folder on the shares with its owner's login."""
    folders = {Path(path).parts[:2] for path in (*LAYOUT, *COPIES, f"{RESULTS}/x")}
    return [(shares(home).joinpath(*parts), parts[1]) for parts in sorted(folders) if parts[1] in NAMES]


def shares(home: Path) -> Path:
    """Return the folder that holds the departments' folders."""
    return home / "shares"


def lay_out(home: Path) -> str:
    """Put the data sets that are not there yet on the shares, and a pipe; say what is there."""
    for path, name in LAYOUT.items():
        target = shares(home) / path
        if not target.exists():
            _write(target, dataset(name))
    pipe = shares(home) / INSTRUMENT
    pipe.parent.mkdir(parents=True, exist_ok=True)
    if not pipe.exists():
        os.mkfifo(pipe, 0o600)
    return f"{len(LAYOUT)} public data sets in the folders of {len(departments())} departments"


def dataset(name: str) -> bytes:
    """Return the bytes of a data set as `lifelines` ships it."""
    with as_file(files("lifelines") / "datasets" / name) as path:
        return path.read_bytes()


def make_copies(home: Path) -> str:
    """Make the copies that colleagues make of each other's files, where they are not there yet."""
    for copy, original in COPIES.items():
        target = shares(home) / copy
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(shares(home) / original, target)
    return f"{len(COPIES)} files copied to other folders"


def correct_trial(home: Path) -> str:
    """Let Maria fill in a missing ECOG score; the edit is part of the story, not of the published data."""
    trial = shares(home) / TRIAL
    before = trial.read_bytes()
    after = before.replace(*CORRECTED_ROW, 1)
    if after != before:
        _write(trial, after)
    return "Maria Rossi corrects a row of lung.csv: a new version"


def _write(target: Path, content: bytes) -> None:
    """Write as editors do: beside the file, then in its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.new")
    draft.write_bytes(content)
    draft.replace(target)
