"""Old programs, unchanged: the names of TensorFlow that are gone, put back, and what a program uses of them.

`headway run program.py` and `headway check program.py` are made of this.
"""

from __future__ import annotations

from headway.legacy._check import check as check
from headway.legacy._install import install as install
from headway.legacy._report import Finding as Finding
from headway.legacy._report import Report as Report

__all__ = ["Finding", "Report", "check", "install"]
