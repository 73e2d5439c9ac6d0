"""``make bench``: how quick and how large the house is, beside a stock Rasa with the same model."""
