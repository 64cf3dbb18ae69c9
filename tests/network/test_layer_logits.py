import torch

from s3fd.network.layer_logits import LayerLogits


def test_a_layer_without_a_head_takes_the_nearest_and_of_two_the_finer() -> None:
    sizes = [(32 >> layer, 32 >> layer) for layer in range(6)]
    own = {layer: torch.full((1, 2, *sizes[layer]), float(layer)) for layer in (1, 3)}
    each = LayerLogits(own, sizes).spread()[0].split([height * width for height, width in sizes])
    assert [set(logits.flatten().tolist()) for logits in each] == [{1}, {1}, {1}, {3}, {3}, {3}]
