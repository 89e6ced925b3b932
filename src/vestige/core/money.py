"""Sums of money in words, in whatever currency a price was said."""


def money(amount: float) -> str:
    """Return a sum to hundredths, and one below that so that it is no 0.

    Example:
        >>> money(1234.567), money(0.0), money(0.000253)
        ('1,234.57', '0.00', '0.00025')
    """
    return f"{amount:,.2f}" if amount == 0 or amount >= 0.01 else f"{amount:.2g}"
