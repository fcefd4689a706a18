"""Runs programs on headway, each in a process of its own that is forked once TensorFlow has been imported.

    python run_forked.py gan bert_tpu

Every program finds the state of a fresh process, as under `headway run`, without waiting for the imports again. For
each it prints a line of JSON: its name, exit status, output, and the end of its log.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow  # noqa: F401

import headway.tf_estimator  # noqa: F401
from headway import cli

FOLDER = Path(__file__).resolve().parent


def run_here(name: str, folder: str) -> NoReturn:
    """Becomes `headway run name.py --dir folder`, with its output and its log in files of the folder."""
    for stream, descriptor in (("out", 1), ("log", 2)):
        os.dup2(os.open(os.path.join(folder, stream), os.O_WRONLY | os.O_CREAT), descriptor)
    data = os.path.join(folder, "data")
    os.mkdir(data)
    status = 1
    try:
        status = cli.main(["headway", "run", str(FOLDER / f"{name}.py"), "--dir", data])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    """Runs the programs that the command line names, one after the other."""
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            child = os.fork()
            if child == 0:
                run_here(name, folder)
            _, status = os.waitpid(child, 0)
            out, log = (Path(folder, stream).read_text(errors="replace") for stream in ("out", "log"))
        line = {"name": name, "status": os.waitstatus_to_exitcode(status), "output": out, "log": log[-3000:]}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
