import pytest

from repdrift.comparison.inputs import comparison_inputs
from repdrift.core.errors import ConfigError, RepdriftError, UnknownNameError
from repdrift.tasks import FileFormat
from tests.command_line import run_here
from tests.tiny_models import sentence


@pytest.fixture
def inputs_of(tiny_bert, tuned_bert):
    def make(data, **given):
        settings = {
            "data_dir": None, "text_columns": None, "id_column": None, "file_format": FileFormat(), "samples": None,
            "max_length": None, "revision": None, **given,
        }  # fmt: skip
        return comparison_inputs(str(tiny_bert), [str(tuned_bert)], data=str(data), **settings)

    return make


def test_what_was_read_is_said_first_and_travels_with_the_samples(inputs_of, tmp_path, capsys):
    path = tmp_path / "x.csv"
    path.write_text("id;text\n" + "".join(f"{i};{sentence(i, 5) if i != 3 else ''}\n" for i in range(9)))
    samples = inputs_of(path).samples
    assert len(samples) == 8
    said = capsys.readouterr().err.splitlines()[0]
    assert said.startswith("x: 8 samples, ")
    for note in (
        f"The text is column 'text' of x.csv (separator: a semicolon); not used: id. 8 rows read; the first is {sentence(0, 5)!r}.",
        "1 row left out, since the text is missing or blank; the first is line 5.",
    ):
        assert note in samples.notes
        assert note in said


def test_format_that_is_asked_for_is_used(inputs_of, tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("".join(f"{sentence(i, 5)}~\u00e9\n" for i in range(6)).encode("cp1252"))
    asked = FileFormat(separator="~", encoding="cp1252", header=False)
    assert len(inputs_of(path, text_columns=["column 1"], file_format=asked).samples) == 6


def test_data_that_are_none_are_named_for_what_they_are(inputs_of, tmp_path):
    for data, message in (
        (tmp_path, "is a folder that holds no data: it is empty"),
        (tmp_path / "x.csv", "data file .*x.csv does not exist"),
        (tmp_path / "x", "data file .*x does not exist"),
        ("a text in place of a file " * 20, "'a text in place of a file .*is no file and no task"),
        ("sst3", "unknown task 'sst3'. Did you mean 'sst2'"),
    ):
        with pytest.raises(RepdriftError, match=message):
            inputs_of(data)
    with pytest.raises(RepdriftError, match="the name of the data is empty"):
        inputs_of(" ")
    with pytest.raises(UnknownNameError, match="unknown task 'reviews'.*Nor is there a file or folder reviews"):
        inputs_of("reviews", text_columns=["body"])
    with pytest.raises(ConfigError, match="'sst2' is a built-in task"):
        inputs_of("sst2", data_dir="sample", file_format=FileFormat(separator=";"))


@pytest.mark.parametrize(
    "words",
    ["compare '' {base} --data texts.txt", "compare {base} '' --data texts.txt", "compare {base} {base} --data ''", "status --config ''", "run ''"],
)  # fmt: skip
def test_an_empty_name_is_not_the_working_folder(tiny_bert, tmp_path, words):
    (tmp_path / "texts.txt").write_text("the cat\n" * 8)  # as an unset variable of the shell gives it
    done = run_here(f"python -m repdrift {words.format(base=tiny_bert)}", tmp_path, fails=True)
    assert " is empty. " in done.stderr
    assert done.stdout == ""
