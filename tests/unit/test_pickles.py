"""Pickled networks are read and never run; what they hold can be written as safetensors."""

import io
import pickle
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from genbench.cli.main import run
from genbench.digest import digest_file
from genbench.errors import UsageError, WeightsError
from genbench.pickles import is_pickle
from genbench.weights import convert, load_tensors


def _reconstruct_persistent_obj(meta):
    """Stands for the function that NVlabs' pickles name, which would execute the source they hold."""
    raise AssertionError("code of the pickle ran")


class EasyDict(dict):
    """Stands for the mapping that they use."""


class Persistent(nn.Module):
    """A network that is pickled as theirs are: its source beside its attributes."""

    wrap: type = dict

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.parts = nn.Sequential(nn.Conv2d(2, 2, 1).half())
        self.register_parameter("absent", None)
        self.register_buffer("table", torch.arange(6).view(2, 3).T)
        self.register_buffer("scratch", torch.ones(2), persistent=False)
        self.arguments = EasyDict(width=4)

    def __reduce__(self):
        attributes = super().__reduce__()[2]
        described = {"type": "class", "module_src": "raise AssertionError", "class_name": "N", "state": attributes}
        return _reconstruct_persistent_obj, (self.wrap(described),)


class Wrapped(Persistent):
    wrap = EasyDict


class Touch:
    """What a hostile pickle does: a call of its choice while it is loaded."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def pickled(value, protocol=4):
    """The bytes of a pickle whose classes stand in modules that cannot be imported when it is read."""
    names = ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util")
    modules = {name: types.ModuleType(name) for name in names}
    for name, thing in (("torch_utils.persistence", _reconstruct_persistent_obj), ("dnnlib.util", EasyDict)):
        thing.__module__, thing.__qualname__ = name, thing.__name__
        setattr(modules[name], thing.__name__, thing)
    sys.modules.update(modules)
    try:
        return pickle.dumps(value, protocol=protocol)
    finally:
        for name in modules:
            del sys.modules[name]


@pytest.fixture
def write(tmp_path):
    def write(value, protocol=4):
        path = tmp_path / "network.pkl"
        path.write_bytes(pickled(value, protocol))
        return path

    return write


def same(found, expected):
    return list(found) == list(expected) and all(
        torch.equal(found[key], value) and found[key].dtype == value.dtype for key, value in expected.items()
    )


@pytest.mark.parametrize("network", [Persistent, Wrapped])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_the_tensors_are_those_of_the_networks_state_dict(write, network, protocol):
    made = network()
    path = write({"ema": made, "augment_pipe": None, "options": EasyDict(batch=512)}, protocol)
    assert is_pickle(path)
    assert same(load_tensors(path, key="ema"), made.state_dict())


def test_a_network_that_is_the_whole_pickle(write):
    made = Persistent()
    assert same(load_tensors(write(made)), made.state_dict())


def test_an_ordinary_network_in_a_pickle(write):
    made = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert same(load_tensors(write({"ema": made, "loss": nn.MSELoss()}), key="ema"), made.state_dict())


def test_nothing_that_the_pickle_names_is_called(write, tmp_path):
    trace = tmp_path / "it ran"
    made = Persistent()
    made.extra = Touch(trace)
    path = write({"ema": made, "hook": Touch(trace)})
    assert same(load_tensors(path, key="ema"), made.state_dict())
    with pytest.raises(WeightsError, match="no entry 'hook'"):
        load_tensors(path, key="hook")
    assert not trace.exists()
    pickle.loads(pickle.dumps(Touch(trace)))
    assert trace.exists()  # so the pickle would have run it


def test_storages_are_read_without_running_code(tmp_path):
    """torch writes a storage as a pickle in the pickle: it is held to the same rule."""
    trace = tmp_path / "it ran"
    inner = io.BytesIO()
    torch.save(Touch(trace), inner, _use_new_zipfile_serialization=False)

    class Storage:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (inner.getvalue(),)

    path = tmp_path / "network.pkl"
    path.write_bytes(pickle.dumps(Storage()))
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load_tensors(path)
    assert not trace.exists()


def test_which_files_are_pickles(tmp_path):
    path = tmp_path / "weights.pt"
    for zipped in (True, False):
        torch.save({"a": torch.ones(1)}, path, _use_new_zipfile_serialization=zipped)
        assert not is_pickle(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    assert is_pickle(path)
    with pytest.raises(WeightsError, match="holds no network"):
        load_tensors(path)


def test_modules_that_stand_in_several_places_have_all_their_names(write):
    part = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    made = nn.Sequential(part, nn.Sequential(part), part)
    assert same(load_tensors(write({"ema": made}), key="ema"), made.state_dict())


def nested(levels, name="b"):
    """A network in which each level holds the next one twice."""
    made = nn.Linear(1, 1, bias=False)
    for _ in range(levels):
        outer = nn.Module()
        outer._modules = {"a": made, name: made}
        made = outer
    return made


@pytest.mark.parametrize("network", [nested(18), nested(3, "b" * 2**20)])
def test_a_few_bytes_that_stand_for_millions_of_names_are_refused(write, network):
    with pytest.raises(WeightsError, match="names of its tensors have more than 4,194,304 characters"):
        load_tensors(write(network))


def test_one_network_under_many_keys_is_refused(write):
    made = nn.ModuleList(nn.Linear(1, 1) for _ in range(400))
    with pytest.raises(WeightsError, match="names of its tensors have more than"):
        load_tensors(write({f"network {number}": made for number in range(1000)}), key="network 0")


ITEMS = b"".join(b"C\4" + number.to_bytes(4, "little") + b"N" for number in range(2**13))


@pytest.mark.parametrize(
    ("held", "call"),
    [
        (b"c_codecs\nencode\nq\0X\0\0\1\0" + b"a" * 2**16 + b"\x85q\1", b"h\0h\1R"),
        (b"ccollections\nOrderedDict\nq\0(" + b"K\0N\x86" * 2**14 + b"l\x85q\1", b"h\0h\1R"),
        (b"csome\nclass\nq\0(" + b"N" * 2**16 + b"tq\1", b"h\0h\1R"),
        (b"csome\nclass\nq\0(" + b"N" * 2**16 + b"tq\1", b"h\0h\1\x81"),
        (b"csome\nclass\nq\0(" + b"N" * 2**16 + b"tq\1", b"h\0h\1}\x92"),
        (b"ccollections\nOrderedDict\nq\0}(" + ITEMS + b"uq\1", b"h\0)Rh\1b"),
    ],
    ids=["bytes", "mapping", "function", "class", "keywords", "attributes"],
)
@pytest.mark.parametrize(
    ("times", "says"), [(1, "holds no network but list"), (1000, "its calls are given more than the file has")]
)
def test_what_a_pickle_holds_once_is_not_copied_by_call_after_call(tmp_path, held, call, times, says):
    path = tmp_path / "network.pkl"
    path.write_bytes(b"\x80\4" + held + b"](" + call * times + b"e.")
    with pytest.raises(WeightsError, match=says):
        load_tensors(path)


def test_what_is_no_text_names_nothing(write):
    made = nn.Linear(1, 1)
    made._parameters = {frozenset({1, 2}): made.weight}
    with pytest.raises(WeightsError, match="a frozenset stands for the name"):
        load_tensors(write(made))


def test_a_truncated_pickle_is_an_error_that_names_it(write):
    path = write({"ema": Persistent()})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(WeightsError, match=r"network\.pkl: cannot be read as weights"):
        load_tensors(path, key="ema")


def test_a_converted_file_has_the_same_tensors_and_names_its_origin(write, tmp_path):
    made = Persistent()
    path, out = write({"ema": made}), tmp_path / "network.safetensors"
    assert convert(path, out, key="ema") == digest_file(out)
    found = load_tensors(out)
    assert same({key: found[key] for key in made.state_dict()}, made.state_dict())
    with safe_open(out, framework="pt") as file:
        expected = {"source": "network.pkl", "sha256": digest_file(path), "key": "ema", "allow_pickle": "False"}
        assert file.metadata() == expected
    with pytest.raises(UsageError, match="is there already"):
        convert(path, out, key="ema")
    with pytest.raises(UsageError, match="converted to safetensors"):
        convert(path, tmp_path / "network.pt", key="ema")


class Options:
    """A class of somebody's training code, without which a checkpoint cannot be unpickled."""


def test_a_file_that_is_converted_again_has_the_same_bytes(tmp_path):
    source = tmp_path / "model.pt"
    torch.save({"a": torch.arange(6.0).reshape(2, 3)}, source)
    digests = {convert(source, tmp_path / f"{number}.safetensors") for number in range(8)}
    assert len(digests) == 1


def test_the_command_converts_a_checkpoint_with_code_only_when_allowed(tmp_path, capsys):
    path, out = tmp_path / "last.ckpt", tmp_path / "last.safetensors"
    state = {"weight": torch.ones(2), "tied": torch.zeros(2)}
    state["tied"] = state["weight"]
    torch.save({"state_dict": state, "options": Options()}, path)
    assert run(["weights", "convert", str(path), str(out), "--entry", "state_dict"]) == 2
    assert "genbench weights convert" in capsys.readouterr().err
    assert not out.exists()
    assert run(["weights", "convert", str(path), str(out), "--entry", "state_dict", "--allow-pickle"]) == 0
    assert capsys.readouterr().out.split() == [digest_file(out), str(out)]
    assert same(load_tensors(out), dict(sorted(state.items())))
    assert run(["weights", "convert", str(tmp_path / "nothing.pkl"), str(out)]) == 2
