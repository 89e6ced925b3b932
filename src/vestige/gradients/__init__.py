"""Per-record gradients of torch networks, for attacks that read them and training that clips them."""
