"""Using a trained model: probabilities, timelines, the model folder as one object."""
