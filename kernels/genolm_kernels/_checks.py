"""What operators refuse before any backend is chosen; messages name the argument."""

from collections.abc import Mapping

from torch import Tensor


def check_numbers(tensors: Mapping[str, Tensor | None]) -> None:
    """Refuse arguments that are not all floating-point numbers on one device.

    Args:
        tensors: Name to argument; the first one is never None.

    Raises:
        ValueError: If one is not of a floating type, or not where the first is.
    """
    leader, first = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        if tensor is None or first is None:
            continue
        if not tensor.is_floating_point():
            raise ValueError(f"{name} must have a floating type, got {tensor.dtype}")
        if tensor.device != first.device:
            where = f"{tensor.device} and {leader} on {first.device}"
            raise ValueError(f"{name} is on {where}; move them to the same device")


def check_filter(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Refuse short filters (channels, width) that do not fit x (batch, length, channels).

    Raises:
        ValueError: If a shape, type or device disagrees with x's, or x has another form.
    """
    if x.dim() != 3 or x.shape[2] == 0:
        raise ValueError(f"x must be (batch, length, channels >= 1), got {tuple(x.shape)}")
    channels = x.shape[2]
    if weight.dim() != 2 or weight.shape[0] != channels or weight.shape[1] == 0:
        raise ValueError(f"weight must be ({channels}, width), got {tuple(weight.shape)}")
    if bias is not None and tuple(bias.shape) != (channels,):
        raise ValueError(f"bias must be ({channels},), got {tuple(bias.shape)}")
    check_numbers({"x": x, "weight": weight, "bias": bias})
