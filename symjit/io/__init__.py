"""``mx.io``: batches of training data from arrays and files.

Iterators of images and RecordIO files are not here yet.
"""

from __future__ import annotations

from symjit.io.arrays import NDArrayIter as NDArrayIter
from symjit.io.batches import DataBatch as DataBatch
from symjit.io.batches import DataDesc as DataDesc
from symjit.io.batches import DataIter as DataIter
from symjit.io.csv import CSVIter as CSVIter
from symjit.io.libsvm import LibSVMIter as LibSVMIter
from symjit.io.loading import MXDataIter as MXDataIter
from symjit.io.mnist import MNISTIter as MNISTIter
from symjit.io.prefetching import PrefetchingIter as PrefetchingIter
from symjit.io.resizing import ResizeIter as ResizeIter
