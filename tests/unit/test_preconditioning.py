"""The preconditioners of EDM and of consistency models on their own."""

import pytest
import torch

from genbench.methods.preconditioning import Scalings, boundary_scalings, edm_scalings


def test_boundary_scalings_are_the_identity_at_the_smallest_level():
    found = boundary_scalings(torch.tensor([0.002, 80.0, 1.382368], dtype=torch.float64), sigma_min=0.002)
    assert (float(found.skip[0]), float(found.out[0])) == (1.0, 0.0)
    # Consistency models' factors at 80 and at the middle level of two steps, worked out in float64.
    assert found.skip[1:].tolist() == pytest.approx([3.9062927e-05, 0.11598691], rel=1e-6)
    assert found.out[1:].tolist() == pytest.approx([0.49997773, 0.46950844], rel=1e-6)
    assert found.inner[1:].tolist() == pytest.approx([0.012499756, 0.68026563], rel=1e-6)


def test_edm_scalings_keep_unit_variance():
    """Of data with variance 1/4 and noise σ², inner·x has variance 1 and so has the target (data - skip·x) / out."""
    sigma = torch.tensor([0.01, 0.5, 3.0, 80.0], dtype=torch.float64)
    found = edm_scalings(sigma)
    one = torch.ones(4, dtype=torch.float64)
    assert torch.allclose(found.inner**2 * (0.25 + sigma**2), one)
    assert torch.allclose(((1 - found.skip) ** 2 * 0.25 + found.skip**2 * sigma**2) / found.out**2, one)


def test_denoised_adds_what_the_network_makes_of_the_scaled_images():
    scalings = Scalings(torch.tensor([0.5, 0.25]), torch.tensor([2.0, 1.0]), torch.tensor([3.0, 1.0]))
    found = scalings.denoised(torch.ones(2, 1, 2, 2), lambda inner: inner + 1)
    assert torch.equal(found[:, 0, 0, 0], torch.tensor([0.5 + 2 * 4, 0.25 + 2]))
