#!/usr/bin/env python3
"""Coefficients of erf in base/elementary.h: Chebyshev interpolation with mpmath, in 60 digits. Prints the polynomials, highest
power first, as C++ hexadecimal constants, and how far each is from what it stands for."""
from mpmath import chebyfit, erf, erfc, exp, mp, mpf, nstr, pi, sqrt

mp.dps = 60


def small(s):  # erf(x)/x - 1 of s = x^2
    return erf(sqrt(s)) / sqrt(s) - 1 if s > 0 else 2 / sqrt(pi) - 1


def large(t):  # exp(a^2) erfc(a) / t of t = 1 / (1 + 0.3 a)
    a = (1 / t - 1) / mpf("0.3")
    return erfc(a) * exp(a * a) / t


for name, function, interval, terms in (
    ("P(x^2), |x| <= 1", small, [mpf(10) ** -40, 1], 13),
    ("Q(t), 1 <= |x| <= 6", large, [1 / mpf("2.8"), 1 / mpf("1.3")], 16),
):
    coefficients, error = chebyfit(function, interval, terms, error=True)
    print(f"{name}: error {nstr(error, 3)}")
    for c in coefficients:
        value = float(c)
        print(f"  {value.hex()}")
