import os
import zipfile


def unpack(archive, folder):
    for name in archive.namelist():
        # ruleid: python-zip-member-path
        with open(os.path.join(folder, name), "wb") as file:
            file.write(archive.read(name))
    for member in archive.infolist():
        target = os.path.join(folder, member.filename)
        # ruleid: python-zip-member-path
        os.makedirs(os.path.dirname(target))


def safe(archive, folder):
    for name in archive.namelist():
        # ok: python-zip-member-path
        with open(os.path.join(folder, os.path.basename(name)), "wb") as file:
            file.write(archive.read(name))
        # ok: python-zip-member-path
        with open(folder / "all", "wb") as file:
            file.write(archive.read(name))
