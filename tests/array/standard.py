"""The names and signatures of the array API standard, version 2025.12, as data.

Each line of a section is a function with the parameters that it has, and the version that had it first.
"""

SECTIONS = {
    "creation": """
arange(start, /, stop=None, step=1, *, dtype=None, device=None) 2021.12
asarray(obj, /, *, dtype=None, device=None, copy=None) 2021.12
empty(shape, *, dtype=None, device=None) 2021.12
empty_like(x, /, *, dtype=None, device=None) 2021.12
eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None) 2021.12
from_dlpack(x, /, *, device=None, copy=None) 2021.12
full(shape, fill_value, *, dtype=None, device=None) 2021.12
full_like(x, /, fill_value, *, dtype=None, device=None) 2021.12
linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True) 2021.12
meshgrid(*arrays, indexing='xy') 2021.12
ones(shape, *, dtype=None, device=None) 2021.12
ones_like(x, /, *, dtype=None, device=None) 2021.12
tril(x, /, *, k=0) 2021.12
triu(x, /, *, k=0) 2021.12
zeros(shape, *, dtype=None, device=None) 2021.12
zeros_like(x, /, *, dtype=None, device=None) 2021.12
    """,
    "data type": """
astype(x, dtype, /, *, copy=True, device=None) 2021.12
can_cast(from_, to, /) 2021.12
finfo(type, /) 2021.12
iinfo(type, /) 2021.12
isdtype(dtype, kind) 2022.12
result_type(*arrays_and_dtypes) 2021.12
    """,
    "elementwise": """
abs(x, /) 2021.12
acos(x, /) 2021.12
acosh(x, /) 2021.12
add(x1, x2, /) 2021.12
asin(x, /) 2021.12
asinh(x, /) 2021.12
atan(x, /) 2021.12
atan2(x1, x2, /) 2021.12
atanh(x, /) 2021.12
bitwise_and(x1, x2, /) 2021.12
bitwise_invert(x, /) 2021.12
bitwise_left_shift(x1, x2, /) 2021.12
bitwise_or(x1, x2, /) 2021.12
bitwise_right_shift(x1, x2, /) 2021.12
bitwise_xor(x1, x2, /) 2021.12
ceil(x, /) 2021.12
clip(x, /, min=None, max=None) 2023.12
conj(x, /) 2022.12
copysign(x1, x2, /) 2023.12
cos(x, /) 2021.12
cosh(x, /) 2021.12
divide(x1, x2, /) 2021.12
equal(x1, x2, /) 2021.12
exp(x, /) 2021.12
expm1(x, /) 2021.12
floor(x, /) 2021.12
floor_divide(x1, x2, /) 2021.12
greater(x1, x2, /) 2021.12
greater_equal(x1, x2, /) 2021.12
hypot(x1, x2, /) 2023.12
imag(x, /) 2022.12
isfinite(x, /) 2021.12
isinf(x, /) 2021.12
isnan(x, /) 2021.12
less(x1, x2, /) 2021.12
less_equal(x1, x2, /) 2021.12
log(x, /) 2021.12
log10(x, /) 2021.12
log1p(x, /) 2021.12
log2(x, /) 2021.12
logaddexp(x1, x2, /) 2021.12
logical_and(x1, x2, /) 2021.12
logical_not(x, /) 2021.12
logical_or(x1, x2, /) 2021.12
logical_xor(x1, x2, /) 2021.12
maximum(x1, x2, /) 2023.12
minimum(x1, x2, /) 2023.12
multiply(x1, x2, /) 2021.12
negative(x, /) 2021.12
nextafter(x1, x2, /) 2024.12
not_equal(x1, x2, /) 2021.12
positive(x, /) 2021.12
pow(x1, x2, /) 2021.12
real(x, /) 2022.12
reciprocal(x, /) 2024.12
remainder(x1, x2, /) 2021.12
round(x, /) 2021.12
sign(x, /) 2021.12
signbit(x, /) 2023.12
sin(x, /) 2021.12
sinh(x, /) 2021.12
sqrt(x, /) 2021.12
square(x, /) 2021.12
subtract(x1, x2, /) 2021.12
tan(x, /) 2021.12
tanh(x, /) 2021.12
trunc(x, /) 2021.12
    """,
    "fft": """
fft.fft(x, /, *, n=None, axis=-1, norm='backward') 2022.12
fft.fftfreq(n, /, *, d=1.0, dtype=None, device=None) 2022.12
fft.fftn(x, /, *, s=None, axes=None, norm='backward') 2022.12
fft.fftshift(x, /, *, axes=None) 2022.12
fft.hfft(x, /, *, n=None, axis=-1, norm='backward') 2022.12
fft.ifft(x, /, *, n=None, axis=-1, norm='backward') 2022.12
fft.ifftn(x, /, *, s=None, axes=None, norm='backward') 2022.12
fft.ifftshift(x, /, *, axes=None) 2022.12
fft.ihfft(x, /, *, n=None, axis=-1, norm='backward') 2022.12
fft.irfft(x, /, *, n=None, axis=-1, norm='backward') 2022.12
fft.irfftn(x, /, *, s=None, axes=None, norm='backward') 2022.12
fft.rfft(x, /, *, n=None, axis=-1, norm='backward') 2022.12
fft.rfftfreq(n, /, *, d=1.0, dtype=None, device=None) 2022.12
fft.rfftn(x, /, *, s=None, axes=None, norm='backward') 2022.12
    """,
    "indexing": """
take(x, indices, /, *, axis=None) 2022.12
take_along_axis(x, indices, /, *, axis=-1) 2024.12
    """,
    "linalg": """
linalg.cholesky(x, /, *, upper=False) 2021.12
linalg.cross(x1, x2, /, *, axis=-1) 2021.12
linalg.det(x, /) 2021.12
linalg.diagonal(x, /, *, offset=0) 2021.12
linalg.eig(x, /) 2025.12
linalg.eigh(x, /) 2021.12
linalg.eigvals(x, /) 2025.12
linalg.eigvalsh(x, /) 2021.12
linalg.inv(x, /) 2021.12
linalg.matmul(x1, x2, /) 2021.12
linalg.matrix_norm(x, /, *, keepdims=False, ord='fro') 2021.12
linalg.matrix_power(x, n, /) 2021.12
linalg.matrix_rank(x, /, *, rtol=None) 2021.12
linalg.matrix_transpose(x, /) 2021.12
linalg.outer(x1, x2, /) 2021.12
linalg.pinv(x, /, *, rtol=None) 2021.12
linalg.qr(x, /, *, mode='reduced') 2021.12
linalg.slogdet(x, /) 2021.12
linalg.solve(x1, x2, /) 2021.12
linalg.svd(x, /, *, full_matrices=True) 2021.12
linalg.svdvals(x, /) 2021.12
linalg.tensordot(x1, x2, /, *, axes=2) 2021.12
linalg.trace(x, /, *, offset=0, dtype=None) 2021.12
linalg.vecdot(x1, x2, /, *, axis=-1) 2021.12
linalg.vector_norm(x, /, *, axis=None, keepdims=False, ord=2) 2021.12
    """,
    "linear algebra": """
matmul(x1, x2, /) 2021.12
matrix_transpose(x, /) 2021.12
tensordot(x1, x2, /, *, axes=2) 2021.12
vecdot(x1, x2, /, *, axis=-1) 2021.12
    """,
    "manipulation": """
broadcast_arrays(*arrays) 2021.12
broadcast_shapes(*shapes) 2025.12
broadcast_to(x, /, shape) 2021.12
concat(arrays, /, *, axis=0) 2021.12
expand_dims(x, /, axis) 2021.12
flip(x, /, *, axis=None) 2021.12
moveaxis(x, source, destination, /) 2023.12
permute_dims(x, /, axes) 2021.12
repeat(x, repeats, /, *, axis=None) 2023.12
reshape(x, /, shape, *, copy=None) 2021.12
roll(x, /, shift, *, axis=None) 2021.12
squeeze(x, /, axis) 2021.12
stack(arrays, /, *, axis=0) 2021.12
tile(x, repetitions, /) 2023.12
unstack(x, /, *, axis=0) 2023.12
    """,
    "searching": """
argmax(x, /, *, axis=None, keepdims=False) 2021.12
argmin(x, /, *, axis=None, keepdims=False) 2021.12
count_nonzero(x, /, *, axis=None, keepdims=False) 2024.12
nonzero(x, /) 2021.12
searchsorted(x1, x2, /, *, side='left', sorter=None) 2023.12
where(condition, x1, x2, /) 2021.12
    """,
    "set": """
isin(x1, x2, /, *, invert=False) 2025.12
unique_all(x, /) 2021.12
unique_counts(x, /) 2021.12
unique_inverse(x, /) 2021.12
unique_values(x, /) 2021.12
    """,
    "sorting": """
argsort(x, /, *, axis=-1, descending=False, stable=True) 2021.12
sort(x, /, *, axis=-1, descending=False, stable=True) 2021.12
    """,
    "statistical": """
cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False) 2024.12
cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False) 2023.12
max(x, /, *, axis=None, keepdims=False) 2021.12
mean(x, /, *, axis=None, keepdims=False) 2021.12
min(x, /, *, axis=None, keepdims=False) 2021.12
prod(x, /, *, axis=None, dtype=None, keepdims=False) 2021.12
std(x, /, *, axis=None, correction=0.0, keepdims=False) 2021.12
sum(x, /, *, axis=None, dtype=None, keepdims=False) 2021.12
var(x, /, *, axis=None, correction=0.0, keepdims=False) 2021.12
    """,
    "utility": """
all(x, /, *, axis=None, keepdims=False) 2021.12
any(x, /, *, axis=None, keepdims=False) 2021.12
diff(x, /, *, axis=-1, n=1, prepend=None, append=None) 2024.12
    """,
}

ARRAY = """
__abs__ __add__ __and__ __array_namespace__ __bool__ __complex__ __dlpack__ __dlpack_device__
__eq__ __float__ __floordiv__ __ge__ __getitem__ __gt__ __index__ __init__ __int__ __invert__
__le__ __lshift__ __lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ __or__ __pos__ __pow__
__rshift__ __setitem__ __sub__ __truediv__ __xor__ to_device
"""

WRONG_EVERYWHERE = ("some text", object())
"""What no argument may be, but for those below."""

WRONG_FOR = {
    "axis": (99, -99, 1.5, (0, 0)),
    "axes": (99, 1.5),
    "source": (99, 1.5),
    "destination": (99, 1.5),
    "axis1": (99, 1.5),
    "axis2": (99, 1.5),
}
"""What an argument of this name may not be."""

TAKES_ANYTHING = {
    "apply_gufunc": {"axes"},
    "asarray": {"obj"},
    "from_array": {"x"},
    "full": {"fill_value"},
    "logical_and": {"x1", "x2"},
    "logical_or": {"x1", "x2"},
    "logical_xor": {"x1", "x2"},
    "where": {"x2"},
}
"""Parameters that take text too, as NumPy does."""

COMPUTED_BY_USERS = {
    "apply_gufunc",
    "blockwise",
    "map_blocks",
    "map_overlap",
    "cumreduction",
    "reduction",
    "from_blocks",
    "to_zarr",
    "store",
    "store_icechunk",
    "persist",
    "compute",
    "plan_of",
}
"""Functions that call functions of users, whose element types these promise, or that write."""

DEPENDS_ON_VALUES = {"linalg.cholesky", "linalg.inv", "linalg.solve", "take_along_axis"}
"""Functions that refuse elements by their values, which tasks alone see."""
