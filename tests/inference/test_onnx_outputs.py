import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest

from s3fd.inference.onnx_outputs import keep
from s3fd.inference.runtime import BUNDLED, OUTPUTS

TEXT = """
<ir_version: 8, opset_import: ["": 17]>
graph (float[n] x, bool choose) => (float[n] first, float[n] second, float[n] third)
<float one = {1}, float two = {2}>
{
    both = Add(x, one)
    first = Mul(both, two)
    only_second = Exp(x)
    second = Add(only_second, both)
    inside = Mul(x, two)
    only_third = Neg(x)
    chosen = If(choose) <
        then_branch = yes () => (float[n] a) { a = Add(inside, one) },
        else_branch = no () => (float[n] b) { b = Identity(inside) }
    >
    third = Add(chosen, only_third)
}
"""


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    model = onnx.parser.parse_model(TEXT)
    model.metadata_props.add(key="attributes", value="{}")
    return model


@pytest.mark.parametrize(
    ("outputs", "operations"),
    [
        (["first"], ["both", "first"]),
        (["second", "first"], ["both", "first", "only_second", "second"]),
        (["third"], ["inside", "only_third", "chosen", "third"]),
        (["first", "second", "third"], None),
    ],
)
def test_only_what_the_outputs_need_stays(
    model: onnx.ModelProto, outputs: list[str], operations: list[str] | None
) -> None:
    cut = onnx.load_from_string(keep(model.SerializeToString(), outputs))
    onnx.checker.check_model(cut)
    assert sorted(output.name for output in cut.graph.output) == sorted(outputs)
    if operations is None:
        assert cut == model
    else:
        assert [node.output[0] for node in cut.graph.node] == operations
    assert cut.metadata_props == model.metadata_props

    inputs = {"x": np.array([1, 2], np.float32), "choose": np.array(False)}
    provider = ["CPUExecutionProvider"]
    whole, part = (
        onnxruntime.InferenceSession(m.SerializeToString(), providers=provider) for m in (model, cut)
    )
    for name in outputs:
        np.testing.assert_array_equal(part.run([name], inputs)[0], whole.run([name], inputs)[0])


def test_the_bundled_model_keeps_its_weights_and_loses_what_gender_alone_needs() -> None:
    model = (BUNDLED / "slim.onnx").read_bytes()
    whole, cut = onnx.load_from_string(model), onnx.load_from_string(keep(model, OUTPUTS))
    used = {name for node in cut.graph.node for name in node.input} | set(OUTPUTS)
    assert all(used.intersection(node.output) for node in cut.graph.node)
    assert 0.5 < len(cut.graph.node) / len(whole.graph.node) < 0.95
    assert cut.graph.initializer == whole.graph.initializer


def test_an_output_that_is_not_there_is_named(model: onnx.ModelProto) -> None:
    with pytest.raises(ValueError, match="no output fourth"):
        keep(model.SerializeToString(), ["first", "fourth"])


@pytest.mark.parametrize("garbage", [b"no model at all", b"\xff" * 20, b"", b"\x3a\x7f\x0a"])
def test_what_is_no_model_is_refused(garbage: bytes) -> None:
    with pytest.raises(ValueError, match=r"protobuf|no output"):
        keep(garbage, ["scores"])


def test_a_model_that_is_cut_off_is_refused(model: onnx.ModelProto) -> None:
    whole = model.SerializeToString()
    with pytest.raises(ValueError, match="truncated"):
        keep(whole[: len(whole) // 2], ["first"])
