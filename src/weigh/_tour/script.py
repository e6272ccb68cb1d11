"""The tour's steps, in the article's order: the code of each, and the commands to try after it.

The code is run as it stands, in one namespace, and its output is what the tour prints. ``$seed``
and ``$epochs`` are filled in. After the article come the steps it only promises: the learning.
The names ``load_digits``, ``batches``, ``save``, ``save_pictures``, ``filter_pictures`` and
``digit_picture`` are the tour's own (see ``bench``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scene:
    """One step before it is run.

    Attributes:
        key: its name in the texts.
        cells: pieces of code.
        commands: shell commands to try; ``{file}``, ``{initial}``, ``{trained}``,
            ``{first_epoch}`` are paths.
        learns: whether it belongs to the training, and is left out without it.
        draws: whether the last cell prints shade characters.
    """

    key: str
    cells: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    learns: bool = False
    draws: bool = False


_LAYERS = """\
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels=1, out_channels=6, kernel_size=5)
        self.conv2 = nn.Conv2d(in_channels=6, out_channels=12, kernel_size=5)

        self.fc1 = nn.Linear(in_features=12*4*4, out_features=120)
        self.fc2 = nn.Linear(in_features=120, out_features=60)
        self.out = nn.Linear(in_features=60, out_features=10)

    def forward(self, t):
        # implement the forward pass
        return t"""

_REPR = """\

    def __repr__(self):
        return "lizardnet\""""

_INSTANCE = "torch.manual_seed($seed)\nnetwork = Network()"

ARTICLE: tuple[Scene, ...] = (
    Scene(
        "class",
        ("import torch\nimport torch.nn as nn", f"class Network(nn.Module):\n{_LAYERS}"),
    ),
    Scene("learnable"),
    Scene("instance", (_INSTANCE,)),
    Scene("print", ("print(network)",), ("weigh show {file}",)),
    Scene("bare", (f"class Network:\n{_LAYERS}", "network = Network()\nprint(network)")),
    Scene(
        "override",
        (f"class Network(nn.Module):\n{_LAYERS}\n{_REPR}", f"{_INSTANCE}\nprint(network)"),
    ),
    Scene("module_repr", ("del Network.__repr__\nprint(network)",)),
    Scene(
        "conv_repr",
        (
            "network.conv1.kernel_size",
            "network.conv1.stride",
            "nn.Conv2d(1, 6, kernel_size=5, stride=2)",
        ),
        ("weigh explain {file} conv1.weight",),
    ),
    Scene(
        "linear_repr",
        (
            "network.fc1",
            "nn.Linear(in_features=192, out_features=120, bias=False)",
            "eval('nn.' + repr(network.fc1))",
        ),
    ),
    Scene(
        "dots",
        ("network.conv1", "network.conv2", "network.fc1", "network.fc2", "network.out"),
        ("weigh show {file} 'conv*'",),
    ),
    Scene(
        "weight",
        ("network.conv1.weight",),
        ("weigh values {file} conv1.weight", "weigh values {file} 'conv1.weight[0]'"),
    ),
    Scene(
        "parameter",
        (
            "issubclass(nn.Parameter, torch.Tensor)",
            "import inspect\nprint(inspect.getsource(nn.Parameter.__repr__).rstrip())",
        ),
    ),
    Scene(
        "tracked",
        (
            """\
class Keeper(nn.Module):
    def __init__(self):
        super().__init__()
        self.noticed = nn.Parameter(torch.zeros(3))
        self.plain = torch.zeros(3)
        self.in_a_list = [nn.Parameter(torch.zeros(3))]
        self.in_its_list = nn.ParameterList([torch.zeros(3)])""",
            "[name for name, param in Keeper().named_parameters()]",
        ),
    ),
    Scene(
        "conv_shapes",
        ("network.conv1", "network.conv1.weight.shape", "network.conv2.weight.shape"),
        ("weigh show {file} 'conv*.weight'",),
    ),
    Scene(
        "axes",
        (
            "len(network.conv2.weight.shape)",
            "axes = ('Number of filters', 'Depth', 'Height', 'Width')\n"
            "dict(zip(axes, network.conv2.weight.shape))",
            "network.conv2.weight[0].shape",
        ),
        ("weigh explain {file} conv2.weight", "weigh values {file} 'conv2.weight[0]'"),
    ),
    Scene(
        "matrices",
        (
            "network.fc1.weight.shape",
            "network.fc2.weight.shape",
            "network.out.weight.shape",
            "try:\n    network.fc1.shape\nexcept AttributeError as error:\n    print(error)",
        ),
        ("weigh explain {file} fc1.weight",),
    ),
    Scene(
        "product",
        (
            "in_features = torch.tensor([1, 2, 3, 4], dtype=torch.float32)",
            """\
weight_matrix = torch.tensor([
    [1, 2, 3, 4],
    [2, 3, 4, 5],
    [3, 4, 5, 6],
], dtype=torch.float32)""",
            "[(row * in_features).sum().item() for row in weight_matrix]",
        ),
    ),
    Scene("map", ("weight_matrix.shape",), ("weigh explain {file} out.weight",)),
    Scene(
        "matmul",
        ("weight_matrix.matmul(in_features)", "(2 * weight_matrix).matmul(in_features)"),
    ),
    Scene("parameters", ("for param in network.parameters():\n    print(param.shape)",)),
    Scene(
        "named",
        (
            "for name, param in network.named_parameters():\n"
            "    print(name, '\\t\\t', param.shape)",
            "sum(param.numel() for param in network.parameters())",
        ),
        ("weigh show {file}",),
    ),
    Scene(
        "learning",
        (
            "initial = {name: param.detach().clone()\n"
            "           for name, param in network.named_parameters()}\n"
            "save(network, 'initial.safetensors')",
        ),
        ("weigh explain {initial} fc1.weight",),
    ),
)

LEARNING: tuple[Scene, ...] = (
    Scene(
        "forward",
        (
            """\
import torch.nn.functional as F

def forward(self, t):
    t = F.max_pool2d(F.relu(self.conv1(t)), kernel_size=2, stride=2)
    t = F.max_pool2d(F.relu(self.conv2(t)), kernel_size=2, stride=2)
    t = t.flatten(start_dim=1)
    t = F.relu(self.fc1(t))
    t = F.relu(self.fc2(t))
    return self.out(t)

Network.forward = forward""",
            "network(torch.zeros(1, 1, 28, 28)).shape",
        ),
        learns=True,
    ),
    Scene(
        "digits",
        (
            "train_images, train_labels, test_images, test_labels = load_digits()",
            "train_images.shape",
            "test_images.shape",
            "test_labels.bincount()",
            "print(digit_picture(test_images[0]))\ntest_labels[0].item()",
        ),
        learns=True,
    ),
    Scene(
        "untrained",
        (
            """\
@torch.no_grad()
def share_right(network):
    answers = network(test_images).argmax(dim=1)
    return (answers == test_labels).sum().item() / len(test_labels)""",
            "print(f'{share_right(network):.1%}')",
        ),
        learns=True,
    ),
    Scene(
        "train",
        (
            """\
epochs = $epochs
loader = batches(train_images, train_labels, size=50, epochs=epochs)
optimizer = torch.optim.Adam(network.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=0.003, total_steps=epochs * len(loader))""",
            """\
for epoch in range(1, epochs + 1):
    for images, labels in loader:
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f'epoch {epoch}: {share_right(network):.1%}')
    save(network, f'epoch-{epoch}.safetensors')""",
        ),
        ("weigh values {first_epoch} 'conv1.weight[0]'",),
        learns=True,
    ),
    Scene(
        "trained",
        (
            """\
accuracy = share_right(network)
print(f'{accuracy:.1%} of {len(test_images):,} held-out images')
save(network, 'trained.safetensors')
save(network, 'trained.pt')""",
            "network.conv1.weight[0]",
        ),
        ("weigh show {trained}",),
        learns=True,
    ),
    Scene(
        "moved",
        (
            """\
print(f'{"":12} {"change":>8} {"cosine":>8}')
for name, param in network.named_parameters():
    before, after = initial[name].flatten(), param.detach().flatten()
    change = (after - before).norm() / before.norm()
    cosine = F.cosine_similarity(after, before, dim=0)
    print(f'{name:12} {change:8.1%} {cosine:8.3f}')""",
        ),
        learns=True,
    ),
    Scene(
        "filters",
        (
            "save_pictures(initial['conv1.weight'], network.conv1.weight, 'filters.png')",
            "print(filter_pictures(initial['conv1.weight'], network.conv1.weight))",
        ),
        ("weigh values {trained} 'conv1.weight[0]'",),
        learns=True,
        draws=True,
    ),
)

SCENES = ARTICLE + LEARNING

NEXT = (
    "weigh show {trained}",
    "weigh values {trained} 'conv1.weight[0]'",
    "weigh explain {trained} conv2.weight",
)
"""What to try when the tour is over."""

NEXT_UNTRAINED = (
    "weigh show {initial}",
    "weigh values {initial} 'conv1.weight[0]'",
    "weigh explain {initial} conv2.weight",
)
"""The same, when it did not train."""
