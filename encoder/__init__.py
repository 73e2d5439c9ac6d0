"""What a text means, by a pretrained encoder that was tuned on this shop's talk: vectors, and what a line wants;
and a classifier of another make.

Runs in both environments; ``make encoder`` makes its files anew (docs/nlu.md).
"""

from encoder.classifier import Classifier
from encoder.model import Encoder, held_back, load

__all__ = ["Classifier", "Encoder", "held_back", "load"]
