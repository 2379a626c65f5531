"""Packs what draw.mjs has written: into the file that `data.portraits` reads, or into a folder in CelebA's layout.

python pack.py shipped TRAIN TEST     # two folders of draw.mjs; writes vae_lessons/portraits.npz.xz
python pack.py celeba FOLDER ROOT     # one folder of draw.mjs, drawn at 148 pixels or more
"""

import io
import json
import lzma
from pathlib import Path

import numpy as np
import typer
from PIL import Image

app = typer.Typer(add_completion=False, no_args_is_help=True)
TARGET = Path(__file__).parents[2] / "vae_lessons" / "portraits.npz.xz"


@app.command()
def shipped(train: Path, test: Path) -> None:
    """Both sets of people, and the test people with the other glasses or the other mouth, as one compressed file."""
    arrays = {"train": pixels(train, "people"), "test": pixels(test, "people")}
    arrays |= {name: pixels(test, name) for name in ("other_glasses", "other_smile")}
    for part, folder in (("train", train), ("test", test)):
        rows = attributes(folder)
        arrays["names"] = np.array(list(rows[0]))
        arrays[f"{part}_attributes"] = np.array([list(row.values()) for row in rows], np.float32)
    file = io.BytesIO()
    np.savez(file, **arrays)
    # the long window finds the parts that a person shares with earlier ones: six times smaller than without
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 2**27}]
    TARGET.write_bytes(lzma.compress(file.getvalue(), filters=filters))
    print(f"wrote {TARGET}: {TARGET.stat().st_size / 1e6:.1f} MB")


@app.command()
def celeba(folder: Path, root: Path) -> None:
    """Pictures of 178 x 218 with the portrait in the middle, and the lists; the last sixth of the people is "test"."""
    people, rows = pixels(folder, "people"), attributes(folder)
    names = [name for name in rows[0] if {row[name] for row in rows} <= {0, 1}]
    (root / "img_align_celeba").mkdir(parents=True, exist_ok=True)
    lines, parts = [str(len(rows)), " ".join(names)], []
    for i, (person, row) in enumerate(zip(people, rows, strict=True)):
        file = f"{i + 1:06}.jpg"
        square = Image.fromarray(person).resize((148, 148), Image.Resampling.LANCZOS)
        picture = Image.new("RGB", (178, 218), tuple(person[0, 0].tolist()))
        picture.paste(square, (15, 35))
        picture.save(root / "img_align_celeba" / file, quality=95)
        lines.append(" ".join([file, *("1" if row[name] else "-1" for name in names)]))
        parts.append(f"{file} {0 if i < len(rows) * 5 // 6 else 2}")
    (root / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "list_eval_partition.txt").write_text("\n".join(parts) + "\n", encoding="utf-8")
    print(f"wrote {len(rows)} portraits to {root}")


def attributes(folder: Path) -> list[dict]:
    return json.loads((folder / "attributes.json").read_text(encoding="utf-8"))


def pixels(folder: Path, name: str) -> np.ndarray:
    flat = np.fromfile(folder / f"{name}.bin", np.uint8)
    n = len(attributes(folder))
    size = round((len(flat) / n / 3) ** 0.5)
    return flat.reshape(n, size, size, 3)


if __name__ == "__main__":
    app()
