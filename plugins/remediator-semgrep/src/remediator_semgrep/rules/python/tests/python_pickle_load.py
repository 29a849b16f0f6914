import pickle
import pickle as cPickle
from pickle import loads
import dill
import pandas as pd


def read(file, data):
    # ruleid: python-pickle-load
    pickle.load(file)
    # ruleid: python-pickle-load
    loads(data)
    # ruleid: python-pickle-load
    dill.loads(data)
    # ruleid: python-pickle-load
    cPickle.load(file, encoding="latin1")
    # ruleid: python-pickle-load
    pd.read_pickle(file)
    # ok: python-pickle-load
    pickle.loads(pickle.dumps(data))
    # ok: python-pickle-load
    pickle.dumps(data)
    # ok: python-pickle-load
    json.loads(data)
