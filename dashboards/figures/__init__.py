"""One file per figure: its data, its drawing and its declaration."""
