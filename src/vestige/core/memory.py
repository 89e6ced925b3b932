"""What an allocator is told, once, so that long work does not fetch the same memory anew at every step."""


def keep_freed_memory() -> None:
    """Let the memory of one block of records serve the next: to fetch its pages anew takes as long as a network.

    The allocator of Linux (glibc) gives back what lies free beyond twice the largest piece that was ever freed, up to
    32 MB; so a piece of nearly that size is asked for and freed, unused. From then on up to 64 MB may stay with the
    process. Elsewhere this does nothing.
    """
    bytearray((32 << 20) - (1 << 16))
