"""What a `ModelConfig` means: inputs, layers, tensors, operations. Imports `config` and below, not torch."""
