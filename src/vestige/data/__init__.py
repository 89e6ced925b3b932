"""Files -> values of `core`. Nothing is unpickled, and every complaint names the file, the row and the cure."""
