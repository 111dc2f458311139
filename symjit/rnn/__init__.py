"""Recurrent cells, their checkpoints, and batches of sentences. MXNet: ``mx.rnn``."""

from symjit.rnn import io as io
from symjit.rnn import rnn as rnn
from symjit.rnn import rnn_cell as rnn_cell
from symjit.rnn.cell import BaseRNNCell as BaseRNNCell
from symjit.rnn.cell import RNNParams as RNNParams
from symjit.rnn.conv import BaseConvRNNCell as BaseConvRNNCell
from symjit.rnn.conv import ConvGRUCell as ConvGRUCell
from symjit.rnn.conv import ConvLSTMCell as ConvLSTMCell
from symjit.rnn.conv import ConvRNNCell as ConvRNNCell
from symjit.rnn.fused import FusedRNNCell as FusedRNNCell
from symjit.rnn.io import BucketSentenceIter as BucketSentenceIter
from symjit.rnn.io import encode_sentences as encode_sentences
from symjit.rnn.modifier import ModifierCell as ModifierCell
from symjit.rnn.modifier import ResidualCell as ResidualCell
from symjit.rnn.modifier import ZoneoutCell as ZoneoutCell
from symjit.rnn.recurrent import GRUCell as GRUCell
from symjit.rnn.recurrent import LSTMCell as LSTMCell
from symjit.rnn.recurrent import RNNCell as RNNCell
from symjit.rnn.rnn import do_rnn_checkpoint as do_rnn_checkpoint
from symjit.rnn.rnn import load_rnn_checkpoint as load_rnn_checkpoint
from symjit.rnn.rnn import rnn_unroll as rnn_unroll
from symjit.rnn.rnn import save_rnn_checkpoint as save_rnn_checkpoint
from symjit.rnn.stack import BidirectionalCell as BidirectionalCell
from symjit.rnn.stack import DropoutCell as DropoutCell
from symjit.rnn.stack import SequentialRNNCell as SequentialRNNCell
