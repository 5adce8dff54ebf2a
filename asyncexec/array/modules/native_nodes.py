"""The choice of how a node is computed: by the array module, by NumPy, or wherever its input lies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np

from asyncexec.array.block_calls import BlockCaller, UserCall
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.kernels import (
    BLOCK,
    Arrange,
    BlockFunction,
    CallFunction,
    Concatenate,
    DivideAxis,
    ElementwiseStep,
    IdentityStep,
    MergeAxes,
    ReduceBlocks,
    clip_above,
    clip_below,
    convert,
)
from asyncexec.array.modules.choice import ArrayModule
from asyncexec.array.modules.functions import REDUCTIONS, STANDARD_FUNCTIONS
from asyncexec.array.modules.native_steps import (
    MatrixProduct,
    NativeArrangement,
    NativeCall,
    NativeConcatenation,
    NativeConversion,
    NativeElementwise,
    NativeFunction,
    NativeReduction,
    ReshapeBlock,
    ReturnNumpy,
)
from asyncexec.array.nodes import Node
from asyncexec.array.product_kernels import PairProduct
from asyncexec.array.reducers import Accumulate
from asyncexec.plan.access_map import AccessMap

_INEXACT_KINDS = "fc"

_FUNCTIONS = {
    **STANDARD_FUNCTIONS,
    clip_above: STANDARD_FUNCTIONS[np.minimum],
    clip_below: STANDARD_FUNCTIONS[np.maximum],
}


class Where(Enum):
    """The side on which a step takes its inputs and leaves its result."""

    MODULE = "module"
    NUMPY = "numpy"
    EITHER = "either"


def step_of(
    node: Node, access: AccessMap, module: ArrayModule
) -> tuple[BlockFunction, Where, Where]:
    """Return what computes ``node``, and where it takes its inputs and leaves its result."""
    step = node.function(access)
    if isinstance(step, IdentityStep):
        return step, Where.EITHER, Where.EITHER
    if module.takes(node.dtype, *(below.dtype for below in node.inputs)):
        if isinstance(step, ReduceBlocks):
            native = _reduction(node.inputs[0].dtype.kind, step, module)
            return (
                (native, Where.MODULE, Where.NUMPY) if native else (step, Where.NUMPY, Where.NUMPY)
            )
        found = _native(node, step, module)
        if found is not None:
            return found, Where.MODULE, Where.MODULE
    return step, Where.NUMPY, Where.NUMPY


def _native(node: Node, step: BlockFunction, module: ArrayModule) -> BlockFunction | None:
    match step:
        case ElementwiseStep(function=function) if function is convert:
            return NativeConversion(node.dtype, module)
        case ElementwiseStep(keywords=keywords) if not keywords:
            return _elementwise(node, step, module)
        case Arrange():
            return NativeArrangement(step, module)
        case Concatenate():
            return NativeConcatenation(step, module)
        case CallFunction() if isinstance(node, Blocks):
            return _call(node, step, module)
        case _:
            return None


def _elementwise(node: Node, step: ElementwiseStep, module: ArrayModule) -> BlockFunction | None:
    try:
        name, kinds = _FUNCTIONS[step.function]
    except (KeyError, TypeError):
        # Not all callables can be hashed.
        return None
    types = iter([below.dtype for below in node.inputs])
    # Numbers of Python are as they are: they take the type of what they meet.
    operands = [next(types) if a is BLOCK else a for a in step.arguments]
    common = np.result_type(*operands[name == "where" :])
    if common.kind in "biu" and node.dtype.kind in _INEXACT_KINDS:
        common = node.dtype
    if common.kind not in kinds or not module.takes(common):
        return None
    if name.startswith("logical"):
        common = np.dtype(np.bool_)
    return NativeElementwise(name, step, common, node.dtype, module)


def _call(node: Blocks, step: CallFunction, module: ArrayModule) -> BlockFunction | None:
    function: Callable[..., Any] = step.function
    match function:
        case UserCall():
            return NativeCall(step, module)
        case BlockCaller(call=call):
            # It pads blocks of differing lengths, in NumPy.
            if any(each is not None for each in function.lengths):
                call = replace(call, function=ReturnNumpy(call.function))
            return NativeCall(replace(step, function=replace(function, call=call)), module)
        case MergeAxes() | DivideAxis():
            return NativeFunction(ReshapeBlock(function, module), module, node.dtype)
        case PairProduct(left=left, right=right, out=out) if node.dtype.kind in "fc":
            product = MatrixProduct(
                left, right, out, function.groups, function.conjugate, node.dtype, module
            )
            return NativeFunction(product, module, node.dtype)
        case _:
            return NativeCall(step, module) if _is_of_user(function) else None


def _reduction(kind: str, step: ReduceBlocks, module: ArrayModule) -> BlockFunction | None:
    reducer = step.reducer
    if not (step.first and isinstance(reducer, Accumulate) and reducer.ufunc in REDUCTIONS):
        return None
    if reducer.skips_nan:
        return None
    if not module.takes(reducer.through, reducer.first or reducer.through):
        return None
    if reducer.ufunc in (np.logical_and, np.logical_or) and kind not in "biuf":
        return None
    return NativeReduction(step, reducer, module)


def _is_of_user(function: Callable[..., Any]) -> bool:
    """Return True if ``function`` was not written for NumPy arrays, by where it was defined."""
    while isinstance(function, functools.partial):
        function = function.func
    home = getattr(function, "__module__", None) or type(function).__module__
    return home.partition(".")[0] not in ("asyncexec", "numpy")
