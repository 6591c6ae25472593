"""Sites, drives and their items, and what people do to them."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

from servers.microsoft365.contents import Content
from servers.microsoft365.journal import Journal
from servers.microsoft365.library import PERSONAL, Drive, Item, Permission, Site, SiteGroup, Version, unique
from servers.microsoft365.people import Application, Group, User
from servers.microsoft365.world import changing

Actor = User | Application | None
Owner = User | Group


class Files(Journal):
    """Drives and what is in them. Everything that people do is written to the audit log, too."""

    def __init__(self, name: str = "contoso", seed: int = 1) -> None:
        super().__init__(name, seed)
        self.sites: dict[str, Site] = {}
        self.drives: dict[str, Drive] = {}
        self.site_groups: dict[str, SiteGroup] = {}
        self.links: dict[str, tuple[Item, Permission]] = {}
        """Items and links by the links' addresses, without what follows the question mark, and their share ids."""

    @changing
    def add_drive(self, user: User) -> Drive:
        """Give somebody a OneDrive."""
        site = self._site(self.my_host, f"/personal/{user.upn.replace('@', '_').replace('.', '_')}", user.name)
        return self._drive(site, "business", "OneDrive", "Documents", user)

    @changing
    def add_personal_drive(self, name: str) -> Drive:
        """Give somebody who is not of the company a personal OneDrive, which is not in its directory."""
        cid = self.random.randbytes(8).hex()
        owner = User(cid, {"displayName": name, "userPrincipalName": f"{cid}@outlook.com", "accountEnabled": True})
        site = Site("onedrive.live.com", "", "OneDrive", self.new_guid(), self.new_guid())
        return self._drive(site, PERSONAL, "OneDrive", "", owner, cid)

    def drive_of(self, owner: Owner) -> Drive | None:
        """Return the first drive of a user, or of a group's site."""
        return next((drive for drive in self.drives.values() if drive.owner is owner), None)

    @changing
    def add_site(self, name: str, *members: User, visitors: tuple[User, ...] = (), path: str = "") -> Site:
        """Make a team site with a library: a group, whose members may write, and visitors, who may read.

        The path is ``/sites/NAME`` unless given; ``/`` makes it the root site of the host.
        """
        group = self.add_group(
            name,
            *members,
            groupTypes=["Unified"],
            mailEnabled=True,
            mail=f"{name.replace(' ', '')}@{self.domain}",
            securityEnabled=False,
        )
        site = self._site(self.host, path or f"/sites/{name.replace(' ', '')}", name)
        site.group = group
        drive = self._drive(site, "documentLibrary", "Documents", "Shared Documents", group)
        drive.root.permissions += [
            self._grant(["write"], group.id),
            *(self._grant(["read"], visitor.id) for visitor in visitors),
        ]
        return site

    @changing
    def add_library(self, site: Site, name: str) -> Drive:
        """Add another library to a site; who may use the first may use this."""
        assert site.group is not None
        drive = self._drive(site, "documentLibrary", name, name, site.group)
        drive.root.permissions += [self._grant(["write"], site.group.id)]
        return drive

    @changing
    def add_site_group(self, site: Site, name: str, *members: User | Group) -> SiteGroup:
        """Make a group of the site's own, which the directory knows nothing of."""
        found = SiteGroup(site, 3 + len(site.groups), name, dict.fromkeys(member.id for member in members))
        site.groups.append(found)
        self.site_groups[found.id] = found
        return found

    def member_of(self, member_id: str) -> set[str]:
        """Return the ids of the groups that somebody is in, those of sites, too."""
        found = super().member_of(member_id)
        keys = {member_id, *found}
        return found | {key for key, group in self.site_groups.items() if not keys.isdisjoint(group.members)}

    @changing
    def add_team(self, name: str, *members: User, channels: tuple[str, ...] = ("General",)) -> Site:
        """Make a team: a site whose library has a folder for each channel."""
        site = self.add_site(name, *members)
        assert site.group is not None
        self.update_group(site.group, resourceProvisioningOptions=["Team"])
        site.channels = {f"19:{self.new_token(16)}@thread.tacv2": channel for channel in channels}
        for channel in channels:
            self.make_folder(site.drive, channel, members[0] if members else None)
        return site

    @changing
    def make_folder(self, drive: Drive, path: str, by: Actor = None) -> Item:
        """Make a folder and those above it, as far as they are missing."""
        folder = drive.root
        for name in [part for part in path.split("/") if part]:
            assert folder.children is not None
            found = folder.children.get(name.lower())
            folder = found or self._place(Item(drive, name, folder, self.now(), by, children={}))
        return folder

    @changing
    def upload(self, drive: Drive, path: str, content: bytes | Content, by: Actor = None, **facets: Any) -> Item:
        """Put a file at a path, or a new version where there is one; facets as ``malware={}`` are added as they are."""
        folder, _, name = path.strip("/").rpartition("/")
        parent = self.make_folder(drive, folder, by)
        assert parent.children is not None
        if (found := parent.children.get(name.lower())) is not None:
            self.edit(found, content, by)
            return found
        item = Item(drive, name, parent, self.now(), by, facets=facets or None)
        item.versions = [Version(1, _content(content), self.now(), by)]
        self._place(item)
        self.record("FileUploaded", by, item)
        return item

    @changing
    def add_package(self, drive: Drive, path: str, kind: str = "oneNote", by: Actor = None) -> Item:
        """Put something that is neither file nor folder, as a notebook."""
        folder, _, name = path.strip("/").rpartition("/")
        parent = self.make_folder(drive, folder, by)
        return self._place(Item(drive, name, parent, self.now(), by, facets={"package": {"type": kind}}))

    @changing
    def add_shortcut(self, drive: Drive, path: str, target: Item, by: Actor = None) -> Item:
        """Put a shortcut to an item of another drive ("Add shortcut to My files")."""
        folder, _, name = path.strip("/").rpartition("/")
        parent = self.make_folder(drive, folder, by)
        return self._place(Item(drive, name, parent, self.now(), by, target=target))

    @changing
    def edit(self, item: Item, content: bytes | Content, by: Actor = None) -> None:
        """Save new bytes; the ones before stay as a version."""
        item.versions.append(Version(item.versions[-1].number + 1, _content(content), self.now(), by))
        item.content_changes += 1
        self._touch(item)
        self.record("FileModified", by, item)

    @changing
    def misstate(self, item: Item, size: int, content_hash: str = "") -> None:
        """Let metadata tell another size and hash than those of the bytes, as of rewritten or protected files."""
        item.versions[-1].shown, item.versions[-1].shown_hash = size, content_hash

    @changing
    def touch(self, item: Item, by: Actor = None) -> None:
        """Change a column of an item: eTag and version change, the bytes and cTag do not."""
        if item.versions:
            item.versions.append(Version(item.versions[-1].number + 1, item.versions[-1].content, self.now(), by))
        self._touch(item)

    @changing
    def rename(self, item: Item, name: str, by: Actor = None) -> None:
        before = item.url
        self._take(item)
        item.name = name
        self._put(item)
        self._touch(item)
        self.record("FileRenamed" if item.is_file else "FolderRenamed", by, item, before=before)

    @changing
    def move(self, item: Item, folder: Item, by: Actor = None) -> None:
        """Move within a drive; to another drive people's clients copy and delete."""
        assert folder.drive is item.drive
        before = item.url
        self._take(item)
        item.parent = folder
        self._put(item)
        self._touch(item)
        self.record("FileMoved" if item.is_file else "FolderMoved", by, item, before=before)

    @changing
    def copy(self, item: Item, drive: Drive, path: str, by: Actor = None) -> Item:
        """Copy a file, which begins with version 1 and no permissions of its own."""
        copied = self.upload(drive, path, item.versions[-1].content, by)
        self.record("FileCopied", by, copied, before=item.url)
        return copied

    @changing
    def delete(self, item: Item, by: Actor = None) -> None:
        """Move an item and all that is in it to the recycle bin."""
        self._take(item)
        self.record("FileRecycled" if item.is_file else "FolderRecycled", by, item)
        for gone in list(item.walk()):
            del item.drive.items[gone.id]
            gone.deleted, gone.modified = True, self.now()
            item.drive.bin[gone.id] = gone
            if gone is item or not self.quirks.folder_alone_in_delta:
                item.drive.log_change(gone)

    @changing
    def look(self, drive: Drive, by: Actor) -> None:
        """Open a library in the browser, which the audit log tells as an access to the file of its page."""
        forms = Item(drive, "Forms", drive.root, drive.created, None)
        page = Item(drive, "All.aspx", forms, drive.created, None, unique=self.random.randbytes(16))
        page.versions = [Version(1, Content(b""), drive.created, None)]
        self.record("FileAccessed", by, page)

    @changing
    def restore(self, item: Item, by: Actor = None) -> None:
        """Take an item and all that is in it from the recycle bin."""
        self._put(item)
        for back in list(item.walk()):
            back.deleted = False
            del item.drive.bin[back.id]
            item.drive.items[back.id] = back
            item.drive.log_change(back)
        self.record("FileRestored", by, item)

    @changing
    def forget_delta(self, drive: Drive, code: str = "resyncChangesApplyDifferences") -> None:
        """Make positions in a drive's delta that were given out so far worthless."""
        drive.epoch, drive.resync = drive.epoch + 1, code

    def _site(self, host: str, path: str, name: str) -> Site:
        site = Site(host, path, name, self.new_guid(), self.new_guid())
        self.sites[site.id] = site
        return site

    def _drive(self, site: Site, kind: str, name: str, folder: str, owner: Owner, key: str = "") -> Drive:
        drive = Drive(site, kind, name, folder, owner, self.new_guid(), self.now())
        drive.id = key or "b!" + _made_of(site.guid, site.web, drive.list_id)
        drive.prefix = base64.b32encode(self.random.randbytes(4)).decode()[:6]
        drive.root = self._place(Item(drive, "root", None, self.now(), owner if isinstance(owner, User) else None, {}))
        if isinstance(owner, User):
            drive.root.permissions.append(self._grant(["owner"], owner.id))
        self.drives[drive.id] = drive
        site.drives.append(drive)
        return drive

    def _grant(self, roles: list[str], grantee: str) -> Permission:
        return Permission(self.new_token(24), roles, self.now(), grantee=grantee)

    def _place(self, item: Item) -> Item:
        guid = self.random.randbytes(16)
        item.unique, item.id = guid, unique(item.drive.prefix, guid)
        if item.drive.kind == PERSONAL:
            item.id = f"{item.drive.id.upper()}!{100 + len(item.drive.log)}"
        item.drive.items[item.id] = item
        self._put(item)
        item.drive.log_change(item)
        return item

    def _put(self, item: Item) -> None:
        if item.parent is None:
            return
        assert item.parent.children is not None
        if item.name.lower() in item.parent.children:
            raise ValueError(f"there is a {item.name} already")
        item.parent.children[item.name.lower()] = item

    def _take(self, item: Item) -> None:
        assert item.parent is not None
        assert item.parent.children is not None
        del item.parent.children[item.name.lower()]

    def _touch(self, item: Item) -> None:
        item.changes += 1
        item.modified = self.now()
        item.drive.log_change(item)


def _made_of(*guids: str) -> str:
    """Return the opaque part of a library's id: site, web and list."""
    return base64.urlsafe_b64encode(b"".join(UUID(guid).bytes_le for guid in guids)).decode()


def _content(content: bytes | Content) -> Content:
    return content if isinstance(content, Content) else Content(content)
