"""What leaves a study: model, ONNX, card, tables, other tools; prediction without a study."""
