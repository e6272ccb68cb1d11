"""The tour in English."""

from weigh._tour.words import Language, Words

STEPS: dict[str, Words] = {
    "class": Words(
        "The network's class",
        (
            "A convolutional network is a class that extends `nn.Module`. Its constructor makes "
            "the layers and keeps each one as an attribute: two convolutions, then three linear "
            "layers.",
            "`forward` says what happens to an input. For now it hands it back as it came; the "
            "tour fills it in at the end.",
        ),
    ),
    "learnable": Words(
        "What is chosen and what is learned",
        (
            "The numbers in the constructor are hyperparameters. Somebody chose them: 6 filters, "
            "5x5, 120 features.",
            "The learnable parameters are different. They begin as random numbers, and training "
            "changes them again and again, so that the loss becomes small. When we say that a "
            "network learns, this is what we mean: it finds good values for these numbers.",
            "So where are they? Inside the network: they are the weights, and each layer "
            "has its own.",
        ),
    ),
    "instance": Words(
        "An instance of the network",
        (
            "The class name followed by parentheses runs `__init__`, and `__init__` makes the "
            "layers. Objects now sit inside an object. The line before it fixes the random "
            "numbers, so that you see the same weights each time you take the tour with this seed.",
        ),
    ),
    "print": Words(
        "Print it",
        ("Printing the network lists its layers, each with the values it was made with.",),
        "the tree from a checkpoint, without the class. A file of bare tensors names its layers "
        "and their sizes; what it does not say (the class, the strides) Weigh does not make up, "
        "but prints as `?`.",
    ),
    "bare": Words(
        "Without the base class",
        (
            "Who wrote that text? Take `nn.Module` away from the class and ask again.",
            "This is what Python prints for any object whose class says nothing better: the "
            "class's name and an address in memory. It comes from `object`, which every class "
            "extends.",
        ),
    ),
    "override": Words(
        "Override the text",
        (
            "A class that extends another may replace what it inherits: it overrides it. "
            "The text of an object is what its `__repr__` returns (short for representation), so "
            "overriding `__repr__` changes what is printed. Names with two underscores at both "
            "ends are Python's special methods; `__init__` is another.",
        ),
    ),
    "module_repr": Words(
        "Whose text it was",
        (
            "Remove our `__repr__` and Python finds the next one up: that of `nn.Module`, which "
            "overrides the one of `object` in just the same way.",
        ),
    ),
    "conv_repr": Words(
        "What the text says: convolutions",
        (
            "We gave `kernel_size=5`, and the text says `(5, 5)`: a filter has a height and a "
            "width, and one number makes a square.",
            "We gave no `stride` at all, so the layer set its default, `(1, 1)`: the filter "
            "slides by one to the right, and by one down. Give another and the text follows.",
        ),
        "all the hyperparameters of a layer, and for each whether it was given or is the default. "
        "Only the live network tells the two apart. Of a file the command below says what names "
        "and shapes give away (`inferred`), and `?` for the rest.",
    ),
    "linear_repr": Words(
        "What the text says: linear layers",
        (
            "A linear layer prints one thing more that we did not give: `bias=True`, its default. "
            "It can be turned off.",
            "A class may print whatever it likes. Python's advice is that a `__repr__` should, "
            "if possible, be enough to make the object again. Here it is: the last line runs it.",
        ),
    ),
    "dots": Words(
        "Reach the layers",
        (
            "A dot opens an object and reaches what is inside. Each layer answers with its own "
            "text, and the network's text was simply all of these put together.",
            "There is no `print` here. A prompt, or a notebook, shows the `__repr__` of the last "
            "expression by itself.",
        ),
        "patterns, so that one line reaches many layers.",
    ),
    "weight": Words(
        "Reach a layer's weights",
        (
            "One dot more: the weight tensor is inside the layer, which is inside the network. "
            "These are the learnable numbers themselves, all random still.",
            "The text begins with `Parameter containing:`. This is no ordinary tensor; its "
            "values are there to be learned.",
        ),
        "the same numbers from a file, printed alike. An index reads that part only, however "
        "large the rest.",
    ),
    "parameter": Words(
        "The class Parameter",
        (
            "PyTorch marks what can be learned with a class of its own: `Parameter` extends "
            "`Tensor`. It overrides `__repr__` too, to put a line above the tensor's own text. "
            "This is the source as it is installed here.",
        ),
    ),
    "tracked": Words(
        "What gets noticed, and what gets lost",
        (
            "`nn.Module` looks at every attribute that is set. If the value is a `Parameter` "
            "(or a module with parameters of its own), it is registered. A plain tensor is not, "
            "and neither is a parameter inside a plain Python list: nothing would train it, and "
            "no checkpoint would hold it. `nn.ParameterList` is the list that is noticed.",
        ),
    ),
    "conv_shapes": Words(
        "Shapes: convolutions",
        (
            "The values given to a layer decide the shapes of its weights. The first layer takes "
            "1 channel and has 6 filters of 5x5. There are not six tensors, though, but one "
            "tensor that holds all six.",
            "The second layer has 12 filters and takes the 6 channels that the first one gives. "
            "Each of its filters is 6 deep: it looks at all the channels at once.",
        ),
        "the name of each axis beside its size.",
    ),
    "axes": Words(
        "Name the axes",
        (
            "So the weight tensor of a convolution is of rank 4, it has four axes: (Number of "
            "filters, Depth, Height, Width). The depth is the number of input channels.",
            "An index on the first axis pulls out one filter: 5 high, 5 wide, 6 deep.",
        ),
        "what each axis means, and which hyperparameter made it that long.",
    ),
    "matrices": Words(
        "Weight matrices",
        (
            "A linear layer turns a flat list of features into another, and its weight "
            "tensor is of rank 2: a weight matrix. Its height is the number of features that come "
            "out, its width the number that go in.",
            "A small slip in the article: it prints `network.fc1.shape`. The shape belongs to "
            "the weight, so it is `network.fc1.weight.shape`; the last lines show what the layer "
            "itself answers.",
        ),
        "the map that the matrix is: from how many features to how many.",
    ),
    "product": Words(
        "A matrix times a vector",
        (
            "Why output by input? Because of how matrices are multiplied. Each number of the "
            "result is a dot product: a row of the matrix times the column of inputs, place by "
            "place, and added up. So a row must be as long as the input, and there are as many "
            "results as rows. Here it is by hand, with 3 rows of 4.",
        ),
    ),
    "map": Words(
        "The matrix is a function",
        (
            "A weight matrix stands for a linear function, also called a linear map. This one "
            "takes a vector of 4 numbers to a vector of 3. To change the weights is to change the "
            "function, and that is what training does: it searches for the function that "
            "fits.",
        ),
        "the same for a layer of the network: `out` maps 60 features to 10, one for each class.",
    ),
    "matmul": Words(
        "The same with PyTorch",
        (
            "`matmul` is short for matrix multiplication. It gives what we had by hand. With "
            "other weights, here all doubled, it is another function: the same input gives "
            "another output.",
        ),
    ),
    "parameters": Words(
        "All parameters at once",
        (
            "Nobody reaches for the weights one by one. `parameters()` goes through all that "
            "`nn.Module` noticed, and this is the loop that training uses to update them.",
        ),
    ),
    "named": Words(
        "All parameters, with their names",
        (
            "`named_parameters()` gives the names as well, and shows something we passed over: "
            "each layer has a bias beside its weight, and it is learned too.",
        ),
        "the count in total: {count} learnable numbers in {tensors} tensors, which take {bytes} "
        "bytes. A list with shapes, types and totals comes from one command.",
    ),
    "learning": Words(
        "What learning is",
        (
            "This is all there is to learn with: {count} numbers, random so far. Learning means "
            "changing them, little by little, so that the loss goes down. The layers, their "
            "shapes and their names stay as they are.",
            "Here the article ends. To see later what training has changed, we keep the values "
            "from before, in memory and in a file. `save` is a helper of this tour.",
        ),
        "where the random numbers come from. PyTorch draws them evenly around zero, less wide "
        "the more inputs a layer has.",
    ),
    "forward": Words(
        "The forward pass",
        (
            "The article promises the learning; from here on we do it. First the missing method. "
            "After each convolution, `relu` sets what is negative to zero and `max_pool2d` keeps "
            "the largest of every 2x2. An image of 28x28 becomes 24, 12, 8 and at last 4: "
            "hence the `12*4*4`.",
            "An image goes in, ten numbers come out, one for each class.",
        ),
    ),
    "digits": Words(
        "Real images",
        (
            "Real images of 28x28, in ten classes. Those for testing are held out: the network "
            "never learns from them. `load_digits` is a helper of this tour. One image is drawn "
            "below, with its label.",
        ),
    ),
    "untrained": Words(
        "Before training",
        (
            "The network's answer is the largest of its ten numbers. How many answers are right "
            "on the held-out images? With random weights about one in ten, as by guessing.",
        ),
    ),
    "train": Words(
        "Train it",
        (
            "Take 50 images at a time. See how wrong the network is (the loss), work out for "
            "each parameter which way would make it less wrong (`backward`), and move it a little "
            "that way (`step`). Once through all images is an epoch. After each one, the share "
            "of right answers on the held-out images is printed and a checkpoint is saved.",
            "`batches` is a helper of this tour: it shuffles, and shifts the images by up to one "
            "pixel.",
        ),
        "the first filter after one epoch.",
    ),
    "trained": Words(
        "What it has learned",
        (
            "The same layers and the same shapes, but other numbers, and now they tell the "
            "classes apart. "
            "Here is the first filter again.",
        ),
        "the whole of the checkpoint, which holds no code: only names, shapes and these numbers.",
    ),
    "moved": Words(
        "How far each parameter moved",
        (
            "The change is how far the parameter moved, as a share of its length before; the "
            "cosine says whether it still points the same way (1) or not at all (0).",
        ),
    ),
    "filters": Words(
        "The filters, before and after",
        (
            "The six filters of `conv1`, before `>` after, all on one scale: the less "
            "ink, the more negative, and the more ink, the more positive, as the last line tells. "
            "`filters.png` has the same in colour, before above after: blue is negative, white "
            "zero, orange positive.",
            "Noise has become shapes: edges and strokes that tell one class from another.",
        ),
        "the numbers behind a picture.",
    ),
}

_BROUGHT = (
    "This is a tutorial brought to life. All code below is run as you see it, and all output is "
    "what it really printed. "
)
_LATER = (
    " Lines that begin with `$` are commands for a shell; they read the files that the tour leaves "
    "behind, so try them when it is over."
)

LANGUAGE = Language(
    weigh_adds="Weigh adds: ",
    between=" ",
    missing="(The command's file is not in {folder} yet: a whole tour, without `--step`, "
    "leaves it there.)",
    wrote="(Files written in {folder} by this step and those before it: {count}.)",
    opening=Words(
        "Weigh: a tour of a network's learnable parameters",
        (_BROUGHT + "There are {steps} steps; the first {article} follow the article." + _LATER,),
    ),
    opening_untrained=Words(
        "Weigh: a tour of a network's learnable parameters",
        (
            _BROUGHT
            + "There are {steps} steps, all of them the article's; training is left out."
            + _LATER,
        ),
    ),
    closing=Words(
        "The end of the tour",
        ("These files are yours to play with:",),
        "Try next:",
    ),
    untrained=Words(
        "The end of the tour, without training",
        ("This file is yours to play with:",),
        "Try next:",
    ),
    epoch="epoch {epoch} of {epochs}",
    steps=STEPS,
)
