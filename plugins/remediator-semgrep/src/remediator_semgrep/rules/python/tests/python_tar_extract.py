import shutil
import tarfile
import zipfile
from contextlib import closing


def unpack(path, folder, tar):
    with tarfile.open(path) as archive:
        # ruleid: python-tar-extract
        archive.extractall(folder)
    opened = tarfile.open(path, "r:gz")
    # ruleid: python-tar-extract
    opened.extractall(path=folder)
    # ruleid: python-tar-extract
    tarfile.open(path).extractall()
    with closing(tarfile.open(path)) as closed:
        for member in closed:
            # ruleid: python-tar-extract
            closed.extract(member, folder)
    # ruleid: python-tar-extract
    tar.extractall(folder, members=tar.getmembers())


def safe(path, folder):
    with tarfile.open(path) as archive:
        # ok: python-tar-extract
        archive.extractall(folder, filter="data")
        # ok: python-tar-extract
        archive.extractall(folder, filter=tarfile.data_filter)
    with zipfile.ZipFile(path) as packed:
        # ok: python-tar-extract
        packed.extractall(folder)
