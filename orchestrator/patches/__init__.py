"""Large fields cut into patches: scale, margins, tissue, what is lost and why, and what people rejected."""
