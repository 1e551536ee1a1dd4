"""How a network is built, as its values and its words say it."""

from __future__ import annotations

import pytest

from search_spaces.form import Form
from search_spaces.loader import default_space
from search_spaces.points import points
from tests.support.configurations import asked, configured

RESNET = "timm:resnet18.tv_in1k"


@pytest.mark.parametrize(
    ("form", "said", "plain"),
    [
        (Form(RESNET, 96), "resnet18.tv_in1k", True),
        (Form(RESNET, 96, "layer3"), "resnet18.tv_in1k up to layer3", False),
        (Form("timm:vit", None, "", "both", 4), "vit pooling both 4 joined", False),
    ],
)
def test_words_tell_forms_apart(form: Form, said: str, plain: bool) -> None:
    assert (str(form), form.is_plain) == (said, plain)


def test_a_point_and_its_configuration_have_one_form() -> None:
    """The size that nothing gives is the network's own, which the configuration knows."""
    (point,) = points(
        default_space(),
        "resnet18",
        asked(strategies=("straightforward",), lr=(0.1,), batch_size=(4,), **{"network.ends_at": ("layer3",)}),
        small=False,
    )
    assert point.form(RESNET) == Form(RESNET, None, "layer3")
    c = configured(backbone=RESNET, image_size=96, ends_at="layer3")
    assert c.form == Form(RESNET, 96, "layer3")
    assert c.with_values({"network.ends_at": ""}).id == configured(backbone=RESNET, image_size=96).id
