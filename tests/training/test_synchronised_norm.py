import torch
from torch import nn

from s3fd.training.synchronised_norm import SynchronisedNorm, synchronise


def test_names_values_and_modes_stay() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(4)))
    network[1].eval()
    nn.init.uniform_(network[1].running_mean)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    synchronise(network, torch.device("cpu"))
    torch.testing.assert_close(dict(network.state_dict()), before)
    modes = [(part.training, type(part)) for part in (network[1], network[2][0])]
    assert modes == [(False, SynchronisedNorm), (True, SynchronisedNorm)]
