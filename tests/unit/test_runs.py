"""Runs: selection by globs, ad-hoc settings, and what their digests cover."""

import copy
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbench import reconstruct
from genbench.cards import MethodCard, load_cards
from genbench.errors import ConfigError, UsageError
from genbench.methods.runs import make_run, parse_overrides, select
from genbench.suites import ReconstructionSuite, load_suite

ROOT = Path(__file__).parent.parent.parent
CARDS = load_cards([ROOT / "registry"])
DATA = tomllib.loads((ROOT / "registry" / "sit.toml").read_text())
VARIANT, PRESET = "sit-emoji32", "ode25-cfg2"


def names(patterns, overrides=None, dataset="emoji32", resolution=32, cards=CARDS):
    return [run.name for run in select(cards, patterns, overrides or {}, dataset=dataset, resolution=resolution)]


def test_every_preset_of_every_card_resolves_and_no_two_make_the_same_pixels():
    made = [
        make_run(card, name, preset, {})
        for card in CARDS.values()
        for name, variant in card.variants.items()
        for preset in variant.presets
    ]
    assert len(made) >= 7
    assert len({run.digest(run.variant_name) for run in made}) == len(made)
    for run in made:
        assert run.given == run.variant.presets[run.preset]
        assert run.given.items() <= run.settings.items()


@pytest.mark.parametrize("path", sorted((ROOT / "suites").glob("*.toml")), ids=lambda p: p.stem)
def test_every_suites_runs_select_something_and_only_what_fits(path):
    suite = load_suite(path)
    if isinstance(suite, ReconstructionSuite):
        assert [card.id for card in reconstruct.select(suite.runs, [ROOT / "registry"])] == list(suite.runs)
        return
    makers = [v for card in CARDS.values() for v in card.variants.values() if v.dataset == suite.dataset]
    if not any(v.resolution == suite.resolution for v in makers):
        pytest.skip("no card of the repository makes such images yet: the suite is for images that exist already")
    for pattern in suite.runs:
        runs = select(CARDS, [pattern], {}, dataset=suite.dataset, resolution=suite.resolution)
        assert runs
        assert {(r.variant.dataset, r.variant.resolution) for r in runs} == {(suite.dataset, suite.resolution)}


def test_globs_keep_the_order_of_patterns_and_repeat_nothing():
    two = {name: CARDS["sit"].variants[name] for name in ("sit-emoji32", "sit-xl2-256")}
    cards = {"sit": CARDS["sit"].model_copy(update={"variants": two})}
    assert names(["sit-emoji32"], cards=cards) == ["sit-emoji32@ode25-cfg2"]
    assert names(["sit-*@ode8*", "*@ode*", "sit-emoji32@ode25"], cards=cards) == [
        "sit-emoji32@ode8-cfg2",
        "sit-emoji32@ode25",
        "sit-emoji32@ode25-cfg2",
    ]
    assert set(names(["*@*"], cards=cards)) == {f"sit-emoji32@{p}" for p in DATA["variants"]["sit-emoji32"]["presets"]}
    assert names(["sit-xl2-256"], dataset="imagenet", resolution=256, cards=cards) == ["sit-xl2-256@sde250-cfg1.5"]


@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        ("sit-emojy32", "no method named 'sit-emojy32'", "did you mean sit-emoji32"),
        ("sit-emoji32@ode52", "no preset named 'ode52' in variant sit-emoji32", "did you mean ode25"),
        ("sit", "'sit' is a method, not a run", "its variants: sit-emoji32, sit-xl2-256"),
        ("biggan", "BigGAN cannot be run: genbench has no network of this family", "genbench score PATH --suite"),
        ("BigGAN", "no method named 'BigGAN'", "did you mean biggan"),
        ("biggan@any", "BigGAN cannot be run", "genbench show published biggan"),
        ("sit-xl2-256", "sit-xl2-256 makes imagenet images of 256 px", "list suites"),
        ("zzz*", "no method named 'zzz*'", "genbench list methods"),
        ("", "no method named ''", "genbench list methods"),
    ],
)
def test_a_pattern_that_matches_nothing_says_what_is_near(pattern, message, hint):
    with pytest.raises(UsageError) as caught:
        names([pattern])
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_overrides_are_read_as_json_where_they_are_json():
    found = parse_overrides(["steps=50", "cfg=1.5", "integrator=heun", "cfg_channels=null", "x=true", 'y="5"', "z=a=b"])
    assert found == {
        "steps": 50,
        "cfg": 1.5,
        "integrator": "heun",
        "cfg_channels": None,
        "x": True,
        "y": "5",
        "z": "a=b",
    }


@pytest.mark.parametrize(
    "text", ["steps", "=5", "steps=[1]", 'steps={"a": 1}', "cfg=NaN", "cfg=Infinity", "cfg=-Infinity"]
)
def test_overrides_that_are_no_setting_are_refused(text):
    with pytest.raises(UsageError, match="--set"):
        parse_overrides([text])


def test_an_override_names_the_run_and_an_idle_one_does_not():
    assert names(["sit-emoji32@ode25"], {"steps": 51, "cfg": 3.0}) == ["sit-emoji32@ode25+cfg=3.0+steps=51"]
    assert names(["sit-emoji32@ode25"], {"steps": 26}) == ["sit-emoji32@ode25"]
    plain, changed = (make_run(CARDS["sit"], VARIANT, PRESET, o) for o in ({}, {"steps": 51}))
    assert changed.settings["steps"] == 51
    assert changed.digest("w") != plain.digest("w")
    spelled_out = make_run(CARDS["sit"], VARIANT, PRESET, {"integrator": "euler"})
    assert spelled_out.digest("w") == plain.digest("w"), "a default that is spelled out changes no pixel"


def test_a_name_stays_one_folder():
    card = user_card()
    run = make_run(card, "mine", "p", {"path": "../../etc"})
    assert "/" not in run.name


def user_card():
    data = copy.deepcopy(DATA)
    data["method"]["sampler"] = "genbench.methods.noise:SeededNoise"  # any class: nothing is built here
    data["variants"] = {"mine": {**data["variants"][VARIANT], "presets": {"p": {"a": 1}}, "default_preset": "p"}}
    return MethodCard.model_validate(data)


@pytest.mark.parametrize(
    ("overrides", "message", "hint"),
    [
        ({"step": 5}, "unknown key 'step'", "did you mean steps"),
        ({"intergrator": "heun"}, "unknown key 'intergrator'", "did you mean integrator"),
        ({"integrator": "rk4"}, "integrator: should be 'euler', 'heun', 'midpoint' or 'dopri5', not 'rk4'", "correct"),
        ({"steps": 1}, "steps: should be greater than or equal to 2, not 1", "correct"),
        ({"mode": "sde", "integrator": "dopri5"}, "an sde is integrated by euler or heun, not dopri5", "correct"),
    ],
)
def test_settings_that_the_family_does_not_have_are_refused(overrides, message, hint):
    with pytest.raises(ConfigError) as caught:
        make_run(CARDS["sit"], VARIANT, PRESET, overrides)
    assert str(caught.value).startswith(f"sit.toml: variants.{VARIANT}.presets.{PRESET} with --set: ")
    assert message in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("hidden_sise", 160, "unknown key 'hidden_sise'"),
        ("depth", 0, "depth: should be greater than 0"),
        ("depth", "five", "depth: should be a valid integer"),
        ("num_heads", 7, "num_heads 7 does not divide hidden_size 160"),
        ("patch_size", 5, "patch_size 5 does not divide input_size 32"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused_before_anything_is_loaded(key, value, message):
    data = copy.deepcopy(DATA)
    data["variants"][VARIANT]["network"][key] = value
    with pytest.raises(ConfigError) as caught:
        make_run(MethodCard.model_validate(data), VARIANT, PRESET, {})
    assert str(caught.value).startswith(f"sit.toml: variants.{VARIANT}.network: ")
    assert message in str(caught.value)


def digest_of(data, weights="0" * 64, variant=VARIANT, preset=PRESET):
    return make_run(MethodCard.model_validate(data), variant, preset, {}).digest(weights)


PLAIN = digest_of(DATA)


def reordered(value):
    """The same tables with their keys in the opposite order."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return value


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest_of(reordered(DATA)) == PLAIN


WORDS = st.text("abcdefghij", min_size=1, max_size=8)


@given(st.sampled_from(["name", "title", "paper", "code", "licence", "summary", "dataset", "claims", "weights"]), WORDS)
def test_a_digest_does_not_cover_names_summaries_and_claims(field, word):
    data = copy.deepcopy(DATA)
    variant = data["variants"][VARIANT]
    match field:
        case "summary" | "dataset":
            variant[field] = word
        case "claims":
            variant["claims"] = [{"metric": "fid", "value": 1.0, "source": word}]
        case "weights":  # where the file comes from; what it holds is the digest's argument
            variant["weights"] = {"file": f"{word}.safetensors", "licence": word}
        case _:
            data["method"][field] = word
    assert digest_of(data) == PLAIN


def test_a_digest_does_not_cover_what_variant_and_preset_are_called():
    data = copy.deepcopy(DATA)
    data["method"]["id"] = "other"
    variant = data["variants"].pop(VARIANT)
    variant["presets"]["fresh"] = variant["presets"].pop(PRESET)
    variant["default_preset"] = "fresh"
    data["variants"]["renamed"] = variant
    assert digest_of(data, variant="renamed", preset="fresh") == PLAIN


CHANGES = {
    "network": {
        "input_size": st.sampled_from([16, 64]),
        "patch_size": st.sampled_from([2, 8]),
        "in_channels": st.integers(4, 9),
        "hidden_size": st.sampled_from([80, 320]),
        "depth": st.integers(6, 30),
        "num_heads": st.sampled_from([2, 10]),
        "mlp_ratio": st.sampled_from([2.0, 3.5]),
        "num_classes": st.integers(10, 1000),
        "learn_sigma": st.just(True),
    },
    "settings": {
        "mode": st.just("sde"),
        "steps": st.integers(27, 1000),
        "integrator": st.sampled_from(["heun", "midpoint", "dopri5"]),
        "path": st.sampled_from(["gvp", "vp"]),
        "prediction": st.sampled_from(["noise", "score"]),
        "cfg": st.floats(2.001, 20),
        "cfg_channels": st.sampled_from([None, 1, 2, 4]),
        "rtol": st.floats(1e-8, 9e-4),
        "atol": st.floats(1e-9, 9e-7),
        "diffusion": st.sampled_from(["linear", "constant", "decreasing", "increasing-decreasing"]),
        "diffusion_norm": st.floats(1.01, 4),
        "last_step": st.sampled_from(["euler", "tweedie", "none"]),
        "last_step_size": st.floats(0.05, 0.5),
        "dtype": st.sampled_from(["bfloat16", "float16"]),
        "weights": st.sampled_from(["bfloat16", "int8"]),
        "compile": st.just(True),
    },
    "variant": {
        "quantise": st.sampled_from(["half", "truncate"]),
        "resolution": st.integers(33, 512),
    },
}


def test_the_changes_below_are_of_every_field_that_a_card_has():
    run = make_run(CARDS["sit"], VARIANT, PRESET, {})
    assert set(CHANGES["settings"]) == set(run.settings)
    assert set(CHANGES["network"]) == set(run.variant.network)
    left_out = {
        "summary",
        "dataset",
        "classes",
        "weights",
        "presets",
        "default_preset",
        "claims",
        "network",
        "manifest",
        "checkpoint",
    }
    left_out |= {"decoder", "companions"}  # their identities are arguments of the digest
    left_out |= {"prompted"}  # the prompts are in the identity of the images
    assert set(CHANGES["variant"]) | left_out == set(type(run.variant).model_fields)


@given(st.sampled_from([(part, key) for part, keys in CHANGES.items() for key in keys]), st.data())
def test_a_digest_covers_every_field_that_can_change_a_pixel(field, data):
    part, key = field
    changed = copy.deepcopy(DATA)
    variant = changed["variants"][VARIANT]
    target = {"network": variant["network"], "settings": variant["presets"][PRESET], "variant": variant}[part]
    target[key] = data.draw(CHANGES[part][key])
    if target[key] is None:  # TOML has no null: only --set can say it
        target.pop(key)
        run = make_run(MethodCard.model_validate(changed), VARIANT, PRESET, {key: None})
        assert run.digest("0" * 64) != PLAIN
        return
    assert digest_of(changed) != PLAIN


def test_a_digest_covers_the_weights_and_the_version_of_the_arithmetic():
    assert digest_of(DATA, weights="1" * 64) != PLAIN
    assert digest_of(DATA, weights=None) != PLAIN
    run = make_run(CARDS["sit"], VARIANT, PRESET, {})
    newer = type(run)(**{**vars(run), "family": run.family._replace(version="2")})
    assert newer.digest("0" * 64) != run.digest("0" * 64) == PLAIN
