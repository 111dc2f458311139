"""Machines that train and run networks. MXNet: ``mx.mod``."""

from __future__ import annotations

from symjit.module.base_module import BaseModule as BaseModule
from symjit.module.bucketing_module import BucketingModule as BucketingModule
from symjit.module.module import Module as Module
from symjit.module.python_module import PythonLossModule as PythonLossModule
from symjit.module.python_module import PythonModule as PythonModule
from symjit.module.sequential_module import SequentialModule as SequentialModule
