"""All recurrent cells, under the name of the module that has them in MXNet. MXNet: ``mx.rnn.rnn_cell``."""

from symjit.rnn.cell import BaseRNNCell as BaseRNNCell
from symjit.rnn.cell import RNNParams as RNNParams
from symjit.rnn.conv import BaseConvRNNCell as BaseConvRNNCell
from symjit.rnn.conv import ConvGRUCell as ConvGRUCell
from symjit.rnn.conv import ConvLSTMCell as ConvLSTMCell
from symjit.rnn.conv import ConvRNNCell as ConvRNNCell
from symjit.rnn.fused import FusedRNNCell as FusedRNNCell
from symjit.rnn.modifier import ModifierCell as ModifierCell
from symjit.rnn.modifier import ResidualCell as ResidualCell
from symjit.rnn.modifier import ZoneoutCell as ZoneoutCell
from symjit.rnn.recurrent import GRUCell as GRUCell
from symjit.rnn.recurrent import LSTMCell as LSTMCell
from symjit.rnn.recurrent import RNNCell as RNNCell
from symjit.rnn.stack import BidirectionalCell as BidirectionalCell
from symjit.rnn.stack import DropoutCell as DropoutCell
from symjit.rnn.stack import SequentialRNNCell as SequentialRNNCell
