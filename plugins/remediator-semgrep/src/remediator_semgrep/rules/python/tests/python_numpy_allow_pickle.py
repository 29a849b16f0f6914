import numpy as np


def read(path):
    # ruleid: python-numpy-allow-pickle
    np.load(path, allow_pickle=True)
    # ok: python-numpy-allow-pickle
    np.load(path)
    # ok: python-numpy-allow-pickle
    np.load(path, allow_pickle=False)
