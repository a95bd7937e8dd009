import io

import numpy as np
import pytest
from PIL import Image

from genbench.errors import ImageError
from genbench.images.decode import decode

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})])
def test_lossless_formats_give_back_the_pixels(kind, options):
    pixels, facts = decode(encoded(Image.fromarray(PIXELS), kind, **options), name="x", place="x")
    assert facts == ("x", kind, "RGB", 7, 9)
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, PIXELS.transpose(2, 0, 1))


# Expected pixels are Pillow's own `convert("RGB")`, which is what torch-fidelity and clean-fid feed their networks.
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_other_modes_become_rgb_as_in_the_peers(mode):
    image = Image.fromarray(PIXELS).convert(mode)
    if mode == "RGBA":
        image.putalpha(60)
    pixels, facts = decode(encoded(image, "PNG"), name="x", place="x")
    assert facts.mode == mode
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def test_alpha_is_dropped_not_composited():
    image = Image.fromarray(PIXELS)
    image.putalpha(0)
    np.testing.assert_array_equal(decode(encoded(image, "PNG"), name="x", place="x").pixels, PIXELS.transpose(2, 0, 1))


def test_a_palette_with_transparency_raises_no_warning():
    image = Image.fromarray(PIXELS).quantize(8)
    data = encoded(image, "PNG", transparency=b"\x00\x80\xff")
    pixels, facts = decode(data, name="x", place="x")
    assert facts.mode == "P"
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")).transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_is_read_as_pillow_reads_it(mode):
    data = encoded(Image.fromarray(PIXELS).convert(mode), "JPEG", quality=90)
    pixels, facts = decode(data, name="x", place="x")
    assert (facts.format, facts.mode) == ("JPEG", mode)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def test_a_jpeg_with_further_pictures_is_its_first():
    first, second = Image.fromarray(PIXELS), Image.new("RGB", (3, 3))
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    pixels, facts = decode(data, name="x", place="x")
    assert facts.format == "JPEG"
    assert pixels.shape == (3, 9, 7)


def test_sixteen_bit_greyscale_is_refused_because_it_would_be_clipped():
    deep = Image.fromarray(np.full((4, 4), 40_000, np.uint16))
    with pytest.raises(ImageError, match="deep: mode I;16") as caught:
        decode(encoded(deep, "PNG"), name="x", place="deep")
    assert "257" in caught.value.hint


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PPM"])
def test_formats_that_are_not_read_are_no_images(kind):
    with pytest.raises(ImageError, match="not an image that genbench reads"):
        decode(encoded(Image.fromarray(PIXELS), kind), name="x", place="x")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_a_truncated_image_is_refused_at_any_length(kind):
    data = encoded(Image.fromarray(PIXELS), kind)
    end = 20 if kind == "PNG" else 0  # two checksums and the end chunk, whose loss Pillow forgives: no pixel is missing
    for length in range(0, len(data) - end, 7):
        with pytest.raises(ImageError, match="x: "):
            decode(data[:length], name="x", place="x")
