"""The distributions that random arrays are drawn from, by the names and parameters of ``numpy.random.Generator``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncexec.array.array import Array
from asyncexec.array.chunks import ChunksLike

type Size = int | Sequence[int] | None
"""The shape of an array that is drawn; None for one without axes."""


class Distributions:
    """The methods of a generator that take parameters, ``size`` and ``chunks``, and nothing else.

    See :class:`~asyncexec.array.random.RandomArrays`, which has them.
    """

    def _drawn(
        self, method: str, size: Size, chunks: Any, /, *given: Any, **keywords: Any
    ) -> Array:
        # RandomArrays has the generator, and draws; here are the distributions' names and parameters alone.
        raise NotImplementedError

    def beta(self, a: float, b: float, size: Size = None, *, chunks: ChunksLike = "auto") -> Array:
        """Return draws from a beta distribution."""
        return self._drawn("beta", size, chunks, a, b)

    def binomial(
        self, n: int, p: float, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a binomial distribution: successes among ``n`` trials."""
        return self._drawn("binomial", size, chunks, n, p)

    def chisquare(self, df: float, size: Size = None, *, chunks: ChunksLike = "auto") -> Array:
        """Return draws from a chi-square distribution."""
        return self._drawn("chisquare", size, chunks, df)

    def dirichlet(
        self, alpha: Sequence[float], size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a Dirichlet distribution, along a new axis at the end."""
        return self._drawn("dirichlet", size, chunks, alpha)

    def exponential(
        self, scale: float = 1.0, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from an exponential distribution."""
        return self._drawn("exponential", size, chunks, scale)

    def f(
        self, dfnum: float, dfden: float, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from an F distribution."""
        return self._drawn("f", size, chunks, dfnum, dfden)

    def gamma(
        self, shape: float, scale: float = 1.0, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a gamma distribution."""
        return self._drawn("gamma", size, chunks, shape, scale)

    def geometric(self, p: float, size: Size = None, *, chunks: ChunksLike = "auto") -> Array:
        """Return draws from a geometric distribution."""
        return self._drawn("geometric", size, chunks, p)

    def gumbel(
        self,
        loc: float = 0.0,
        scale: float = 1.0,
        size: Size = None,
        *,
        chunks: ChunksLike = "auto",
    ) -> Array:
        """Return draws from a Gumbel distribution."""
        return self._drawn("gumbel", size, chunks, loc, scale)

    def hypergeometric(
        self, ngood: int, nbad: int, nsample: int, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a hypergeometric distribution."""
        return self._drawn("hypergeometric", size, chunks, ngood, nbad, nsample)

    def laplace(
        self,
        loc: float = 0.0,
        scale: float = 1.0,
        size: Size = None,
        *,
        chunks: ChunksLike = "auto",
    ) -> Array:
        """Return draws from a Laplace distribution."""
        return self._drawn("laplace", size, chunks, loc, scale)

    def logistic(
        self,
        loc: float = 0.0,
        scale: float = 1.0,
        size: Size = None,
        *,
        chunks: ChunksLike = "auto",
    ) -> Array:
        """Return draws from a logistic distribution."""
        return self._drawn("logistic", size, chunks, loc, scale)

    def lognormal(
        self,
        mean: float = 0.0,
        sigma: float = 1.0,
        size: Size = None,
        *,
        chunks: ChunksLike = "auto",
    ) -> Array:
        """Return draws from a log-normal distribution."""
        return self._drawn("lognormal", size, chunks, mean, sigma)

    def logseries(self, p: float, size: Size = None, *, chunks: ChunksLike = "auto") -> Array:
        """Return draws from a logarithmic series distribution."""
        return self._drawn("logseries", size, chunks, p)

    def multinomial(
        self, n: int, pvals: Sequence[float], size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a multinomial distribution, along a new axis at the end."""
        return self._drawn("multinomial", size, chunks, n, pvals)

    def multivariate_hypergeometric(
        self, colors: Sequence[int], nsample: int, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a multivariate hypergeometric distribution, along a new axis at the end."""
        return self._drawn("multivariate_hypergeometric", size, chunks, colors, nsample)

    def multivariate_normal(
        self, mean: Sequence[float], cov: Any, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a normal distribution of several variables, along a new axis at the end."""
        return self._drawn("multivariate_normal", size, chunks, mean, cov)

    def negative_binomial(
        self, n: float, p: float, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a negative binomial distribution."""
        return self._drawn("negative_binomial", size, chunks, n, p)

    def noncentral_chisquare(
        self, df: float, nonc: float, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a noncentral chi-square distribution."""
        return self._drawn("noncentral_chisquare", size, chunks, df, nonc)

    def noncentral_f(
        self,
        dfnum: float,
        dfden: float,
        nonc: float,
        size: Size = None,
        *,
        chunks: ChunksLike = "auto",
    ) -> Array:
        """Return draws from a noncentral F distribution."""
        return self._drawn("noncentral_f", size, chunks, dfnum, dfden, nonc)

    def normal(
        self,
        loc: float = 0.0,
        scale: float = 1.0,
        size: Size = None,
        *,
        chunks: ChunksLike = "auto",
    ) -> Array:
        """Return draws from a normal distribution of mean ``loc`` and standard deviation ``scale``."""
        return self._drawn("normal", size, chunks, loc, scale)

    def pareto(self, a: float, size: Size = None, *, chunks: ChunksLike = "auto") -> Array:
        """Return draws from a Pareto II distribution."""
        return self._drawn("pareto", size, chunks, a)

    def poisson(self, lam: float = 1.0, size: Size = None, *, chunks: ChunksLike = "auto") -> Array:
        """Return draws from a Poisson distribution."""
        return self._drawn("poisson", size, chunks, lam)

    def power(self, a: float, size: Size = None, *, chunks: ChunksLike = "auto") -> Array:
        """Return draws from a power distribution on [0, 1]."""
        return self._drawn("power", size, chunks, a)

    def rayleigh(
        self, scale: float = 1.0, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a Rayleigh distribution."""
        return self._drawn("rayleigh", size, chunks, scale)

    def standard_cauchy(self, size: Size = None, *, chunks: ChunksLike = "auto") -> Array:
        """Return draws from a Cauchy distribution."""
        return self._drawn("standard_cauchy", size, chunks)

    def standard_t(self, df: float, size: Size = None, *, chunks: ChunksLike = "auto") -> Array:
        """Return draws from Student's t distribution."""
        return self._drawn("standard_t", size, chunks, df)

    def triangular(
        self,
        left: float,
        mode: float,
        right: float,
        size: Size = None,
        *,
        chunks: ChunksLike = "auto",
    ) -> Array:
        """Return draws from a triangular distribution."""
        return self._drawn("triangular", size, chunks, left, mode, right)

    def uniform(
        self, low: float = 0.0, high: float = 1.0, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a uniform distribution on [low, high)."""
        return self._drawn("uniform", size, chunks, low, high)

    def vonmises(
        self, mu: float, kappa: float, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a von Mises distribution on [-pi, pi]."""
        return self._drawn("vonmises", size, chunks, mu, kappa)

    def wald(
        self, mean: float, scale: float, size: Size = None, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from an inverse Gaussian distribution."""
        return self._drawn("wald", size, chunks, mean, scale)

    def weibull(self, a: float, size: Size = None, *, chunks: ChunksLike = "auto") -> Array:
        """Return draws from a Weibull distribution."""
        return self._drawn("weibull", size, chunks, a)

    def zipf(self, a: float, size: Size = None, *, chunks: ChunksLike = "auto") -> Array:
        """Return draws from a Zipf distribution."""
        return self._drawn("zipf", size, chunks, a)
