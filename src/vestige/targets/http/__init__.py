"""Models behind an address: `endpoint` is the model source, `open_inference` the wire format, `sending` the network."""
