"""Initial values of parameters. Source: MXNet ``mx.initializer``, also ``mx.init``.

An initializer is called as ``initializer(InitDesc(name, attrs), array)`` and writes to the array. The name's ending
decides what happens (`Initializer.__call__`), unless the variable's attribute ``__init__`` says it: the JSON text that
`Initializer.dumps` returns, as ``mx.sym.Variable(name, init=...)`` stores it. Any callable of these two arguments can
stand where an initializer is wanted, by itself or in `Mixed` and `Load`.

Random numbers are drawn on the host, which compiles nothing, from the stream that `mx.random.seed` seeds. Distributions
are MXNet's; the numbers drawn from them are not, because the streams differ.
"""

from __future__ import annotations

from symjit.initializer.base import InitDesc as InitDesc
from symjit.initializer.base import Initializer as Initializer
from symjit.initializer.base import alias as alias
from symjit.initializer.base import create as create
from symjit.initializer.base import register as register
from symjit.initializer.combined import Load as Load
from symjit.initializer.combined import Mixed as Mixed
from symjit.initializer.constant import Bilinear as Bilinear
from symjit.initializer.constant import Constant as Constant
from symjit.initializer.constant import LSTMBias as LSTMBias
from symjit.initializer.constant import One as One
from symjit.initializer.constant import Zero as Zero
from symjit.initializer.fused_rnn import FusedRNN as FusedRNN
from symjit.initializer.sampled import MSRAPrelu as MSRAPrelu
from symjit.initializer.sampled import Normal as Normal
from symjit.initializer.sampled import Orthogonal as Orthogonal
from symjit.initializer.sampled import Uniform as Uniform
from symjit.initializer.sampled import Xavier as Xavier
