"""The functions of the standard, by what they take."""


def names(*lines):
    return [name for line in lines for name in line.split()]


UNARY = names(
    "abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor",
    "imag isfinite isinf isnan log log1p log2 log10 logical_not negative positive real",
    "reciprocal round sign signbit sin sinh sqrt square tan tanh trunc",
)
BINARY = names(
    "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor",
    "copysign divide equal floor_divide greater greater_equal hypot less less_equal",
    "logaddexp logical_and logical_or logical_xor maximum minimum multiply nextafter",
    "not_equal pow remainder subtract",
)
OPERATORS = names(
    "add sub mul truediv floordiv mod pow and_ or_ xor lshift rshift", "eq ne lt le gt ge"
)
FOR_INTEGERS = names(
    "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift",
    "add multiply floor_divide remainder pow",
)
REDUCTIONS = names("sum prod mean min max var std all any")
"""What the array API standard (2025.12) has of which there is something here."""
STANDARD = names(
    "e inf nan newaxis pi",
    "bool complex64 complex128 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64",
    "arange asarray empty empty_like eye full full_like linspace meshgrid ones ones_like tril triu zeros zeros_like",
    "astype can_cast finfo iinfo isdtype result_type",
    "broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims reshape roll squeeze stack unstack",
    "clip where argmax argmin matrix_transpose",
)
