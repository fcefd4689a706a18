"""The idioms of TensorFlow 1, as programs that run unmodified on tf.estimator 2.15 and on headway."""

from __future__ import annotations

import run_cases as run_cases
import step_cases as step_cases
import team_cases as team_cases
import update_cases as update_cases
import variable_cases as variable_cases
from idiom_model import CASES as CASES
