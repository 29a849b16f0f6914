import shutil


def unpack(path, folder):
    # ruleid: python-unpack-archive
    shutil.unpack_archive(path, folder)
    # ok: python-unpack-archive
    shutil.unpack_archive(path, folder, filter="data")
