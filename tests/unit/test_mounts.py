"""A file on a share has one identity, wherever the share is mounted."""

from __future__ import annotations

from pathlib import Path

import pytest

from readers.mounts import Mount, MountTable, parse_mounts

# Lines as Linux writes them; the last field of each is cut short.
LAB_HOST = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:21 / /proc rw,nosuid shared:2 - proc proc rw
24 22 0:22 / /sys rw,nosuid shared:3 - sysfs sysfs rw
40 22 0:45 / /mnt/lab rw,relatime shared:20 - nfs4 Filer:/export/lab rw,vers=4.2,addr=10.0.0.1
41 40 0:46 / /mnt/lab/deep\040freeze rw,relatime - nfs filer:/export/freeze rw,vers=3
42 22 0:47 / /mnt/office rw,relatime - cifs //FILES/Chemistry/Assays rw,vers=3.1.1
43 22 0:48 / /mnt/remote rw,nosuid - fuse.sshfs amy@compute:/scratch rw
44 22 0:49 / /mnt/objects rw - ceph 10.0.0.1:6789,10.0.0.2:6789:/volumes/a rw
45 22 0:50 / /mnt/v6 rw - nfs4 [fe80::1]:/data rw
"""
OTHER_HOST = r"""
22 1 8:1 / / rw,relatime shared:1 - xfs /dev/sda1 rw
40 22 0:45 / /data rw,relatime shared:20 - nfs4 filer:/export/lab rw
50 22 0:45 /screens /home/amy/screens rw,relatime - nfs4 filer:/export/lab rw
51 22 0:51 / /srv/chem rw,relatime - smb3 //files/chemistry rw
"""


@pytest.fixture
def lab(tmp_path: Path) -> MountTable:
    return table(tmp_path / "lab", LAB_HOST)


@pytest.fixture
def other(tmp_path: Path) -> MountTable:
    return table(tmp_path / "other", OTHER_HOST)


def table(path: Path, text: str) -> MountTable:
    """Return the mounts that a file with such text describes."""
    path.write_text(text)
    mounts = MountTable(str(path))
    mounts.close()
    return mounts


def identity(mounts: MountTable, path: str) -> tuple[str, str]:
    mount = mounts.holding(path)
    assert mount is not None
    return mount.system, mount.item_id(path)


@pytest.mark.parametrize(
    ("path", "system", "item_id"),
    [
        ("/home/amy/a.csv", "", "/home/amy/a.csv"),
        ("/mnt/lab/a b.csv", "nfs/filer/export/lab", "/a b.csv"),
        ("/mnt/lab", "nfs/filer/export/lab", "/"),
        ("/mnt/laboratory/a.csv", "", "/mnt/laboratory/a.csv"),
        ("/mnt/lab/deep freeze/a.csv", "nfs/filer/export/freeze", "/a.csv"),
        ("/mnt/office/x.xlsx", "smb/files/chemistry", "/Assays/x.xlsx"),
        ("/mnt/remote/x", "sshfs/compute/scratch", "/x"),
        ("/mnt/objects/x", "ceph/10.0.0.1:6789,10.0.0.2:6789/volumes/a", "/x"),
        ("/mnt/v6/x", "nfs/[fe80::1]/data", "/x"),
    ],
)
def test_identity_and_the_way_back(lab: MountTable, path: str, system: str, item_id: str) -> None:
    assert identity(lab, path) == (system, item_id)
    if system:
        assert lab.local_path(system, item_id) == path


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("/mnt/lab/screens/plate 1.csv", "/data/screens/plate 1.csv"),
        ("/mnt/lab/screens/plate 1.csv", "/home/amy/screens/plate 1.csv"),  # a part of the share, mounted by itself
        ("/mnt/office/a.xlsx", "/srv/chem/Assays/a.xlsx"),
    ],
)
def test_two_machines_compute_the_same_identity(lab: MountTable, other: MountTable, here: str, there: str) -> None:
    assert identity(lab, here) == identity(other, there)


def test_what_a_machine_does_not_mount_has_no_path_there(lab: MountTable, other: MountTable) -> None:
    assert other.local_path("nfs/filer/export/freeze", "/a.csv") is None
    assert lab.local_path("smb/files/chemistry", "/Secrets/a.xlsx") is None  # only a part of the share is mounted
    assert lab.local_path("smb/files/chemistry", "/Assays beside/a.xlsx") is None


def test_pseudo_file_systems_are_known(lab: MountTable) -> None:
    for path in ("/proc/self/environ", "/sys/kernel/x"):
        mount = lab.holding(path)
        assert mount is not None
        assert mount.pseudo


def test_a_later_mount_hides_an_earlier_one(tmp_path: Path) -> None:
    lines = "1 0 8:1 / /mnt rw - ext4 /dev/sda1 rw\n2 1 0:40 / /mnt rw - nfs filer:/lab rw\n"
    assert identity(table(tmp_path / "mounts", lines), "/mnt/a")[0] == "nfs/filer/lab"


def test_odd_lines_are_left_out() -> None:
    assert parse_mounts(["", "nonsense", "1 2 3 - ", "1 0 8:1 / /mnt rw - ext4"]) == []


def test_a_very_long_export_still_fits_its_column() -> None:
    long = f"1 0 0:40 / /mnt rw - nfs filer:/{'x' * 400} rw"
    longer = f"1 0 0:40 / /mnt rw - nfs filer:/{'x' * 400}y rw"
    first, second = parse_mounts([long, longer])
    assert len(first.system) <= 255
    assert first.system != second.system


def test_what_is_not_known_for_a_disk_may_be_far_away(tmp_path: Path) -> None:
    kinds = {"/": "ext4", "/home": "xfs", "/cluster": "gpfs", "/bucket": "fuse.s3fs", "/filer": "nfs"}
    lines = "".join(f"1 0 8:1 / {point} rw - {kind} filer:/x rw\n" for point, kind in kinds.items())
    mounts = table(tmp_path / "mounts", lines)
    disks = [point for point in kinds if (mount := mounts.holding(f"{point}/a.csv")) is not None and mount.disk]
    assert disks == ["/", "/home"]


def test_without_a_mount_table_all_files_are_the_machines_own(tmp_path: Path) -> None:
    mounts = MountTable(str(tmp_path / "absent"))
    assert mounts.holding("/home/a.csv") is None
    assert mounts.local_path("nfs/filer/lab", "/a.csv") is None


def test_the_root_of_a_machine() -> None:
    assert Mount("/", "nfs/filer/root").item_id("/etc/hosts") == "/etc/hosts"
    assert Mount("/", "nfs/filer/root").local_path("/etc/hosts") == "/etc/hosts"
    assert Mount("/", "nfs/filer/root").local_path("/") == "/"
