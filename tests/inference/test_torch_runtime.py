import warnings

import numpy as np
import pytest
import torch
from exported import CLASSES, Exported

from s3fd.inference.detector import Detector
from s3fd.inference.onnx_runtime import OnnxRuntime
from s3fd.inference.pictures import Pixels
from s3fd.inference.resize import Size
from s3fd.inference.torch_runtime import TorchRuntime
from s3fd.network import S3FD, build
from s3fd.network.attributes import Attribute
from s3fd.network.embedding import Embedding
from s3fd.weights.network_file import load_network


@pytest.fixture(scope="module")
def network() -> S3FD:
    torch.manual_seed(0)
    network = build("slim")
    network.add(Attribute("gender", ("female", "male"), temperature=0.02))
    network.add(Attribute("mask", ("bare", "mask", "incorrect"), kind="tower", layers=(1, 2, 3, 4, 5)))
    return network.eval()


@pytest.fixture(scope="module")
def papers() -> TorchRuntime:
    torch.manual_seed(0)
    return TorchRuntime(build("vgg16"))


def picture(height: int = 100, width: int = 140) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_agrees_with_the_exported_model_on_attributes(exported: Exported) -> None:
    theirs = OnnxRuntime(exported.model, threads=1)
    ours = TorchRuntime(load_network(exported.weights))
    assert ours.classes == theirs.classes == CLASSES
    for count, height, width in ((1, 100, 140), (3, 64, 33)):
        pictures = np.stack([picture(height, width)] * count)
        a, b = ours(pictures, list(CLASSES)), theirs(pictures, list(CLASSES))
        for x, y in ((a.scores, b.scores), (a.boxes / 100, b.boxes / 100)):
            np.testing.assert_allclose(x, y, atol=1e-4)
        for name in CLASSES:
            np.testing.assert_allclose(a.attributes[name], b.attributes[name], atol=1e-4)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(1, 1, "original"), (40, 1000, "vga"), (1000, 40, "vga"), (20, 700, "auto")]
)
def test_the_papers_network_takes_thin_pictures_too(
    papers: TorchRuntime, height: int, width: int, size: Size
) -> None:
    faces = Detector(papers, size=size, min_score=0)(picture(height, width))
    assert len(faces)
    assert (faces.boxes <= [width, height, width, height]).all()


def test_a_picture_in_read_only_memory_gives_no_warning(network: S3FD) -> None:
    writable = np.asfortranarray(picture())
    detector = Detector(TorchRuntime(network), size="original", min_score=0)
    read_only = np.frombuffer(picture().tobytes(), np.uint8).reshape(writable.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        faces = detector(read_only)
    np.testing.assert_array_equal(faces.boxes, detector(writable).boxes)


def test_only_attributes_that_are_asked_for_are_told(network: S3FD) -> None:
    assert TorchRuntime(network)(picture()[None]).attributes == {}
    assert list(TorchRuntime(network)(picture()[None], ["mask"]).attributes) == ["mask"]


def test_what_is_not_asked_for_is_not_computed() -> None:
    torch.manual_seed(0)
    network = build("slim", attributes=[Attribute("gender", ("female", "male"), kind="branch", layers=(2,))])
    network.embed(Embedding(dimension=8))
    ran: list[str] = []
    for name, part in (("gender", network.attribute_heads["gender"]), ("embedding", network.embedding_trunk)):
        assert isinstance(part, torch.nn.Module)
        part.register_forward_hook(lambda *_, name=name: ran.append(name))
    runtime = TorchRuntime(network)
    runtime(picture()[None])
    assert ran == []
    told = runtime(picture()[None], ["gender"])
    assert ran == ["gender"] and told.embedding is None
    vectors = runtime(picture()[None], embedding=True).embedding
    assert ran == ["gender", "embedding"] and vectors is not None
    both = runtime(picture()[None], ["gender"], embedding=True)
    np.testing.assert_array_equal(both.attributes["gender"], told.attributes["gender"])
    assert both.embedding is not None
    np.testing.assert_array_equal(both.embedding, vectors)


def test_each_face_has_the_answer_of_its_own_anchor(network: S3FD) -> None:
    runtime = TorchRuntime(network)
    detector = Detector(runtime, size="original", min_score=0, after_nms=20, attributes=("gender",))
    faces = detector(picture())
    raw = runtime(picture()[None], ["gender"])
    assert len(faces) == 20
    for face in faces:
        anchor = int(np.flatnonzero(raw.scores[0] == face.scores[0])[0])
        probabilities = raw.attributes["gender"][0, anchor]
        assert face.attributes["gender"][0] == ("female", "male")[probabilities.argmax()]
        assert face.attributes["gender_probability"][0] == probabilities.max()


def test_what_is_not_probable_enough_is_left_open(network: S3FD) -> None:
    options = {"size": "original", "min_score": 0, "attributes": ("gender",)}
    sure = Detector(TorchRuntime(network), **options)(picture()).attributes["gender_probability"]
    threshold = float(np.median(sure))
    faces = Detector(TorchRuntime(network), min_probability=threshold, **options)(picture())
    told, probability = faces.attributes["gender"], faces.attributes["gender_probability"]
    assert [label is None for label in told] == (probability < threshold).tolist()
    assert 0 < sum(label is None for label in told) < len(faces)
    assert faces[:1].to_dicts()[0].keys() == {"box", "score", "gender", "gender_probability"}


def test_an_attribute_that_the_weights_do_not_tell(network: S3FD) -> None:
    with pytest.raises(ValueError, match=r"'age' \(attributes: gender, mask\)"):
        Detector(TorchRuntime(network), attributes=("age",))


def test_bf16_is_near_and_not_the_same(network: S3FD) -> None:
    exact = TorchRuntime(network)(picture()[None], ["mask"])
    found = TorchRuntime(network, precision="bf16")(picture()[None], ["mask"])
    assert found.scores.dtype == found.boxes.dtype == np.float32
    assert 0 < np.abs(found.scores - exact.scores).max() < 0.01
    assert 0 < np.abs(found.boxes - exact.boxes).max() < 1
    assert np.abs(found.attributes["mask"] - exact.attributes["mask"]).max() < 0.01


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_cuda_agrees_with_the_cpu(network: S3FD) -> None:
    exact = TorchRuntime(network)(picture()[None], ["mask"])
    runtime = TorchRuntime(network, "cuda")
    assert runtime.device == "cuda"
    found = runtime(picture()[None], ["mask"])
    network.cpu()
    np.testing.assert_allclose(found.scores, exact.scores, atol=1e-2)  # convolutions in TF32
    np.testing.assert_allclose(found.boxes, exact.boxes, atol=0.5)
