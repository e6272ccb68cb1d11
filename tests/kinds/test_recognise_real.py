"""Names and shapes as real networks have them: nothing wrong is said, and what is plain is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

import weigh

Shapes = dict[str, tuple[int, ...]]


def network(shapes: Shapes) -> weigh.Network:
    return weigh.open({name: np.zeros(shape, "float32") for name, shape in shapes.items()})


def convs(prefix: str, *shapes: tuple[int, ...], start: int = 0) -> Shapes:
    return {f"{prefix}.{start + i}.weight": shape for i, shape in enumerate(shapes)}


def with_bias(path: str, shape: tuple[int, ...], first: int | None = None) -> Shapes:
    return {f"{path}.weight": shape, f"{path}.bias": (first or shape[0],)}


def norm(path: str, size: int) -> Shapes:
    return with_bias(path, (size,))


def batch_norm(path: str, size: int, *, counted: bool = True) -> Shapes:
    made = norm(path, size) | {f"{path}.running_mean": (size,), f"{path}.running_var": (size,)}
    return made | ({f"{path}.num_batches_tracked": ()} if counted else {})


LLAMA = {
    "model.embed_tokens.weight": (300, 64),
    "model.layers.0.self_attn.q_proj.weight": (64, 64),
    "model.layers.0.self_attn.q_norm.weight": (16,),
    "model.layers.0.mlp.gate_proj.weight": (128, 64),
    "model.layers.0.input_layernorm.weight": (64,),
    "model.layers.0.post_attention_layernorm.weight": (64,),
    "model.norm.weight": (64,),
}
RESNET = {
    "conv1.weight": (64, 3, 7, 7), **batch_norm("bn1", 64),
    "layer1.0.conv1.weight": (64, 64, 3, 3), **batch_norm("layer1.0.bn1", 64),
    "layer1.0.conv2.weight": (64, 64, 3, 3), **batch_norm("layer1.0.bn2", 64),
    "layer2.0.conv1.weight": (128, 64, 3, 3), **batch_norm("layer2.0.bn1", 128),
    "layer2.0.conv2.weight": (128, 128, 3, 3), **batch_norm("layer2.0.bn2", 128),
    "layer2.0.downsample.0.weight": (128, 64, 1, 1), **batch_norm("layer2.0.downsample.1", 128),
    **with_bias("fc", (10, 128)),
}  # fmt: skip
ATTENTION = {
    "blocks.0.attn.q.weight": (32, 32), "blocks.0.attn.k.weight": (32, 32),
    "blocks.0.mlp.fc1.weight": (64, 32), "blocks.0.mlp.fc2.weight": (32, 64),
}  # fmt: skip

KINDS: list[tuple[str, Shapes, dict[str, str]]] = [
    ("lateral branches of a list",
     {"body.weight": (64, 3, 3, 3)}
     | convs("lateral", (256, 64, 1, 1), (256, 128, 1, 1), (256, 256, 1, 1), (256, 512, 1, 1)),
     {f"lateral.{i}": "Conv2d" for i in range(4)}),
    ("DPT's neck", convs("neck.convs", *((256, c, 3, 3) for c in (96, 192, 384, 768))),
     {f"neck.convs.{i}": "Conv2d" for i in range(4)}),
    ("a generator's last layer has no norm after it",
     {"main.0.weight": (100, 64, 4, 4), **batch_norm("main.1", 64), "main.3.weight": (64, 3, 4, 4)},
     {"main.0": "ConvTranspose2d", "main.3": "ConvTranspose2d"}),
    ("a mask head", with_bias("mask_predictor.conv5_mask", (256, 256, 2, 2)),
     {"mask_predictor.conv5_mask": "?"}),
    ("DPT resizes",
     with_bias("reassemble_stage.layers.0.resize", (96, 96, 4, 4))
     | with_bias("reassemble_stage.layers.3.resize", (768, 768, 3, 3)),
     {"reassemble_stage.layers.0.resize": "ConvTranspose2d",
      "reassemble_stage.layers.3.resize": "?"}),
    ("names of transposed ones",
     {f"{name}.weight": (8, 8, 2, 2) for name in
      ("upscore2", "upsample", "t_conv1", "tconv", "trans1", "convtrans1", "conv_trans1")},
     dict.fromkeys(("upscore2", "upsample", "t_conv1", "tconv", "trans1", "convtrans1",
                    "conv_trans1"), "ConvTranspose2d")),
    ("a decoder's layer may be either", with_bias("dec1", (16, 16, 3, 3)), {"dec1": "?"}),
    ("an even kernel", {"0.weight": (64, 64, 4, 4), **batch_norm("1", 64)}, {"0": "?"}),
    ("a kernel of one is never transposed", with_bias("decoder.mix", (16, 16, 1, 1)),
     {"decoder.mix": "Conv2d"}),
    ("HiFi-GAN: as many biases as outputs", with_bias("ups.0", (512, 256, 16), 256),
     {"ups.0": "ConvTranspose1d"}),
    ("wav2vec 2.0's only norm of convolutions is a GroupNorm",
     {"conv_layers.0.conv.weight": (512, 1, 10), **norm("conv_layers.0.layer_norm", 512),
      "conv_layers.1.conv.weight": (512, 512, 3), "conv_layers.2.conv.weight": (512, 512, 3),
      **norm("encoder.layers.0.layer_norm", 64), "encoder.layers.0.fc.weight": (64, 64)},
     {"conv_layers.0.layer_norm": "?", "encoder.layers.0.layer_norm": "LayerNorm"}),
    ("its larger sister has LayerNorms",
     {f"conv_layers.{i}.conv.weight": (512, 512, 3) for i in range(3)}
     | {k: s for i in range(3) for k, s in norm(f"conv_layers.{i}.layer_norm", 512).items()},
     {"conv_layers.1.layer_norm": "LayerNorm"}),
    ("PoolFormer has convolutions alone",
     {**norm("block.0.before_norm", 64), **with_bias("block.0.output.conv1", (256, 64, 1, 1))},
     {"block.0.before_norm": "?"}),
    ("a diffusion network: groups without, layers within",
     {**norm("resnets.0.norm1", 64), **with_bias("resnets.0.conv1", (64, 64, 3, 3)),
      **with_bias("resnets.0.time_emb_proj", (64, 256)),
      **norm("attentions.0.norm", 64), **with_bias("attentions.0.proj_in", (64, 64)),
      **norm("attentions.0.transformer_blocks.0.norm1", 64),
      "attentions.0.transformer_blocks.0.attn1.to_q.weight": (64, 64)},
     {"resnets.0.norm1": "?", "attentions.0.norm": "?",
      "attentions.0.transformer_blocks.0.norm1": "LayerNorm"}),
    ("a norm in a wrapper beside wrapped convolutions",
     {**norm("resnets.0.norm1.norm_layer", 64),
      **with_bias("resnets.0.norm1.conv_y.conv", (64, 16, 1, 1, 1)),
      **with_bias("resnets.0.temb_proj", (64, 512))},
     {"resnets.0.norm1.norm_layer": "?"}),
    ("BiT ends in a norm of channels",
     {"stem.conv.weight": (64, 3, 7, 7), **norm("stages.0.norm1", 64),
      "stages.0.conv1.weight": (64, 64, 1, 1), **norm("norm", 64), "head.fc.weight": (9, 64, 1, 1)},
     {"norm": "?"}),
    ("a vision transformer in one of features",
     {**with_bias("patch_embed.proj", (32, 3, 16, 16)), **ATTENTION, **norm("blocks.0.norm1", 32),
      **norm("norm", 32)},
     {"norm": "LayerNorm", "blocks.0.norm1": "LayerNorm", "patch_embed.proj": "Conv2d"}),
    ("lists of tables",
     {f"{name}.weight": (10, 5) for name in
      ("embed_tokens.0", "emb_l.0", "embs.0", "emb_layers.0", "cat_embeddings.0", "out_embed",
       "item_embedding_mlp", "embed_item_MLP", "point_embed.2", "mask_tokens", "rel_attn_embed",
       "embed_positions.pe_k", "distance_embedding", "embed_char", "embed_tokens.base_layer",
       "user_embedding", "user_factors", "label_emb", "codebook")},
     dict.fromkeys(("embed_tokens.0", "emb_l.0", "embs.0", "emb_layers.0", "cat_embeddings.0",
                    "out_embed", "item_embedding_mlp", "embed_item_MLP", "point_embed.2",
                    "mask_tokens", "rel_attn_embed", "embed_positions.pe_k",
                    "distance_embedding", "embed_char", "embed_tokens.base_layer",
                    "user_embedding", "user_factors", "label_emb", "codebook"), "Embedding")),
    ("what embeds is not said to be linear without more",
     {f"{name}.weight": (10, 5) for name in ("time_embed.0", "net_embed", "embed_out",
      "emb.proj", "time_emb_proj")},
     {"time_embed.0": "?", "net_embed": "?", "embed_out": "Linear", "emb.proj": "Linear",
      "time_emb_proj": "Linear"}),
    ("LLaMA", LLAMA, {"model.norm": "RMSNorm", "model.layers.0.input_layernorm": "RMSNorm",
                      "model.layers.0.self_attn.q_norm": "RMSNorm"}),
    ("LLaMA below a vision tower",
     {f"language_model.{name}": shape for name, shape in LLAMA.items()}
     | norm("vision_tower.pre_layrnorm", 64),
     {"language_model.model.norm": "RMSNorm", "vision_tower.pre_layrnorm": "LayerNorm"}),
    ("Cohere has one of LLaMA's names",
     {name: shape for name, shape in LLAMA.items() if "post_attention" not in name},
     {"model.norm": "?", "model.layers.0.input_layernorm": "?"}),
    ("MPT", {"transformer.blocks.0.norm_1.weight": (64,), "transformer.norm_f.weight": (64,)},
     {"transformer.blocks.0.norm_1": "?", "transformer.norm_f": "?"}),
    ("T5", {"encoder.block.0.layer.0.SelfAttention.q.weight": (64, 64),
            "encoder.block.0.layer.0.layer_norm.weight": (64,)},
     {"encoder.block.0.layer.0.layer_norm": "RMSNorm"}),
    ("a bilinear map by another name", with_bias("bil", (7, 5, 6)), {"bil": "?"}),
    ("convolutions of one dimension in a row",
     with_bias("0", (8, 4, 3)) | with_bias("2", (6, 8, 3)), {"0": "Conv1d", "2": "Conv1d"}),
    ("RWKV", {"blocks.0.attention.receptance.weight": (64, 64)},
     {"blocks.0.attention.receptance": "Linear"}),
    ("a detector's backbone is frozen",
     {"backbone.conv1.weight": (64, 3, 7, 7), **batch_norm("backbone.bn1", 64, counted=False),
      **with_bias("class_embed", (9, 64))},
     {"backbone.bn1": "FrozenBatchNorm2d"}),
    ("files before 0.4.1 count nothing",
     {"conv1.weight": (64, 3, 7, 7), **batch_norm("bn1", 64, counted=False)},
     {"bn1": "BatchNorm2d"}),
]  # fmt: skip


@pytest.mark.parametrize(("shapes", "kinds"), [row[1:] for row in KINDS], ids=[r[0] for r in KINDS])
def test_kinds(shapes: Shapes, kinds: dict[str, str]) -> None:
    found = network(shapes)
    assert {path: found[path].kind for path in kinds} == kinds


NUMBERS: list[tuple[str, Shapes, dict[str, dict[str, int | None]]]] = [
    ("TextCNN's branches are not depthwise",
     {"embedding.weight": (1000, 300)}
     | {k: s for i, n in enumerate((3, 4, 5))
        for k, s in with_bias(f"convs.{i}", (100, 1, n, 300)).items()},
     {"convs.0": {"in_channels": 1}, "convs.1": {"in_channels": None, "groups": None}}),
    ("a kernel of one over one channel",
     with_bias("flows.0.post", (192, 192, 1)) | with_bias("flows.1.conv_pre", (192, 1, 1)),
     {"flows.1.conv_pre": {"in_channels": None, "groups": None}}),
    ("two branches with two outputs for each channel",
     {"stage.fc2.weight": (48, 96), "proj.large.conv.weight": (96, 1, 7, 7),
      **batch_norm("proj.large.bn", 96), "proj.small.conv.weight": (96, 1, 3, 3)},
     {"proj.small.conv": {"in_channels": None}, "proj.large.conv": {"in_channels": None}}),
    ("depthwise after pointwise",
     {"conv.0.0.weight": (96, 16, 1, 1), **batch_norm("conv.0.1", 96),
      "conv.1.0.weight": (96, 1, 3, 3)},
     {"conv.1.0": {"in_channels": 96, "groups": 96}}),
    ("the first of all may have groups", with_bias("conv1", (64, 16, 3, 3)),
     {"conv1": {"in_channels": None, "out_channels": 64}}),
    ("a transposed one with a filter for each channel",
     {"a.weight": (64, 3, 3, 3), "deconv.weight": (64, 1, 4, 4)},
     {"deconv": {"in_channels": 64, "out_channels": None}}),
    ("Mamba", {"mamba.conv1d.weight": (128, 1, 4), "mamba.conv1d.bias": (128,)},
     {"mamba.conv1d": {"in_channels": 128, "groups": 128}}),
    ("a network of one's own", with_bias("conv1", (6, 1, 5, 5)) | with_bias("conv2", (16, 6, 5, 5)),
     {"conv1": {"in_channels": 1}, "conv2": {"in_channels": 6}}),
    ("VGG", with_bias("features.0", (64, 3, 3, 3)) | with_bias("features.3", (128, 64, 3, 3)),
     {"features.0": {"in_channels": 3}, "features.3": {"in_channels": 64}}),
    ("DQN", with_bias("conv.0", (32, 4, 8, 8)), {"conv.0": {"in_channels": 4}}),
    ("mel spectra", with_bias("conv1", (384, 80, 3)), {"conv1": {"in_channels": 80}}),
]  # fmt: skip


def numbers(found: weigh.Network, path: str, names: dict[str, int | None]) -> dict[str, Any]:
    rows = found[path].hyperparameters
    return {name: rows[name].value if name in rows else None for name in names}


@pytest.mark.parametrize(
    ("shapes", "wanted"), [row[1:] for row in NUMBERS], ids=[r[0] for r in NUMBERS]
)
def test_channels(shapes: Shapes, wanted: dict[str, dict[str, int | None]]) -> None:
    found = network(shapes)
    assert {path: numbers(found, path, names) for path, names in wanted.items()} == wanted
    axes = {path: found[path].weight.axes[1].name for path in wanted}
    for path, names in wanted.items():
        if None in names.values():
            assert axes[path].endswith("_per_group")


# Sorted by type and name, as safetensors does: what comes before a layer says little.
SORTED: list[tuple[str, Shapes, dict[str, dict[str, int | None]]]] = [
    ("ResNet", RESNET,
     {"conv1": {"in_channels": 3}, "layer2.0.conv1": {"in_channels": 64},
      "layer2.0.conv2": {"in_channels": 128}, "layer2.0.downsample.0": {"in_channels": 64}}),
    ("groups of four",
     {"conv1.weight": (10, 3, 7, 7), "conv2.c1x1_a.weight": (128, 10, 1, 1),
      "conv2.c3x3_b.weight": (128, 4, 3, 3)},
     {"conv2.c3x3_b": {"in_channels": None}}),
    ("a depthwise one is listed before the stem",
     {"blocks.0.fn.0.weight": (768, 1, 9, 9), "stem.0.weight": (768, 3, 7, 7)},
     {"blocks.0.fn.0": {"in_channels": None}, "stem.0": {"in_channels": 3}}),
    ("twice as many outputs after another part",
     {"stem.weight": (64, 3, 7, 7), "t.1.blocks.0.fc2.weight": (128, 512),
      "t.1.pool.weight": (128, 1, 3, 3)},
     {"t.1.pool": {"in_channels": None, "groups": None}}),
    ("the article's network", {**with_bias("conv1", (6, 1, 5, 5)), **with_bias("fc1", (120, 192)),
                               **with_bias("conv2", (12, 6, 5, 5))},
     {"conv1": {"in_channels": 1}, "conv2": {"in_channels": 6}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("shapes", "wanted"), [row[1:] for row in SORTED], ids=[r[0] for r in SORTED]
)
def test_channels_in_a_file_that_sorts(
    shapes: Shapes, wanted: dict[str, dict[str, int | None]], tmp_path: Any
) -> None:
    made = {
        name: np.zeros(shape, "int64" if name.endswith("tracked") else "float32")
        for name, shape in shapes.items()
    }
    save_file(made, tmp_path / "model.safetensors")
    found = weigh.open(tmp_path / "model.safetensors")
    assert {path: numbers(found, path, names) for path, names in wanted.items()} == wanted


BUFFERS: list[tuple[Shapes, str]] = [
    ({"model.shared.weight": (9, 4), "final_logits_bias": (1, 9)}, "final_logits_bias"),
    ({"betas": (9,), "posterior_variance": (9,), "posterior_mean_coef1": (9,),
      "posterior_mean_coef2": (9,), "posterior_log_variance_clipped": (9,)},
     "betas posterior_variance posterior_mean_coef1 posterior_mean_coef2"
     " posterior_log_variance_clipped"),
    ({"scale_factor": (), "fc.weight": (2, 2)}, "scale_factor"),
    ({"x.scale_factor": (), "fc.weight": (2, 2)}, ""),
    ({"pos_embed.pos_embed": (1, 9, 4), "pos_embed.proj.weight": (4, 3, 2, 2)},
     "pos_embed.pos_embed"),
    ({"pos_embed": (1, 9, 4), "patch_embed.proj.weight": (4, 3, 2, 2)}, ""),
    ({"codebook.embed": (9, 4), "codebook.inited": (1,), "codebook.cluster_size": (9,),
      "codebook.embed_avg": (9, 4)},
     "codebook.embed codebook.inited codebook.cluster_size codebook.embed_avg"),
    ({"codebook.embed": (9, 4)}, ""),
    ({"criterion.empty_weight": (3,), "fc.weight": (2, 2)}, "criterion.empty_weight"),
    ({"ema.decay": (), "ema.num_updates": (), "ema.fcweight": (2, 2)}, "ema.decay"),
    ({"decay": (3,), "fc.weight": (2, 2)}, ""),
    ({"mean": (8,), "scale": (8,), **with_bias("conv_pre", (8, 8, 7)),
      **with_bias("conv_post", (1, 8, 7))}, "mean scale"),
    ({"mean": (8,), "scale": (8,)}, ""),
    ({"blocks.0.down.kernel": (8,), "fc.weight": (2, 2)}, "blocks.0.down.kernel"),
    ({"Dense_0.kernel": (3, 4)}, ""),
    ({"backbone.conv1.weight": (8, 3, 7, 7), **batch_norm("backbone.bn1", 8, counted=False),
      **with_bias("class_embed", (9, 8))},
     "backbone.bn1.weight backbone.bn1.bias backbone.bn1.running_mean backbone.bn1.running_var"),
]  # fmt: skip


@pytest.mark.parametrize(("shapes", "buffers"), BUFFERS, ids=[next(iter(s)) for s, _ in BUFFERS])
def test_well_known_buffers(shapes: Shapes, buffers: str) -> None:
    found = {name for name, _ in network(shapes).named_buffers()}
    assert found - {"ema.num_updates"} == set(buffers.split())


class Activated(nn.BatchNorm2d):
    """A norm with a child that holds nothing."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.act = nn.ReLU()


MODULES = {
    "grouped": lambda: nn.Sequential(
        nn.ConvTranspose2d(100, 64, 4, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 32, 3, groups=4, bias=False),
    ),
    "norms": lambda: nn.ModuleDict({"conv1": nn.Conv2d(8, 8, 3), "norm1": nn.GroupNorm(2, 8)}),
    "children": lambda: nn.Sequential(nn.Conv2d(3, 8, 3), Activated(8)),
    "llama": lambda: nn.ModuleDict(
        {"layers": nn.ModuleList([nn.ModuleDict(
            {"attention_norm": nn.RMSNorm(8), "ffn_norm": nn.RMSNorm(8), "wq": nn.Linear(8, 8)}
        )]), "norm": nn.RMSNorm(8)}
    ),
}  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", MODULES)
def test_a_checkpoint_a_state_dict_and_a_mapping_tell_the_same(
    name: str, zipped: bool, tmp_path: Any
) -> None:
    state = MODULES[name]().state_dict()
    torch.save(state, tmp_path / "model.pt", _use_new_zipfile_serialization=zipped)
    pickled, in_memory = weigh.open(tmp_path / "model.pt"), weigh.open(state)
    # With the paths that PyTorch keeps beside a state dict the trees are the same.
    assert str(pickled) == str(in_memory)
    bare = weigh.open(dict(state))
    for path, layer in bare.named_modules():
        assert (layer.kind, layer._signature) == (pickled[path].kind, pickled[path]._signature)
    axes = [(t.name, t.role, t.axes) for t in bare.tensors()]
    assert axes == [(t.name, t.role, t.axes) for t in pickled.tensors()]
