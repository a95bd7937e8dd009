"""Errors carry what, where and the next step, and an exit code of the design."""

import pytest

from genbench import errors
from genbench.errors import GenbenchError, RunFailedError, UsageError, nearest, unknown

SUBCLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, GenbenchError)]


@pytest.mark.parametrize("kind", SUBCLASSES)
def test_an_error_says_what_and_what_next(kind):
    error = kind("a.toml: key: wrong", hint="correct it")
    assert (str(error), error.hint) == ("a.toml: key: wrong", "correct it")
    with pytest.raises(TypeError):
        kind("no way out is given")


def test_exit_codes_are_those_of_the_design_and_of_the_module_docstring():
    """0 done, 1 the answer is no, 2 misuse, 3 genbench crashed."""
    assert GenbenchError.exit_code == 3
    assert RunFailedError.exit_code == 1
    others = [kind for kind in SUBCLASSES if kind not in (GenbenchError, RunFailedError)]
    assert others
    assert {kind.exit_code for kind in others} == {2}
    for kind in SUBCLASSES:
        line = next(line for line in errors.__doc__.splitlines() if line.split()[:1] == [kind.__name__])
        assert str(kind.exit_code) in line


def test_nearest_names_best_first_whatever_their_case():
    known = ["sit-emoji32", "sit-xl2-256", "dit-xl2-256", "EDM"]
    assert nearest("sit-xl2-265", known) == ["sit-xl2-256", "dit-xl2-256"]
    assert nearest("edm", known) == ["EDM"]
    assert nearest("sit-xl2-256", known, limit=1) == ["sit-xl2-256"]
    assert nearest("zzzzzz", known) == []
    assert nearest("a", []) == []


@pytest.mark.parametrize(
    ("name", "known", "kwargs", "message", "hint"),
    [
        ("fod", ["fid", "kid"], {"where": "quick.toml"}, "no metric named 'fod' in quick.toml", "did you mean fid?"),
        ("kidd", ["fid", "kid"], {}, "no metric named 'kidd'", "did you mean kid or fid?"),
        ("zz", ["fid"], {"lister": "genbench list"}, "no metric named 'zz'", "`genbench list` lists the known ones"),
        ("zz", ["kid", "fid"], {}, "no metric named 'zz'", "known: fid, kid"),
        ("zz", [], {}, "no metric named 'zz'", "known: none"),
    ],
)
def test_an_unknown_name_is_answered_with_what_is_known(name, known, kwargs, message, hint):
    error = unknown("metric", name, known, **kwargs)
    assert isinstance(error, UsageError)
    assert (str(error), error.hint) == (message, hint)
