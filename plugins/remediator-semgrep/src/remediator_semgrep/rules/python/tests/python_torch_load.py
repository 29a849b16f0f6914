import torch


def read(path):
    # ruleid: python-torch-load
    torch.load(path)
    # ruleid: python-torch-load
    torch.load(path, map_location="cpu", weights_only=False)
    # ok: python-torch-load
    torch.load(path, map_location="cpu", weights_only=True)
