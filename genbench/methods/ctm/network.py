"""CTM's network: the ADM U-Net that is told a second time (Kim et al., arXiv:2310.02279), with keys of sony/ctm."""

from __future__ import annotations

from typing import Any

from genbench.methods.adm.network import ADMUNet


class CTMUNet(ADMUNet):
    """Arguments are those of `ADMUNet`, but for `targeted`."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments, targeted=True)
