import pytest

from options.predict_options import USUAL_WANTS, WANTS, parse_predict_options
from util.prediction_files import MAKERS


def parse(*arguments):
    return parse_predict_options(["--input", "photos", *arguments])


def test_what_can_be_wanted_is_what_can_be_written():
    assert WANTS.keys() == MAKERS.keys()
    assert all(len(files) < 110 for files in WANTS.values())  # a line of --help


def test_wants():
    assert parse().want == USUAL_WANTS.split(",")
    assert parse("--want", "glb,mesh,glb").want == ["glb", "mesh"]
    assert parse("--want", "all").want == list(WANTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--want", "meshes"], "unknown meshes; known are all, overlay"),
        (["--fov", "180"], "wanted float in 1..170, got 180"),
        (["--steps", "3"], "wanted int in 1..2, got 3"),
        (["--name", "a/b"], "wanted a name that can be a folder's"),
        (["--export", "onnx"], "or --export and no --input"),
        (["--method", "3ddfa", "--weights", "a.pth", "--box_rule", "detector"], "detector: wanted --boxes, got none"),
        (["--max_face", "1"], "did you mean --max_faces or"),
    ],
)
def test_mistakes_are_told(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        parse(*arguments)
    assert end.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_an_exported_network_may_lie_anywhere():
    assert parse("--name", "some/where/run01.onnx").name == "some/where/run01.onnx"


def test_export_needs_no_input_but_a_run(capsys):
    assert parse_predict_options(["--export", "onnx"]).export == "onnx"
    for arguments in ([], ["--export", "onnx", "--name", "a.onnx"]):
        with pytest.raises(SystemExit):
            parse_predict_options(arguments)
    assert "--export: wanted the name of a run, got the network a.onnx" in capsys.readouterr().err
