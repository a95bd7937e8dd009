"""Canonical JSON and SHA-256."""

import hashlib
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save

from genbench.digest import canonical, canonical_safetensors, digest, digest_bytes, digest_file

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FINITE | st.text()
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


# The first two are FIPS 180-4's examples; the third is what `printf '{"a":[1,2.5,null],"é":true}' | sha256sum` prints.
def test_known_digests():
    assert digest_bytes(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest_bytes(memoryview(b"abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    value = {"é": True, "a": [1, 2.5, None]}
    assert canonical(value) == '{"a":[1,2.5,null],"é":true}'
    assert digest(value) == "21b0ae764c2c3ce541f7107d30536b97d1033ba82b58437e03b3541048641eab"


@given(PLAIN)
def test_canonical_text_says_the_value_and_nothing_of_its_order(value):
    def reordered(part):
        if isinstance(part, dict):
            return {key: reordered(part[key]) for key in reversed(part)}
        return [reordered(item) for item in part] if isinstance(part, list) else part

    assert json.loads(canonical(value)) == value
    assert canonical(reordered(value)) == canonical(value)
    assert digest(value) == hashlib.sha256(canonical(value).encode()).hexdigest()


@given(st.tuples(PLAIN, PLAIN).filter(lambda pair: json.dumps(pair[0]) != json.dumps(pair[1])))
def test_values_of_other_text_have_other_digests(pair):
    """Up to the order of keys; 1, 1.0 and true are three values."""
    a, b = pair
    assert (digest(a) == digest(b)) == (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [1, math.nan], {"a": {"b": math.inf}}])
def test_nan_and_infinity_have_no_digest(value):
    with pytest.raises(ValueError, match=r"NaN|Out of range"):
        digest(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", {"a": object()}])
def test_what_is_not_plain_data_has_no_digest(value):
    with pytest.raises(TypeError):
        digest(value)


@pytest.mark.parametrize("size", [0, 1, 1 << 18, (1 << 18) + 1])
def test_a_files_digest_is_that_of_its_bytes(tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(bytes(i % 251 for i in range(size)))
    assert digest_file(path) == digest_bytes(path.read_bytes())


def test_equal_tensors_make_equal_safetensors_files(tmp_path):
    tensors = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "ä": np.arange(3)}
    metadata = {key: key.upper() for key in "abcdefghijklmnop"}
    files = {b"".join(canonical_safetensors(save(tensors, metadata))) for _ in range(8)}
    assert len(files) == 1
    path = tmp_path / "file.safetensors"
    path.write_bytes(files.pop())
    with safe_open(path, "numpy") as file:
        assert file.metadata() == metadata
        assert {name: file.get_tensor(name).tolist() for name in file.keys()} == {  # noqa: SIM118  # not a mapping
            name: tensor.tolist() for name, tensor in tensors.items()
        }
    assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0
