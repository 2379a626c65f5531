"""Compare every notebook's outputs under several processor settings: `python tests/cpus.py`.

Threads and vector instructions change the order of additions, and with it the last digits of the sums.
The notebooks' outputs must not depend on that.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent


def instructions(aten: str, onednn: str, mkl: str, openblas: str, numpy_without: str) -> dict[str, str]:
    """Environment variables that limit PyTorch, its libraries and NumPy to one instruction set."""
    return {
        "ATEN_CPU_CAPABILITY": aten,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "MKL_ENABLE_INSTRUCTIONS": mkl,
        "OPENBLAS_CORETYPE": openblas,
        "NPY_DISABLE_CPU_FEATURES": numpy_without,
    }


AVX512 = "X86_V4 AVX512_ICL AVX512_SPR"  # NumPy's names
# name: environment variables, and PyTorch's names for the processors that have these instructions
SETTINGS = {
    "one thread": ({"OMP_NUM_THREADS": "1"}, None),
    "two threads": ({"OMP_NUM_THREADS": "2"}, None),
    "no AVX": (instructions("default", "SSE41", "SSE4_2", "Nehalem", "X86_V3 " + AVX512), ("AVX2", "AVX512")),
    "AVX2": (instructions("avx2", "AVX2", "AVX2", "Haswell", AVX512), ("AVX2", "AVX512")),
    "AVX-512": (instructions("avx512", "AVX512_CORE", "AVX512", "SkylakeX", ""), ("AVX512",)),
}


def compare(variables: dict[str, str], arguments: list[str]) -> tuple[int, int]:
    """Run nbval on the notebooks in this environment and count the cells that passed and failed."""
    folders = [name for name in ("notebooks", "solutions") if (ROOT / name).is_dir()]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        workers = "1" if variables.get("OMP_NUM_THREADS") == "2" else "2"  # more threads than cores are very slow
        command = [sys.executable, "-m", "pytest", "-q", "-n", workers, "--dist", "loadfile"]
        command += ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600", f"--junitxml={report}"]
        command += [*folders, *arguments]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "JUPYTER_PLATFORM_DIRS": "1"} | variables
        code = subprocess.run(command, cwd=ROOT, env=environment).returncode
        if not report.exists():
            return 0, 1
        counts = ElementTree.parse(report).getroot().find("testsuite").attrib
    failed = int(counts["failures"]) + int(counts["errors"])
    passed = int(counts["tests"]) - failed - int(counts["skipped"])
    return passed, max(failed, int(code != 0))


def main(arguments: list[str]) -> int:
    """Run every setting that this processor supports; return 1 if any comparison failed."""
    capability = torch.backends.cpu.get_cpu_capability()
    lines, worst = [f"{'setting':12} {'passed':>7} {'failed':>7}"], 0
    for name, (variables, processors) in SETTINGS.items():
        if processors and capability not in processors:
            lines.append(f"{name:12} this processor ({capability}) does not support it")
            continue
        print(f"\n{name}: " + " ".join(f"{key}={value}" for key, value in variables.items()), flush=True)
        passed, failed = compare(variables, arguments)
        worst = max(worst, min(failed, 1))
        lines.append(f"{name:12} {passed:7} {failed:7}")
    print("\n" + "\n".join(lines))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
