"""Building blocks of the encoder, in the order in which the data meets them."""
