"""Log-mel pictures and their augmentation, on the device of the tensors they are given."""
