"""Where a number came from."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genbench import __version__, provenance


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A repository with a package in it, committed."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return package


def test_commit_and_dirty_flag_of_a_checkout(checkout):
    commit = git(checkout, "rev-parse", "HEAD")
    assert provenance._git_state(checkout) == (commit, False)
    (checkout / "untracked.py").write_text("")
    assert provenance._git_state(checkout) == (commit, False)
    (checkout / "__init__.py").write_text("changed = True")
    assert provenance._git_state(checkout) == (commit, True)


def test_a_package_that_the_repository_does_not_track_has_no_commit(checkout):
    """A wheel installed into a virtual environment inside somebody's repository."""
    installed = checkout.parent / ".venv" / "package"
    shutil.copytree(checkout, installed)
    assert provenance._git_state(installed) == (None, None)


def test_without_a_repository_or_without_git_there_is_no_commit(checkout, tmp_path_factory, monkeypatch):
    assert provenance._git_state(tmp_path_factory.mktemp("plain")) == (None, None)
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))
    assert provenance._git_state(checkout) == (None, None)


def test_what_this_process_computed_with(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/genbench", "run", "quick"])
    found = provenance.collect("cpu")
    assert found.genbench == __version__
    assert found.python == platform.python_version()
    assert found.packages["torch"] == torch.__version__
    assert {"numpy", "pillow", "duckdb", "safetensors"} <= set(found.packages)
    assert (found.device, found.threads) == ("cpu", torch.get_num_threads())
    assert found.argv == ["genbench", "run", "quick"], "the folder of the program is nobody's business"
    assert found.processor
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_flags_that_can_move_a_digit_are_recorded(monkeypatch):
    before = provenance.collect("cpu")
    assert (before.deterministic, before.tf32) == (False, torch.backends.cuda.matmul.allow_tf32)
    # Setting determinism for real imports torch's compiler, which takes seconds.
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    torch.backends.cuda.matmul.allow_tf32 = not before.tf32
    try:
        after = provenance.collect("cpu")
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before.tf32
    assert (after.deterministic, after.tf32) == (True, not before.tf32)


def test_packages_that_are_not_installed_are_left_out(monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "absent-for-test"))
    assert list(provenance.collect("cpu").packages) == ["numpy"]


def test_a_machine_without_proc_cpuinfo_names_its_processor(monkeypatch):
    def absent(self, *_, **__):
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", absent)
    assert provenance._processor() == (platform.processor() or platform.machine())


@pytest.mark.parametrize(
    ("argument", "kept"),
    [
        ("https://me:secret@example.org:8080/a/b.npz", "https://example.org:8080/a/b.npz"),
        ("https://example.org/a.npz?token=secret&x=1#secret", "https://example.org/a.npz"),
        ("--images=s3://key:secret@bucket/x?sig=secret", "--images=s3://bucket/x"),
        ("https://me:se@cret@host/x?token=secret", "https://host/x"),
        ("ray://u:secret@secret@h:1", "ray://h:1"),
        ("s3://key:sec/ret@bucket/x", "s3://bucket/x"),
        ("https://me:sec?ret#@host/x", "https://host/x"),
        ("http://a:secret@h/x,http://b:secret@h/y?secret", "http://h/x,http://h/y"),
        ("https://example.org:8080/@me/a", "https://example.org:8080/@me/a"),
        ("sit-*@ode?5", "sit-*@ode?5"),
        ("what is a#b at me@example.org?", "what is a#b at me@example.org?"),
    ],
)
def test_secrets_in_addresses_stay_out_of_the_recorded_command_line(monkeypatch, argument, kept):
    monkeypatch.setattr(sys, "argv", ["genbench", "run", argument])
    assert provenance.collect("cpu").argv == ["genbench", "run", kept]


def test_nothing_of_the_environment_is_recorded(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_the_environment")
    assert "hf_secret" not in provenance.collect("cpu").model_dump_json()
