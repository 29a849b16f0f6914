import joblib
from joblib import load


def read(path):
    # ruleid: python-joblib-load
    joblib.load(path)
    # ruleid: python-joblib-load
    load(path, mmap_mode="r")
    # ok: python-joblib-load
    joblib.dump(path)
