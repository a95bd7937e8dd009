"""Method cards: what a file may say, and which folder's file counts."""

import copy
import shutil
import tomllib
from pathlib import Path

import pytest

from genbench.cards import MethodCard, card_files, load_card, load_cards, variants
from genbench.errors import ConfigError, UsageError
from genbench.schema import check

REGISTRY = Path(__file__).parent.parent.parent / "registry"
DATA = tomllib.loads((REGISTRY / "sit.toml").read_text())


@pytest.mark.parametrize("path", sorted(REGISTRY.glob("*.toml")), ids=lambda p: p.stem)
def test_every_card_of_the_repository_loads_and_says_where_its_claims_come_from(path):
    card = load_card(path)
    assert card.method.paper or card.method.code
    for name, variant in card.variants.items():
        assert variant.default_preset in variant.presets
        hosted = card.method.sampler == "diffusers"  # by the network's hub and revision
        own = name.endswith("emoji32")
        assert variant.weights is not None or hosted or own, "an official variant names its weights"
        assert all(claim.source for claim in variant.claims)


def test_the_repositorys_variants_have_unique_names():
    known = variants(load_cards([REGISTRY]))
    assert {"sit-emoji32", "sit-xl2-256"} <= set(known)
    assert known["sit-emoji32"][0].method.id == "sit"


def changed(path, value):
    """The repository's card with one key changed; `...` removes it."""
    data = copy.deepcopy(DATA)
    *tables, key = path
    target = data
    for table in tables:
        target = target[table]
    if value is ...:
        del target[key]
    else:
        target[key] = value
    return data


EMOJI = ("variants", "sit-emoji32")
OFFICIAL = ("variants", "sit-xl2-256")


@pytest.mark.parametrize(
    ("path", "value", "message", "hint"),
    [
        (("method", "papper"), "x", "unknown key 'method.papper'", "did you mean paper"),
        (("varients",), {}, "unknown key 'varients'", "did you mean variants?"),
        (
            (*EMOJI, "quantize"),
            "round",
            "unknown key 'variants.sit-emoji32.quantize'",
            "did you mean quantise or manifest?",
        ),
        (
            (*OFFICIAL, "weights", "sha265"),
            "0",
            "unknown key 'variants.sit-xl2-256.weights.sha265'",
            "did you mean sha256",
        ),
        (
            (*OFFICIAL, "claims", 0, "score"),
            1,
            "unknown key 'variants.sit-xl2-256.claims.0.score'",
            "did you mean source",
        ),
        ((*EMOJI, "quantise"), "floor", "variants.sit-emoji32.quantise: should be 'round', 'half' or 'truncate'", ""),
        ((*EMOJI, "resolution"), 0, "variants.sit-emoji32.resolution: should be greater than 0, not 0", ""),
        ((*EMOJI, "classes"), ..., "key 'variants.sit-emoji32.classes' is missing", "add classes"),
        ((*EMOJI, "default_preset"), ..., "key 'variants.sit-emoji32.default_preset' is missing", "add default_preset"),
        ((*EMOJI, "default_preset"), "fast", "variants.sit-emoji32: preset 'fast' is not one of ode25, ode25-cfg2", ""),
        ((*OFFICIAL, "claims", 0, "preset"), "sde", "variants.sit-xl2-256: preset 'sde' is not one of sde250", ""),
        ((*EMOJI, "presets"), {}, "variants.sit-emoji32.presets: ", ""),
        ((*EMOJI, "presets", "ode25", "steps"), [1], "variants.sit-emoji32.presets.ode25.steps: should be one of", ""),
        ((*EMOJI, "presets", "a/b"), {"steps": 2}, "variants.sit-emoji32.presets.a/b: String should match", ""),
        (("variants", "A@B"), DATA["variants"]["sit-emoji32"], "variants.A@B: String should match", ""),
        (("variants",), {}, "content: has either variants or, in method.unavailable", ""),
        ((*OFFICIAL, "weights", "sha256"), "ABC", "variants.sit-xl2-256.weights.sha256: String should match", ""),
        *(
            (
                (*OFFICIAL, "weights", "file"),
                name,
                f"variants.sit-xl2-256.weights.file: should be a file name inside the weights folder, not {name!r}",
                "",
            )
            for name in ("../x.pt", "/x.pt", "a/../../x.pt", "a\\x.pt", "C:x.pt", "a\0.pt", "")
        ),
        (
            (*EMOJI, "network", "mlp_ratio"),
            float("nan"),
            "variants.sit-emoji32.network: holds what a digest cannot",
            "",
        ),
        (
            (*EMOJI, "network", "x"),
            tomllib.loads("x=2026-01-01")["x"],
            "variants.sit-emoji32.network: holds what a",
            "",
        ),
    ],
)
def test_what_a_card_may_not_say(path, value, message, hint):
    with pytest.raises(ConfigError) as caught:
        check(MethodCard, changed(path, value), "sit.toml")
    assert str(caught.value).startswith(f"sit.toml: {message}")
    assert caught.value.hint.startswith(hint)
    assert caught.value.hint


CARD = """
method = {{ id = "{id}", name = "N", title = "{title}", sampler = "sit" }}
[variants.{variant}]
summary = "s"
dataset = "d"
resolution = 32
classes = 0
quantise = "half"
network = {{}}
presets.p = {{}}
default_preset = "p"
"""


def write(folder, stem, variant, title="T", method=None):
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}.toml"
    path.write_text(CARD.format(id=method or stem, title=title, variant=variant))
    return path


def test_a_file_is_called_after_its_method(tmp_path):
    path = write(tmp_path, "mine", "v", method="yours")
    with pytest.raises(ConfigError, match=r"mine\.toml: method\.id is 'yours'") as caught:
        load_card(path)
    assert caught.value.hint == "rename the file to yours.toml"


def test_an_earlier_folder_wins_file_by_file(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    write(first, "a", "va", title="mine")
    write(second, "a", "va", title="theirs")
    write(second, "b", "vb")
    assert card_files([first, second]) == [first / "a.toml", second / "b.toml"]
    cards = load_cards([first, second])
    assert list(cards) == ["a", "b"]
    assert cards["a"].method.title == "mine"
    assert load_cards([second, first])["a"].method.title == "theirs"
    assert load_cards([tmp_path / "absent"]) == {}


def test_a_hidden_broken_file_is_not_read(tmp_path):
    write(tmp_path / "first", "a", "va")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "a.toml").write_text("not toml")
    assert list(load_cards([tmp_path / "first", tmp_path / "second"])) == ["a"]
    with pytest.raises(ConfigError, match=r"second/a\.toml: not valid TOML"):
        load_cards([tmp_path / "second"])


def test_two_methods_that_name_one_variant_are_both_named(tmp_path):
    write(tmp_path, "a", "same")
    write(tmp_path, "b", "same")
    with pytest.raises(ConfigError) as caught:
        load_cards([tmp_path])
    assert str(caught.value) == f"{tmp_path}/b.toml: variant 'same' is already defined in {tmp_path}/a.toml"


def test_a_method_names_a_sampler_and_variants_or_why_there_are_none(tmp_path):
    folder = tmp_path / "unavailable"
    folder.mkdir()
    path = folder / "gone.toml"
    head = '[method]\nid = "gone"\nname = "Gone"\ntitle = "t"\n'
    path.write_text(f'{head}unavailable = "No weights are published."\n')
    assert load_cards([tmp_path])["gone"].variants == {}
    with pytest.raises(UsageError, match="Gone cannot be run: No weights are published") as caught:
        _ = load_card(path).sampler
    assert "genbench score PATH" in (caught.value.hint or "")
    for rest, message in [
        ("", "names either a sampler or, in unavailable, why there is none"),
        ('sampler = "sit"\nunavailable = "x"', "names either a sampler or, in unavailable, why there is none"),
        ('sampler = "sit"', "has either variants or, in method.unavailable, why there are none"),
    ]:
        path.write_text(f"{head}{rest}\n")
        with pytest.raises(ConfigError, match=message):
            load_card(path)


def test_the_repositorys_unavailable_methods_are_of_no_other_card():
    unavailable = {path.stem for path in REGISTRY.glob("unavailable/*.toml")}
    assert unavailable & {path.stem for path in REGISTRY.glob("*.toml")} == set(), "delete the one in unavailable/"
    methods = {name: card.method for name, card in load_cards([REGISTRY]).items() if card.method.unavailable}
    assert unavailable == methods.keys()
    assert all(method.unavailable.endswith(".") and method.year for method in methods.values())


def test_a_copy_of_the_registry_in_front_of_it_changes_nothing(tmp_path):
    (tmp_path / "unavailable").mkdir()
    for path in [*REGISTRY.glob("*.toml"), *REGISTRY.glob("unavailable/*.toml")]:
        shutil.copy(path, tmp_path / path.relative_to(REGISTRY))
    assert load_cards([tmp_path, REGISTRY]) == load_cards([REGISTRY])
