"""Models behind an address: `endpoint` is the door, `open_inference` the wire format, `sending` the network."""
