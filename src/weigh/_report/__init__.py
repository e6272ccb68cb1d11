"""``weigh report``: one page, made of one file, that shows a whole network without a network."""
