"""A trained model as a folder to give away: weights, description, model card, ONNX."""
